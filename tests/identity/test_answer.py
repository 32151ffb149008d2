from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from node.identity import PeerClocks, ask_identity, serve_identity
from node.identity.answer import ASK_AGAIN_S, MAX_WAITING
from node.network import Network, PeerAddress, PeerUnreachable
from node.runtime.clock import ClockWatch
from protocol.errors import RemoteProtocolError
from protocol.exchange_identity import MAX_FRAME_BYTES, PROTOCOL_ID, IdentityAnswer, IdentityRequest
from protocol.status import NO_ANSWER, OK
from tests.identity.conftest import Time
from tests.kit.hostile import damaged
from tests.kit.network import BOUND, a_network
from tests.kit.owners import NOW, owner

BOB = owner("bob")


def peer(network: Network) -> PeerAddress:
    return PeerAddress(network.peer_id, tuple(addr.rpartition("/p2p/")[0] for addr in network.listen_addrs()))


async def test_a_node_tells_who_it_knows_and_what_time_it_is(clock: Time) -> None:
    with trio.fail_after(BOUND):
        async with a_network() as server, a_network() as client:
            serve_identity(server, {BOB.address: BOB.identity.record}.get, clock)
            assert await ask_identity(client, peer(server), BOB.address) == (BOB.identity.record, NOW)
            clock.time += 5
            assert await ask_identity(client, peer(server), owner("eve").address) == (None, NOW + 5)


async def test_an_e_mail_hash_is_never_answered_with_no(clock: Time) -> None:
    with trio.fail_after(BOUND):
        async with a_network() as server, a_network() as client:
            serve_identity(server, lambda _: None, clock)
            request = IdentityRequest(email_hash="A" * 43 + "=", nonce=bytes(32))
            async with client.channel(
                peer(server), PROTOCOL_ID, max_frame=MAX_FRAME_BYTES, deadline=BOUND
            ) as channel:
                await channel.send(request.encode())
                answer = IdentityAnswer.parse(await channel.receive())
            assert answer == IdentityAnswer(NOW, NO_ANSWER)


@pytest.mark.parametrize("request_bytes", [b"\x00", b"\xa0", bytes(MAX_FRAME_BYTES)])
async def test_a_malformed_request_is_counted_and_others_are_answered(
    clock: Time, request_bytes: bytes
) -> None:
    with trio.fail_after(BOUND):
        async with a_network() as server, a_network() as client, a_network() as rude:
            serve_identity(server, {BOB.address: BOB.identity.record}.get, clock)
            with pytest.raises((PeerUnreachable, RemoteProtocolError)):
                await say(rude, peer(server), request_bytes)
            assert sum(n for name, n in server.counters.items() if name.startswith("fault:")) == 1
            assert await ask_identity(client, peer(server), BOB.address) == (BOB.identity.record, NOW)


async def say(network: Network, to: PeerAddress, data: bytes) -> bytes:
    async with network.channel(to, PROTOCOL_ID, max_frame=MAX_FRAME_BYTES, deadline=BOUND) as channel:
        await channel.send(data)
        return await channel.receive()


class Answering:
    """A network with one peer that answers everything with the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.asked: list[bytes] = []
        self.blamed: list[bytes] = []

    def serve(self, *_: object, **__: object) -> None:
        raise AssertionError("only asked")

    @asynccontextmanager
    async def channel(self, peer: PeerAddress, *_: object, **__: object) -> AsyncIterator["Answering"]:
        self.asked.append(peer.peer_id)
        yield self

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        IdentityRequest.parse(data)

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self.answer

    def blame(self, peer_id: bytes, fault: str) -> None:
        self.blamed.append(peer_id)


VALID = IdentityAnswer(NOW, OK, BOB.identity.record).encode()


@given(answer=st.binary(max_size=200) | damaged(VALID))
async def test_any_answer_is_read_or_refused(answer: bytes) -> None:
    try:
        record, time = await ask_identity(Answering(answer), PeerAddress(b"x"), BOB.address)
    except RemoteProtocolError:
        return
    assert record is None or len(record) <= MAX_FRAME_BYTES
    assert time >= 0


async def test_peers_tell_the_time_once_an_hour(autojump_clock: MockClock) -> None:
    network, clock = Answering(IdentityAnswer(NOW + 20 * 60_000, OK).encode()), Time()
    watch = ClockWatch(clock, 0, elapsed=trio.current_time)
    clocks = PeerClocks(network, watch)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clocks.run)
        for peer_id in (b"a", b"b", b"b"):
            clocks.connected(peer_id)
        await trio.sleep(1)
        assert (sorted(network.asked), watch.doubtful) == ([b"a", b"b"], None)
        clocks.connected(b"c")
        await trio.sleep(1)
        assert watch.skew_ms is not None
        assert watch.doubtful is not None
        await trio.sleep(ASK_AGAIN_S)
        clocks.connected(b"b")
        await trio.sleep(1)
        assert network.asked.count(b"b") == 2
        nursery.cancel_scope.cancel()


async def test_who_answers_rubbish_is_blamed_and_a_crowd_is_bounded(autojump_clock: MockClock) -> None:
    network = Answering(b"rubbish")
    clocks = PeerClocks(network, ClockWatch(Time(), 0))
    for number in range(MAX_WAITING + 10):
        clocks.connected(number.to_bytes(2, "big"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clocks.run)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert len(network.blamed) == len(network.asked) == MAX_WAITING
