"""What an owner keeps at a host, and how either proves itself (protocol.md §6, *Hosts*): accounts, items,
rules for delivery keys, a host's word on a deposit. What is said about them on a stream is host.py's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from protocol.cbor import Value, encode
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields
from protocol.held import MAX_RECORD_BYTES as MAX_HELD_BYTES
from protocol.kdf import HASH_BYTES, KEY_BYTES, blake2b
from protocol.keys import SigningKey
from protocol.record import Record, sign_record

NONCE_BYTES: Final = 32
ID_BYTES: Final = 32  # of an item: a tag, a delivery key, the name of a page or of a file
CID_BYTES: Final = 36

MAX_KEY_BYTES: Final = 128
MAX_FILE_BYTES: Final = 192
MAX_VAULT_BYTES: Final = 262_144

DEPOSIT_KIND: Final = "deposit/1"
MAX_DEPOSIT_BYTES: Final = 512

_ACCOUNT_CONTEXT: Final = b"mailio/account/1\0"
_FRIEND_CONTEXT: Final = b"mailio/account-open/1\0"
_ED25519_PEER: Final = b"\x00\x24\x08\x01\x12\x20"  # identity multihash of libp2p's form of such a key


class Space(StrEnum):
    """The kinds of items that an account holds: handshakes as blinded records, whose deposits are taken,
    pages of the vault, files that were sent.
    """

    HELD = "held"
    KEY = "key"
    VAULT = "vault"
    FILE = "file"


MAX_BYTES: Final[Mapping[Space, int]] = {
    Space.HELD: MAX_HELD_BYTES,
    Space.KEY: MAX_KEY_BYTES,
    Space.VAULT: MAX_VAULT_BYTES,
    Space.FILE: MAX_FILE_BYTES,
}


# ---- what is proven


def account_message(host: bytes, client: bytes, host_nonce: bytes, nonce: bytes, account: bytes) -> bytes:
    """What an account key signs: both peer ids, each behind its length (1 byte), both nonces, the account."""
    peers = bytes([len(host)]) + host + bytes([len(client)]) + client
    return _ACCOUNT_CONTEXT + peers + host_nonce + nonce + account


def friend_message(account: bytes) -> bytes:
    """What a delivery key signs to open this account at the node that it is for."""
    return _FRIEND_CONTEXT + account


@dataclass(frozen=True, slots=True)
class Deposited:
    """A host's signed word that it has an envelope of an account on disk, and until when (Unix ms)."""

    account: bytes
    envelope_id: bytes
    until: int


def sign_deposit(deposited: Deposited, peer_key: SigningKey) -> bytes:
    """The `deposit/1` record, signed by the host's peer key."""
    payload: dict[str, Value] = {
        "account": deposited.account,
        "envelopeId": deposited.envelope_id,
        "until": deposited.until,
    }
    return sign_record(DEPOSIT_KIND, payload, peer_key).encode()


def parse_deposit(data: bytes, host: bytes) -> Deposited:
    """A `deposit/1` record of the host with this peer id. Raises RemoteProtocolError, also for a host whose
    peer id does not hold an Ed25519 key: then nothing it signs can be checked.
    """
    record = Record.decode(data, MAX_DEPOSIT_BYTES)
    if record.public_key != peer_key_of(host):
        raise RemoteProtocolError("a deposit's answer is not signed by its host")
    fields = Fields(record.verify(DEPOSIT_KIND), DEPOSIT_KIND)
    return Deposited(
        fields.bytes("account", length=KEY_BYTES),
        fields.bytes("envelopeId", length=HASH_BYTES),
        fields.int("until"),
    )


def peer_id_of(public: bytes) -> bytes:
    """The peer id of an Ed25519 key (libp2p's peer-ids text)."""
    return _ED25519_PEER + public


def peer_key_of(peer_id: bytes) -> bytes:
    """The Ed25519 key in a peer id; RemoteProtocolError for one of another kind."""
    if len(peer_id) != len(_ED25519_PEER) + KEY_BYTES or not peer_id.startswith(_ED25519_PEER):
        raise RemoteProtocolError("a host has an Ed25519 peer key")
    return peer_id[len(_ED25519_PEER) :]


# ---- items


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that an account holds. Of two with one id the higher `seq` counts, then the lower hash."""

    id: bytes
    seq: int
    data: bytes

    @property
    def entry(self) -> "Entry":
        return Entry(self.id, self.seq, blake2b(self.data))

    def to_map(self) -> dict[str, Value]:
        return {"id": self.id, "seq": self.seq, "data": self.data}

    @classmethod
    def from_fields(cls, fields: Fields, most: int) -> "Item":
        return cls(fields.bytes("id", length=ID_BYTES), fields.int("seq"), fields.bytes("data", most=most))


@dataclass(frozen=True, slots=True)
class Entry:
    """An item as pages name it; `whole`: of a file, that all of it is there."""

    id: bytes
    seq: int
    hash: bytes
    whole: bool = False

    def to_map(self) -> dict[str, Value]:
        items: dict[str, Value] = {"id": self.id, "seq": self.seq, "hash": self.hash}
        return items | {"whole": True} if self.whole else items

    @classmethod
    def from_fields(cls, fields: Fields) -> "Entry":
        return cls(
            fields.bytes("id", length=ID_BYTES),
            fields.int("seq"),
            fields.bytes("hash", length=HASH_BYTES),
            fields.flag("whole"),
        )


def replaces(new: Entry, old: Entry) -> bool:
    """Whether an item takes another's place: higher seq; at equal seq the lower hash (§3)."""
    return new.seq > old.seq or (new.seq == old.seq and new.hash < old.hash)


@dataclass(frozen=True, slots=True)
class KeyRule:
    """For whose deposits there is room: `interval` ms between two letters (0: none), at most `share` bytes
    waiting at once; it ends at `until` (Unix ms, 0: never).
    """

    interval: int
    share: int
    until: int = 0

    def encode(self) -> bytes:
        return encode({"interval": self.interval, "share": self.share, "until": self.until})

    @classmethod
    def parse(cls, data: bytes) -> "KeyRule":
        fields = Fields.decode(data, "delivery key's rule")
        return cls(fields.int("interval"), fields.int("share"), fields.int("until"))


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that its owner sent: the CID of its encrypted form (36 bytes), its bytes there, and until when
    (Unix ms) it is wanted. The host fetches it from its owner by Bitswap.
    """

    cid: bytes
    size: int
    until: int

    @property
    def id(self) -> bytes:
        return blake2b(self.cid)

    def encode(self) -> bytes:
        return encode({"cid": self.cid, "size": self.size, "until": self.until})

    @classmethod
    def parse(cls, data: bytes) -> "KeptFile":
        fields = Fields.decode(data, "kept file")
        return cls(fields.bytes("cid", length=CID_BYTES), fields.int("size", least=1), fields.int("until"))
