"""Receipts that no answer carried: of letters that waited at a host, and of attachments that came later
(protocol.md §6). Noted in the batch that takes the letter in; gathered, so that many go in one letter.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import trio

from node.outbox import MAILIO, Outbox, Outgoing, Recipient
from node.runtime.clock import DAY_MS, Clock
from node.runtime.errors import NodeError
from node.storage import Batch, Store
from node.storage.schema import RECEIPT_DUE
from protocol.letter import MAX_RECORDS

log = logging.getLogger(__name__)

GATHER_S: Final = 2.0
"""Seconds after a round in which what comes is gathered: a host's letters come a hundred a second."""

CALM_AFTER: Final = 12
"""Letters of receipts to one author in a day after which they are gathered for longer: it takes 24 (§6)."""

CALM_MS: Final = 3_600_000
"""An hour: how long then."""

MAX_AUTHORS: Final = 1_024
"""Authors whose letters of receipts are counted; the one written to longest ago is forgotten first."""

MAX_BYTES: Final = 500_000
"""Bytes of receipts in one letter; one with a thousand CIDs has 70,000."""

STEP: Final = 1_000
"""Receipts looked at in one round."""


class Receipts:
    """One task runs `run`; the rest may be called from any task of trio's."""

    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._noted = trio.Event()
        self._busy = False
        self._sent: OrderedDict[str, list[int]] = OrderedDict()

    def note(
        self, batch: Batch, author: str, letter_id: bytes, receipt: bytes, *, again: bool = False
    ) -> Callable[[], None]:
        """Send this receipt (of the letter with this id) to its author; a later one takes an earlier one's
        place. With `again` it was noted before, and one that is still due stays: it may name what was fetched
        since. Returns what is to be done once the batch is on disk.
        """
        place = (self._place(author), letter_id)
        if not (again and self._store.get(RECEIPT_DUE, place) is not None):
            batch.put(RECEIPT_DUE, place, {"author": author, "receipt": receipt})
        return self._wake

    async def run(self) -> None:
        """Send what is due, for ever."""
        while True:
            noted = self._noted = trio.Event()
            try:
                waits = await self._round()
            except NodeError as fault:
                log.warning("receipts wait: %s", fault.text)
                waits = True
            if self._busy:
                await trio.sleep(GATHER_S)
            with trio.move_on_after(CALM_MS / 1_000 if waits else float("inf")):
                await noted.wait()

    def _wake(self) -> None:
        self._noted.set()

    async def _round(self) -> bool:
        """Send to whom it is time to send; whether something is left for later."""
        rows: Any = self._store.scan(RECEIPT_DUE, limit=STEP)
        self._busy = bool(rows)
        by_author: dict[str, list[tuple[tuple[bytes, bytes], bytes]]] = {}
        for key, row in rows:
            by_author.setdefault(row["author"], []).append((key, row["receipt"]))
        left = len(rows) == STEP
        for author, due in by_author.items():
            if not self._may(author):
                left = True
                continue
            while due:
                due = await self._send(author, due)
        return left

    async def _send(
        self, author: str, due: list[tuple[tuple[bytes, bytes], bytes]]
    ) -> list[tuple[tuple[bytes, bytes], bytes]]:
        """One letter with the first of them; those that are left."""
        batch, size, count = Batch(), 0, 0
        for key, receipt in due[:MAX_RECORDS]:
            if count and size + len(receipt) > MAX_BYTES:
                break
            batch.delete(RECEIPT_DUE, key)
            size, count = size + len(receipt), count + 1
        records = tuple(receipt for _, receipt in due[:count])
        letter = self._outbox.submit(
            batch,
            Outgoing(
                "receipt", "Receipt", self._clock.now(), (Recipient(author, MAILIO, author),), records=records
            ),
        )
        with trio.CancelScope(shield=True):
            await self._store.write(batch)
            self._outbox.started(letter)
        self._sent.setdefault(author, []).append(self._clock.now())
        self._sent.move_to_end(author)
        while len(self._sent) > MAX_AUTHORS:
            self._sent.popitem(last=False)
        return due[count:]

    def _may(self, author: str) -> bool:
        now = self._clock.now()
        sent = self._sent[author] = [when for when in self._sent.get(author, []) if now - when < DAY_MS]
        return len(sent) < CALM_AFTER or now - sent[-1] >= CALM_MS

    def _place(self, author: str) -> bytes:
        return self._store.index("receipts", author.encode())
