"""From what a person wrote to a letter in the queue: resolve, compose, file the copy, queue, in one batch.

How it travels, and when, is for the rest of this room and its carriers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from node.consent import Consent
from node.letters import Draft, Mailbox, new_message_id, render_draft
from node.names import Names, Target
from node.outbox.errors import no_recipient, not_yet, too_large
from node.outbox.letter import Letter, Outgoing, Recipient
from node.outbox.outbox import Outbox
from node.runtime.clock import Clock
from node.storage import Batch, Store
from protocol.keys import mailbox_of
from protocol.letter import MAX_SIGNED

ROOM_BESIDE = 16_384
"""Bytes of an inner that are not the message: the author's IdentityRecord and what rides along."""

MAX_MESSAGE = MAX_SIGNED - ROOM_BESIDE
"""Bytes of a whole message until attachments travel beside it."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a person wants sent; recipients as they typed them."""

    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    subject: str = ""
    text: str = ""


class Submission:
    """Takes letters from the owner. `own` gives the owner's address."""

    def __init__(
        self,
        store: Store,
        names: Names,
        mailbox: Mailbox,
        outbox: Outbox,
        own: Callable[[], str],
        clock: Clock,
        consent: Consent,
    ) -> None:
        self._store = store
        self._consent = consent
        self._names = names
        self._mailbox = mailbox
        self._outbox = outbox
        self._own = own
        self._clock = clock

    async def send(self, message: Message) -> Letter:
        """Queue a letter; when this returns it is on disk. Raises NodeError for what can't be sent."""
        to, cc, bcc = (self._resolve(who) for who in (message.to, message.cc, message.bcc))
        recipients = _once(zip((*message.to, *message.cc, *message.bcc), (*to, *cc, *bcc), strict=True))
        if not recipients:
            raise no_recipient()
        now = self._clock.now()
        draft = Draft(
            from_name="",
            from_mailbox=mailbox_of(self._own()),
            to=_mailboxes(to),
            cc=_mailboxes(cc),
            subject=message.subject,
            text=message.text,
        )
        raw = render_draft(draft, now, new_message_id())
        if len(raw) > MAX_MESSAGE:
            raise too_large(len(raw), MAX_MESSAGE)
        summary = await self._mailbox.summary(raw)
        batch = Batch()
        for target in (*to, *cc, *bcc):
            if target.link is not None:
                self._names.learn_link(batch, target.link)
                if target.link.invitation is not None:
                    self._consent.learn_invitation(batch, target.address, target.link.invitation)
        outgoing = Outgoing(
            kind="letter", subject=message.subject, created=now, to=recipients, bodies={"mailio": raw}
        )
        letter = self._outbox.submit(batch, outgoing)
        self._mailbox.file_sent(batch, raw, summary, now, letter.letter_id.hex())
        await self._store.write(batch)
        self._outbox.started(letter)
        for target in (*to, *cc, *bcc):
            if target.link is not None:
                self._outbox.wake(target.address)  # it may say where they are now
        return letter

    def check(self, who: Sequence[str]) -> None:
        """Raises what `send` would for these recipients, while the letter is not yet written."""
        self._resolve(who)

    def _resolve(self, who: Sequence[str]) -> list[Target]:
        targets = [self._names.resolve(text) for text in who]
        for target in targets:
            if target.kind == "email":
                raise not_yet(target.address)
        return targets


def _once(targets: Iterable[tuple[str, Target]]) -> tuple[Recipient, ...]:
    """One recipient for each address, named as it was typed first."""
    found: dict[str, Recipient] = {}
    for text, target in targets:
        found.setdefault(target.address, Recipient(_shown(text, target), "mailio", target.address))
    return tuple(found.values())


def _shown(text: str, target: Target) -> str:
    """What the outbox calls a recipient: as typed, but a link by the address in it, since a link may
    hold an invitation's secret.
    """
    return target.address if target.link is not None else text


def _mailboxes(targets: Iterable[Target]) -> tuple[tuple[str, str], ...]:
    """As the letter shows them: what the owner calls people in the address book is nobody's business."""
    return tuple(("", mailbox_of(target.address)) for target in targets)
