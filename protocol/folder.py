"""Where an arriving letter goes: one table of rules, first that fits (protocol.md §6, MIR-8).

Nothing here knows how a relation was proven or where a folder is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

INBOX: Final = "inbox"
GOODREADS: Final = "goodreads"
OTHER: Final = "other"
HANDSHAKE: Final = "handshake"
SENT: Final = "sent"
DRAFTS: Final = "drafts"
ARCHIVE: Final = "archive"
TRASH: Final = "trash"
SPAM: Final = "spam"

SYSTEM_FOLDERS: tuple[str, ...] = (INBOX, GOODREADS, OTHER, HANDSHAKE, SENT, DRAFTS, ARCHIVE, TRASH, SPAM)

REFUSED: Final = "refused"  # Not a folder: the letter is refused and not stored.
STATISTICS_WINDOW: Final = 30  # Letters of one sender that count for "seldom read" (§6).
SELDOM_READ_PERCENT: Final = 30  # Fewer read than this, and a signup sender's letters go to `other` (§6).
# The first letter of a sender that its statistics may move (§6: from the tenth on).
FIRST_JUDGED_LETTER: Final = 10


class Relation(StrEnum):
    """What the author is to the owner, as far as it is proven."""

    ONESELF = "oneself"
    REVOKED = "revoked"
    ACCEPTED = "accepted"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Arrival:
    """All that the rule looks at.

    `subscription` is true for a handshake of type signup or server. `recent` counts the sender's
    letters before this one, its last STATISTICS_WINDOW at most, and `recent_read` those of them
    that were read. `bulk`: the message has List-Id, or Precedence bulk or list.
    """

    relation: Relation
    sent_copy: bool = False
    quarantined: bool = False
    subscription: bool = False
    recent: int = 0
    recent_read: int = 0
    bulk: bool = False


def _accepted(a: Arrival) -> bool:
    return a.relation is Relation.ACCEPTED


def _seldom_read(a: Arrival) -> bool:
    judged = a.recent + 1 >= FIRST_JUDGED_LETTER
    return judged and a.recent_read * 100 < a.recent * SELDOM_READ_PERCENT


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of §6's table."""

    sender: str
    fits: Callable[[Arrival], bool]
    folder: str


RULES: tuple[Rule, ...] = (
    Rule(
        "oneself, the copy of what was sent", lambda a: a.relation is Relation.ONESELF and a.sent_copy, SENT
    ),
    Rule("oneself", lambda a: a.relation is Relation.ONESELF, INBOX),
    Rule("handshake revoked", lambda a: a.relation is Relation.REVOKED, REFUSED),
    Rule("by SMTP, DMARC says quarantine", lambda a: a.quarantined, SPAM),
    Rule("accepted, personal or user", lambda a: _accepted(a) and not a.subscription, INBOX),
    Rule("accepted, signup or server, seldom read", lambda a: _accepted(a) and _seldom_read(a), OTHER),
    Rule("accepted, signup or server, bulk", lambda a: _accepted(a) and a.bulk, GOODREADS),
    Rule("accepted, signup or server", _accepted, INBOX),
    Rule("none", lambda a: True, HANDSHAKE),
)


def folder_for(arrival: Arrival) -> str:
    """The name of the system folder, or REFUSED."""
    return next(rule.folder for rule in RULES if rule.fits(arrival))
