"""Proofs of work (protocol.md §6 first contact, §3 birth, §11): one argon2id tag and its leading zero bits.

A try takes about 13 ms and 16 MiB: verify in a limited thread, search in a process that can be stopped.
"""

import itertools
from typing import Final

from nacl import bindings

from protocol.errors import LocalProtocolError
from protocol.kdf import KEY_BYTES

CHALLENGE_BYTES: Final = 16  # argon2's salt
NONCE_BYTES: Final = 8
TAG_BYTES: Final = 32
DEFAULT_PRICE: Final = 6  # bits: about a second (§6)
RAISED_PRICE: Final = 12  # bits: as the first-contact room fills (§6)
ASK_ABOVE_PRICE: Final = 10  # bits: above it the author is asked (§6)
MAX_PRICE: Final = 32  # bits: two years of work; a larger one can't be meant
BIRTH_BITS: Final = 12  # about a minute, once in an identity's life (§3)

_BIRTH_SALT: Final = b"mailio birth v1\0"
_PASSES: Final = 1
_MEMORY: Final = 16_384 * 1024  # bytes: too much for cheap hardware in bulk, little for a Raspberry Pi


def leading_zero_bits(tag: bytes) -> int:
    """How many bits are zero from the most significant end on."""
    return len(tag) * 8 - int.from_bytes(tag, "big").bit_length()


def stamp_tag(challenge: bytes, nonce: bytes) -> bytes:
    """argon2id(nonce, salt = challenge) of §11."""
    if len(challenge) != CHALLENGE_BYTES:
        raise LocalProtocolError("a challenge is 16 bytes")
    if len(nonce) != NONCE_BYTES:
        raise LocalProtocolError("a nonce is 8 bytes")
    return _argon2id(nonce, challenge)


def verify_stamp(challenge: bytes, nonce: bytes, price: int) -> bool:
    """Whether the stamp is worth `price` bits; its challenge must be one of ours, which the caller knows."""
    if len(challenge) != CHALLENGE_BYTES or len(nonce) != NONCE_BYTES:
        return False
    return leading_zero_bits(stamp_tag(challenge, nonce)) >= price


def search_stamp(challenge: bytes, price: int) -> bytes:
    """The first nonce that pays `price`. It may take minutes: run it where it can be ended."""
    nonces = map(_nonce, itertools.count())
    return next(nonce for nonce in nonces if leading_zero_bits(stamp_tag(challenge, nonce)) >= price)


def birth_tag(public_key: bytes, nonce: bytes) -> bytes:
    """argon2id over public key ‖ nonce (§11)."""
    if len(public_key) != KEY_BYTES or len(nonce) != NONCE_BYTES:
        raise LocalProtocolError("a birth stamp is over a key of 32 bytes and a nonce of 8")
    return _argon2id(public_key + nonce, _BIRTH_SALT)


def verify_birth(public_key: bytes, nonce: bytes) -> bool:
    """Whether the nonce of an IdentityRecord is a birth stamp of its key."""
    if len(public_key) != KEY_BYTES or len(nonce) != NONCE_BYTES:
        return False
    return leading_zero_bits(birth_tag(public_key, nonce)) >= BIRTH_BITS


def search_birth(public_key: bytes, first: int, tries: int) -> bytes | None:
    """The birth nonce of this key among `tries` numbers from `first` on."""
    nonces = map(_nonce, range(first, first + tries))
    return next((nonce for nonce in nonces if verify_birth(public_key, nonce)), None)


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")


def _argon2id(password: bytes, salt: bytes) -> bytes:
    tag: bytes = bindings.crypto_pwhash_alg(
        TAG_BYTES, password, salt, _PASSES, _MEMORY, bindings.crypto_pwhash_ALG_ARGON2ID13
    )
    return tag
