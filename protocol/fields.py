"""Typed access to a decoded map: the one way in which parsers check what came from outside.

Every method raises RemoteProtocolError naming the field; unknown fields are simply not asked for (§3).
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

from protocol.cbor import MAX_INT, MAX_ITEMS, Value, decode
from protocol.errors import RemoteProtocolError

# The methods are named as the types they return, which hides the built-in names inside the class.
_Bytes: TypeAlias = bytes
_Int: TypeAlias = int

MAX_TEXT: Final = 256  # UTF-8 bytes of a text whose parser names no bound of its own


class Fields:
    """The fields of one map; `what` names it in errors, e.g. "identity/1"."""

    __slots__ = ("_map", "_what")

    def __init__(self, value: Value, what: str = "message") -> None:
        if not isinstance(value, Mapping):
            raise RemoteProtocolError(f"{what} is not a map")
        self._map: Mapping[str, Value] = value
        self._what = what

    @classmethod
    def decode(
        cls, data: _Bytes, what: str = "message", *, foreign: bool = False, most: _Int = MAX_ITEMS
    ) -> "Fields":
        """The map that `data` encodes, of `most` items at most."""
        return cls(decode(data, foreign=foreign, most=most), what)

    @property
    def raw(self) -> Mapping[str, Value]:
        """The decoded map itself."""
        return self._map

    def fault(self, name: str, text: str) -> RemoteProtocolError:
        """The error for a bad field, to be raised."""
        return RemoteProtocolError(f"{self._what}: {name} {text}")

    def has(self, name: str) -> bool:
        return name in self._map

    def value(self, name: str) -> Value:
        """The field as decoded, whatever it is."""
        try:
            return self._map[name]
        except KeyError:
            raise self.fault(name, "is missing") from None

    def bytes(self, name: str, *, length: _Int | None = None, most: _Int | None = None) -> _Bytes:
        """A byte string of exactly `length` or of at most `most` bytes."""
        value = self.value(name)
        if not isinstance(value, _Bytes):
            raise self.fault(name, "is not a byte string")
        if length is not None and len(value) != length:
            raise self.fault(name, f"is not {length} bytes")
        if most is not None and len(value) > most:
            raise self.fault(name, f"is over {most} bytes")
        return value

    def int(self, name: str, *, least: _Int = 0, most: _Int = MAX_INT) -> _Int:
        """An integer from `least` to `most`."""
        value = self.value(name)
        if not isinstance(value, _Int) or isinstance(value, bool):
            raise self.fault(name, "is not an integer")
        if not least <= value <= most:
            raise self.fault(name, f"is not from {least} to {most}")
        return value

    def text(self, name: str, most: _Int = MAX_TEXT, *, least: _Int = 0) -> str:
        """A text of `least` to `most` UTF-8 bytes."""
        value = self.value(name)
        if not isinstance(value, str):
            raise self.fault(name, "is not text")
        if not least <= _size(value) <= most:
            raise self.fault(name, f"is not from {least} to {most} bytes")
        return value

    def flag(self, name: str) -> bool:
        """A boolean; an absent one is False (§11: absent fields are left out)."""
        value = self._map.get(name, False)
        if not isinstance(value, bool):
            raise self.fault(name, "is not a boolean")
        return value

    def list(self, name: str, most: _Int) -> tuple[Value, ...]:
        """An array of at most `most` items."""
        value = self.value(name)
        if isinstance(value, str | _Bytes) or not isinstance(value, list | tuple):
            raise self.fault(name, "is not an array")
        if len(value) > most:
            raise self.fault(name, f"has more than {most} items")
        return tuple(value)

    def bytes_list(
        self, name: str, most: _Int, *, length: _Int | None = None, most_bytes: _Int | None = None
    ) -> tuple[_Bytes, ...]:
        """An array of byte strings, each of exactly `length` or at most `most_bytes` bytes."""
        items = self.list(name, most)
        result = []
        for item in items:
            if not isinstance(item, _Bytes):
                raise self.fault(name, "holds what is not a byte string")
            if length is not None and len(item) != length:
                raise self.fault(name, f"holds one that is not {length} bytes")
            if most_bytes is not None and len(item) > most_bytes:
                raise self.fault(name, f"holds one over {most_bytes} bytes")
            result.append(item)
        return tuple(result)

    def texts(self, name: str, most: _Int, most_bytes: _Int = MAX_TEXT) -> tuple[str, ...]:
        """An array of texts, each of at most `most_bytes` UTF-8 bytes."""
        result = []
        for item in self.list(name, most):
            if not isinstance(item, str) or _size(item) > most_bytes:
                raise self.fault(name, f"holds what is not a text of at most {most_bytes} bytes")
            result.append(item)
        return tuple(result)

    def map(self, name: str) -> "Fields":
        """A map inside this one."""
        return Fields(self.value(name), f"{self._what}.{name}")

    def maps(self, name: str, most: _Int) -> tuple["Fields", ...]:
        """An array of at most `most` maps."""
        return tuple(Fields(item, f"{self._what}.{name}") for item in self.list(name, most))

    def optional_bytes(
        self, name: str, *, length: _Int | None = None, most: _Int | None = None
    ) -> _Bytes | None:
        return self.bytes(name, length=length, most=most) if name in self._map else None

    def optional_int(self, name: str, *, least: _Int = 0, most: _Int = MAX_INT) -> _Int | None:
        return self.int(name, least=least, most=most) if name in self._map else None

    def optional_text(self, name: str, most: _Int = MAX_TEXT, *, least: _Int = 0) -> str | None:
        return self.text(name, most, least=least) if name in self._map else None

    def optional_map(self, name: str) -> "Fields | None":
        return self.map(name) if name in self._map else None


def _size(text: str) -> int:
    """Bytes of `text` as UTF-8. Half a surrogate pair (JSON can carry one) fits no bound."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return MAX_INT
