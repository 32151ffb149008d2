"""What the outbox holds and what it asks of a carrier: values and small interfaces.

No store, no clock and no scheduling here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Protocol

from node.letters import Reduced
from node.storage import Batch
from protocol.status import Status

Kind = Literal["letter", "request", "accept", "revocation", "receipt"]
State = Literal["queued", "held", "at-host", "delivered", "refused", "failed", "cancelled", "not-collected"]

PIN_MS: Final = 30 * 86_400_000
"""How long attachments are kept for who has the letter, if nobody says otherwise (protocol.md §7)."""

WAITING: frozenset[State] = frozenset({"queued", "held"})
"""States in which this node has not got rid of the letter. All others but `at-host` are final."""

Cause = Literal["", "handshake", "approval", "first-contact"]
"""What a held delivery waits for; of one at a host, that nobody will say that it was fetched (§6)."""

FAILED: frozenset[State] = frozenset({"refused", "failed", "not-collected"})
"""Final states in which the letter did not arrive, and not because its author said so."""

MAILIO: Final = "mailio"
SMTP: Final = "smtp"

SMARTHOST: Final = "smarthost"
"""The lane of all ordinary mail that goes through one server: it shares one way."""

DIRECT: Final = "mx:"
"""What the lane of a domain begins with, whose own servers are brought its mail."""

ROUTES = {MAILIO: 0, SMTP: 1}
"""The number that stands for a route in a store key."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One addressee: as the author wrote it, the route it goes, and its address on that route."""

    to: str
    route: str
    address: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far the letter has come on its way to one recipient.

    `next` is when it is tried again (Unix ms, 0: not waiting for a time); `since` is when the five
    days began to run; `until` is how long a host keeps it (Unix ms, 0 where none has it).
    """

    recipient: Recipient
    state: State
    since: int
    code: str = ""
    detail: str = ""
    next: int = 0
    cause: Cause = ""
    approved: bool = False
    until: int = 0

    @property
    def open(self) -> bool:
        """Whether this node still has something to do: what lies at a host is kept here too until its
        recipient's receipt comes, and goes another way when none came in a day (§6).
        """
        return self.state in WAITING or (self.state == "at-host" and self.next != 0)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A letter as its author gives it to the outbox. `bodies` has one rendering for each route in
    `to`; a letter that only carries `records` has none. What lies outside of the one for nodes is kept for
    its recipients for `pin` ms from when they have the letter. `sender` is the envelope's on the route smtp
    ("" is the null path); by `digest` a letter that is handed in a second time is known, by `message_id` one
    that another mail server sends back.
    """

    kind: Kind
    subject: str
    created: int
    to: tuple[Recipient, ...]
    bodies: Mapping[str, Reduced] = field(default_factory=dict)
    thid: str = ""
    pthid: str = ""
    records: tuple[bytes, ...] = ()
    sender: str = ""
    digest: bytes = b""
    pin: int = PIN_MS
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter in the outbox. `id` is this node's name for it, `letter_id` the protocol's (§6). `files` has
    what the files' room calls each content that lies outside of it, by its CID as text.
    """

    id: bytes
    kind: Kind
    letter_id: bytes
    subject: str
    created: int
    thid: str
    pthid: str
    records: tuple[bytes, ...]
    deliveries: tuple[Delivery, ...]
    sender: str = ""
    digest: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    pin: int = PIN_MS
    message_id: str = ""
    delayed: int = 0
    """When its author was told that it is late, Unix ms; 0: not so far."""

    def delivery(self, recipient: Recipient) -> Delivery:
        return next(d for d in self.deliveries if d.recipient == recipient)

    def changed(self, changes: Mapping[Recipient, Delivery]) -> Letter:
        return replace(self, deliveries=tuple(changes.get(d.recipient, d) for d in self.deliveries))

    @property
    def is_answerable(self) -> bool:
        """Whether its author is to hear of its failing: never of what itself only tells of something (RFC
        5321 §4.5.5, of mail with a null sender), or no end would come of it.
        """
        by_mail = all(d.recipient.route == SMTP for d in self.deliveries)
        return self.kind in ("letter", "request") and not (by_mail and not self.sender)

    @property
    def ended(self) -> bool:
        return not any(d.open for d in self.deliveries)


@dataclass(frozen=True, slots=True)
class Result:
    """What one attempt came to, for one recipient.

    `later` is tried again: at `until` where the other side named a time (the five days start there),
    else by the timetable. `way` tells that the path failed and not this letter, so that others for
    the same lane need not be tried now. `held` waits for `cause`. `at-host` is kept there until `until`.
    `whole`: its recipient has everything that lies outside of it too.
    """

    outcome: Literal["delivered", "at-host", "refused", "held", "later"]
    status: Status
    detail: str = ""
    until: int = 0
    way: bool = False
    cause: Cause = ""
    whole: bool = False


class Consignment(Protocol):
    """A letter in a carrier's hands, with the durable memory that the carrier may keep for it."""

    @property
    def letter(self) -> Letter: ...

    def body(self, route: str) -> Reduced | None:
        """The rendering for a route, None for a letter of records only."""

    async def load(self, route: str) -> bytes | None:
        """The same as one whole message, for who can't refer to what lies outside. Raises ContentMissing,
        ContentDamaged, StoreUnavailable.
        """

    def parcel(self, recipient: Recipient) -> bytes | None:
        """What the carrier kept for this recipient, if anything."""

    async def keep(self, batch: Batch, recipient: Recipient, parcel: bytes) -> None:
        """Put the parcel and whatever else is in `batch` on disk; returns when it is synced."""


class Carrier(Protocol):
    """One way for letters to leave: the sealed exchange, SMTP."""

    def lane(self, recipient: Recipient) -> str:
        """Recipients of one lane share a timetable: one owner's nodes, one smarthost."""

    async def send(
        self, recipients: Sequence[Recipient], consignment: Consignment
    ) -> Mapping[Recipient, Result]:
        """Try once to deliver to recipients of one lane. Raises only Cancelled and StoreUnavailable."""
