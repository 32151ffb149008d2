"""Yamux's frames in pieces: the same bytes on the same streams, begun and ended in the same places."""

import struct
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.stream_muxer.yamux.yamux import (
    FLAG_ACK,
    FLAG_FIN,
    FLAG_RST,
    FLAG_SYN,
    HEADER_SIZE,
    TYPE_DATA,
    TYPE_PING,
    TYPE_WINDOW_UPDATE,
    YAMUX_HEADER_FORMAT,
)

from node.network.limits import BLOCKS_WINDOW, WINDOW
from node.network.pieces import PIECE, Pieces

Frame = tuple[int, int, int, int]
"""Type, flags, stream, and length or number."""

FRAMES = st.lists(
    st.tuples(
        st.sampled_from([TYPE_DATA, TYPE_DATA, TYPE_WINDOW_UPDATE, TYPE_PING]),
        st.integers(0, 15),
        st.integers(0, 5),
        st.sampled_from([0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 7, WINDOW]),
    ),
    max_size=6,
)


class Wire:
    """Gives what arrives in pieces of its own."""

    def __init__(self, data: bytes, cuts: list[int]) -> None:
        places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        self.pieces = [data[start:end] for start, end in pairwise(places) if start < end]

    async def read(self, n: int) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self.pieces:
            return b""
        piece, rest = self.pieces[0][:n], self.pieces[0][n:]
        self.pieces[:1] = [rest] if rest else []
        return piece


def written(frames: list[Frame]) -> bytes:
    """Frames as they travel; what is in each says which it is."""
    parts = []
    for number, (kind, flags, stream, length) in enumerate(frames):
        parts.append(struct.pack(YAMUX_HEADER_FORMAT, 0, kind, flags, stream, length))
        parts.append(bytes([number]) * length if kind == TYPE_DATA else b"")
    return b"".join(parts)


async def heard(pieces: Pieces) -> list[tuple[Frame, bytes]]:
    """Frames as Yamux reads them, each with its body."""
    found = []
    while header := await exactly(pieces, HEADER_SIZE):
        _, kind, flags, stream, length = struct.unpack(YAMUX_HEADER_FORMAT, header)
        body = await exactly(pieces, length) if kind == TYPE_DATA else b""
        found.append(((kind, flags, stream, length), body))
    return found


async def exactly(pieces: Pieces, n: int) -> bytes:
    data = b""
    while len(data) < n and (some := await pieces.read(n - len(data))):
        data += some
    return data


@given(FRAMES, st.lists(st.integers(0, 8 * PIECE), max_size=6))
def test_they_say_the_same(frames: list[Frame], cuts: list[int]) -> None:
    found = trio.run(heard, Pieces(Wire(written(frames), cuts).read))
    assert all(length <= PIECE for (kind, *_, length), _ in found if kind == TYPE_DATA)
    assert all(len(body) == frame[3] for frame, body in found if frame[0] == TYPE_DATA)
    for number, (kind, flags, stream, length) in enumerate(frames):
        mine = [found.pop(0)]
        while kind == TYPE_DATA and sum(len(body) for _, body in mine) < length:
            mine.append(found.pop(0))
        assert {(kind, stream)} == {(frame[0], frame[2]) for frame, _ in mine}
        if kind == TYPE_DATA:
            assert bytes([number]) * length == b"".join(body for _, body in mine)
            assert flags & (FLAG_SYN | FLAG_ACK) == mine[0][0][1] & (FLAG_SYN | FLAG_ACK)
            assert flags & (FLAG_FIN | FLAG_RST) == mine[-1][0][1] & (FLAG_FIN | FLAG_RST)
            assert not any(frame[1] & (FLAG_FIN | FLAG_RST) for frame, _ in mine[:-1])
            assert not any(frame[1] & (FLAG_SYN | FLAG_ACK) for frame, _ in mine[1:])
        else:
            assert mine == [((kind, flags, stream, length), b"")]
    assert found == []


async def test_what_is_longer_than_it_may_be_is_left_to_be_refused() -> None:
    frame: Frame = (TYPE_DATA, FLAG_FIN, 3, WINDOW + 1)
    assert [frame] == [found for found, _ in await heard(Pieces(Wire(written([frame]), []).read))]
    pieces = Pieces(Wire(written([frame]), []).read)
    pieces.most = BLOCKS_WINDOW
    found = await heard(pieces)
    assert [PIECE] * 4 + [1] == [length for (*_, length), _ in found]
    assert [0, 0, 0, 0, FLAG_FIN] == [flags for (_, flags, _, _), _ in found]


@pytest.mark.parametrize("cut", [0, 5, HEADER_SIZE, HEADER_SIZE + 3, HEADER_SIZE + PIECE + 1])
async def test_what_ends_early_ends_there(cut: int) -> None:
    data = written([(TYPE_DATA, 0, 1, 2 * PIECE)])[:cut]
    pieces = Pieces(Wire(data, []).read)
    came = b""
    while some := await pieces.read(HEADER_SIZE):
        came += some
    assert len(came) == cut + (HEADER_SIZE if cut > HEADER_SIZE + PIECE else 0)
