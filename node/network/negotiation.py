"""The lines by which two ends agree on a protocol (multistream-select), with a bound. What is agreed on is
libp2p's business.

Upstream (0.8.1) reads a line of any length that the other end names: before anybody has said who he is, one
connection could make us hold gigabytes.
"""

from typing import Final

from libp2p.io.abc import Reader
from libp2p.io.exceptions import IncompleteReadError, MessageTooLarge
from libp2p.protocol_muxer import multiselect_communicator
from libp2p.utils.varint import read_varint_prefixed_bytes_limited

MAX_LINE: Final = 1_024
"""Bytes of a line: the longest name of a protocol that is ours has 24, the longest known some 100."""


async def read_line(reader: Reader) -> bytes:
    """One line without its end. Raises IncompleteReadError, which upstream takes for a failed negotiation."""
    try:
        line = await read_varint_prefixed_bytes_limited(reader, MAX_LINE)
    except MessageTooLarge as error:
        raise IncompleteReadError("a line of a negotiation that is too long") from error
    if line[-1:] != b"\n":
        raise IncompleteReadError("a line of a negotiation without an end")
    return line[:-1]


def bound_lines() -> None:
    """Have upstream read its lines so. It makes its readers in five places, all by this name."""
    multiselect_communicator.read_delim = read_line  # type: ignore[attr-defined]  # not exported: its own
