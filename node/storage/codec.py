"""Keys as bytes: tuples of integers and byte strings whose encodings sort as the tuples do."""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

Field: TypeAlias = Literal["int", "bytes"]
Key: TypeAlias = tuple[int | bytes, ...]

MAX_INT: Final = 2**63 - 1

# A zero inside a byte string is followed by 0xff and its end is marked by a zero and a one, so that a
# string sorts before every longer one that begins with it, whatever field comes next.
_ZERO, _ESCAPED, _END = b"\x00", b"\x00\xff", b"\x00\x01"


def encode(fields: Sequence[Field], key: Key) -> bytes:
    """The bytes of a key, or of its first fields. Raises TypeError or ValueError: our own mistake."""
    if len(key) > len(fields):
        raise ValueError(f"{len(key)} parts in a key of {len(fields)}")
    return b"".join(map(_encode_field, fields, key))


def decode(fields: Sequence[Field], data: bytes) -> Key:
    """The whole key again. Raises ValueError for bytes that `encode` did not make."""
    parts: list[int | bytes] = []
    position = 0
    for field in fields:
        part, position = _decode_int(data, position) if field == "int" else _decode_bytes(data, position)
        parts.append(part)
    if position != len(data):
        raise ValueError("a key has trailing bytes")
    return tuple(parts)


def after(prefix: bytes) -> bytes:
    """The least bytes that are greater than everything that begins with `prefix`, whose first byte
    is below 0xff.
    """
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1])


def as_int(part: int | bytes) -> int:
    """A part of a key whose field is a number; types can't tell."""
    assert isinstance(part, int)
    return part


def as_bytes(part: int | bytes) -> bytes:
    """A part of a key whose field is a byte string; types can't tell."""
    assert isinstance(part, bytes)
    return part


def _encode_field(field: Field, part: int | bytes) -> bytes:
    if field == "int":
        if not isinstance(part, int) or not 0 <= part <= MAX_INT:
            raise ValueError("a number in a key is from 0 to 2^63 - 1")
        return part.to_bytes(8)
    if not isinstance(part, bytes):
        raise TypeError("this part of a key is a byte string")
    return part.replace(_ZERO, _ESCAPED) + _END


def _decode_int(data: bytes, position: int) -> tuple[int, int]:
    end = position + 8
    if end > len(data) or data[position] > 0x7F:
        raise ValueError("a key is cut short, or its number is too large")
    return int.from_bytes(data[position:end]), end


def _decode_bytes(data: bytes, position: int) -> tuple[bytes, int]:
    start = position
    while (position := data.find(_ZERO, position)) >= 0:
        mark = data[position : position + 2]
        if mark == _END:
            return data[start:position].replace(_ESCAPED, _ZERO), position + 2
        if mark != _ESCAPED:
            break
        position += 2
    raise ValueError("a byte string in a key has no end")
