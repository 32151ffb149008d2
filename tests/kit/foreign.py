"""CBOR as other Mailio software writes it: long map heads, wide integers, floats and nulls."""

import struct
from collections.abc import Mapping


def foreign_cbor(value: object) -> bytes:
    """`value` in that form; keys in the order they come."""
    match value:
        case None:
            return b"\xf6"
        case Mapping():
            items = (foreign_cbor(key) + foreign_cbor(item) for key, item in value.items())
            return b"\xb9" + struct.pack(">H", len(value)) + b"".join(items)
        case str():
            data = value.encode()
            return b"\x79" + struct.pack(">H", len(data)) + data
        case bytes():
            return b"\x58" + bytes([len(value)]) + value
        case int():
            return b"\x1b" + struct.pack(">Q", value)
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case _:
            raise TypeError(type(value))
