"""Status codes `class.subject.detail` (protocol.md §6; RFC 3463 with Mailio's subject 8), as one table.

What an answer means and what a person reads about it stands here; who answers what does not.
"""

import re
from dataclasses import dataclass

# RFC 3463 §2: class 2, 4 or 5; subject and detail up to three digits, no leading zeros.
_CODE = re.compile(r"[245]\.(?:0|[1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Status:
    """One status: class 2 is done, 4 later, 5 never. Unknown but well-formed codes are kept as they are."""

    code: str

    @classmethod
    def parse(cls, code: object) -> "Status":
        """The status that a peer sent; RemoteProtocolError when it is none."""
        if not isinstance(code, str) or _CODE.fullmatch(code) is None:
            from protocol.errors import RemoteProtocolError  # errors' default status is one of ours

            raise RemoteProtocolError("a status is class.subject.detail of class 2, 4 or 5")
        return cls(code)

    @property
    def category(self) -> int:
        """The class: 2 (done), 4 (later) or 5 (never)."""
        return int(self.code[0])

    @property
    def text(self) -> str:
        """What the code means, for a person."""
        return _TEXTS.get(self.code) or _CATEGORY_TEXTS[self.category]

    def __str__(self) -> str:
        return self.code


OK = Status("2.0.0")
FULL = Status("4.2.2")
STORE_BROKEN = Status("4.3.0")
DISK_FULL = Status("4.3.1")
BUSY = Status("4.3.2")
NO_ANSWER = Status("4.4.1")
PREKEY_GONE = Status("4.8.1")
HELD_KEY = PREKEY_GONE  # §4: a recipient's absence or changed key holds the letter under the same code
TIME = Status("4.8.3")
UNKNOWN_SENDER = Status("4.8.9")
TOO_OFTEN = Status("4.8.10")
WRONG_RECIPIENT = Status("5.1.1")
TOO_LARGE = Status("5.2.3")
NOT_OFFERED = Status("5.3.2")
MALFORMED = Status("5.6.0")
FORGED_FROM = Status("5.7.1")
FAILED = Status("5.8.1")
REVOKED = Status("5.8.2")
EXPIRED = Status("5.8.3")

_TEXTS = {
    "2.0.0": "taken",
    "4.2.2": "the mailbox there is full",
    "4.3.0": "the store there is broken for now",
    "4.3.1": "the disk there is full",
    "4.3.2": "busy, try again later",
    "4.4.1": "no answer yet",
    "4.8.1": "the recipient's keys are not there or have changed",
    "4.8.3": "the times do not fit: one of the two clocks may be wrong",
    "4.8.9": "the recipient has not accepted this sender yet",
    "4.8.10": "more often than the recipient has agreed to",
    "5.1.1": "meant for another recipient",
    "5.2.3": "larger than the recipient takes",
    "5.3.2": "this node is not a host for whoever asks",
    "5.6.0": "not in the form that the protocol asks for",
    "5.7.1": "the From line is not the sender's own",
    "5.8.1": "failed for good",
    "5.8.2": "the recipient has revoked this sender",
    "5.8.3": "expired",
}
_CATEGORY_TEXTS = {2: "done", 4: "not now, later", 5: "refused for good"}
