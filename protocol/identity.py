"""IdentityRecord (protocol.md §3): what an owner publishes, read strictly, built alike.

Pins (§2) are compared here too; storing, publishing and deciding about either happens elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from protocol.cbor import Value
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import Fields
from protocol.kdf import KEY_BYTES, blake2b
from protocol.keys import Secrets, address_of
from protocol.peers import MAX_NODES, Peer, node_maps, peer_id_field, public_addrs, publishable
from protocol.prekeys import FIRST_WEEK, Chain, week_of
from protocol.record import Record, newer, refuse_ahead, sign_record
from protocol.stamps import MAX_PRICE, NONCE_BYTES
from protocol.status import HELD_KEY, TIME

IDENTITY_KIND: Final = "identity/1"
MAX_IDENTITY: Final = 8_192  # bytes of a whole identity record (§3)
IDENTITY_LIFE_MS: Final = 90 * 86_400_000  # expires - created (§3)
MAX_PREKEYS: Final = 14  # weeks that 90 days can touch
MAX_HOSTS: Final = 8  # three are used; room for a change of hosts
MAX_ROLES: Final = 8
MAX_ROLE: Final = 16  # bytes of a role's name
MAX_PROTOCOLS: Final = 16
MAX_PROTOCOL: Final = 64  # bytes of a protocol's name
DEFAULT_MAX_LETTER: Final = 1_032_192  # bytes: the largest padded inner (§6)
DEFAULT_MAX_ATTACHMENT: Final = 2 * 1024**3  # bytes: 2 GiB (§3)
PARSED: Final = 256  # records kept as they were read, some 4 KB each: reading one costs 0.2 ms
DHT_PREFIX: Final = b"/mailio/"


@dataclass(frozen=True, slots=True)
class Host:
    """An always-on node that keeps the owner's records or letters, and the account's public key there."""

    peer_id: bytes
    addrs: tuple[str, ...]
    account: bytes
    roles: tuple[str, ...] = ()

    def to_map(self) -> dict[str, Value]:
        return {
            "peerId": self.peer_id,
            "addrs": list(self.addrs),
            "account": self.account,
            "roles": list(self.roles),
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> "Host":
        return cls(
            peer_id_field(fields),
            public_addrs(fields),
            fields.bytes("account", length=KEY_BYTES),
            fields.texts("roles", MAX_ROLES, MAX_ROLE),
        )


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the owner's nodes take, in bytes, and the protocols they speak (names of MIR-7)."""

    max_letter: int = DEFAULT_MAX_LETTER
    max_attachment: int = DEFAULT_MAX_ATTACHMENT
    protocols: tuple[str, ...] = ()

    def to_map(self) -> dict[str, Value]:
        return {
            "maximumMessageSizeBytes": self.max_letter,
            "maximumSingleAttachmentSizeBytes": self.max_attachment,
            "supportedProtocols": list(self.protocols),
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> "Capabilities":
        return cls(
            fields.int("maximumMessageSizeBytes", least=1),
            fields.int("maximumSingleAttachmentSizeBytes"),
            fields.texts("supportedProtocols", MAX_PROTOCOLS, MAX_PROTOCOL),
        )


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """A verified identity record; `record` is the bytes that were read. Times in Unix ms."""

    public_key: bytes
    address: str
    next: bytes
    pair_key: bytes
    first_week: int
    prekeys: tuple[bytes, ...]
    hosts: tuple[Host, ...]
    nodes: tuple[Peer, ...]
    capabilities: Capabilities
    price: int
    birth: bytes | None
    seq: int
    created: int
    expires: int
    record: bytes

    @classmethod
    def parse(cls, data: bytes, now: int | None) -> "IdentityRecord":
        """The identity in `data`, signature and form checked, times too where `now` (Unix ms) is given.

        RemoteProtocolError; of class 4 where a time is what is wrong.
        """
        identity = _parse_identity(data)
        if now is not None:
            identity.judge_times(now)
        return identity

    def judge_times(self, now: int) -> None:
        """RemoteProtocolError of class 4 where the record is from the future or past its end."""
        refuse_ahead(max(self.seq, self.created), now, IDENTITY_KIND)
        if now >= self.expires:
            raise RemoteProtocolError(f"{IDENTITY_KIND} has expired", TIME)

    def prekey_for(self, ms: int) -> tuple[int, bytes]:
        """Week and public key of the prekey nearest to a time (§6)."""
        place = min(max(week_of(ms) - self.first_week, 0), len(self.prekeys) - 1)
        return self.first_week + place, self.prekeys[place]

    def replaces(self, other: "IdentityRecord") -> bool:
        """Whether this is the newer of two records of one owner (§3)."""
        return newer(self.seq, self._payload, other.seq, other._payload)

    @property
    def _payload(self) -> bytes:
        return Record.decode(self.record, MAX_IDENTITY).payload


@lru_cache(PARSED)
def _parse_identity(data: bytes) -> IdentityRecord:
    """Everything about the record but its times: it comes with each letter of its owner."""
    envelope = Record.decode(data, MAX_IDENTITY)
    fields = Fields(envelope.verify(IDENTITY_KIND), IDENTITY_KIND)
    identity = IdentityRecord(
        public_key=envelope.public_key,
        address=address_of(envelope.public_key),
        next=fields.bytes("next", length=KEY_BYTES),
        pair_key=fields.bytes("pairKey", length=KEY_BYTES),
        first_week=fields.int("firstWeek", least=FIRST_WEEK),
        prekeys=fields.bytes_list("prekeys", MAX_PREKEYS, length=KEY_BYTES),
        hosts=tuple(map(Host.from_fields, fields.maps("hosts", MAX_HOSTS))),
        nodes=tuple(map(Peer.from_fields, fields.maps("nodes", MAX_NODES))),
        capabilities=Capabilities.from_fields(fields.map("capabilities")),
        price=fields.int("price", most=MAX_PRICE),
        birth=fields.optional_bytes("birth", length=NONCE_BYTES),
        seq=fields.int("seq"),
        created=fields.int("created"),
        expires=fields.int("expires"),
        record=data,
    )
    _check_weeks(identity)
    return identity


def _check_weeks(identity: IdentityRecord) -> None:
    if not 0 < identity.expires - identity.created <= IDENTITY_LIFE_MS:
        raise RemoteProtocolError(f"{IDENTITY_KIND}: expires is not within 90 days after created")
    first, last = week_of(identity.created), week_of(identity.expires)
    if identity.first_week != first or len(identity.prekeys) != last - first + 1:
        raise RemoteProtocolError(f"{IDENTITY_KIND}: prekeys are not those of its weeks")


def build_identity(
    secrets: Secrets,
    chain: Chain,
    *,
    hosts: Iterable[Host] = (),
    nodes: Iterable[Peer] = (),
    capabilities: Capabilities = Capabilities(),
    price: int,
    birth: bytes | None = None,
    created: int,
) -> IdentityRecord:
    """The owner's record, the same bytes on each own node for the same arguments, in whatever order.

    Private addresses are left out (§3). LocalProtocolError when it would not be taken by its readers.
    """
    expires = created + IDENTITY_LIFE_MS
    weeks = range(week_of(created), week_of(expires) + 1)
    payload: dict[str, Value] = {
        "next": secrets.next,
        "pairKey": secrets.pair_public,
        "firstWeek": weeks[0],
        "prekeys": [_prekey(chain, week) for week in weeks],
        "hosts": [
            Host(h.peer_id, publishable(h.addrs), h.account, tuple(sorted(h.roles))).to_map()
            for h in sorted(hosts, key=lambda h: h.peer_id)
        ],
        "nodes": node_maps(nodes),
        "capabilities": capabilities.to_map(),
        "price": price,
        "seq": created,
        "created": created,
        "expires": expires,
    }
    if birth is not None:
        payload["birth"] = birth
    data = sign_record(IDENTITY_KIND, payload, secrets.signing_key).encode()
    try:
        return IdentityRecord.parse(data, None)
    except RemoteProtocolError as fault:
        raise LocalProtocolError(f"this identity can't be published: {fault}") from fault


def _prekey(chain: Chain, week: int) -> bytes:
    try:
        return chain.public(week)
    except LookupError as fault:
        raise LocalProtocolError(f"this identity can't be published: {fault}") from fault


def check_pin(pinned_key: bytes, pinned_next: bytes, identity: IdentityRecord) -> None:
    """RemoteProtocolError (4.8.1) where key or `next` is not the one pinned at first sight (§2, §4)."""
    if identity.public_key != pinned_key:
        if blake2b(identity.public_key) == pinned_next:
            raise RemoteProtocolError("the key has changed and no succession has said so yet", HELD_KEY)
        raise RemoteProtocolError("the key is not the one that was seen first", HELD_KEY)
    if identity.next != pinned_next:
        raise RemoteProtocolError("the committed next key is not the one that was seen first", HELD_KEY)


def dht_key(address: str) -> bytes:
    """The DHT key of an address's identity record: 50 bytes (§3)."""
    return DHT_PREFIX + address.encode()


def parse_dht_value(key: bytes, value: bytes, now: int | None) -> IdentityRecord:
    """The one validator of DHT values (§3): namespace, size, address from key, signature, times."""
    identity = IdentityRecord.parse(value, now)
    if key != dht_key(identity.address):
        raise RemoteProtocolError("an identity record under another owner's name")
    return identity
