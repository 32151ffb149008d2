"""A letter on its way into the mailbox, and the entry that it becomes. No store here."""

from dataclasses import dataclass

from node.letters.entry import Entry
from node.letters.parse import Summary
from node.letters.reduced import Reduced
from node.letters.transport import SMTP, Transport
from protocol.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A letter to be taken in. `author` is the proven name (a Mailio address, or an e-mail address in its
    normal form), None where nothing is proven; `created` is what its author says, `arrived` now;
    `expires` is until when it is remembered (all Unix ms). `receipt` is the signed record that answered
    it, if one did; `fetch` says that what lies outside of it is to be had from its author. What came by SMTP
    has a `transport`, and as `letter_id` a BLAKE2b-256 of envelope and data.
    """

    message: Reduced
    summary: Summary
    folder: str
    author: str | None
    letter_id: bytes
    envelope_id: bytes | None
    status: Status
    created: int
    arrived: int
    expires: int
    receipt: bytes | None = None
    payload_hash: bytes = b""
    thid: str = ""
    pthid: str = ""
    fetch: bool = False
    transport: Transport | None = None

    def entry(self, letter: bytes, folder: int) -> Entry:
        """What the index keeps of it."""
        summary = self.summary
        return Entry(
            id=letter,
            folder=folder,
            sender=summary.from_text,
            to=summary.to,
            subject=summary.subject,
            created=self.created,
            arrived=self.arrived,
            read=False,
            size=self.message.size,
            attachments=max(summary.attachments, self.message.named),
            author=self.author or "",
            letter_id=self.letter_id,
            message_id=summary.message_id,
            thid=self.thid,
            pthid=self.pthid,
            via="" if self.transport is None else SMTP,
        )


def own_entry(
    letter: bytes, folder: int, summary: Summary, now: int, *, thid: str, letter_id: bytes, read: bool
) -> Entry:
    """What the index keeps of a letter that the owner or this node wrote at `now`."""
    return Entry(
        id=letter,
        folder=folder,
        sender=summary.from_text,
        to=summary.to,
        subject=summary.subject,
        created=now,
        arrived=now,
        read=read,
        size=summary.size,
        attachments=summary.attachments,
        letter_id=letter_id,
        message_id=summary.message_id,
        thid=thid,
    )
