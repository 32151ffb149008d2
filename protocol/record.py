"""Records that everyone can check (protocol.md §3): kind, payload, key, signature, and the rule of `seq`.

A payload is carried and verified as the bytes that were signed; what each kind holds stands in its module.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocol.cbor import Value, encode
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import Fields
from protocol.kdf import KEY_BYTES, blake2b
from protocol.keys import SIGNATURE_BYTES, SigningKey, verify
from protocol.status import TIME, TOO_LARGE

MAX_AHEAD_MS: Final = 600_000  # 10 minutes: how far clocks of honest nodes may differ (§3)
MAX_KIND: Final = 32  # bytes; the longest of ours has 12

_KIND: Final = re.compile(r"[a-z][a-z-]*(?:/[1-9][0-9]{0,3})?", re.ASCII)
_NAMES: Final = frozenset({"kind", "payload", "publicKey", "signature"})


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it travels; nothing in it is believed before `verify`."""

    kind: str
    payload: bytes
    public_key: bytes
    signature: bytes

    def encode(self) -> bytes:
        """The record's bytes."""
        return encode(
            {
                "kind": self.kind,
                "payload": self.payload,
                "publicKey": self.public_key,
                "signature": self.signature,
            }
        )

    @classmethod
    def decode(cls, data: bytes, limit: int) -> "Record":
        """The record in `data` of at most `limit` bytes, its signature not checked yet."""
        if len(data) > limit:
            raise RemoteProtocolError(f"a record over {limit} bytes", TOO_LARGE)
        fields = Fields.decode(data, "record")
        if fields.raw.keys() != _NAMES:
            # What no signature covers would be anyone's to change.
            raise RemoteProtocolError("a record has kind, payload, publicKey and signature, and nothing else")
        kind = fields.text("kind", MAX_KIND)
        if _KIND.fullmatch(kind) is None:
            raise fields.fault("kind", "is not a kind's name")
        return cls(
            kind=kind,
            payload=fields.bytes("payload"),
            public_key=fields.bytes("publicKey", length=KEY_BYTES),
            signature=fields.bytes("signature", length=SIGNATURE_BYTES),
        )

    def verify(self, kind: str | None = None) -> Mapping[str, Value]:
        """The payload's map, once the signature holds; RemoteProtocolError otherwise, or for another kind."""
        if kind is not None and self.kind != kind:
            raise RemoteProtocolError(f"a record of kind {self.kind} instead of {kind}")
        if not verify(self.public_key, signed_message(self.kind, self.payload), self.signature):
            raise RemoteProtocolError(f"{self.kind}: the signature does not hold")
        return Fields.decode(self.payload, self.kind).raw


def signed_message(kind: str, payload: bytes) -> bytes:
    """What the signature of our own kinds covers: `"mailio/" kind 0x00 payload` (§3)."""
    return b"mailio/%b\0%b" % (kind.encode(), payload)


def sign_record(kind: str, payload: Mapping[str, Value] | bytes, key: SigningKey) -> Record:
    """A signed record of one of our own kinds."""
    if _KIND.fullmatch(kind) is None or len(kind) > MAX_KIND:
        raise LocalProtocolError(f"{kind!r} is not a kind's name")
    data = payload if isinstance(payload, bytes) else encode(payload)
    return Record(kind, data, key.public, key.sign(signed_message(kind, data)))


def next_seq(previous: int | None, now: int) -> int:
    """The seq of a change made at `now` (Unix ms): never lower than or equal to the one before (§3)."""
    return now if previous is None else max(previous + 1, now)


def newer(a_seq: int, a_payload: bytes, b_seq: int, b_payload: bytes) -> bool:
    """Whether record a replaces record b: higher seq; at equal seq the lower BLAKE2b-256 wins (§3)."""
    if a_seq != b_seq or a_payload == b_payload:
        return a_seq > b_seq
    return blake2b(a_payload) < blake2b(b_payload)


def refuse_ahead(when: int, now: int, what: str) -> None:
    """RemoteProtocolError of class 4 where a time (Unix ms) is more than 10 minutes ahead of `now` (§3)."""
    if when > now + MAX_AHEAD_MS:
        raise RemoteProtocolError(f"{what} is {(when - now) // 1_000} s ahead of this clock", TIME)
