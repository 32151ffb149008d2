"""Throwaway peer keys towards hosts, over real TCP on loopback: what a host learns, what masks cost."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.peer.id import ID

from node.network import (
    Channel,
    ChannelClosed,
    Network,
    PeerAddress,
    PeerUnreachable,
    connections,
    identify,
    kad,
    limits,
    mask,
    masked,
    parse_peer,
)
from node.network.bitswap import PROTOCOL as BITSWAP
from node.network.bitswap_wire import encode_block
from protocol.unixfs import raw_cid
from tests.kit.blocks import Times
from tests.kit.network import BOUND, Shelf, a_leaf, a_network, another_process, until

PROTOCOL = "/mailio/test/1"
DAY_MS = 86_400_000
LEAVES = [a_leaf(number) for number in range(3)]
CIDS = [raw_cid(leaf) for leaf in LEAVES]


async def say_who(channel: Channel) -> None:
    """Tells every asker its peer id."""
    while True:
        await channel.receive()
        await channel.send(channel.peer_id)


@asynccontextmanager
async def a_host(*bootstrap: Network) -> AsyncIterator[Network]:
    async with a_network(*bootstrap, server=False) as host:
        host.serve(PROTOCOL, say_who, max_frame=1024, deadline=BOUND)
        yield host


@asynccontextmanager
async def pair(times: Times | None = None) -> AsyncIterator[tuple[Network, Network, PeerAddress]]:
    """Alice, a host, and where that is."""
    with trio.fail_after(2 * BOUND):
        async with a_host() as host, a_network(server=False, clock=times) as alice:
            alice.serve(PROTOCOL, say_who, max_frame=1024, deadline=BOUND)
            yield alice, host, at(host)


def at(network: Network) -> PeerAddress:
    return parse_peer(network.listen_addrs()[0])


@asynccontextmanager
async def talk(alice: Network, peer: PeerAddress) -> AsyncIterator[Channel]:
    async with alice.masked.channel(peer, PROTOCOL, max_frame=1024, deadline=BOUND) as channel:
        yield channel


async def asked(channel: Channel) -> bytes:
    await channel.send(b"who am I?")
    return await channel.receive()


async def seen(alice: Network, peer: PeerAddress) -> bytes:
    """As whom a host sees Alice now."""
    async with talk(alice, peer) as channel:
        return await asked(channel)


def guests(host: Network) -> set[bytes]:
    return {peer.peer_id for peer in host.peers()}


async def test_each_host_sees_another_key_each_day_and_never_ours() -> None:
    times = Times()
    async with pair(times) as (alice, host, peer), a_host() as other:
        today = await seen(alice, peer)
        assert await seen(alice, peer) == today
        assert guests(host) == {today}
        times.ms += DAY_MS - times.ms % DAY_MS - 1
        assert await seen(alice, peer) == today
        times.ms += 1
        tomorrow = await seen(alice, peer)
        elsewhere = await seen(alice, at(other))
        assert guests(other) == {elsewhere}
        assert len({alice.peer_id, today, tomorrow, elsewhere}) == 4
        assert alice.counters["masks"] == 3


async def test_a_key_lasts_its_day_whatever_becomes_of_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask, "MASK_IDLE", 0.0)
    async with pair() as (alice, host, peer):
        first = await seen(alice, peer)
        await until(lambda: not host.peers())
        assert await seen(alice, peer) == first
        assert alice.counters["masks"] == 2


async def test_keys_of_yesterday_are_dropped_though_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masked, "SWEEP", 0.01)
    times = Times()
    async with pair(times) as (alice, _, peer):
        await seen(alice, peer)
        assert list(alice.masked._faces) == [peer.peer_id]
        times.ms += DAY_MS
        await until(lambda: not alice.masked._faces)


async def test_so_many_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masked, "MAX_FACES", 2)
    monkeypatch.setattr(mask, "MASK_IDLE", 0.0)
    async with pair() as (alice, _, peer), a_host() as second, a_host() as third:
        first = await seen(alice, peer)
        await seen(alice, at(second))
        assert await seen(alice, peer) == first
        await seen(alice, at(third))
        assert list(alice.masked._faces) == [peer.peer_id, third.peer_id]


async def test_what_is_in_use_at_midnight_goes_on_as_who_it_was() -> None:
    times = Times()
    async with pair(times) as (alice, host, peer), talk(alice, peer) as channel:
        today = await asked(channel)
        times.ms += DAY_MS
        tomorrow = await seen(alice, peer)
        assert await asked(channel) == today
        assert guests(host) == {today, tomorrow}


async def test_our_listed_connection_is_not_used() -> None:
    async with pair() as (alice, host, peer):
        await alice.reach(peer)
        hidden = await seen(alice, PeerAddress(peer.peer_id))
        await until(lambda: guests(host) == {alice.peer_id, hidden})


async def test_a_host_is_found_without_being_asked_under_our_name() -> None:
    with trio.fail_after(2 * BOUND):
        async with a_network() as boot, a_host(boot) as host, a_network(boot, server=False) as alice:
            await until(lambda: boot._known(host.peer_id) is not None and boot.peer_id in alice.kad.table)
            hidden = await seen(alice, PeerAddress(host.peer_id))
            assert await seen(alice, PeerAddress(host.peer_id)) == hidden
            assert guests(host) == {boot.peer_id, hidden}
            with pytest.raises(PeerUnreachable, match="nobody knows"):
                await seen(alice, PeerAddress(hidden))


async def test_a_mask_tells_nothing_of_us() -> None:
    async with pair() as (alice, host, peer):
        hidden = await seen(alice, peer)
        async with host.channel(
            PeerAddress(hidden), identify.PROTOCOL, max_frame=identify.MAX_FRAME, deadline=BOUND
        ) as channel:
            told = Identify.FromString(await channel.receive())
        key = ID(hidden).extract_public_key()
        assert key is not None
        assert told == Identify(
            protocol_version=identify.PROTOCOL_VERSION,
            agent_version="",
            public_key=key.serialize(),
            observed_addr=b"",
            protocols=["/ipfs/ping/1.0.0", identify.PROTOCOL, BITSWAP],
        )
        for protocol in (PROTOCOL, kad.PROTOCOL):
            with pytest.raises(PeerUnreachable, match="does not take"):
                async with host.channel(PeerAddress(hidden), protocol, max_frame=1024, deadline=BOUND):
                    pass


async def test_blocks_come_through_a_mask_and_none_go() -> None:
    ours = Shelf(LEAVES[1:])
    async with pair() as (alice, host, peer):
        alice.bitswap.serve(ours)
        host.bitswap.serve(Shelf(LEAVES[:1]))
        async with alice.masked.session(peer) as session:
            await session.want(CIDS[:2])
            came = dict([await session.receive(), await session.receive()])
            assert came == {CIDS[0]: LEAVES[0], CIDS[1]: None}
            (hidden,) = guests(host)
            async with host.bitswap.session(PeerAddress(hidden)) as back:
                await back.want(CIDS[1:2])
                assert await back.receive() == (CIDS[1], None)
        assert hidden != alice.peer_id
        assert ours.read_so_far == []


async def test_a_block_that_a_mask_did_not_ask_for_is_dropped() -> None:
    async with pair() as (alice, host, peer), alice.masked.session(peer) as session:
        await session.want(CIDS[:1])
        assert await session.receive() == (CIDS[0], None)
        await session.want(CIDS[:1])
        (hidden,) = guests(host)
        await say(host, hidden, encode_block(CIDS[1], LEAVES[1]))
        await until(lambda: alice.counters["bitswap-unsolicited"] == 1)
        assert alice.counters["bitswap-received"] == 0


async def say(network: Network, peer_id: bytes, message: bytes) -> None:
    async with network.channel(
        PeerAddress(peer_id), BITSWAP, max_frame=limits.MAX_BLOCKS_FRAME, deadline=BOUND
    ) as channel:
        await channel.send(message)


async def say_until_refused(network: Network, peer_id: bytes, message: bytes) -> None:
    while True:
        await say(network, peer_id, message)


async def test_a_host_that_a_mask_sends_away_does_not_learn_whose_it_was() -> None:
    async with pair() as (alice, host, peer):
        hidden = await seen(alice, peer)
        with pytest.raises(PeerUnreachable):
            await say_until_refused(host, hidden, b"\xff\xff")
        await until(lambda: not host.peers() and alice.counters["fault:5.6.0"] == limits.FAULTS_PER_PEER)
        for _ in range(2):
            with pytest.raises(PeerUnreachable, match="broke the rules"):
                await seen(alice, peer)
        await alice.reach(peer)
        assert alice.is_connected(host.peer_id)


async def test_a_mask_ends_when_it_is_idle_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask, "MASK_IDLE", 0.0)
    async with pair() as (alice, host, peer):
        async with talk(alice, peer) as channel:
            hidden = await asked(channel)
            assert await seen(alice, peer) == hidden
            assert await asked(channel) == hidden
            assert alice.counters["masks"] == 1
        await until(lambda: not host.peers() and not alice.masked._masks)


async def test_a_mask_ends_when_its_host_goes() -> None:
    async with pair() as (alice, host, peer):
        await seen(alice, peer)
        for guest in guests(host):
            host._connections.suspect(guest)
        await until(lambda: not alice.masked._masks)
        async with talk(alice, peer) as channel:
            await asked(channel)
            for guest in guests(host):
                host._connections.suspect(guest)
            with pytest.raises(ChannelClosed):
                await channel.receive()
        await until(lambda: not alice.masked._masks)


async def test_so_many_are_open_and_the_longest_idle_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masked, "MAX_MASKS", 2)
    async with pair() as (alice, first, peer), a_host() as second, a_host() as third:
        await seen(alice, peer)
        await seen(alice, at(second))
        await seen(alice, peer)
        await seen(alice, at(third))
        assert len(alice.masked._masks) == 2
        await until(lambda: not second.peers())
        assert (len(first.peers()), len(third.peers())) == (1, 1)
        async with talk(alice, peer), talk(alice, at(third)):
            with pytest.raises(PeerUnreachable, match="spoken to already"):
                await seen(alice, at(second))
        await seen(alice, at(second))


async def test_many_at_once_ask_for_one_mask() -> None:
    async with pair() as (alice, host, peer):
        names: set[bytes] = set()

        async def ask() -> None:
            names.add(await seen(alice, peer))

        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(ask)
        assert (names, alice.counters["masks"]) == (guests(host), 1)


async def test_a_suspended_host_costs_no_more_than_the_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_network() as boot, a_host() as host, a_network(server=False) as alice:
        async with another_process(boot) as (peer, pid):
            async with alice.masked.session(peer):
                pass
            os.kill(pid, signal.SIGSTOP)
            with monkeypatch.context() as impatient:
                impatient.setattr(connections, "PROBE_AFTER", 0.0)
                impatient.setattr(connections, "PROBE_TIMEOUT", 0.3)
                impatient.setattr(connections, "DIAL_TIMEOUT", 0.3)
                with trio.fail_after(BOUND):
                    for _ in range(2):  # known, and afresh
                        with pytest.raises(PeerUnreachable):
                            await seen(alice, peer)
                        await until(lambda: not alice.masked._masks)
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(refused, alice, peer)
                        assert await seen(alice, at(host)) in guests(host)
            os.kill(pid, signal.SIGCONT)
            with trio.fail_after(BOUND):
                async with alice.masked.session(peer):
                    pass


async def refused(alice: Network, peer: PeerAddress) -> None:
    with pytest.raises(PeerUnreachable):
        await seen(alice, peer)


async def test_masks_end_with_the_network() -> None:
    with trio.fail_after(2 * BOUND):
        async with a_host() as host, a_host() as other, AsyncExitStack() as stack:
            alice = await stack.enter_async_context(a_network(server=False))
            await seen(alice, at(other))
            async with talk(alice, at(host)) as channel:
                await asked(channel)
                await stack.aclose()
                with pytest.raises(ChannelClosed):
                    await channel.receive()
            await until(lambda: not host.peers() and not other.peers())
            assert not alice.masked._masks
            with pytest.raises(PeerUnreachable, match="closed"):
                await seen(alice, at(host))
