"""How the fields of handshakes are read, other software's encodings included (protocol.md §3, §5).

No other kind of record is read with this leniency.
"""

import base64
from enum import StrEnum
from typing import Final, TypeVar

from protocol.cbor import MAX_INT, Value
from protocol.fields import Fields
from protocol.kdf import KEY_BYTES

# A time below this is in seconds (§3): as milliseconds it would be March 1973.
SECONDS_BELOW: Final = 10**11

_Choice = TypeVar("_Choice", bound=StrEnum)


def present(value: Value, what: str) -> Fields:
    """The fields of a map; other software writes null for what is absent."""
    raw = Fields(value, what).raw
    return Fields({name: item for name, item in raw.items() if item is not None}, what)


def inner(fields: Fields, name: str) -> Fields:
    """The map in a field, an empty one where there is none."""
    return present(fields.value(name) if fields.has(name) else {}, f"handshake.{name}")


def choice(fields: Fields, name: str, values: type[_Choice]) -> _Choice:
    """One of the values that the protocol knows."""
    text = fields.text(name)
    try:
        return values(text)
    except ValueError:
        raise fields.fault(name, "is not known") from None


def base64_bytes(fields: Fields, name: str) -> bytes:
    """32 bytes in padded standard base64, in its one spelling."""
    text = fields.text(name)
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise fields.fault(name, "is not base64") from None
    if len(data) != KEY_BYTES or base64.b64encode(data).decode() != text:
        raise fields.fault(name, f"is not {KEY_BYTES} bytes in base64")
    return data


def integer(fields: Fields, name: str) -> int:
    """A whole number that may be written as a float; what is behind the point is cut off."""
    return int(_number(fields, name))


def time(fields: Fields, name: str) -> int:
    """Unix ms, also from seconds; what is below a millisecond is cut off."""
    value = _number(fields, name)
    return int(value * 1_000 if value < SECONDS_BELOW else value)


def _number(fields: Fields, name: str) -> int | float:
    value = fields.value(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_INT:
        raise fields.fault(name, f"is not a number from 0 to {MAX_INT}")
    return value
