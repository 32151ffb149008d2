"""The one key derivation and the one hash of the protocol (§11); what is derived stands elsewhere."""

import hashlib
from typing import Final

from protocol.errors import LocalProtocolError

KEY_BYTES: Final = 32
HASH_BYTES: Final = 32  # BLAKE2b-256


def kdf(secret: bytes, context: str, *items: bytes | str | int) -> bytes:
    """32 bytes: keyed BLAKE2b-256 over `"mailio/" context "/1" 0x00` and each item after its length."""
    if len(secret) != KEY_BYTES:
        raise LocalProtocolError("a key is derived from a secret of 32 bytes")
    state = hashlib.blake2b(f"mailio/{context}/1\0".encode(), digest_size=KEY_BYTES, key=secret)
    for item in items:
        data = _item(item)
        state.update(len(data).to_bytes(8, "big"))
        state.update(data)
    return state.digest()


def blake2b(data: bytes) -> bytes:
    """BLAKE2b-256 of `data`."""
    return hashlib.blake2b(data, digest_size=KEY_BYTES).digest()


def _item(item: bytes | str | int) -> bytes:
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return item.encode()
    try:
        return item.to_bytes(8, "big")
    except OverflowError:
        raise LocalProtocolError("an integer in a derivation is from 0 to 2^64 - 1") from None
