"""How a letter came that came by SMTP: kept beside its bytes, never in them, so that signatures hold. All of
it is what the other side said; it proves nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from node.letters.limits import MAX_MAILBOX
from node.letters.text import clean_line

SMTP: Final = "smtp"
"""The way of such a letter, as lists name it; one between nodes has ""."""

MAX_RECIPIENTS: Final = 100
"""Envelope recipients that are kept: what RFC 5321 §4.5.3.1.8 asks of a receiver to take."""

MAX_SIGNATURES: Final = 20
"""Results of DKIM signatures that are kept; a mail with more was made by nobody honest."""

MAX_RESULT: Final = 200
"""Characters of one of them, and of a client's name for itself."""


@dataclass(frozen=True, slots=True)
class Transport:
    """The SMTP envelope (`sender` is "" for <>), the client that brought it, what became of each DKIM
    signature (`example.org: pass`), and all `results` of looking for its author. `authentication` is the same
    as a field for programs, `by` the name under which we took it; both are ours. `bulk`: a list sent it,
    `automatic`: a program did, or a list, so no person waits for an answer.
    """

    sender: str
    recipients: tuple[str, ...]
    client: str
    helo: str
    tls: bool
    signatures: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    authentication: bytes = b""
    by: str = ""
    bulk: bool = False
    automatic: bool = False

    def stored(self) -> dict[str, Any]:
        """The value in the store: bounded, and safe to show."""
        return {
            "sender": clean_line(self.sender, MAX_MAILBOX),
            "recipients": [clean_line(one, MAX_MAILBOX) for one in self.recipients[:MAX_RECIPIENTS]],
            "client": clean_line(self.client, MAX_RESULT),
            "helo": clean_line(self.helo, MAX_RESULT),
            "tls": self.tls,
            "signatures": [clean_line(one, MAX_RESULT) for one in self.signatures[:MAX_SIGNATURES]],
            "results": [clean_line(one, MAX_RESULT) for one in self.results[:MAX_SIGNATURES]],
            "authentication": self.authentication,
            "by": self.by,
            "bulk": self.bulk,
            "automatic": self.automatic,
        }


def transport_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """What `stored` made, now or when it kept less, as `read` shows it."""
    return {
        "sender": value["sender"],
        "recipients": list(value["recipients"]),
        "client": value["client"],
        "helo": value["helo"],
        "tls": value["tls"],
        "signatures": list(value["signatures"]),
        "results": list(value.get("results", ())),
        "bulk": value.get("bulk", False),
        "automatic": value.get("automatic", False),
    }
