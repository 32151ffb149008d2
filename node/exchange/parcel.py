"""What the sender keeps of one sealing until it is delivered: enough to send the same envelope again.

The envelope itself is not kept; it follows from the signed inner, the prekey and the ephemeral key.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import cast

from protocol.cbor import decode, encode
from protocol.identity import IdentityRecord
from protocol.letter import seal


@dataclass(frozen=True, slots=True)
class Parcel:
    """A signed inner and the keys of its present sealing."""

    inner: bytes
    week: int
    prekey: bytes
    ephemeral: bytes

    @classmethod
    def make(cls, inner: bytes, record: IdentityRecord, now: int) -> Parcel:
        """Seal for the prekey nearest to now (§6)."""
        week, prekey = record.prekey_for(now)
        return cls(inner, week, prekey, secrets.token_bytes(32))

    def anew(self, record: IdentityRecord, now: int) -> Parcel:
        """The same signed inner for a prekey that the recipient still has."""
        return Parcel.make(self.inner, record, now)

    def envelope(self) -> bytes:
        return seal(self.inner, self.week, self.prekey, self.ephemeral)

    def encode(self) -> bytes:
        return encode(
            {"inner": self.inner, "week": self.week, "prekey": self.prekey, "ephemeral": self.ephemeral}
        )

    @classmethod
    def decode(cls, data: bytes) -> Parcel:
        """Read what `encode` wrote; it comes from our own store."""
        row = cast("dict[str, bytes]", decode(data))
        return cls(row["inner"], cast("int", row["week"]), row["prekey"], row["ephemeral"])
