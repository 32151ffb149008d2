"""Padding of what is sealed, so that its size tells little (protocol.md §11); encryption stands elsewhere.

Padmé: "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", §4.
"""

from typing import Final

from protocol.errors import LocalProtocolError, RemoteProtocolError

LENGTH_BYTES: Final = 4  # big-endian length before the data
LEAST_LETTER: Final = 4_096  # bytes: short letters all look alike
LEAST_HELD: Final = 1_024  # bytes: accepted and revoked handshakes look alike


def padme(length: int) -> int:
    """The size to which `length` bytes are padded: at most 12 % more, and few distinct sizes."""
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def pad(data: bytes, least: int) -> bytes:
    """4-byte big-endian length, the data, zeros up to Padmé(max(least, 4 + length))."""
    used = LENGTH_BYTES + len(data)
    if len(data) >= 1 << 32:
        raise LocalProtocolError("padded data is under 4 GiB")
    total = padme(max(least, used))
    return b"".join((len(data).to_bytes(LENGTH_BYTES, "big"), data, bytes(total - used)))


def unpad(padded: bytes, least: int | None = None) -> bytes:
    """The data inside; RemoteProtocolError unless all behind it is zeros.

    With `least` the padded size itself must be the one that `pad` gives.
    """
    end = LENGTH_BYTES + int.from_bytes(padded[:LENGTH_BYTES], "big")
    if len(padded) < LENGTH_BYTES or end > len(padded):
        raise RemoteProtocolError("padding: the length is beyond the end")
    if padded.count(0, end) != len(padded) - end:
        raise RemoteProtocolError("padding: not zeros")
    if least is not None and len(padded) != padme(max(least, end)):
        raise RemoteProtocolError("padding: not the size that it should be")
    return padded[LENGTH_BYTES:end]
