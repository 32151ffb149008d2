"""A third peer suspended and a fourth sending rubbish: two others are not held up (issue: at most 5 s)."""

import os
import signal

import pytest
import trio

from node.network import (
    Channel,
    Network,
    PeerUnreachable,
    connections,
    limits,
    muxer,
)
from tests.kit.network import BOUND, a_network, another_process, until

PROTOCOL = "/mailio/test/1"
ADDRESS = "0x" + "ab" * 20
HELD_UP = 5.0
"""Seconds that the issue allows."""


async def echo(channel: Channel) -> None:
    while True:
        await channel.send(await channel.receive())


async def rubbish(network: Network) -> None:
    port = int(network.listen_addrs()[0].split("/")[4])
    while True:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            async with stream:
                await stream.send_all(os.urandom(5_000))
        except OSError:
            pass
        except trio.BrokenResourceError:
            pass


async def find_and_send(alice: Network, bob: Network) -> None:
    """What a letter needs of the network."""
    assert await bob.find_records(ADDRESS) == [b"1:a"]
    peer = await alice.find_peer(bob.peer_id)
    assert peer is not None
    async with alice.channel(peer, PROTOCOL, max_frame=1024, deadline=BOUND) as channel:
        await channel.send(b"hello")
        assert await channel.receive() == b"hello"


async def test_two_peers_are_not_held_up_by_a_suspended_third_and_a_noisy_fourth() -> None:
    async with (
        a_network() as boot,
        a_network(boot) as alice,
        a_network(boot) as bob,
        another_process(boot) as third,
    ):
        bob.serve(PROTOCOL, echo, max_frame=1024, deadline=5)
        third_peer, pid = third
        for network in (alice, bob):
            await network.reach(third_peer)
            await until(lambda network=network: third_peer.peer_id in network.kad.table)  # type: ignore[misc]
        assert await alice.put_record(ADDRESS, b"1:a") >= 1
        os.kill(pid, signal.SIGSTOP)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rubbish, boot)
            nursery.start_soon(rubbish, bob)
            with trio.fail_after(HELD_UP):
                await find_and_send(alice, bob)
            with trio.fail_after(HELD_UP):
                assert await alice.put_record(ADDRESS, b"1:a") >= 1
            assert third_peer.peer_id not in alice.kad.table
            nursery.cancel_scope.cancel()


async def test_a_suspended_peer_is_noticed_before_its_connection_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_network() as alice, another_process(alice) as (peer, pid):
        await until(lambda: alice.is_connected(peer.peer_id))
        await alice.reach(peer)
        os.kill(pid, signal.SIGSTOP)
        with monkeypatch.context() as impatient:
            impatient.setattr(connections, "PROBE_AFTER", 0.0)
            impatient.setattr(connections, "PROBE_TIMEOUT", 0.3)
            impatient.setattr(connections, "DIAL_TIMEOUT", 0.3)
            with pytest.raises(PeerUnreachable), trio.fail_after(BOUND):
                await alice.reach(peer)
        assert not alice.is_connected(peer.peer_id)
        assert alice.counters["probe-failed"] >= 1
        os.kill(pid, signal.SIGCONT)
        with trio.fail_after(BOUND):
            await alice.reach(peer)


async def test_an_idle_connection_to_a_suspended_peer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muxer, "KEEPALIVE", 0.1)
    monkeypatch.setattr(muxer, "KEEPALIVE_TIMEOUT", 0.3)
    async with a_network() as alice, another_process(alice) as (peer, pid):
        await until(lambda: alice.is_connected(peer.peer_id))
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: not alice.is_connected(peer.peer_id))
    assert limits.KEEPALIVE > limits.KEEPALIVE_TIMEOUT
