"""Where parts that lie outside of a letter stood in its message, and putting them back byte for byte
(protocol.md §6, §7). Which parts are taken out, and where their bytes come from, is for others.
"""

import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from struct import Struct
from typing import Final, Protocol, TypeVar

from protocol.errors import RemoteProtocolError

MAX_LINE_LENGTH: Final = 998  # RFC 5322 §2.1.1.

_BLOCK: Final = 3 * 65_536  # Bytes encoded at once: what comes of them fits a processor's cache.
_LINE_END: Final = b"\r\n"
_LONG: Final = 16  # Characters from which a line is better cut out than put together.


class Encoding(StrEnum):
    """How a part stood in the message: as it is stored, or in base64 that re-encoding reproduces (§6)."""

    IDENTITY = "identity"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part's bytes go in the reduced message, and how: `line_length` characters of base64 a line,
    `last_line_end` whether CRLF follows the last line; both only where there is an encoding.
    """

    offset: int
    encoding: Encoding = Encoding.IDENTITY
    line_length: int = 0
    last_line_end: bool = False


class Placed(Protocol):
    """A part of `size` stored bytes, and its place: all that has to be known of a ref here."""

    @property
    def size(self) -> int: ...
    @property
    def place(self) -> Place: ...


P = TypeVar("P", bound=Placed)


class Encoder:
    """Makes of a part's stored bytes those that stand in its message, in whatever pieces they come.

    100 MB take less than a second in base64 of usual lines, and two at worst.
    """

    def __init__(self, place: Place) -> None:
        self._length = _line_length(place)
        self._last_line_end = place.last_line_end
        self._rest = b""  # bytes that are no group of three yet
        self._left = self._length  # characters that the line begun has room for

    def feed(self, chunk: bytes) -> bytes:
        """What comes of the next bytes, as far as they tell."""
        if not self._length:
            return chunk
        data = self._rest + chunk if self._rest else chunk
        whole = len(data) - len(data) % 3
        self._rest = data[whole:]
        view = memoryview(data)
        blocks = (view[start : min(start + _BLOCK, whole)] for start in range(0, whole, _BLOCK))
        return b"".join(piece for block in blocks for piece in self._lines(block))

    def end(self) -> bytes:
        """What comes last. Where there are no bytes there is no line, and so no line end."""
        pieces = self._lines(memoryview(self._rest)) if self._rest else []
        self._rest = b""
        if self._last_line_end and self._left < self._length:
            pieces.append(_LINE_END)
        return b"".join(pieces)

    def _lines(self, data: memoryview) -> list[bytes]:
        """In base64. A line end comes with the line behind it: whether one follows the last is told later."""
        text = binascii.b2a_base64(data, newline=False)
        first, others = text[: self._left], text[self._left :]
        self._left -= len(first)
        if not others:
            return [first]
        whole = len(others) - len(others) % self._length
        last = others[whole:]
        self._left = self._length - len(last) if last else 0
        return [first, _whole_lines(others[:whole], self._length), _LINE_END + last if last else b""]


def _whole_lines(text: bytes, length: int) -> bytes:
    """Each line behind a line end."""
    count = len(text) // length
    if length >= _LONG and count:
        return _LINE_END + _LINE_END.join(_cutter(length, count).unpack(text))
    return _by_columns(text, length, count)


@lru_cache(8)
def _cutter(length: int, count: int) -> Struct:
    return Struct(f"{length}s" * count)


def _by_columns(text: bytes, length: int, count: int) -> bytes:
    """The same in as many steps as a line is long: lines may be as short as one character."""
    width = len(_LINE_END) + length
    lines = bytearray(count * width)
    for column, value in enumerate(_LINE_END):
        lines[column::width] = bytes([value]) * count
    for column in range(length):
        lines[len(_LINE_END) + column :: width] = text[column::length]
    return bytes(lines)


def encoded_size(place: Place, size: int) -> int:
    """Bytes that `size` stored bytes are in the message."""
    length = _line_length(place)
    if not length or not size:
        return size
    characters = 4 * -(-size // 3)
    line_ends = -(-characters // length) - 1 + place.last_line_end
    return characters + len(_LINE_END) * line_ends


def _line_length(place: Place) -> int:
    """0 where there are no lines to be made."""
    return place.line_length if place.encoding is Encoding.BASE64 else 0


def rebuilt_size(message_size: int, refs: Iterable[Placed]) -> int:
    """Bytes of the whole message, if the reduced one has `message_size`."""
    return message_size + sum(encoded_size(ref.place, ref.size) for ref in refs)


def spans(message: bytes, refs: Sequence[P]) -> list[bytes | P]:
    """What the whole message is made of, in order: pieces of the reduced one, none empty, and refs; those of
    one place in the order given. Raises RemoteProtocolError for a place beyond the end.
    """
    found: list[bytes | P] = []
    position = 0
    for ref in sorted(refs, key=lambda ref: ref.place.offset):
        offset = ref.place.offset
        if offset > len(message):
            raise RemoteProtocolError("a part's place is beyond the end of its message")
        if offset > position:
            found.append(message[position:offset])
        found.append(ref)
        position = offset
    return [*found, message[position:]] if position < len(message) else found
