"""A stream's window: who writes waits for room and for nothing else."""

import struct
from typing import cast

import pytest
import trio
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.stream_muxer.yamux.yamux import (
    HEADER_SIZE,
    TYPE_WINDOW_UPDATE,
    YAMUX_HEADER_FORMAT,
    Yamux,
    YamuxStream,
)
from trio.testing import MockClock

from node.network.limits import WINDOW
from node.network.muxer import MAX_WRITE, Stream


class Wire:
    """Takes frames; `written` is their data with the time of each, `updates` by how much windows grew."""

    def __init__(self) -> None:
        self.written: list[tuple[float, bytes]] = []
        self.updates: list[int] = []

    async def _write_frame(self, frame: bytes) -> None:
        await trio.lowlevel.checkpoint()
        assert len(frame) <= MAX_WRITE
        _, kind, _, _, size = struct.unpack(YAMUX_HEADER_FORMAT, frame[:HEADER_SIZE])
        if kind == TYPE_WINDOW_UPDATE:
            self.updates.append(size)
            return
        assert size == len(frame) - HEADER_SIZE
        self.written.append((trio.current_time(), frame[HEADER_SIZE:]))


def a_stream(wire: Wire) -> Stream:
    stream = YamuxStream(1, cast(Yamux, wire), True)
    stream.__class__ = Stream
    assert isinstance(stream, Stream)
    return stream


async def test_a_full_window_is_waited_for_as_long_as_it_takes(autojump_clock: MockClock) -> None:
    wire = Wire()
    stream = a_stream(wire)
    data = bytes(range(256)) * (WINDOW // 256) + b"more" + b"most"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.write, data)
        for _ in range(2):
            await trio.sleep(60.0005)
            stream.send_window += 4
    assert b"".join(part for _, part in wire.written) == data
    begun = wire.written[0][0]
    assert [part for _, part in wire.written[-2:]] == [b"more", b"most"]
    assert [at - begun for at, _ in wire.written[-2:]] == pytest.approx([60.0005, 120.001])
    assert stream.send_window == 0


@pytest.mark.parametrize("name", ["closed", "send_closed"])
async def test_who_waits_for_room_hears_at_once_that_the_stream_ended(
    name: str, autojump_clock: MockClock
) -> None:
    stream = a_stream(Wire())
    stream.send_window = 0
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(refused, stream)
        await trio.sleep(0.0005)
        setattr(stream, name, True)
    assert trio.current_time() - begun == pytest.approx(0.0005)
    await refused(stream)


async def refused(stream: Stream) -> None:
    with pytest.raises(MuxedStreamError):
        await stream.write(b"x")


async def test_a_window_is_refilled_by_halves_and_a_wide_one_by_what_a_narrow_one_has() -> None:
    """By halves a burst that ends just short of a whole window leaves a half unused for a round trip."""
    wire = Wire()
    stream = a_stream(wire)
    await stream._auto_tune_and_send_window_update(bytes_read=WINDOW // 2 - 1)
    assert wire.updates == []
    await stream._auto_tune_and_send_window_update(bytes_read=1)
    assert wire.updates.pop() == WINDOW // 2
    for _ in range(2):
        await stream.widen(8 * WINDOW)
    assert stream.recv_window == 8 * WINDOW + WINDOW // 2
    assert wire.updates.pop() == 7 * WINDOW
    await stream._auto_tune_and_send_window_update(bytes_read=WINDOW - 1)
    assert wire.updates == []
    await stream._auto_tune_and_send_window_update(bytes_read=1)
    assert wire.updates == [WINDOW]
