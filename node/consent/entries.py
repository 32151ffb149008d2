"""What the gate remembers of each counterpart, and what it answers: values. No rules here and no store."""

from dataclasses import dataclass, field

from protocol.handshake import Handshake, Level, Sender, State, Terms, Type, handshake_id, parse_handshake
from protocol.identity import IdentityRecord
from protocol.letter import MAX_ENVELOPE
from protocol.stamps import DEFAULT_PRICE
from protocol.status import OK, Status


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator may move. `letter_bytes`: largest sealed letter of an accepted sender; `price`:
    bits of a stranger's stamp while there is room.
    """

    letter_bytes: int = MAX_ENVELOPE
    price: int = DEFAULT_PRICE
    service_daily: int = 24  # Service letters a day a sender (protocol.md §6).
    requests: int = 2_000  # Requests waiting for the owner: as many as letters in the folder `handshake`.
    invitations: int = 1_000  # Open at once: far more than one hands out in 72 hours.


@dataclass(frozen=True, slots=True)
class Rules:
    """What the owner grants: type and subtype as in protocol.md §5, a pause between two letters in
    minutes (0: none), an end in Unix ms (None: until revoked).
    """

    type: Type = Type.PERSONAL
    subtype: str | None = None
    every_minutes: int = 0
    until: int | None = None

    def terms(self, level: Level) -> Terms:
        return Terms(self.type, level, self.until, self.subtype, self.every_minutes)


@dataclass(frozen=True, slots=True)
class Counterpart:
    """The other side of a handshake: a Mailio owner with the keys that its IdentityRecord proves, or an
    e-mail address in its normal form, which has none, with its hash where that is known.
    """

    address: str
    public_key: bytes = b""
    pair_key: bytes = b""
    email_hash: str = ""

    @classmethod
    def of(cls, record: IdentityRecord) -> "Counterpart":
        return cls(record.address, record.public_key, record.pair_key)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says. `status` is OK or the answer; `state` is the sender's, "none" if unknown.

    `until`: when it will be taken (Unix ms), with 4.8.10. `invitation`: the index of the invitation
    whose key was used; its user is known only after opening. `current`: the key is of the grant now
    in force, so that the sender is known to have it.
    """

    status: Status = OK
    state: State = State.NONE
    address: str | None = None
    type: Type | None = None
    level: Level | None = None
    until: int | None = None
    invitation: bytes | None = None
    current: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant that another one has replaced; it holds until `until` (Unix ms, 0: not at all)."""

    grant: bytes
    until: int


@dataclass(frozen=True, slots=True)
class Ours:
    """What we let one sender do, named by a Mailio address or an e-mail address in its normal form. `record`
    is the last handshake that we signed, b"" if none; `email_hash` the hash that stands in it, "" until the
    first is made (scrypt costs 0.15 s, and a stranger must not make us pay that).

    `until`: when it ends by itself (Unix ms, 0: never); `automatic`: made by writing to them (§5, the way
    back), not by the owner's decision; `asked` and `note`: when their request came (Unix ms), and its words.
    """

    address: str
    state: State = State.NONE
    terms: Terms = field(default_factory=Terms)
    until: int = 0
    created: int = 0
    automatic: bool = False
    record: bytes = b""
    grant: bytes = b""
    earlier: tuple[Grant, ...] = ()
    public_key: bytes = b""
    pair_key: bytes = b""
    asked: int = 0
    note: str = ""
    email_hash: str = ""

    @property
    def sender(self) -> Sender:
        """As a handshake names them. Raises LocalProtocolError for an e-mail address not hashed yet."""
        return sender_of(self.address, self.email_hash)

    @property
    def handshake(self) -> Handshake | None:
        return parse_handshake(self.record) if self.record else None

    def holds(self, grant: bytes, now: int) -> bool:
        """Whether letters under this grant are taken, if the sender is accepted at all."""
        return grant == self.grant or any(e.grant == grant and now < e.until for e in self.earlier)

    def handshake_id(self, owner_address: str) -> str:
        """For display (§5); "" of an e-mail address not hashed yet."""
        unhashed = is_email(self.address) and not self.email_hash
        return "" if unhashed else handshake_id(owner_address, self.sender)


@dataclass(frozen=True, slots=True)
class Theirs:
    """What one owner lets us do: their last handshake about us, or an invitation of theirs not yet
    answered by one. `expires`, `invited_until` and `asked`, when we last asked to be accepted, are in
    Unix ms, 0 where there is none.
    """

    address: str
    status: State = State.NONE
    record: bytes = b""
    grant: bytes = b""
    expires: int = 0
    pair_key: bytes = b""
    invitation: bytes = b""
    invited_until: int = 0
    asked: int = 0

    @property
    def handshake(self) -> Handshake | None:
        return parse_handshake(self.record) if self.record else None


@dataclass(frozen=True, slots=True)
class Invitation:
    """A one-time invitation of ours; `user` is the address that it is bound to, "" while unused."""

    secret: bytes
    until: int
    user: str = ""


def is_email(name: str) -> bool:
    """Whether a counterpart's name is an e-mail address; a Mailio address holds no @."""
    return "@" in name


def sender_of(name: str, email_hash: str) -> Sender:
    """Whom a handshake is about. Raises LocalProtocolError for an e-mail address without its hash."""
    return Sender(email_hash=email_hash or None) if is_email(name) else Sender(address=name)
