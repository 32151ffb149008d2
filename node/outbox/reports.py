"""What a report of another mail server makes of a letter's deliveries: values in, values out. Who may report
is said by what it knows: a Message-ID and a recipient of ours together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Protocol

from node.letters import Outcome, Report
from node.outbox.letter import FAILED, SMTP, Delivery, Letter, Recipient
from protocol.email import normal_email
from protocol.errors import RemoteProtocolError

UNTOLD: Final = "5.0.0"
"""RFC 3463 §3.1: failed, and the report does not say why."""

_WORDS: Final = {
    "failed": "their mail server took it and sent it back",
    "delayed": "their mail server has it and could not pass it on yet",
    "delivered": "their mail server says that it is in the mailbox",
    "relayed": "their mail server passed it on to one that reports nothing",
    "expanded": "their mail server passed it on to a list's members",
}


class Sent(Protocol):
    """The letters that went out, as the ledger has them."""

    def by_message(self, message_id: str, email: str) -> Letter | None: ...


def reported(sent: Sent, report: Report) -> tuple[Letter, Mapping[Recipient, Delivery]] | None:
    """The letter that it is about and the deliveries that change; None where it is about none. A failure ends
    a delivery, all else is only noted of one that has arrived.
    """
    letter: Letter | None = None
    changes: dict[Recipient, Delivery] = {}
    for outcome in report.outcomes:
        found = _find(sent, report.message_id, outcome)
        if found is None or (letter is not None and found[0].id != letter.id):
            continue
        letter, before = found
        after = _after(before, outcome)
        if before.recipient not in changes and after != before:
            changes[before.recipient] = after
    return None if letter is None else (letter, changes)


def _find(sent: Sent, message_id: str, outcome: Outcome) -> tuple[Letter, Delivery] | None:
    for text in outcome.recipients:
        try:
            email = normal_email(text)
        except RemoteProtocolError:
            continue
        if (letter := sent.by_message(message_id, email)) is not None:
            return letter, next(d for d in letter.deliveries if _is(d, email))
    return None


def _is(delivery: Delivery, email: str) -> bool:
    return delivery.recipient.route == SMTP and delivery.recipient.address == email


def _after(before: Delivery, outcome: Outcome) -> Delivery:
    words = _WORDS[outcome.action]
    detail = f"{words}: {outcome.text}" if outcome.text else words
    if outcome.action == "failed":
        if before.state in FAILED or before.state == "cancelled":
            return before
        code = outcome.status or UNTOLD
        return replace(before, state="failed", code=code, detail=detail, next=0, cause="", until=0)
    return replace(before, detail=detail) if before.state == "delivered" else before
