"""Letters: the signed inner and its sealing for one recipient (protocol.md §6, §11).

The message stays bytes here; who may send, and where it is kept, is decided elsewhere.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import nacl.exceptions
from nacl import bindings

from protocol.cbor import Value
from protocol.email import normal_email
from protocol.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from protocol.fields import Fields
from protocol.identity import MAX_IDENTITY, IdentityRecord
from protocol.kdf import HASH_BYTES, KEY_BYTES, blake2b, kdf
from protocol.keys import SigningKey, mailbox_of, x25519, x25519_public
from protocol.padding import LEAST_LETTER, LENGTH_BYTES, pad, unpad
from protocol.receipt import MAX_RECORD_BYTES as MAX_RECEIPT_BYTES
from protocol.record import MAX_AHEAD_MS, Record, sign_record
from protocol.status import (
    EXPIRED,
    FAILED,
    FORGED_FROM,
    PREKEY_GONE,
    TIME,
    TOO_LARGE,
    WRONG_RECIPIENT,
)
from protocol.stream import MAX_REFS, ContentRef

KIND: Final = "letter/1"
VERSION: Final = 1
SUITE: Final = 1  # X25519, KDF of §11, XChaCha20-Poly1305
WEEK_BYTES: Final = 4
HEADER_BYTES: Final = 2 + WEEK_BYTES + KEY_BYTES  # version, suite, prekey week, ephemeral key
AEAD_TAG_BYTES: Final = 16

MAX_INNER: Final = 1_032_192  # padded; the largest Padmé size whose envelope fits a frame of 1 MiB (§6)
MAX_SIGNED: Final = MAX_INNER - LENGTH_BYTES
MIN_ENVELOPE: Final = HEADER_BYTES + LEAST_LETTER + AEAD_TAG_BYTES
MAX_ENVELOPE: Final = HEADER_BYTES + MAX_INNER + AEAD_TAG_BYTES
SEALING: Final = MAX_ENVELOPE - MAX_INNER  # bytes added to the padded inner, which limits are about
MAX_WEEK: Final = 2 ** (8 * WEEK_BYTES) - 1

LETTER_LIFE_MS: Final = 30 * 86_400_000  # after `created` (§6)
ID_BYTES: Final = 32
MAX_THREAD_BYTES: Final = 128  # ours have 64, a letterId in hex
MAX_RECORDS: Final = 64  # handshakes, receipts and nodes records that ride along; more go in the next letter
MAX_RECORD_BYTES: Final = MAX_RECEIPT_BYTES  # the largest kind that rides along

_NONCE: Final = bytes(24)  # the key is used once


@dataclass(frozen=True, slots=True)
class Inner:
    """What the author signs for one recipient (`to`, its identity key). Times in Unix ms.

    `previous` is the letter before it to this recipient. `message_hash` is there where there are refs.
    `payload_hash` is what a receipt names; read_inner fills it in.
    """

    letter_id: bytes
    to: bytes
    sender: IdentityRecord
    created: int
    previous: bytes | None = None
    thid: str | None = None
    pthid: str | None = None
    records: tuple[bytes, ...] = ()
    message: bytes | None = None
    message_hash: bytes | None = None
    refs: tuple[ContentRef, ...] = ()
    payload_hash: bytes = field(default=b"", compare=False)

    @property
    def expires(self) -> int:
        return self.created + LETTER_LIFE_MS


def sign_inner(inner: Inner, key: SigningKey) -> bytes:
    """The letter/1 record's bytes, signed once; LocalProtocolError for what no recipient would take."""
    if inner.sender.public_key != key.public:
        raise LocalProtocolError("a letter is signed by its author")
    payload = _payload(inner)
    try:
        _from_fields(Fields(payload, KIND), inner.sender, b"")
    except RemoteProtocolError as fault:
        raise LocalProtocolError(f"no recipient would take this letter: {fault}") from fault
    signed = sign_record(KIND, payload, key).encode()
    if len(signed) > MAX_SIGNED:
        raise LocalProtocolError(f"a letter of {len(signed)} bytes; at most {MAX_SIGNED} can be sealed")
    return signed


def _payload(inner: Inner) -> dict[str, Value]:
    items: dict[str, Value] = {
        "letterId": inner.letter_id,
        "to": inner.to,
        "from": inner.sender.record,
        "created": inner.created,
        "previous": inner.previous,
        "thid": inner.thid,
        "pthid": inner.pthid,
        "records": list(inner.records) or None,
        "message": inner.message,
        "messageHash": inner.message_hash,
        "refs": [ref.to_value() for ref in inner.refs] or None,
    }
    return {name: value for name, value in items.items() if value is not None}


def payload_hash(signed: bytes) -> bytes:
    """What a receipt for this letter names: BLAKE2b-256 of the signed payload."""
    return blake2b(Record.decode(signed, MAX_SIGNED).payload)


def read_inner(signed: bytes, *, to: bytes, now: int, doubtful: bool = False) -> Inner:
    """Check and read what an envelope held; the author is `sender.public_key`.

    `now` in Unix ms. With a `doubtful` clock nothing is refused for good because of time (§3).
    Raises RemoteProtocolError with WRONG_RECIPIENT, TIME, EXPIRED or MALFORMED.
    """
    inner = _read(signed)
    if inner.to != to:
        raise RemoteProtocolError("a letter for another recipient", WRONG_RECIPIENT)
    if inner.created > now + MAX_AHEAD_MS:
        raise RemoteProtocolError("a letter from the future", TIME)
    if inner.expires <= now:
        raise RemoteProtocolError("a letter past its 30 days", TIME if doubtful else EXPIRED)
    return inner


