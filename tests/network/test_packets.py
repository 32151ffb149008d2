"""Noise's packets, cut from whatever pieces the socket gives."""

from itertools import pairwise
from typing import cast

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import IncompleteReadError

from node.network.packets import READ_AHEAD, Packets


class Socket:
    """Gives these pieces, none larger than asked for, then its end."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    async def read(self, n: int) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self.pieces:
            return b""
        piece, rest = self.pieces[0][:n], self.pieces[0][n:]
        self.pieces[:1] = [rest] if rest else []
        return piece


def packets(*pieces: bytes) -> Packets:
    return Packets(cast(ReadWriteCloser, Socket([piece for piece in pieces if piece])))


def framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(2) + message for message in messages)


async def heard(reader: Packets) -> tuple[list[bytes], int]:
    """All packets, and how many bytes were there of the last at the end."""
    found = []
    while True:
        try:
            found.append(await reader.read_msg())
        except IncompleteReadError as end:
            return found, end.received_bytes


@given(st.lists(st.binary(max_size=40)), st.binary(max_size=60), st.lists(st.integers(0, 400)))
def test_cuts_matter_not(messages: list[bytes], rest: bytes, cuts: list[int]) -> None:
    begun = (100).to_bytes(2) + rest
    data = framed(*messages) + begun
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]
    expected = (messages, len(begun))
    assert trio.run(heard, packets(*pieces)) == expected
    assert trio.run(heard, packets(*(data[at : at + 1] for at in range(len(data))))) == expected


async def test_packets_larger_than_what_is_read_at_once() -> None:
    messages = [bytes([number]) * 65_535 for number in range(5)]
    assert await heard(packets(framed(*messages))) == (messages, 0)
    assert len(framed(*messages)) > 2 * READ_AHEAD


async def test_an_end_between_packets_is_a_clean_one() -> None:
    reader = packets(framed(b"last"))
    assert await reader.read_msg() == b"last"
    with pytest.raises(IncompleteReadError) as end:
        await reader.read_msg()
    assert end.value.is_clean_close


async def test_who_reads_many_at_once_lets_others_work() -> None:
    reader = packets(framed(b"first", b"second", b"third"))
    await reader.read_msg()
    with trio.testing.assert_checkpoints():
        assert await reader.read_msg() == b"second"
    with trio.CancelScope() as scope:
        scope.cancel()
        await reader.read_msg()
    assert scope.cancelled_caught
    assert await reader.read_msg() == b"third"
