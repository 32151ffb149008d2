"""Channels over real TCP: bounds, deadlines, the pool, and what a fault costs whom."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.peer.id import ID
from trio.testing import MockClock

from node.network import (
    Channel,
    ChannelClosed,
    Network,
    PeerAddress,
    PeerFault,
    PeerUnreachable,
    channels,
    limits,
    parse_peer,
)
from node.network.channels import Handler
from node.network.muxer import Muxer
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.status import TOO_LARGE
from tests.kit.network import BOUND, a_network, until

PROTOCOL = "/mailio/test/1"
FRAME = 64 * 1024
DEADLINE = 5.0
SHORT = 0.2
"""Seconds for deadlines that the test means to miss."""


@asynccontextmanager
async def pair(
    handler: Handler, *, max_frame: int = FRAME, deadline: float = DEADLINE
) -> AsyncIterator[tuple[Network, Network, PeerAddress]]:
    with trio.fail_after(BOUND):
        async with a_network(server=False) as alice, a_network(server=False) as bob:
            bob.serve(PROTOCOL, handler, max_frame=max_frame, deadline=deadline)
            peer = parse_peer(bob.listen_addrs()[0])
            yield alice, bob, peer


async def echo(channel: Channel) -> None:
    while True:
        await channel.send(await channel.receive())


async def exchange(
    network: Network,
    peer: PeerAddress,
    data: bytes = b"hello",
    *,
    max_frame: int = FRAME,
    deadline: float = DEADLINE,
) -> bytes:
    async with network.channel(peer, PROTOCOL, max_frame=max_frame, deadline=deadline) as channel:
        await channel.send(data)
        return await channel.receive()


async def test_frames_come_back_and_the_sender_is_proved() -> None:
    seen: list[tuple[bytes, str]] = []

    async def note(channel: Channel) -> None:
        seen.append((channel.peer_id, channel.remote_block))
        await echo(channel)

    async with pair(note) as (alice, _, peer):
        assert await exchange(alice, peer) == b"hello"
        assert seen == [(alice.peer_id, "127.0.0.0/24")]


async def test_a_frame_of_a_megabyte_comes_back_whole() -> None:
    data = bytes(range(256)) * 4096
    async with pair(echo, max_frame=len(data)) as (alice, _, peer):
        assert await exchange(alice, peer, data, max_frame=len(data)) == data


async def test_a_busy_peer_keeps_its_stream() -> None:
    streams = 0

    async def count(channel: Channel) -> None:
        nonlocal streams
        streams += 1
        await echo(channel)

    async with pair(count) as (alice, _, peer):
        answers = [await exchange(alice, peer, bytes([n])) for n in range(5)]
        assert (answers, streams) == ([bytes([n]) for n in range(5)], 1)
        await alice.drop_idle_streams(peer.peer_id)
        await exchange(alice, peer)
        assert streams == 2


class Mailbox:
    """Hears what nobody answers, one frame at a time, on streams whose other half is closed from the start,
    as Helia's are. `gate` is waited for before each.
    """

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.streams = self.resets = 0
        self.gate = trio.Event()
        self.gate.set()

    async def __call__(self, channel: Channel) -> None:
        self.streams += 1
        await getattr(channel._stream, "close_write")()  # noqa: B009 - upstream's interface does not name it
        try:
            while True:
                await self.gate.wait()
                self.heard.append(await channel.receive())
        finally:
            self.resets += was_reset(channel)


async def tell(network: Network, peer: PeerAddress, data: bytes) -> None:
    async with network._channels.channel(
        peer, PROTOCOL, max_frame=FRAME, deadline=DEADLINE, one_way=True
    ) as channel:
        await channel.send(data)


async def test_where_nothing_is_answered_a_closed_half_means_nothing() -> None:
    mailbox = Mailbox()
    async with pair(mailbox) as (alice, _, peer):
        for n in range(3):
            await tell(alice, peer, bytes([n]))
            await until(lambda n=n: len(mailbox.heard) == n + 1)  # type: ignore[misc] # a default of its own
        assert (mailbox.streams, mailbox.heard) == (1, [b"\x00", b"\x01", b"\x02"])


async def test_what_was_said_last_is_not_taken_back_when_its_stream_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where it is read late: a reset would overtake it."""
    monkeypatch.setattr(channels, "ONE_WAY_IDLE", 0.0)
    mailbox = Mailbox()
    mailbox.gate = trio.Event()
    async with pair(mailbox) as (alice, _, peer):
        for n in range(3):
            await tell(alice, peer, bytes([n]))
        mailbox.gate.set()
        await until(lambda: len(mailbox.heard) == 3)
        assert (mailbox.streams, mailbox.resets) == (3, 0)


async def test_a_pooled_stream_that_turns_out_dead_is_replaced_once() -> None:
    seen: list[bytes] = []

    async def dies_at_the_second(channel: Channel) -> None:
        seen.append(await channel.receive())
        await channel.send(b"answer")
        if len(seen) == 1:
            seen.append(await channel.receive())
            raise ChannelClosed("gone")
        await echo(channel)

    async with pair(dies_at_the_second) as (alice, _, peer):
        await exchange(alice, peer, b"first")
        assert await exchange(alice, peer, b"second") == b"answer"
        assert seen == [b"first", b"second", b"second"]


