from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from node.identity import PeerClocks, ask_binding, ask_identity, serve_identity
from node.identity.answer import ASK_AGAIN_S, HASHES, MAX_WAITING
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
HASH, OTHER_HASH = "A" * 43 + "=", "B" * 43 + "="


def peer(network: Network) -> PeerAddress:
    return PeerAddress(network.peer_id, tuple(addr.rpartition("/p2p/")[0] for addr in network.listen_addrs()))


async def test_a_node_tells_who_it_knows_and_what_time_it_is(clock: Time) -> None:
    with trio.fail_after(BOUND):
        async with a_network() as server, a_network() as client:
            serve_identity(server, {BOB.address: BOB.identity.record}.get, clock)
            assert await ask_identity(client, peer(server), BOB.address) == (BOB.identity.record, NOW)
            clock.time += 5
            assert await ask_identity(client, peer(server), owner("eve").address) == (None, NOW + 5)


class OneName:
    """A domain's node that knows one hash, and says no to others."""

    def answer(self, email_hash: str, nonce: bytes) -> bytes | None:
        return {HASH: b"yes", OTHER_HASH: b"no"}.get(email_hash, b"") + nonce[:1]


async def test_a_domain_s_node_answers_for_an_e_mail_hash(clock: Time) -> None:
    with trio.fail_after(BOUND):
        async with a_network() as server, a_network() as client:
            serve_identity(server, lambda _: None, clock, OneName())
            assert await ask_binding(client, peer(server), HASH, b"1" * 32) == b"yes1"
            assert await ask_binding(client, peer(server), OTHER_HASH, b"2" * 32) == b"no2"


async def test_who_guesses_addresses_is_told_little(clock: Time) -> None:
    with trio.fail_after(BOUND):
        async with a_network() as server, a_network() as client, a_network() as other:
            serve_identity(server, {BOB.address: BOB.identity.record}.get, clock, OneName())
            told = [await ask_binding(client, peer(server), HASH, bytes(32)) for _ in range(HASHES + 1)]
            assert told[-2:] == [b"yes\0", None]
            assert await ask_identity(client, peer(server), BOB.address) == (BOB.identity.record, NOW)
            assert await ask_binding(other, peer(server), HASH, bytes(32)) == b"yes\0"


async def test_an_e_mail_hash_is_never_answered_with_no_by_who_has_no_domain(clock: Time) -> None:
    with trio.fail_after(BOUND):
        async with a_network() as server, a_network() as client:
            serve_identity(server, lambda _: None, clock)
            request = IdentityRequest(email_hash=HASH, nonce=bytes(32))
            answer = IdentityAnswer.parse(await say(client, peer(server), request.encode()))
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

    peer_id, remote_block = b"x", "127.0.0.0/24"

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
