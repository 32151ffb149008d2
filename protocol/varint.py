"""Unsigned varints, as protobuf and multiformats have them: seven bits a byte, the lowest first."""


def encode_varint(value: int) -> bytes:
    """A number from 0 on."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
