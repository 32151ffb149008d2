"""One end of a session without any network: what is outstanding, and how long it waits."""

from collections.abc import Callable, Sequence
from typing import cast

import pytest
import trio
from libp2p.abc import INetStream
from trio.testing import MockClock

from node.network import Channel, PeerUnreachable, Session
from node.network.bitswap_wire import Heard, Want, parse
from node.network.limits import MAX_WANTS, STALLED
from protocol.errors import LocalProtocolError
from protocol.unixfs import raw_cid

CIDS = [raw_cid(bytes([number])) for number in range(MAX_WANTS + 1)]


class Sent:
    """A session and what it says to its peer."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.arriving = float("-inf")
        self.needed: set[bytes] = set()
        self.over: list[bytes] = []
        self.session = Session(self.send, lambda: self.arriving, self.told)

    def told(self, cids: Sequence[bytes]) -> list[bytes]:
        self.over += cids
        return [cid for cid in cids if cid not in self.needed]

    async def send(self, message: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.heard.append(parse(message))


async def test_what_is_outstanding_is_asked_for_once() -> None:
    sent = Sent()
    await sent.session.want([CIDS[0], CIDS[1], CIDS[0]])
    await sent.session.want(CIDS[:3])
    await sent.session.want(CIDS[:3])
    assert [[want.cid for want in heard.wants] for heard in sent.heard] == [CIDS[:2], CIDS[2:3]]
    assert sent.heard[1].wants == (Want(CIDS[2], block=True, tell=True),)
    assert sent.session.outstanding == set(CIDS[:3])


async def test_an_answer_is_taken_once_and_handed_out_in_the_order_of_arrival() -> None:
    session = Sent().session
    await session.want(CIDS[:3])
    taken = [
        session.deliver(cid, block)
        for cid, block in [(CIDS[2], b""), (CIDS[0], None), (CIDS[2], b"again"), (CIDS[3], b"other")]
    ]
    assert taken == [True, True, False, False]
    assert [await session.receive(), await session.receive()] == [(CIDS[2], b""), (CIDS[0], None)]
    assert session.outstanding == {CIDS[1]}


async def test_more_than_the_limit_is_our_callers_mistake() -> None:
    session = Sent().session
    await session.want(CIDS[:MAX_WANTS])
    session.deliver(CIDS[0], b"block")
    with pytest.raises(LocalProtocolError):
        await session.want(CIDS[-1:])
    await session.receive()
    await session.want(CIDS[-1:])


@pytest.mark.parametrize(
    "cid", [b"", b"\x12\x20" + bytes(32), CIDS[0] + b"x", b"\x01\x71\x12\x20" + bytes(32)]
)
async def test_a_cid_that_none_of_our_blocks_has_is_our_callers_mistake(cid: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        await Sent().session.want([cid])


async def test_a_session_is_over_when_nothing_comes(autojump_clock: MockClock) -> None:
    sent = Sent()
    await sent.session.want(CIDS[:1])
    begun = trio.current_time()
    with pytest.raises(PeerUnreachable, match="stopped sending"):
        await sent.session.receive()
    assert trio.current_time() - begun == pytest.approx(STALLED)


async def test_each_answer_and_each_want_gives_time_anew(autojump_clock: MockClock) -> None:
    sent = Sent()
    begun = trio.current_time()
    await sent.session.want(CIDS[:2])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(after, 0.6 * STALLED, sent.session.deliver, CIDS[0], b"block")
        nursery.start_soon(after, 1.2 * STALLED, lambda: setattr(sent, "arriving", trio.current_time()))
        assert await sent.session.receive() == (CIDS[0], b"block")
        with pytest.raises(PeerUnreachable):
            await sent.session.receive()
    assert trio.current_time() - begun == pytest.approx(2.2 * STALLED)


async def after(seconds: float, do: Callable[..., object], *what: object) -> None:
    await trio.sleep(seconds)
    do(*what)


async def test_what_came_before_the_peer_went_is_handed_out() -> None:
    sent = Sent()
    await sent.session.want(CIDS[:2])
    sent.session.deliver(CIDS[0], b"block")
    sent.session.end()
    assert await sent.session.receive() == (CIDS[0], b"block")
    with pytest.raises(PeerUnreachable, match="ended"):
        await sent.session.receive()
    await sent.session.drop(sent.session.outstanding)
    assert len(sent.heard) == 1


async def test_what_is_wanted_no_longer_is_said_once_unless_another_needs_it() -> None:
    sent = Sent()
    sent.needed = {CIDS[1]}
    await sent.session.want(CIDS[:4])
    sent.session.deliver(CIDS[3], b"block")
    await sent.session.drop([CIDS[0], CIDS[1], CIDS[3], CIDS[9]])
    await sent.session.drop(CIDS[:2])
    assert sent.heard[1:] == [Heard(cancels=(CIDS[0],))]
    assert sent.over == CIDS[:2]
    assert sent.session.outstanding == {CIDS[2]}
    assert not sent.session.deliver(CIDS[0], b"late")
    assert await sent.session.receive() == (CIDS[3], b"block")  # what had come stays


async def test_who_owes_nothing_is_not_late(autojump_clock: MockClock) -> None:
    sent = Sent()
    await sent.session.want(CIDS[:1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(after, 0.9 * STALLED, sent.session.deliver, CIDS[0], b"block")
        assert await sent.session.receive() == (CIDS[0], b"block")
    heard = sent.session.heard
    assert heard == pytest.approx(trio.current_time())
    await sent.session.want(CIDS[1:2])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sent.session.drop, CIDS[1:2])
        with trio.move_on_after(9 * STALLED) as waited:
            await sent.session.receive()
        assert waited.cancelled_caught
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sent.session.want, CIDS[2:3])
        with pytest.raises(PeerUnreachable):
            await sent.session.receive()
    assert trio.current_time() - begun == pytest.approx(STALLED)
    assert sent.session.heard == heard
    sent.arriving = begun
    assert sent.session.heard == begun


class Slow:
    """A stream on which one byte comes each second."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def read(self, n: int) -> bytes:
        await trio.sleep(1)
        first, self.data = self.data[:1], self.data[1:]
        return first


async def test_a_channel_tells_when_bytes_of_an_unfinished_frame_came(autojump_clock: MockClock) -> None:
    limits = [3, 2, 1, 5]
    stream = cast(INetStream, Slow(b"\x05hello\x05"))
    channel = Channel(stream, b"", "", max_frame=9, deadline=60, served=True)
    assert channel.arriving == float("-inf")
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(channel.receive, lambda: limits[-1])
        await trio.sleep(3.5)
        assert channel.arriving == pytest.approx(begun + 3)
        limits.append(1)  # too late: the frame's length was read
    assert channel.arriving == float("-inf")
    with pytest.raises(Exception, match="a frame over 1 bytes"):
        await channel.receive(lambda: limits[-1])