def _read(signed: bytes) -> Inner:
    record = Record.decode(signed, MAX_SIGNED)
    fields = Fields(record.verify(KIND), KIND)
    sender = IdentityRecord.parse(fields.bytes("from", most=MAX_IDENTITY), fields.int("created"))
    if sender.public_key != record.public_key:
        raise RemoteProtocolError("a letter is not signed by the identity inside it")
    return _from_fields(fields, sender, blake2b(record.payload))


def _from_fields(fields: Fields, sender: IdentityRecord, payload_hash: bytes) -> Inner:
    inner = Inner(
        letter_id=fields.bytes("letterId", length=ID_BYTES),
        to=fields.bytes("to", length=KEY_BYTES),
        sender=sender,
        created=fields.int("created"),
        previous=fields.optional_bytes("previous", length=ID_BYTES),
        thid=fields.optional_text("thid", MAX_THREAD_BYTES),
        pthid=fields.optional_text("pthid", MAX_THREAD_BYTES),
        records=_records(fields),
        message=fields.optional_bytes("message"),
        message_hash=fields.optional_bytes("messageHash", length=HASH_BYTES),
        refs=_refs(fields),
        payload_hash=payload_hash,
    )
    _refuse_inconsistent(inner)
    return inner


def _records(fields: Fields) -> tuple[bytes, ...]:
    if not fields.has("records"):
        return ()
    return fields.bytes_list("records", MAX_RECORDS, most_bytes=MAX_RECORD_BYTES)


def _refs(fields: Fields) -> tuple[ContentRef, ...]:
    if not fields.has("refs"):
        return ()
    return tuple(ContentRef.parse(ref) for ref in fields.maps("refs", MAX_REFS))


def _refuse_inconsistent(inner: Inner) -> None:
    if inner.message is None and not inner.records:
        raise RemoteProtocolError("a letter with neither message nor records")
    if bool(inner.refs) != (inner.message_hash is not None):
        raise RemoteProtocolError("a letter has messageHash where it has refs, and only there")
    if inner.refs and inner.message is None:
        raise RemoteProtocolError("a letter has refs and no message they belong to")
    if any(ref.place.offset > len(inner.message or b"") for ref in inner.refs):
        raise RemoteProtocolError("a reference belongs beyond the end of its message")


def seal(signed: bytes, week: int, prekey_public: bytes, ephemeral_private: bytes | None = None) -> bytes:
    """An envelope of a signed inner for the owner of this prekey.

    `ephemeral_private` (32 random bytes) is given by test vectors only.
    """
    if len(signed) > MAX_SIGNED:
        raise LocalProtocolError(f"at most {MAX_SIGNED} bytes can be sealed")
    private = ephemeral_private or bindings.randombytes(KEY_BYTES)
    ephemeral = x25519_public(private)
    header = bytes([VERSION, SUITE]) + week.to_bytes(WEEK_BYTES, "big") + ephemeral
    key = _letter_key(x25519(private, prekey_public), ephemeral, prekey_public)
    padded = pad(signed, LEAST_LETTER)
    return header + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(padded, header, _NONCE, key)


def open_envelope(blob: bytes, private_of: Callable[[int], bytes | None]) -> bytes:
    """The signed inner; `private_of` gives the private prekey of a week, or None when it is gone.

    Raises RemoteProtocolError: TOO_LARGE, MALFORMED, PREKEY_GONE, or FAILED where the key does not fit.
    """
    if len(blob) > MAX_ENVELOPE:
        raise RemoteProtocolError(f"an envelope over {MAX_ENVELOPE} bytes", TOO_LARGE)
    week = envelope_week(blob)
    private = private_of(week)
    if private is None:
        raise RemoteProtocolError(f"the prekey of week {week} is gone", PREKEY_GONE)
    header, sealed = blob[:HEADER_BYTES], blob[HEADER_BYTES:]
    ephemeral = header[-KEY_BYTES:]
    key = _letter_key(x25519(private, ephemeral), ephemeral, x25519_public(private))
    try:
        padded = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, header, _NONCE, key)
    except nacl.exceptions.CryptoError:
        raise RemoteProtocolError("an envelope that does not open", FAILED) from None
    return unpad(padded, LEAST_LETTER)


def envelope_week(blob: bytes) -> int:
    """The prekey week that an envelope names; RemoteProtocolError when it is none of version 1."""
    if len(blob) < MIN_ENVELOPE:
        raise RemoteProtocolError("an envelope is cut short")
    if blob[0] != VERSION or blob[1] != SUITE:
        raise RemoteProtocolError(f"an envelope of unknown version {blob[0]} or suite {blob[1]}")
    return int.from_bytes(blob[2 : 2 + WEEK_BYTES], "big")


def envelope_id(blob: bytes) -> bytes:
    """BLAKE2b-256 of the whole envelope; for transport only (§6)."""
    return blake2b(blob)


def _letter_key(shared: bytes, ephemeral: bytes, prekey_public: bytes) -> bytes:
    return kdf(shared, "letter", ephemeral, prekey_public)


def check_from(from_mailboxes: Sequence[str], author_address: str, verified: Collection[str]) -> None:
    """One From, one mailbox: the author's own, or one whose binding is verified; else FORGED_FROM (§6).

    `from_mailboxes` are the addresses of all From fields together; `verified` are normal e-mail addresses.
    """
    if len(from_mailboxes) != 1:
        raise RemoteProtocolError("a sealed letter has one From with one mailbox", FORGED_FROM)
    mailbox = from_mailboxes[0].strip()
    if mailbox.lower() == mailbox_of(author_address):
        return
    try:
        name = normal_email(mailbox)
    except ProtocolError:
        name = None
    if name is None or name not in verified:
        raise RemoteProtocolError("the From line is not the author's own", FORGED_FROM)
