"""The one table of what is in the database: every room's key spaces stand here and nowhere else.

A key holds ids, numbers and keyed hashes only, for keys are not encrypted. A prefix is never used again
for something else. What older releases can't read needs a higher SCHEMA_VERSION and a migration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from node.storage.codec import Field, Key, encode
from protocol import account

SCHEMA_VERSION: Final = 1

ITEM_SPACE: Final[Mapping[account.Space, int]] = {
    account.Space.HELD: 0,
    account.Space.KEY: 1,
    account.Space.VAULT: 2,
    account.Space.FILE: 3,
}
"""How a space of items at a host is called in keys, here and there."""


@dataclass(frozen=True, slots=True)
class Space:
    """A kind of record: `prefix` (one byte, 1 to 254) sets its keys apart, `fields` are their parts."""

    name: str
    prefix: int
    fields: tuple[Field, ...]
    doc: str

    def encode(self, key: Key) -> bytes:
        """The database's key of this record, or with fewer parts what all such keys begin with."""
        return bytes([self.prefix]) + encode(self.fields, key)


META: Final = Space("meta", 1, ("bytes",), "(name) → value: the schema's version, and what is there once")
DHT: Final = Space("dht", 2, ("bytes",), "(DHT key) → record that we store for others")
PEERS: Final = Space("peers", 3, ("bytes",), "(peer id) → addresses, and when it was last of use")

OUTBOX: Final = Space("outbox", 50, ("bytes",), "(outbox id) → letter with something left to do")
OUTBOX_BODY: Final = Space(
    "outbox-body", 51, ("bytes", "int"), "(outbox id, route) → the letter as that route shows it"
)
PARCEL: Final = Space(
    "parcel", 52, ("bytes", "int"), "(outbox id, recipient's number) → what the carrier keeps"
)
BY_LETTER: Final = Space(
    "by-letter",
    53,
    ("bytes", "bytes"),
    "(letterId or keyed hash of a Message-ID, keyed hash of its recipient) → outbox id, for what comes back",
)
LAST_SENT: Final = Space(
    "last-sent", 54, ("bytes",), "(keyed hash of an address) → the letterId last sealed for it"
)
OUTBOX_ENDED: Final = Space("outbox-ended", 55, ("bytes",), "(outbox id) → letter with nothing left to do")
MAIL_SIZE: Final = Space(
    "mail-size", 56, ("bytes",), "(keyed hash of a mail server or domain) → the largest letter that it takes"
)
MTA_STS: Final = Space("mta-sts", 57, ("bytes",), "(keyed hash of a domain) → its MTA-STS policy")
PIN: Final = Space("pin", 20, ("bytes",), "(keyed hash of an owner's address) → what we know of it")
CONTACT: Final = Space(
    "contact", 21, ("bytes",), "(random 12-byte id) → name, Mailio address, e-mail addresses"
)
CONTACT_INDEX: Final = Space(
    "contact-index", 22, ("bytes",), "(keyed hash of a name, Mailio or e-mail address) → contact's id"
)
NODES: Final = Space(
    "nodes", 23, ("bytes",), "(keyed hash of an owner's address) → its newest `nodes/1` record"
)
DOMAIN_KEY: Final = Space(
    "domain-key", 24, ("bytes",), "(keyed hash of a domain) → the Mailio key that it showed first"
)
BOUND: Final = Space(
    "bound", 25, ("bytes",), "(keyed hash of an e-mail address) → whose its domain said that it is"
)
OURS: Final = Space("ours", 30, ("bytes",), "(keyed hash of a sender's address) → what we let it do")
THEIRS: Final = Space("theirs", 31, ("bytes",), "(keyed hash of an owner's address) → what it lets us do")
INVITATION: Final = Space(
    "invitation", 32, ("bytes",), "(its delivery key's first 16 bytes) → invitation of ours"
)
ALLOWANCE: Final = Space(
    "allowance", 33, ("bytes",), "(keyed hash of a sender's address) → what was taken lately"
)
DELIVERY: Final = Space("delivery", 34, ("bytes",), "(delivery key) → whose it is, and of which grant")
CONSENT_DUE: Final = Space(
    "consent-due",
    35,
    ("int", "int", "bytes"),
    "(when, 0 ours or 1 invitation, its key) → nothing: what ends then",
)
REQUEST: Final = Space("request", 36, ("int", "bytes"), "(when it ends, key in ours) → nothing: who asks")
LETTER: Final = Space("letter", 40, ("bytes",), "(letter's id) → its message as it came, and its references")
BODY: Final = Space("body", 39, ("bytes", "int"), "(letter's id, number) → a piece of a large message")
ENTRY: Final = Space("entry", 41, ("int", "bytes"), "(folder, letter's id) → what a list shows of it")
FOLDER: Final = Space("folder", 42, ("int",), "(folder) → its name if it is the owner's, and its counters")
SEEN: Final = Space(
    "seen", 43, ("bytes", "bytes"), "(keyed hash of an author's address, letterId) → our answer"
)
ENVELOPE: Final = Space("envelope", 44, ("bytes",), "(envelopeId) → key in seen")
EXPIRY: Final = Space(
    "expiry", 45, ("int", "bytes"), "(when, key in seen and envelopeId) → nothing: forget them then"
)
HABIT: Final = Space(
    "habit", 46, ("bytes",), "(keyed hash of an author's address) → which of its letters were read"
)
THREAD: Final = Space(
    "thread", 47, ("bytes", "bytes"), "(keyed hash of a thread's id, letter's id) → nothing"
)
PLACE: Final = Space("place", 48, ("bytes",), "(letter's id) → its folder")
WAITING: Final = Space(
    "waiting",
    49,
    ("bytes", "bytes"),
    "(keyed hash of an author's address, letter's id) → letter in `handshake`",
)

