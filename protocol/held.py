"""Handshakes as a host keeps them, blinded (protocol.md §5, §11): `held/1`, and the digest over all of them.

The owner writes and opens; the host sees tag, seq and a signature of the account key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import nacl.exceptions
from nacl import bindings

from protocol.cbor import Value
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields
from protocol.handshake import MAX_RECORD_BYTES as MAX_HANDSHAKE_BYTES
from protocol.handshake import Handshake, parse_handshake
from protocol.kdf import blake2b, kdf
from protocol.keys import SigningKey
from protocol.padding import LEAST_HELD, LENGTH_BYTES, pad, padme, unpad
from protocol.pair import Pair
from protocol.record import Record, sign_record

KIND: Final = "held/1"
TAG_BYTES: Final = 32
NONCE_BYTES: Final = 24  # XChaCha20-Poly1305
AEAD_TAG_BYTES: Final = 16
MAX_CIPHERTEXT_BYTES: Final = NONCE_BYTES + padme(LENGTH_BYTES + MAX_HANDSHAKE_BYTES) + AEAD_TAG_BYTES
MAX_RECORD_BYTES: Final = MAX_CIPHERTEXT_BYTES + 512  # tag, seq, key, signature and the fields' names


@dataclass(frozen=True, slots=True)
class Held:
    """A `held/1` record; `account` is the key that signed it, which the host compares with the account's."""

    tag: bytes
    seq: int
    ciphertext: bytes
    account: bytes
    record: bytes


def seal_held(handshake: Handshake, pair: Pair, account_key: SigningKey, nonce: bytes | None = None) -> bytes:
    """The record's bytes for one host. `nonce` is `held_nonce`'s where the same bytes are wanted again, else
    24 random bytes.
    """
    nonce = nonce or bindings.randombytes(NONCE_BYTES)
    tag = pair.tag
    sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        pad(handshake.record, LEAST_HELD), _associated(tag, handshake.seq), nonce, pair.box_key
    )
    payload: dict[str, Value] = {"tag": tag, "seq": handshake.seq, "ciphertext": nonce + sealed}
    return sign_record(KIND, payload, account_key).encode()


def held_nonce(handshake: Handshake, pair: Pair) -> bytes:
    """The nonce that follows from what is sealed: the same record is the same bytes whenever it is made, so
    that an owner need not keep it; another record has another nonce.
    """
    return kdf(pair.box_key, "held-nonce", blake2b(handshake.record))[:NONCE_BYTES]


def parse_held(data: bytes) -> Held:
    """What a host can read and check; raises RemoteProtocolError."""
    record = Record.decode(data, MAX_RECORD_BYTES)
    fields = Fields(record.verify(KIND), KIND)
    return Held(
        tag=fields.bytes("tag", length=TAG_BYTES),
        seq=fields.int("seq"),
        ciphertext=fields.bytes("ciphertext", most=MAX_CIPHERTEXT_BYTES),
        account=record.public_key,
        record=data,
    )


def open_held(held: Held, pair: Pair) -> Handshake:
    """The owner-signed handshake inside; RemoteProtocolError if it is not this pair's or of this seq."""
    nonce, sealed = held.ciphertext[:NONCE_BYTES], held.ciphertext[NONCE_BYTES:]
    if len(sealed) < AEAD_TAG_BYTES:
        raise RemoteProtocolError("a held handshake is cut short")
    try:
        padded = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed, _associated(held.tag, held.seq), nonce, pair.box_key
        )
    except nacl.exceptions.CryptoError:
        raise RemoteProtocolError("a held handshake can't be opened") from None
    handshake = parse_handshake(unpad(padded, LEAST_HELD))
    if handshake.seq != held.seq:
        raise RemoteProtocolError("a held handshake has another seq inside")
    return handshake


def digest(entries: Iterable[tuple[bytes, int, bytes]]) -> bytes:
    """BLAKE2b-256 over (tag, seq, BLAKE2b-256 of the record), sorted by tag (§11)."""
    parts = sorted(tag + seq.to_bytes(8, "big") + record_hash for tag, seq, record_hash in entries)
    return blake2b(b"".join(parts))


def _associated(tag: bytes, seq: int) -> bytes:
    return tag + seq.to_bytes(8, "big")