async def test_a_new_stream_that_dies_is_the_callers_to_know() -> None:
    async def dies(channel: Channel) -> None:
        await channel.receive()

    async with pair(dies) as (alice, _, peer):
        with pytest.raises(ChannelClosed):
            await exchange(alice, peer)


async def test_a_stream_is_not_replaced_once_something_was_received() -> None:
    async def dies_later(channel: Channel) -> None:
        await channel.send(await channel.receive())
        await channel.send(await channel.receive())
        await channel.receive()

    async def offer_and_body(network: Network, peer: PeerAddress) -> None:
        async with network.channel(peer, PROTOCOL, max_frame=FRAME, deadline=DEADLINE) as channel:
            await channel.send(b"offer")
            await channel.receive()
            await channel.send(b"body")
            await channel.receive()

    async with pair(dies_later) as (alice, _, peer):
        await exchange(alice, peer)
        with pytest.raises(ChannelClosed):
            await offer_and_body(alice, peer)


async def test_an_exception_in_a_handler_ends_its_stream_only(caplog: pytest.LogCaptureFixture) -> None:
    async def fails_on_bad(channel: Channel) -> None:
        if await channel.receive() == b"bad":
            raise ZeroDivisionError
        await channel.send(b"good")

    async with pair(fails_on_bad) as (alice, bob, peer):
        with pytest.raises(ChannelClosed):
            await exchange(alice, peer, b"bad")
        assert await exchange(alice, peer, b"other") == b"good"
        assert bob.counters["fault:5.6.0"] == 0
    assert [record.levelno for record in caplog.records if record.name.startswith("node")] == [logging.ERROR]


async def test_a_frame_over_the_bound_is_the_senders_fault() -> None:
    async with pair(echo, max_frame=100) as (alice, bob, peer):
        with pytest.raises(ChannelClosed):
            await exchange(alice, peer, bytes(101))
        assert bob.counters["fault:5.2.3"] == 1
        assert await exchange(alice, peer) == b"hello"


async def test_an_answer_over_the_bound_is_the_peers_fault() -> None:
    async def says_much(channel: Channel) -> None:
        await channel.receive()
        await channel.send(bytes(1000))

    async with pair(says_much) as (alice, _, peer):
        with pytest.raises(PeerFault):
            await exchange(alice, peer, max_frame=100)
        assert alice.counters["fault:5.2.3"] == 1


async def test_our_own_frame_over_the_bound_is_our_mistake() -> None:
    async with pair(echo) as (alice, _, peer):
        with pytest.raises(LocalProtocolError):
            await exchange(alice, peer, bytes(FRAME + 1))


async def test_a_malformed_request_is_counted_against_its_sender() -> None:
    async def refuses(channel: Channel) -> None:
        await channel.receive()
        raise RemoteProtocolError("malformed")

    async with pair(refuses) as (alice, bob, peer):
        for _ in range(limits.FAULTS_PER_PEER):
            with pytest.raises(PeerUnreachable):
                await exchange(alice, peer)
        await until(lambda: not alice.is_connected(bob.peer_id))
        with pytest.raises(PeerUnreachable):
            await exchange(alice, peer)


async def test_a_peer_that_does_not_answer_costs_the_deadline() -> None:
    async def silent(channel: Channel) -> None:
        await trio.sleep_forever()

    async with pair(silent) as (alice, _, peer):
        with pytest.raises(PeerUnreachable):
            await exchange(alice, peer, deadline=SHORT)


async def test_a_peer_that_does_not_read_costs_the_deadline() -> None:
    async def deaf(channel: Channel) -> None:
        await trio.sleep_forever()

    async with pair(deaf) as (alice, _, peer):
        with pytest.raises(PeerUnreachable):
            await exchange(alice, peer, bytes(limits.MIB), max_frame=limits.MIB, deadline=SHORT)


async def test_a_frame_begun_and_not_completed_is_a_fault() -> None:
    async def begin(network: Network, peer: PeerAddress) -> None:
        async with network.channel(peer, PROTOCOL, max_frame=FRAME, deadline=DEADLINE) as channel:
            await channel._stream.write(b"\x05ab")
            await channel.receive()

    async with pair(echo, deadline=SHORT) as (alice, bob, peer):
        with pytest.raises(PeerUnreachable):
            await begin(alice, peer)
        assert bob.counters["fault:5.6.0"] == 1


async def test_a_protocol_that_a_peer_does_not_speak_is_told() -> None:
    async with pair(echo) as (alice, _, peer):
        with pytest.raises(PeerUnreachable, match="/mailio/other/1"):
            async with alice.channel(peer, "/mailio/other/1", max_frame=FRAME, deadline=DEADLINE):
                pass