MISSING: Final = Space(
    "missing", 38, ("bytes", "int"), "(letter's id, number of a reference) → content that is not here yet"
)
UPLOAD: Final = Space("upload", 37, ("bytes",), "(random 16-byte id) → file for a letter being written")
CONTENT: Final = Space("content", 70, ("bytes",), "(content's name) → its CID, its size, whether it is whole")
PIN_UNTIL: Final = Space(
    "pin-until",
    71,
    ("bytes", "int", "bytes", "bytes"),
    "(content's name, kind, keyed hash of a recipient's address, letter's id) → until when it is needed",
)
HOLD: Final = Space(
    "hold",
    72,
    ("int", "bytes", "bytes", "bytes"),
    "(kind, keyed hash of a recipient's address, letter's id, content's name) → nothing: the same by holder",
)
BLOCK: Final = Space(
    "block", 73, ("bytes",), "(keyed hash of a CID) → content's name, and the block's number"
)
DAEMON_PIN: Final = Space(
    "daemon-pin",
    74,
    ("bytes", "bytes"),
    "(keyed hash of a CID, content's name) → the CID, pinned for it at the owner's IPFS daemon",
)

USER: Final = Space("user", 60, ("bytes",), "(keyed hash of a name) → app password of a mail program")
PROVIDER: Final = Space("provider", 64, ("bytes",), "(keyed hash of an address) → provider that it is at")
PROVIDER_FOLDER: Final = Space(
    "provider-folder",
    65,
    ("bytes", "bytes"),
    "(key in provider, keyed hash of a folder's name) → how far it is fetched",
)
FETCHED: Final = Space(
    "fetched", 66, ("bytes", "bytes"), "(key in provider, keyed hash of a letter) → nothing: it is here"
)
PROVIDER_DUE: Final = Space(
    "provider-due",
    67,
    ("bytes", "bytes", "int", "int"),
    "(key in provider, keyed hash of a folder's name, since when it is here, UID) → UIDVALIDITY: it is "
    "deleted there once the owner wants that",
)
DOMAIN: Final = Space(
    "domain", 61, ("bytes",), "(keyed hash of a domain) → a domain of ours and its DKIM keys"
)

