"""What the sender keeps of one sealing until it is delivered: enough to send the same envelope again, and to
take back what lies at hosts.

The envelope itself is not kept; it follows from the signed inner, the prekey and the ephemeral key.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any

from protocol.cbor import Value, decode, encode
from protocol.fields import Fields
from protocol.host import CANCEL_BYTES
from protocol.identity import Host, IdentityRecord
from protocol.kdf import KEY_BYTES, blake2b
from protocol.letter import LETTER_LIFE_MS, MAX_SIGNED, seal
from protocol.record import Record


@dataclass(frozen=True, slots=True)
class AtHost:
    """A host that has the present envelope on disk, as it has signed: for which account, and until when; and
    when that was (Unix ms).
    """

    host: bytes
    addrs: tuple[str, ...]
    account: bytes
    until: int
    since: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """A signed inner and the keys of its present sealing. `created` is the inner's (Unix ms), `secret` takes
    back what `deposits` has.
    """

    inner: bytes
    week: int
    prekey: bytes
    ephemeral: bytes
    created: int
    secret: bytes
    deposits: tuple[AtHost, ...] = ()

    @classmethod
    def make(cls, inner: bytes, record: IdentityRecord, now: int) -> Parcel:
        """Seal for the prekey nearest to now (§6)."""
        week, prekey = record.prekey_for(now)
        return cls(
            inner, week, prekey, secrets.token_bytes(KEY_BYTES), now, secrets.token_bytes(CANCEL_BYTES)
        )

    def anew(self, record: IdentityRecord, now: int) -> Parcel:
        """The same signed inner for a prekey that the recipient still has."""
        week, prekey = record.prekey_for(now)
        ephemeral = secrets.token_bytes(KEY_BYTES)
        return replace(self, week=week, prekey=prekey, ephemeral=ephemeral, deposits=())

    def deposited(self, at: AtHost) -> Parcel:
        """A host has taken it, or has it still."""
        others = tuple(one for one in self.deposits if one.host != at.host)
        return replace(self, deposits=(*others, at))

    @property
    def expires(self) -> int:
        """When no recipient takes it any more (Unix ms)."""
        return self.created + LETTER_LIFE_MS

    @property
    def until(self) -> int:
        """How long hosts keep it for its recipient (Unix ms), 0 where none has it."""
        return min(self.expires, max((one.until for one in self.deposits), default=0))

    @property
    def cancel(self) -> bytes:
        """What goes along with a deposit, so that who has the secret may take it back."""
        return blake2b(self.secret)

    def envelope(self) -> bytes:
        return seal(self.inner, self.week, self.prekey, self.ephemeral)

    def encode(self) -> bytes:
        deposits: list[Value] = [
            Host(one.host, one.addrs, one.account).to_map() | {"until": one.until, "since": one.since}
            for one in self.deposits
        ]
        return encode(
            {
                "inner": self.inner,
                "week": self.week,
                "prekey": self.prekey,
                "ephemeral": self.ephemeral,
                "created": self.created,
                "secret": self.secret,
                "deposits": deposits,
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Parcel:
        """Read what `encode` wrote; it comes from our own store."""
        row: Any = decode(data)
        deposits = (
            AtHost(one["peerId"], tuple(one["addrs"]), one["account"], one["until"], one["since"])
            for one in row.get("deposits", ())
        )
        return cls(
            row["inner"],
            row["week"],
            row["prekey"],
            row["ephemeral"],
            row["created"] if "created" in row else _created(row["inner"]),  # parcels of 0.2 know no hosts
            row["secret"] if "secret" in row else secrets.token_bytes(CANCEL_BYTES),
            tuple(deposits),
        )


def _created(inner: bytes) -> int:
    return Fields.decode(Record.decode(inner, MAX_SIGNED).payload).int("created")
