"""What the letters of this room say: a request's note, and the receipts in an accept letter."""

from collections.abc import Sequence
from typing import Final

from node.handshakes.errors import long_note
from node.letters import Draft, Due, new_message_id, render_draft
from protocol.keys import SigningKey, mailbox_of
from protocol.offer import MAX_NOTE_BYTES
from protocol.receipt import Receipt, sign_receipt
from protocol.status import OK

MAX_SUBJECT: Final = 200
"""Characters of a note that stand in its subject, which is what the other side's list shows."""

MAX_RECEIPTS: Final = 32
"""Receipts that ride in an accept letter, some 350 bytes each: it has to stay under 16 KiB as a service."""


def note_letter(author: str, recipient: str, note: str, now: int) -> bytes:
    """A request's message, plain text. Raises NodeError for a note that is too long."""
    if len(note.encode("utf-8", "replace")) > MAX_NOTE_BYTES:
        raise long_note(MAX_NOTE_BYTES)
    draft = Draft(
        from_name="",
        from_mailbox=mailbox_of(author),
        to=(("", mailbox_of(recipient)),),
        subject=_shortened(note),
        text=note,
    )
    return render_draft(draft, now, new_message_id())


def receipts_of(due: Sequence[Due], key: SigningKey, now: int) -> tuple[bytes, ...]:
    """Receipts for the newest letters that waited (§6: the accept letter carries them)."""
    return tuple(
        d.receipt or sign_receipt(Receipt(d.letter_id, d.payload_hash, OK, (), now), key)
        for d in due[-MAX_RECEIPTS:]
    )


def _shortened(note: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in note).split())
    return line if len(line) <= MAX_SUBJECT else line[: MAX_SUBJECT - 1] + "…"
