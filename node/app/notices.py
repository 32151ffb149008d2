"""What the owner is told of letters that did not arrive, or not yet. When is the outbox's to say."""

from __future__ import annotations

from collections.abc import Sequence

from node.identity import Identity
from node.letters import Failure, Mailbox, delay_notice, failure_notice, new_message_id
from node.outbox import GIVE_UP_MS, SMTP, Delivery, Letter
from node.storage import Batch
from protocol.keys import mailbox_of
from protocol.status import FAILED, Status


class Notices:
    """Puts notices into the inbox: of failure in the batch that ends the letter (outbox.Notices)."""

    def __init__(self, mailbox: Mailbox, identity: Identity) -> None:
        self._mailbox = mailbox
        self._identity = identity

    def __call__(
        self, batch: Batch, letter: Letter, delivery: Delivery, body: bytes | None, now: int
    ) -> None:
        raw = failure_notice(
            self._owner(),
            letter.subject,
            letter.created,
            [_told(delivery)],
            body or b"",
            now,
            new_message_id(),
        )
        self._mailbox.put_notice(batch, raw, now, letter.letter_id.hex())

    def delayed(
        self, batch: Batch, letter: Letter, late: Sequence[Delivery], body: bytes | None, now: int
    ) -> None:
        """The letter is still on its way to these (outbox.Delays)."""
        until = max(one.since for one in late) + GIVE_UP_MS
        told = [_told(one) for one in late]
        raw = delay_notice(
            self._owner(), letter.subject, letter.created, told, until, body or b"", now, new_message_id()
        )
        self._mailbox.put_notice(batch, raw, now, letter.letter_id.hex())

    def _owner(self) -> tuple[str, str]:
        return "", mailbox_of(self._identity.address)


def _told(delivery: Delivery) -> Failure:
    status = Status(delivery.code or FAILED.code)
    email = delivery.recipient.address if delivery.recipient.route == SMTP else ""
    return Failure(delivery.recipient.to, status, delivery.detail or status.text, email=email)
