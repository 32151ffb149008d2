"""Deterministic CBOR (RFC 8949 §4.2) as protocol.md §3 narrows it: one strict scanner reads, cbor2 writes.

No tags, duplicate keys, NaN, indefinite lengths or trailing bytes; text keys; bounded depth and count.
What a decoded map means is for the module of its kind.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import cbor2

from protocol.errors import LocalProtocolError, RemoteProtocolError

Value: TypeAlias = "int | float | bool | bytes | str | Sequence[Value] | Mapping[str, Value] | None"

MAX_DEPTH: Final = 16  # nested arrays and maps, the outermost is 1 (§3): recursion stays shallow
MAX_INT: Final = 2**53 - 1  # what every language's numbers hold exactly (§11)
MAX_ITEMS: Final = 100_000  # items in one text of CBOR: the largest page of tags fits, a flood costs < 0.1 s

_BIG_HEAD: Final = {24: 1, 25: 2, 26: 4, 27: 8}  # additional information → bytes of argument
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}
_FALSE, _TRUE, _NULL = 20, 21, 22


def encode(value: Value) -> bytes:
    """Deterministic CBOR of `value`; LocalProtocolError when it holds what our own kinds may not (§11)."""
    _check(value, 1)
    try:
        data: bytes = cbor2.dumps(value, canonical=True)
    except (cbor2.CBOREncodeError, UnicodeEncodeError) as fault:
        raise LocalProtocolError(f"can't be written as CBOR: {fault}") from fault
    return data


def decode(data: bytes, *, foreign: bool = False, most: int = MAX_ITEMS) -> Value:
    """The value that `data` holds, the whole of it, `most` items at most; RemoteProtocolError when it breaks
    §3.

    With `foreign` (handshakes of other software alone) floats, null, non-minimal and larger integers and
    any order of keys are read too.
    """
    scanner = _Scanner(data, foreign, most)
    value = scanner.item(1)
    if scanner.position != len(data):
        raise RemoteProtocolError("CBOR has trailing bytes")
    return value


def _check(value: Value, depth: int) -> None:
    if isinstance(value, bytes | str | bool):
        return
    if isinstance(value, int):
        if not -MAX_INT <= value <= MAX_INT:
            raise LocalProtocolError("an integer beyond 2^53 - 1 can't be written")
        return
    if depth > MAX_DEPTH:
        raise LocalProtocolError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise LocalProtocolError("map keys are text")
            _check(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item, depth + 1)
    else:
        raise LocalProtocolError(f"{type(value).__name__} can't be written in our own kinds")


class _Scanner:
    """Reads items one after the other; each byte is looked at once, strings are sliced whole."""

    __slots__ = ("_data", "_foreign", "_left", "_most", "position")

    def __init__(self, data: bytes, foreign: bool, most: int) -> None:
        self._data = data
        self._foreign = foreign
        self._left = self._most = most
        self.position = 0

    def item(self, depth: int) -> Value:
        self._left -= 1
        if self._left < 0:
            raise RemoteProtocolError(f"CBOR has more than {self._most} items")
        major, info, argument = self._head()
        if major == 3:
            return self._text(argument)
        if major == 2:
            return self._string(argument)
        if major <= 1:
            return self._integer(argument if major == 0 else -1 - argument)
        if major == 7:
            return self._simple(info, argument)
        if major == 6:
            raise RemoteProtocolError("CBOR tags are not taken")
        if depth > MAX_DEPTH:
            raise RemoteProtocolError(f"CBOR is nested deeper than {MAX_DEPTH}")
        if argument > len(self._data) - self.position:  # each item is a byte at least
            raise RemoteProtocolError("CBOR is cut short")
        if major == 4:
            return [self.item(depth + 1) for _ in range(argument)]
        return self._map(argument, depth + 1)

    def _head(self) -> tuple[int, int, int]:
        """Major type, additional information and argument of the next item (RFC 8949 §3)."""
        data, position = self._data, self.position
        if position >= len(data):
            raise RemoteProtocolError("CBOR is cut short")
        first = data[position]
        major, info = first >> 5, first & 31
        if info < 24:
            self.position = position + 1
            return major, info, info
        size = _BIG_HEAD.get(info)
        if size is None:
            raise RemoteProtocolError("CBOR of indefinite or reserved length is not taken")
        end = position + 1 + size
        if end > len(data):
            raise RemoteProtocolError("CBOR is cut short")
        argument = int.from_bytes(data[position + 1 : end], "big")
        self.position = end
        if major != 7 and not self._foreign and argument < (24 if size == 1 else 1 << (4 * size)):
            raise RemoteProtocolError("CBOR is not in its shortest form")
        return major, info, argument

    def _string(self, length: int) -> bytes:
        start = self.position
        end = start + length
        if end > len(self._data):
            raise RemoteProtocolError("CBOR is cut short")
        self.position = end
        return self._data[start:end]

    def _text(self, length: int) -> str:
        try:
            return self._string(length).decode("utf-8")
        except UnicodeDecodeError:
            raise RemoteProtocolError("CBOR text is not UTF-8") from None

    def _integer(self, value: int) -> int:
        if not self._foreign and not -MAX_INT <= value <= MAX_INT:
            raise RemoteProtocolError("CBOR has an integer beyond 2^53 - 1")
        return value

    def _map(self, count: int, depth: int) -> dict[str, Value]:
        result: dict[str, Value] = {}
        before = b""
        for _ in range(count):
            start = self.position
            key = self.item(depth)
            if not isinstance(key, str):
                raise RemoteProtocolError("CBOR map keys are text")
            if key in result:
                raise RemoteProtocolError("CBOR has a key twice")
            if not self._foreign:
                raw = self._data[start : self.position]
                if raw < before:
                    raise RemoteProtocolError("CBOR map keys are out of order")
                before = raw
            result[key] = self.item(depth)
        return result

    def _simple(self, info: int, argument: int) -> bool | float | None:
        if info in (_FALSE, _TRUE):
            return info == _TRUE
        if self._foreign and info == _NULL:
            return None
        if self._foreign and info in _FLOATS:
            value: float = struct.unpack(_FLOATS[info], argument.to_bytes(_BIG_HEAD[info], "big"))[0]
            if math.isfinite(value):
                return value
            raise RemoteProtocolError("CBOR has a float that is no number")
        raise RemoteProtocolError("CBOR has a float, null or other simple value")