HOST_ACCOUNT: Final = Space("host-account", 80, ("bytes",), "(account key) → an owner's account at us")
HOST_ENTRY: Final = Space(
    "host-entry", 81, ("bytes", "int", "bytes"), "(account key, space, item's id) → its seq and hash"
)
HOST_ITEM: Final = Space(
    "host-item", 82, ("bytes", "int", "bytes"), "(account key, space, item's id) → its bytes"
)
HOST_LETTER: Final = Space("host-letter", 83, ("bytes", "int"), "(account key, number) → letter that waits")
HOST_BODY: Final = Space("host-body", 84, ("bytes", "int"), "(account key, number) → its envelope")
HOST_ENVELOPE: Final = Space(
    "host-envelope", 85, ("bytes", "bytes"), "(account key, envelopeId) → its number, until when it waits"
)
HOST_DUE: Final = Space(
    "host-due",
    86,
    ("int", "bytes", "int", "bytes"),
    "(when, account key, letter's number or 0 for a file, envelopeId or item's id) → nothing: it goes then",
)
HOST_USE: Final = Space("host-use", 87, ("bytes", "bytes"), "(account key, delivery key) → what it has used")
HOST_VOUCHER: Final = Space("host-voucher", 88, ("bytes",), "(hash of its secret) → voucher not used yet")
HOST_OWNER: Final = Space(
    "host-owner", 89, ("bytes",), "(keyed hash of an owner's address) → its newest IdentityRecord"
)
HOSTS: Final = Space("hosts", 90, ("bytes",), "(keyed hash of a peer id) → a host of ours")
KEPT: Final = Space(
    "kept",
    91,
    ("bytes", "int", "bytes"),
    "(keyed hash of a host's peer id, space, item's id) → what is there",
)
CHANGED: Final = Space(
    "changed", 92, ("int", "bytes"), "(kind, place of what changed) → what hosts must be told of"
)
RECALL: Final = Space(
    "recall", 93, ("bytes", "int"), "(outbox id, recipient's number) → parcel of what is to be taken back"
)
RECEIPT_DUE: Final = Space(
    "receipt-due", 94, ("bytes", "bytes"), "(keyed hash of an author's address, letterId) → receipt to send"
)
VAULT_PAGE: Final = Space("vault-page", 95, ("int",), "(number) → seq and hash of a page of the vault")

SPACES: Final[tuple[Space, ...]] = (
    META,
    DHT,
    PEERS,
    PIN,
    CONTACT,
    CONTACT_INDEX,
    NODES,
    DOMAIN_KEY,
    BOUND,
    OURS,
    THEIRS,
    INVITATION,
    ALLOWANCE,
    DELIVERY,
    CONSENT_DUE,
    REQUEST,
    LETTER,
    BODY,
    ENTRY,
    FOLDER,
    SEEN,
    ENVELOPE,
    EXPIRY,
    HABIT,
    THREAD,
    PLACE,
    WAITING,
    MISSING,
    UPLOAD,
    OUTBOX,
    OUTBOX_BODY,
    PARCEL,
    BY_LETTER,
    LAST_SENT,
    OUTBOX_ENDED,
    MAIL_SIZE,
    MTA_STS,
    CONTENT,
    PIN_UNTIL,
    HOLD,
    BLOCK,
    DAEMON_PIN,
    USER,
    PROVIDER,
    PROVIDER_FOLDER,
    FETCHED,
    PROVIDER_DUE,
    DOMAIN,
    HOST_ACCOUNT,
    HOST_ENTRY,
    HOST_ITEM,
    HOST_LETTER,
    HOST_BODY,
    HOST_ENVELOPE,
    HOST_DUE,
    HOST_USE,
    HOST_VOUCHER,
    HOST_OWNER,
    HOSTS,
    KEPT,
    CHANGED,
    RECALL,
    RECEIPT_DUE,
    VAULT_PAGE,
)