async def test_an_exchange_cancelled_half_way_through_a_write_does_not_break_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with pair(echo) as (alice, bob, peer):
        await exchange(alice, peer)
        connection = alice._swarm.get_connections(ID(peer.peer_id))[0]
        assert isinstance(connection.muxed_conn, Muxer)
        raw, half_way, go_on = connection.muxed_conn._raw, trio.Event(), trio.Event()
        send_all = raw.send_all

        async def stall(data: bytes) -> None:
            await send_all(data[: len(data) // 2])
            half_way.set()
            await go_on.wait()
            await send_all(data[len(data) // 2 :])

        monkeypatch.setattr(raw, "send_all", stall)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(exchange, alice, peer)
            await half_way.wait()
            nursery.cancel_scope.cancel()
            go_on.set()
        assert await exchange(alice, peer) == b"hello"
        assert bob.counters["inbound"] == 1


async def test_streams_past_the_limit_are_refused_and_the_others_go_on() -> None:
    async with pair(echo) as (alice, bob, peer):
        async with AsyncExitStack() as held:
            channels = [
                await held.enter_async_context(
                    alice.channel(peer, PROTOCOL, max_frame=FRAME, deadline=DEADLINE)
                )
                for _ in range(limits.MAX_STREAMS_PER_PEER)
            ]
            with pytest.raises(PeerUnreachable):
                await exchange(alice, peer)
            await channels[0].send(b"still there")
            assert await channels[0].receive() == b"still there"
        assert bob.counters["streams-refused"] == 1


async def test_a_peer_without_any_address_is_unreachable() -> None:
    async with pair(echo) as (alice, _, _peer):
        with pytest.raises(PeerUnreachable):
            await exchange(alice, PeerAddress(b"\x00\x02xx"))


async def test_streams_that_rest_for_long_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bytes] = []

    async def note_end(channel: Channel) -> None:
        try:
            await echo(channel)
        finally:
            ended.append(channel.peer_id)

    async with pair(note_end) as (alice, _, peer):
        await exchange(alice, peer)
        await alice._channels.sweep()
        assert ended == []
        monkeypatch.setattr(channels, "POOL_IDLE", 0.0)
        await alice._channels.sweep()
        await until(lambda: ended == [alice.peer_id])


async def once(channel: Channel) -> None:
    await channel.send(await channel.receive())


def was_reset(channel: Channel) -> bool:
    """Whether the other end reset the stream under a channel."""
    muxed = getattr(channel._stream, "muxed_stream")  # noqa: B009 - upstream's interface does not name it
    return bool(muxed.reset_received)


async def test_an_answer_is_not_followed_by_a_reset() -> None:
    """js-libp2p 3 drops an answer that it has not read when the reset comes."""
    async with (
        pair(once) as (alice, _, peer),
        alice.channel(peer, PROTOCOL, max_frame=FRAME, deadline=DEADLINE) as channel,
    ):
        await channel.send(b"hello")
        assert await channel.receive() == b"hello"
        with pytest.raises(ChannelClosed):
            await channel.receive()
        assert await exchange(alice, peer) == b"hello"  # whatever bob sent behind his answer is here by now
        assert not was_reset(channel)


async def test_who_never_closes_is_reset_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.network.channel.CLOSE_TIMEOUT", SHORT)
    async with (
        pair(once) as (alice, _, peer),
        alice.channel(peer, PROTOCOL, max_frame=FRAME, deadline=DEADLINE) as channel,
    ):
        await channel.send(b"hello")
        assert await channel.receive() == b"hello"
        await until(lambda: was_reset(channel))


class Dribble:
    """A stream whose other end says one byte every `pause` seconds."""

    def __init__(self, data: bytes, pause: float) -> None:
        self.data, self.pause = data, pause

    async def read(self, n: int) -> bytes:
        await trio.sleep(self.pause)
        first, self.data = self.data[:1], self.data[1:]
        return first


def served(stream: Dribble) -> Channel:
    return Channel(cast(INetStream, stream), b"", "", max_frame=FRAME, deadline=DEADLINE, served=True)


async def test_a_frame_has_its_deadline_as_a_whole(autojump_clock: MockClock) -> None:
    slow = served(Dribble(b"\x14" + bytes(20), DEADLINE / 10))
    begun = trio.current_time()
    with pytest.raises(PeerFault):
        await slow.receive()
    assert trio.current_time() - begun == pytest.approx(DEADLINE * 1.1)
    quick = served(Dribble(b"\x05hello" * 3, DEADLINE / 10))
    assert [b"hello"] * 3 == [await quick.receive() for _ in range(3)]


async def test_less_than_the_largest_frame_may_be_asked_for(autojump_clock: MockClock) -> None:
    channel = served(Dribble(b"\x05hello" + b"\x06hello!" + b"\x06", 0))
    assert await channel.receive(5) == b"hello"
    assert await channel.receive(6) == b"hello!"
    with pytest.raises(PeerFault) as caught:
        await channel.receive(5)
    assert caught.value.status == TOO_LARGE
