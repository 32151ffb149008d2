"""Handshakes: their states, their signed payload and how the next one follows (protocol.md §5).

What a host keeps of one is in held.py, other software's JSON in handshake_json.py.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from protocol.cbor import Value, decode, encode
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import Fields
from protocol.foreign import SECONDS_BELOW, base64_bytes, choice, inner, integer, present, time
from protocol.keys import SigningKey, address_of, parse_address, verify
from protocol.pair import GRANT_BYTES
from protocol.record import Record, next_seq, refuse_ahead
from protocol.status import TOO_LARGE

KIND: Final = "handshake/1"
SIGNATURE_SCHEME: Final = "EdDSA_X25519"

MAX_PAYLOAD_BYTES: Final = 4_096  # Ours have about 500 bytes; other software may add fields.
# The payload, key, signature and the names of the record's fields.
MAX_RECORD_BYTES: Final = MAX_PAYLOAD_BYTES + 256
MAX_TEXT_BYTES: Final = 255  # Of a domain, an IP address or a subtype: the longest domain name there is.

# Of the `accepted` that goes along with a letter (§5, "the way back").
DEFAULT_LIFE_MS: Final = 90 * 86_400_000
RENEW_BELOW_MS: Final = 45 * 86_400_000  # A letter that finds less life than this renews the way back (§5).
SUPERSEDED_GRANT_MS: Final = 30 * 86_400_000  # How long a superseded grant still holds, unless revoked (§5).


class State(StrEnum):
    """Where a sender stands with the owner; `none` and `request` are local, never signed."""

    NONE = "none"
    REQUEST = "request"
    ACCEPTED = "accepted"
    REVOKED = "revoked"


class Event(StrEnum):
    """What can happen to a handshake."""

    REQUEST_ARRIVES = "request arrives"
    OWNER_ACCEPTS = "owner accepts"
    OWNER_REVOKES = "owner revokes"
    EXPIRES = "expires"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.NONE, Event.REQUEST_ARRIVES): State.REQUEST,
    (State.NONE, Event.OWNER_ACCEPTS): State.ACCEPTED,
    (State.NONE, Event.OWNER_REVOKES): State.REVOKED,
    (State.REQUEST, Event.REQUEST_ARRIVES): State.REQUEST,
    (State.REQUEST, Event.OWNER_ACCEPTS): State.ACCEPTED,
    (State.REQUEST, Event.OWNER_REVOKES): State.REVOKED,
    (State.REQUEST, Event.EXPIRES): State.NONE,
    (State.ACCEPTED, Event.REQUEST_ARRIVES): State.ACCEPTED,
    (State.ACCEPTED, Event.OWNER_ACCEPTS): State.ACCEPTED,
    (State.ACCEPTED, Event.OWNER_REVOKES): State.REVOKED,
    (State.ACCEPTED, Event.EXPIRES): State.NONE,
    (State.REVOKED, Event.REQUEST_ARRIVES): State.REVOKED,
    (State.REVOKED, Event.OWNER_ACCEPTS): State.ACCEPTED,
    (State.REVOKED, Event.OWNER_REVOKES): State.REVOKED,
}
"""The table of §5; the two dashes (none and revoked don't expire) have no entry."""


def transition(state: State, event: Event) -> State:
    """The state after the event; LocalProtocolError where §5 has a dash."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise LocalProtocolError(f"a handshake that is {state.value} has no event: {event.value}") from None


class Type(StrEnum):
    PERSONAL = "personal"
    SIGNUP = "signup"
    SERVER = "server"
    USER = "user"


class Level(StrEnum):
    NONE = "none"
    RECAPTCHA_V3 = "recaptchaV3"
    POH = "poh"
    PERSONAL = "personal"


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom a handshake is about: a Mailio address or the hash of an e-mail address, exactly one."""

    address: str | None = None
    email_hash: str | None = None

    def __post_init__(self) -> None:
        if (self.address is None) == (self.email_hash is None):
            raise LocalProtocolError("a sender is either a Mailio address or an e-mail hash")

    @property
    def name(self) -> str:
        """The one that is there."""
        return self.address or self.email_hash or ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an owner grants; `expires` in Unix ms, `frequency_minutes` between two letters, 0 for no limit."""

    type: Type = Type.PERSONAL
    level: Level = Level.NONE
    expires: int | None = None
    signup_subtype: str | None = None
    frequency_minutes: int = 0


@dataclass(frozen=True, slots=True)
class Handshake:
    """One signed handshake. `record` is its transport form, `payload` the bytes that the owner signed."""

    status: State
    owner_public_key: bytes
    owner_address: str
    sender: Sender
    terms: Terms
    created: int
    seq: int
    grant: bytes | None = None
    origin_domain: str | None = None
    origin_ip: str | None = None
    payload: bytes = field(default=b"", repr=False)
    record: bytes = field(default=b"", repr=False)

    @property
    def handshake_id(self) -> str:
        return handshake_id(self.owner_address, self.sender)

    def state(self, now: int | None) -> State:
        """Where the sender stands at `now` (Unix ms); with None, a doubtful clock, nothing expires."""
        expires = self.terms.expires
        if self.status is State.ACCEPTED and now is not None and expires is not None and expires <= now:
            return transition(State.ACCEPTED, Event.EXPIRES)
        return self.status


def handshake_id(owner_address: str, sender: Sender) -> str:
    """For display: lower-case hex SHA-256 of both names, unseparated (§5)."""
    return hashlib.sha256((owner_address + sender.name).encode()).hexdigest()


def accept(
    key: SigningKey, sender: Sender, terms: Terms, *, previous: Handshake | None, fresh_grant: bytes, now: int
) -> Handshake:
    """The owner accepts, or changes the rules of what stays accepted: only then the grant stays (§5)."""
    stays = previous is not None and previous.state(now) is State.ACCEPTED
    grant = previous.grant if previous is not None and stays else None
    return _next(key, sender, terms, State.ACCEPTED, grant or fresh_grant, previous, now)


def revoke(key: SigningKey, sender: Sender, *, previous: Handshake | None, now: int) -> Handshake:
    """The owner revokes: never expires, repeats the last grant (§5)."""
    last = previous.terms if previous is not None else Terms()
    terms = Terms(last.type, last.level, None, last.signup_subtype, last.frequency_minutes)
    grant = previous.grant if previous is not None else None
    return _next(key, sender, terms, State.REVOKED, grant, previous, now)


def _next(
    key: SigningKey,
    sender: Sender,
    terms: Terms,
    status: State,
    grant: bytes | None,
    previous: Handshake | None,
    now: int,
) -> Handshake:
    seq = next_seq(previous.seq if previous is not None else None, now)
    unsigned = Handshake(status, key.public, address_of(key.public), sender, terms, now, seq, grant)
    return sign_handshake(unsigned, key)


def sign_handshake(handshake: Handshake, key: SigningKey) -> Handshake:
    """The same with payload and record; LocalProtocolError for what we never sign."""
    if handshake.status not in (State.ACCEPTED, State.REVOKED):
        raise LocalProtocolError("only accepted and revoked handshakes are signed")
    if handshake.owner_public_key != key.public:
        raise LocalProtocolError("a handshake is signed by its owner")
    if handshake.status is State.REVOKED and handshake.terms.expires is not None:
        raise LocalProtocolError("a revocation never expires")
    if handshake.created < SECONDS_BELOW:
        raise LocalProtocolError("readers would take so early a time for seconds")
    payload = encode(_payload(handshake))
    try:
        return parse_handshake(Record(KIND, payload, key.public, key.sign(payload)).encode())
    except RemoteProtocolError as fault:
        raise LocalProtocolError(f"no reader would take this handshake: {fault}") from fault


def _payload(h: Handshake) -> dict[str, Value]:
    origin = {"domain": h.origin_domain, "ip": h.origin_ip}
    terms = h.terms
    items: dict[str, Value] = {
        "handshakeId": h.handshake_id,
        "type": terms.type.value,
        "status": h.status.value,
        "level": terms.level.value,
        "ownerPublicKey": base64.b64encode(h.owner_public_key).decode(),
        "ownerAddress": h.owner_address,
        "senderMetadata": _present({"address": h.sender.address, "emailHash": h.sender.email_hash}),
        "originServer": _present(origin) if h.origin_domain is not None else None,
        "signupSubType": terms.signup_subtype,
        "signupRules": {"frequencyMinutes": terms.frequency_minutes} if terms.frequency_minutes else None,
        "signatureScheme": SIGNATURE_SCHEME,
        "created": h.created,
        "seq": h.seq,
        "expires": terms.expires,
        "grant": h.grant,
    }
    return _present(items)


def _present(items: "dict[str, Value] | dict[str, str | None]") -> dict[str, Value]:
    return {name: value for name, value in items.items() if value is not None}


def parse_handshake(data: bytes, now: int | None = None) -> Handshake:
    """Read a record of ours or of other software; RemoteProtocolError when it is not to be believed.

    With `now` (Unix ms) a seq more than 10 minutes ahead is refused, class 4 (§3).
    """
    record = Record.decode(data, MAX_RECORD_BYTES)
    if record.kind != KIND:
        raise RemoteProtocolError(f"a record of kind {record.kind} instead of {KIND}")
    if len(record.payload) > MAX_PAYLOAD_BYTES:
        raise RemoteProtocolError(f"a handshake over {MAX_PAYLOAD_BYTES} bytes", TOO_LARGE)
    if not verify(record.public_key, record.payload, record.signature):
        raise RemoteProtocolError("handshake: the signature does not hold")
    handshake = _read(present(decode(record.payload, foreign=True), "handshake"), record, data)
    if now is not None:
        refuse_ahead(handshake.seq, now, "a handshake")
    return handshake


def _read(fields: Fields, record: Record, data: bytes) -> Handshake:
    owner_key = base64_bytes(fields, "ownerPublicKey")
    if owner_key != record.public_key:
        raise RemoteProtocolError("handshake: the owner is not the signer")
    owner = parse_address(fields.text("ownerAddress"))
    if owner != address_of(owner_key):
        raise RemoteProtocolError("handshake: the owner's address does not derive from the key")
    if fields.has("signatureScheme") and fields.text("signatureScheme") != SIGNATURE_SCHEME:
        raise fields.fault("signatureScheme", "is not known")
    status = choice(fields, "status", State)
    if status is State.NONE:
        raise fields.fault("status", "is not known")
    origin = inner(fields, "originServer")
    created = time(fields, "created")
    return Handshake(
        status=status,
        owner_public_key=owner_key,
        owner_address=owner,
        sender=_sender(fields),
        terms=_terms(fields, status),
        created=created,
        seq=integer(fields, "seq") if fields.has("seq") else created,
        grant=fields.optional_bytes("grant", length=GRANT_BYTES),
        origin_domain=origin.optional_text("domain", MAX_TEXT_BYTES),
        origin_ip=origin.optional_text("ip", MAX_TEXT_BYTES),
        payload=record.payload,
        record=data,
    )


def _terms(fields: Fields, status: State) -> Terms:
    rules = inner(fields, "signupRules")
    expires = time(fields, "expires") if fields.has("expires") else None
    return Terms(
        type=choice(fields, "type", Type),
        level=choice(fields, "level", Level),
        expires=None if status is State.REVOKED else expires,
        signup_subtype=fields.optional_text("signupSubType", MAX_TEXT_BYTES),
        frequency_minutes=integer(rules, "frequencyMinutes") if rules.has("frequencyMinutes") else 0,
    )


def _sender(fields: Fields) -> Sender:
    sender = inner(fields, "senderMetadata")
    if sender.has("address") == sender.has("emailHash"):
        raise RemoteProtocolError("handshake: senderMetadata has not exactly one of address and emailHash")
    if sender.has("address"):
        return Sender(address=parse_address(sender.text("address")))
    base64_bytes(sender, "emailHash")
    return Sender(email_hash=sender.text("emailHash"))
