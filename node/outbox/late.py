"""Ordinary mail that is late: for which recipients, and who tells the author. No store, no clock here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from node.outbox.letter import SMTP, Delivery, Letter
from node.outbox.timetable import LATE_MS
from node.storage import Batch


class Delays(Protocol):
    """Tells the author that a letter is late for these recipients, whom it is still tried to reach: puts a
    notice into the inbox.
    """

    def __call__(
        self, batch: Batch, letter: Letter, late: Sequence[Delivery], body: bytes | None, now: int, /
    ) -> None: ...


def untold(batch: Batch, letter: Letter, late: Sequence[Delivery], body: bytes | None, now: int) -> None:
    """For who does not want to hear of it."""


def waiting_long(letter: Letter, now: int) -> list[Delivery]:
    """Those of which the author is to hear now, Unix ms: once for a letter, and of ordinary mail only, for
    sealed letters wait for who sleeps.
    """
    if letter.delayed or not letter.is_answerable:
        return []
    return [
        one
        for one in letter.deliveries
        if one.state == "queued" and one.recipient.route == SMTP and one.code and now >= one.since + LATE_MS
    ]
