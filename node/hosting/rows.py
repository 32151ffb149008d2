"""What a host remembers of each account, letter and delivery key: values, and how they stand in the store.
No rules here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.account import CID_BYTES, Entry, Space
from protocol.cbor import Value
from protocol.fields import Fields
from protocol.host import Waiting
from protocol.kdf import HASH_BYTES, KEY_BYTES
from protocol.keys import SIGNATURE_BYTES
from protocol.peers import MAX_NODES, MAX_PEER_ID


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator gives: accounts at once, bytes that one may take, bytes of them all."""

    accounts: int = 10_000
    account_size: int = 100_000_000
    size: int = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Totals:
    """What all accounts take together; `size` in bytes."""

    accounts: int = 0
    letters: int = 0
    size: int = 0

    def to_row(self) -> Value:
        return {"accounts": self.accounts, "letters": self.letters, "size": self.size}

    @classmethod
    def from_row(cls, row: Value) -> Totals:
        if row is None:
            return cls()
        fields = Fields(row, "host totals")
        return cls(fields.int("accounts"), fields.int("letters"), fields.int("size"))


@dataclass(frozen=True, slots=True)
class Account:
    """One owner's account. `owner` is the identity key that opened it, `nodes` the peers that must fetch each
    letter, `first_week` the oldest prekey that they open, `last` the number of the newest letter ever.

    `letters` and `strangers` count what waits, `letter_size` and `stranger_size` are their bytes, `item_size`
    what items and files are charged with. `digests` are of the spaces that did not change since they were
    worked out, `changes` counts changes of items.
    """

    key: bytes
    owner: bytes
    nodes: tuple[bytes, ...]
    first_week: int
    last: int = 0
    letters: int = 0
    letter_size: int = 0
    strangers: int = 0
    stranger_size: int = 0
    item_size: int = 0
    changes: int = 0
    digests: Mapping[Space, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that the account takes."""
        return self.letter_size + self.item_size

    def to_row(self) -> Value:
        return {
            "owner": self.owner,
            "nodes": list(self.nodes),
            "firstWeek": self.first_week,
            "last": self.last,
            "letters": self.letters,
            "letterSize": self.letter_size,
            "strangers": self.strangers,
            "strangerSize": self.stranger_size,
            "itemSize": self.item_size,
            "changes": self.changes,
            "digests": {space.value: digest for space, digest in self.digests.items()},
        }

    @classmethod
    def from_row(cls, key: bytes, row: Value) -> Account:
        fields = Fields(row, "account")
        digests = fields.map("digests")
        return cls(
            key=key,
            owner=fields.bytes("owner", length=KEY_BYTES),
            nodes=fields.bytes_list("nodes", MAX_NODES, most_bytes=MAX_PEER_ID),
            first_week=fields.int("firstWeek"),
            last=fields.int("last"),
            letters=fields.int("letters"),
            letter_size=fields.int("letterSize"),
            strangers=fields.int("strangers"),
            stranger_size=fields.int("strangerSize"),
            item_size=fields.int("itemSize"),
            changes=fields.int("changes"),
            digests={s: digests.bytes(s.value, length=HASH_BYTES) for s in Space if digests.has(s.value)},
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """An item beside its bytes: what it is charged with, and of a file its CID."""

    entry: Entry
    charge: int
    cid: bytes | None = None

    def to_row(self) -> Value:
        row: dict[str, Value] = {"seq": self.entry.seq, "hash": self.entry.hash, "charge": self.charge}
        return row if self.cid is None else row | {"cid": self.cid}

    @classmethod
    def from_row(cls, item: bytes, row: Value) -> Kept:
        fields = Fields(row, "item")
        entry = Entry(item, fields.int("seq"), fields.bytes("hash", length=HASH_BYTES))
        return cls(entry, fields.int("charge"), fields.optional_bytes("cid", length=CID_BYTES))


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that waits: `until` was promised for it, at `due` it goes (Unix ms). `key`: the delivery key
    that it came under, None for a stamp, and its `signature`; `cancel`: hash of its sender's secret;
    `fetched`: nodes that have it.
    """

    n: int
    envelope_id: bytes
    size: int
    arrived: int
    until: int
    due: int
    key: bytes | None = None
    service: bool = False
    cancel: bytes | None = None
    fetched: tuple[bytes, ...] = ()
    signature: bytes | None = None

    @property
    def waiting(self) -> Waiting:
        """As its owner's nodes are told of it."""
        return Waiting(
            self.n, self.envelope_id, self.size, self.arrived, self.key, self.service, self.signature
        )

    def to_row(self) -> Value:
        row: dict[str, Value] = {
            "id": self.envelope_id,
            "size": self.size,
            "arrived": self.arrived,
            "until": self.until,
            "due": self.due,
        }
        some: dict[str, Value] = {
            "key": self.key,
            "service": self.service or None,
            "cancel": self.cancel,
            "fetched": list(self.fetched) or None,
            "signature": self.signature,
        }
        return row | {name: value for name, value in some.items() if value is not None}

    @classmethod
    def from_row(cls, n: int, row: Value) -> Letter:
        fields = Fields(row, "letter")
        fetched = fields.bytes_list("fetched", MAX_NODES) if fields.has("fetched") else ()
        return cls(
            n=n,
            envelope_id=fields.bytes("id", length=HASH_BYTES),
            size=fields.int("size"),
            arrived=fields.int("arrived"),
            until=fields.int("until"),
            due=fields.int("due"),
            key=fields.optional_bytes("key", length=KEY_BYTES),
            service=fields.flag("service"),
            cancel=fields.optional_bytes("cancel", length=HASH_BYTES),
            fetched=fetched,
            signature=fields.optional_bytes("signature", length=SIGNATURE_BYTES),
        )


@dataclass(frozen=True, slots=True)
class Known:
    """An envelope that was taken: its number, and until when (Unix ms) its sender was promised to have it
    kept. It may have gone since.
    """

    n: int
    until: int

    def to_row(self) -> Value:
        return {"n": self.n, "until": self.until}

    @classmethod
    def from_row(cls, row: Value) -> Known:
        fields = Fields(row, "envelope")
        return cls(fields.int("n"), fields.int("until"))


@dataclass(frozen=True, slots=True)
class Use:
    """What one delivery key has used: when its last letter came (Unix ms), bytes waiting, and service letters
    on one day (days since 1970).
    """

    last: int = 0
    waiting: int = 0
    day: int = 0
    service: int = 0

    def to_row(self) -> Value:
        return {"last": self.last, "waiting": self.waiting, "day": self.day, "service": self.service}

    @classmethod
    def from_row(cls, row: Value) -> Use:
        if row is None:
            return cls()
        fields = Fields(row, "use")
        return cls(fields.int("last"), fields.int("waiting"), fields.int("day"), fields.int("service"))
