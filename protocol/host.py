"""What is said on `/mailio/host/1` (protocol.md §6, *Hosts*; §8): one map asks, one map answers.

Whom a host serves, and what it keeps for how long, is the host's. What is kept is account.py's; what a
deposit's offer and its answers look like, offer.py's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from protocol.account import ID_BYTES, MAX_BYTES, MAX_VAULT_BYTES, NONCE_BYTES, Entry, Item, Space
from protocol.cbor import Value, encode
from protocol.fields import Fields
from protocol.held import MAX_RECORD_BYTES as MAX_HELD_BYTES
from protocol.identity import MAX_IDENTITY
from protocol.kdf import HASH_BYTES, KEY_BYTES
from protocol.keys import SIGNATURE_BYTES, verify
from protocol.letter import MAX_ENVELOPE, MAX_WEEK
from protocol.offer import (
    MAX_OFFER_BYTES,
    MAX_TEXT_BYTES,
    KeyProof,
    Stamp,
    offer_proof_message,
    parse_proof,
    proof_map,
)
from protocol.peers import MAX_NODES, MAX_PEER_ID, is_peer_id
from protocol.status import OK, Status

PROTOCOL_ID: Final = "/mailio/host/1"
MAX_FRAME: Final = 1_048_576  # 1 MiB (§8)

VOUCHER_BYTES: Final = 16
CANCEL_BYTES: Final = 32  # the secret whose hash goes with a deposit

MAX_ITEMS: Final = 500  # items of one put
MAX_IDS: Final = 1_000  # ids of one drop, get or acknowledge; entries of one page or list
MAX_ITEMS_BYTES: Final = 900_000  # data of the items in one frame together, which leaves room for the rest
MAX_PARTS: Final = 20_000  # items of CBOR in one frame: a full list of letters has 15,000; 30 ms to read
MAX_WAIT_S: Final = 240  # less than a served stream may rest


class Request:
    """What is asked; every kind has its verb and its fields."""

    verb: ClassVar[str]

    def to_map(self) -> dict[str, Value]:
        return {}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        return cls()

    def encode(self) -> bytes:
        return encode({"verb": self.verb} | self.to_map())


@dataclass(frozen=True, slots=True)
class Hello(Request):
    """Whoever wants to prove an account begins with this; the answer has a nonce."""

    verb = "hello"


@dataclass(frozen=True, slots=True)
class Prove(Request):
    """The account's signature over `account_message`. The stream is the account's from then on."""

    verb = "prove"
    account: bytes
    nonce: bytes
    signature: bytes

    def to_map(self) -> dict[str, Value]:
        return {"account": self.account, "nonce": self.nonce, "signature": self.signature}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        return cls(
            fields.bytes("account", length=KEY_BYTES),
            fields.bytes("nonce", length=NONCE_BYTES),
            fields.bytes("signature", length=SIGNATURE_BYTES),
        )


@dataclass(frozen=True, slots=True)
class Open(Request):
    """Open the account, or tell an open one what has changed: the owner's IdentityRecord, the peer ids of its
    nodes, the oldest prekey week that they can open. `proof` is a stamp, or a delivery key of the host's
    owner over `friend_message`; `voucher` a secret that the host's operator gave.
    """

    verb = "open"
    identity: bytes
    nodes: tuple[bytes, ...]
    first_week: int
    proof: KeyProof | Stamp | None = None
    voucher: bytes | None = None

    def to_map(self) -> dict[str, Value]:
        items: dict[str, Value] = {
            "identity": self.identity,
            "nodes": list(self.nodes),
            "firstWeek": self.first_week,
            "proof": proof_map(self.proof),
            "voucher": self.voucher,
        }
        return {name: value for name, value in items.items() if value is not None}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        nodes = fields.bytes_list("nodes", MAX_NODES, most_bytes=MAX_PEER_ID)
        if not all(map(is_peer_id, nodes)):
            raise fields.fault("nodes", "holds what is no peer id")
        return cls(
            identity=fields.bytes("identity", most=MAX_IDENTITY),
            nodes=nodes,
            first_week=fields.int("firstWeek", most=MAX_WEEK),
            proof=parse_proof(fields.optional_map("proof")),
            voucher=fields.optional_bytes("voucher", length=VOUCHER_BYTES),
        )


@dataclass(frozen=True, slots=True)
class Put(Request):
    """Add or replace items of a space, and drop some."""

    verb = "put"
    space: Space
    items: tuple[Item, ...] = ()
    drop: tuple[bytes, ...] = ()

    def to_map(self) -> dict[str, Value]:
        return {"space": self.space.value, "items": [i.to_map() for i in self.items], "drop": list(self.drop)}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        space = _space(fields)
        items = (Item.from_fields(item, MAX_BYTES[space]) for item in fields.maps("items", MAX_ITEMS))
        return cls(space, tuple(items), fields.bytes_list("drop", MAX_IDS, length=ID_BYTES))


@dataclass(frozen=True, slots=True)
class Get(Request):
    """Items by their ids; as many as fit an answer, in that order."""

    verb = "get"
    space: Space
    ids: tuple[bytes, ...]

    def to_map(self) -> dict[str, Value]:
        return {"space": self.space.value, "ids": list(self.ids)}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        return cls(_space(fields), fields.bytes_list("ids", MAX_IDS, length=ID_BYTES))


@dataclass(frozen=True, slots=True)
class Digest(Request):
    """Of each space over all of its entries (§11), with what the account uses."""

    verb = "digest"


@dataclass(frozen=True, slots=True)
class Page(Request):
    """Entries in order of ids, from the first one after `after` on."""

    verb = "page"
    space: Space
    after: bytes | None = None

    def to_map(self) -> dict[str, Value]:
        after: dict[str, Value] = {} if self.after is None else {"after": self.after}
        return {"space": self.space.value} | after

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        return cls(_space(fields), fields.optional_bytes("after", length=ID_BYTES))


@dataclass(frozen=True, slots=True)
class List(Request):
    """Letters that wait, from the first number after `after` on."""

    verb = "list"
    after: int = 0

    def to_map(self) -> dict[str, Value]:
        return {"after": self.after}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        return cls(fields.int("after"))


@dataclass(frozen=True, slots=True)
class Wait(Request):
    """Answer when a letter with a higher number than `after` waits, or after so many seconds."""

    verb = "wait"
    after: int
    seconds: int

    def to_map(self) -> dict[str, Value]:
        return {"after": self.after, "seconds": self.seconds}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        return cls(fields.int("after"), fields.int("seconds", most=MAX_WAIT_S))


@dataclass(frozen=True, slots=True)
class Fetch(Request):
    """The envelope; its bare bytes follow an answer of class 2 as a frame of their own."""

    verb = "fetch"
    envelope_id: bytes

    def to_map(self) -> dict[str, Value]:
        return {"envelopeId": self.envelope_id}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        return cls(fields.bytes("envelopeId", length=HASH_BYTES))


@dataclass(frozen=True, slots=True)
class Acknowledge(Request):
    """These are on the disk of the node that asks."""

    verb = "acknowledge"
    envelope_ids: tuple[bytes, ...]

    def to_map(self) -> dict[str, Value]:
        return {"envelopeIds": list(self.envelope_ids)}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        return cls(fields.bytes_list("envelopeIds", MAX_IDS, length=HASH_BYTES))


@dataclass(frozen=True, slots=True)
class Find(Request):
    """What an account holds under a tag; anyone may ask."""

    verb = "find"
    account: bytes
    tag: bytes

    def to_map(self) -> dict[str, Value]:
        return {"account": self.account, "tag": self.tag}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        return cls(fields.bytes("account", length=KEY_BYTES), fields.bytes("tag", length=ID_BYTES))


@dataclass(frozen=True, slots=True)
class Deposit(Request):
    """An offer for an account; anyone may. The answers are those of `/mailio/letter/1`."""

    verb = "deposit"
    offer: bytes

    def to_map(self) -> dict[str, Value]:
        return {"offer": self.offer}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        return cls(fields.bytes("offer", most=MAX_OFFER_BYTES))


@dataclass(frozen=True, slots=True)
class Cancel(Request):
    """Take an envelope back: the secret whose hash its offer had."""

    verb = "cancel"
    account: bytes
    envelope_id: bytes
    secret: bytes

    def to_map(self) -> dict[str, Value]:
        return {"account": self.account, "envelopeId": self.envelope_id, "secret": self.secret}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        return cls(
            fields.bytes("account", length=KEY_BYTES),
            fields.bytes("envelopeId", length=HASH_BYTES),
            fields.bytes("secret", length=CANCEL_BYTES),
        )


_KINDS: Final[Iterable[type[Request]]] = (
    Hello,
    Prove,
    Open,
    Put,
    Get,
    Digest,
    Page,
    List,
    Wait,
    Fetch,
    Acknowledge,
    Find,
    Deposit,
    Cancel,
)
_VERBS: Final = {kind.verb: kind for kind in _KINDS}


def parse_request(data: bytes) -> Request:
    """Read a request of at most MAX_FRAME bytes; raises RemoteProtocolError, also for an unknown verb."""
    fields = Fields.decode(data, "request", most=MAX_PARTS)
    kind = _VERBS.get(fields.text("verb"))
    if kind is None:
        raise fields.fault("verb", "is not known")
    return kind.from_fields(fields)


def _space(fields: Fields) -> Space:
    try:
        return Space(fields.text("space"))
    except ValueError:
        raise fields.fault("space", "is not known") from None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter that waits: its number at the host, how it was offered. `key` is the delivery key that it came
    under, None for a stamp, with the `signature` of its offer; times in Unix ms, `size` in bytes.
    """

    n: int
    envelope_id: bytes
    size: int
    arrived: int
    key: bytes | None = None
    service: bool = False
    signature: bytes | None = None

    def is_proven(self, account: bytes) -> bool:
        """Whether it came under `key` indeed: the host of this account knows the key, and can't sign."""
        if self.key is None or self.signature is None:
            return False
        return verify(self.key, offer_proof_message(account, self.envelope_id), self.signature)

    def to_map(self) -> dict[str, Value]:
        items: dict[str, Value] = {
            "n": self.n,
            "envelopeId": self.envelope_id,
            "size": self.size,
            "arrived": self.arrived,
        }
        if self.key is not None:
            items["key"] = self.key
        if self.signature is not None:
            items["signature"] = self.signature
        return items | {"service": True} if self.service else items

    @classmethod
    def from_fields(cls, fields: Fields) -> "Waiting":
        return cls(
            fields.int("n"),
            fields.bytes("envelopeId", length=HASH_BYTES),
            fields.int("size", most=MAX_ENVELOPE),
            fields.int("arrived"),
            fields.optional_bytes("key", length=KEY_BYTES),
            fields.flag("service"),
            fields.optional_bytes("signature", length=SIGNATURE_BYTES),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host says; which fields are there depends on what was asked.

    hello: `nonce`. prove: `opened`. open: nothing more (a challenge is offer.py's). put: `refused`, the ids
    that were not taken, each with its status. get: `items`. digest: `digests` by space, `used` and `quota`
    in bytes, `last`. page: `entries`, `more`. list: `letters`, `more`. wait: `last`, the number of the newest
    letter. find: `record`. fetch: the frame that follows.
    """

    status: Status = OK
    text: str | None = None
    nonce: bytes | None = None
    opened: bool = False
    refused: Mapping[bytes, Status] = field(default_factory=dict)
    items: tuple[Item, ...] = ()
    digests: Mapping[Space, bytes] = field(default_factory=dict)
    used: int = 0
    quota: int = 0
    last: int = 0
    entries: tuple[Entry, ...] = ()
    letters: tuple[Waiting, ...] = ()
    more: bool = False
    record: bytes | None = None

    def encode(self) -> bytes:
        items: dict[str, Value] = {
            "answer": "host",
            "status": self.status.code,
            "text": self.text,
            "nonce": self.nonce,
            "opened": self.opened or None,
            "refused": [{"id": i, "status": s.code} for i, s in self.refused.items()] or None,
            "items": [item.to_map() for item in self.items] or None,
            "digests": {space.value: digest for space, digest in self.digests.items()} or None,
            "used": self.used or None,
            "quota": self.quota or None,
            "last": self.last or None,
            "entries": [entry.to_map() for entry in self.entries] or None,
            "letters": [letter.to_map() for letter in self.letters] or None,
            "more": self.more or None,
            "record": self.record,
        }
        return encode({name: value for name, value in items.items() if value is not None})

    @classmethod
    def parse(cls, data: bytes) -> "Answer":
        """Read an answer of at most MAX_FRAME bytes; raises RemoteProtocolError."""
        fields = Fields.decode(data, "answer", most=MAX_PARTS)
        if fields.text("answer") != "host":
            raise fields.fault("answer", "is not a host's")
        return cls(
            status=Status.parse(fields.text("status")),
            text=fields.optional_text("text", MAX_TEXT_BYTES),
            nonce=fields.optional_bytes("nonce", length=NONCE_BYTES),
            opened=fields.flag("opened"),
            refused=_refused(fields),
            items=tuple(Item.from_fields(f, MAX_VAULT_BYTES) for f in _maps(fields, "items")),
            digests=_digests(fields.optional_map("digests")),
            used=fields.optional_int("used") or 0,
            quota=fields.optional_int("quota") or 0,
            last=fields.optional_int("last") or 0,
            entries=tuple(map(Entry.from_fields, _maps(fields, "entries"))),
            letters=tuple(map(Waiting.from_fields, _maps(fields, "letters"))),
            more=fields.flag("more"),
            record=fields.optional_bytes("record", most=MAX_HELD_BYTES),
        )


def _maps(fields: Fields, name: str) -> Iterable[Fields]:
    return fields.maps(name, MAX_IDS) if fields.has(name) else ()


def _refused(fields: Fields) -> dict[bytes, Status]:
    return {f.bytes("id", length=ID_BYTES): Status.parse(f.text("status")) for f in _maps(fields, "refused")}


def _digests(fields: Fields | None) -> dict[Space, bytes]:
    if fields is None:
        return {}
    return {space: fields.bytes(space.value, length=HASH_BYTES) for space in Space if fields.has(space.value)}
