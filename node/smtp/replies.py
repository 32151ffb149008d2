"""What our own words mean in SMTP: statuses and faults as replies. Nothing is decided here."""

from typing import Final

from node.smtp.reply import Reply
from node.storage import StoreUnavailable
from protocol import status as codes
from protocol.errors import RemoteProtocolError
from protocol.status import Status

REVOKED: Final = Reply(550, "5.7.1", "The recipient does not take mail from this sender")
NOT_HERE: Final = Reply(550, "5.1.1", "No such mailbox here")
NO_RELAY: Final = Reply(550, "5.7.1", "This server does not relay")
SEALED_ONLY: Final = Reply(550, "5.7.1", "Mailio addresses neither take nor send ordinary mail")
NO_PROOF_YET: Final = Reply(451, "4.4.3", "The sender's signature can't be looked up now, try again later")
TOO_MUCH: Final = Reply(450, "4.7.1", "Much mail from strangers came this way lately, try again later")

_REPLIES: Final = {
    codes.REVOKED.code: REVOKED,
    codes.TOO_OFTEN.code: Reply(450, "4.7.1", "More often than the recipient agreed to, try again later"),
    codes.TOO_LARGE.code: Reply(552, "5.3.4", "Larger than is taken here"),
    codes.DISK_FULL.code: Reply(452, "4.3.1", "The disk here is full, try again later"),
    codes.FULL.code: Reply(452, "4.2.2", "The mailbox here is full, try again later"),
    "5.4.6": Reply(554, "5.4.6", "It goes round in a loop"),
    codes.BUSY.code: Reply(451, "4.3.2", "Busy, try again later"),
}
_LATER: Final = Reply(451, "4.3.0", "Not now, try again later")
_MALFORMED: Final = Reply(550, "5.6.0", "Not in a form that can be read")


def disowned(domain: str) -> Reply:
    """To a letter that its author's domain wants refused (RFC 7489 §10.3)."""
    return Reply(550, "5.7.1", f"{domain} does not stand behind this letter and asks to refuse it (DMARC)")


def reply_to(status: Status) -> Reply:
    """How SMTP says this status; Mailio's own subject 8 does not exist there (RFC 3463)."""
    return _REPLIES.get(status.code) or (_LATER if status.category == 4 else _MALFORMED)


def refusal(fault: RemoteProtocolError | StoreUnavailable) -> Reply:
    """What the other side is told of a fault."""
    return reply_to(fault.status)
