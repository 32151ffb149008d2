"""The queue at work: takes letters in, has them tried, and keeps every recipient's state.

How a letter travels is the carriers'; what lies on disk is the ledger's; when to try is the schedule's.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

import trio

from node.files import Files
from node.letters import Reduced, Report
from node.outbox.errors import ended_letter, full_outbox, nothing_to_approve, unknown_letter
from node.outbox.forgetting import Forgetting
from node.outbox.judging import judged
from node.outbox.late import Delays, untold, waiting_long
from node.outbox.ledger import Ledger
from node.outbox.letter import FAILED, SMTP, WAITING, Carrier, Delivery, Letter, Outgoing, Recipient, Result
from node.outbox.recalls import Recalls
from node.outbox.reports import reported
from node.outbox.schedule import Schedule
from node.outbox.timetable import Lane
from node.runtime.clock import Clock
from node.runtime.events import Events
from node.storage import Batch, Store, StoreUnavailable
from protocol.receipt import Receipt
from protocol.status import STORE_BROKEN, TIME

log = logging.getLogger(__name__)

MAX_WAITING = 100_000
"""Letters on their way at once: some 100 MB of memory for their lanes, more than any person writes."""

RECENT_MS = 86_400_000
"""A day: ended letters this young are listed beside those on their way."""

LIST_ENDED = 500
"""Ended letters looked at for a listing."""


BROKE_OFF: Final = Result("later", STORE_BROKEN, "a fault of this node, see its log", way=True)
"""What an attempt comes to that ends in nobody's answer."""


class Notices(Protocol):
    """Tells the author that a letter failed: puts a notice into the inbox."""

    def __call__(
        self, batch: Batch, letter: Letter, delivery: Delivery, body: bytes | None, now: int
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class _Consignment:
    letter: Letter
    ledger: Ledger
    store: Store
    recalls: Recalls

    def body(self, route: str) -> Reduced | None:
        return self.ledger.body(self.letter, route)

    async def load(self, route: str) -> bytes | None:
        return await self.ledger.load(self.letter, route)

    def parcel(self, recipient: Recipient) -> bytes | None:
        return self.ledger.parcel(self.letter, recipient)

    async def keep(self, batch: Batch, recipient: Recipient, parcel: bytes) -> None:
        present = self.ledger.get(self.letter.id)
        delivery = None if present is None else present.delivery(recipient)
        cancelled = delivery is not None and delivery.state == "cancelled"
        if cancelled:  # while the attempt was under way, which may have left it somewhere
            self.ledger.recall(batch, self.letter, recipient, parcel)
        elif delivery is not None and delivery.open:  # else nobody would ever take the parcel away again
            self.ledger.put_parcel(batch, self.letter, recipient, parcel)
        await self.store.write(batch)
        if cancelled:
            self.recalls.wake()


class Outbox:
    """The letters on their way. One task runs `run`; everything else may be called from any task."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        events: Events,
        carriers: Mapping[str, Carrier],
        notices: Notices,
        files: Files,
        doubtful: Callable[[], bool] = lambda: False,
        chance: Callable[[], float] = random.random,
        delays: Delays = untold,
    ) -> None:
        self._store = store
        self._ledger = Ledger(store, files, clock)
        self._clock = clock
        self._events = events
        self._carriers = carriers
        self._notices = notices
        self._delays = delays
        self._doubtful = doubtful
        self._chance = chance
        self._schedule = Schedule(clock, self._attempt)
        self._forgetting = Forgetting(store, self._ledger, clock, doubtful)
        self.recalls = Recalls(store)

    async def run(self) -> None:
        """Send what waits, for ever. What waited at the last stop is tried at once."""
        for letter in self._ledger.waiting():
            self._enlist(letter)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._forgetting.run)
            nursery.start_soon(self._schedule.run)

    # ---- taking letters in

    def submit(self, batch: Batch, outgoing: Outgoing) -> Letter:
        """Add a letter to the batch. Once that is on disk the letter can't be lost: call `started`.

        Raises OutboxError when too many wait.
        """
        if self._schedule.size >= MAX_WAITING:
            raise full_outbox(MAX_WAITING)
        return self._ledger.add(batch, outgoing, self._clock.now())

    def started(self, letter: Letter) -> None:
        """The letter is on disk: send it."""
        self._enlist(letter)
        self._tell(letter)

    def _enlist(self, letter: Letter) -> None:
        for delivery in letter.deliveries:
            if delivery.state == "held":
                self._schedule.hold(self._lane_of(delivery.recipient), letter.id)
            elif delivery.state == "queued":
                self._schedule.add(self._lane_of(delivery.recipient), letter.id)
            elif delivery.open:
                self._schedule.add(self._lane_of(delivery.recipient), letter.id, delivery.next)

    def _lane_of(self, recipient: Recipient) -> str:
        return f"{recipient.route}:{self._carriers[recipient.route].lane(recipient)}"

    def handed_in(self, digest: bytes) -> Letter | None:
        """The letter that was last submitted with this digest, while its row is kept."""
        return self._ledger.by_digest(digest)

    # ---- one attempt

    async def _attempt(self, name: str, lane: Lane, letter_id: bytes) -> None:
        """One try for one letter in one lane. A fault here ends this try and nothing else."""
        try:
            await self._send(name, lane, letter_id)
        except StoreUnavailable as fault:
            log.warning("a letter waits because the store is unavailable: %s", fault)
            self._schedule.add(name, letter_id, lane.failed(self._clock.now(), self._chance()))
        except Exception:  # a task's boundary: a bug must not end the queue
            log.exception("what came of letter %s is not noted", letter_id.hex())
            self._schedule.add(name, letter_id, lane.failed(self._clock.now(), self._chance()))

    async def _send(self, name: str, lane: Lane, letter_id: bytes) -> None:
        letter = self._ledger.get(letter_id)
        waiting = [d.recipient for d in letter.deliveries if d.open] if letter else []
        recipients = [r for r in waiting if self._lane_of(r) == name]
        if letter is None or not recipients:
            return
        carrier = self._carriers[recipients[0].route]
        consignment = _Consignment(letter, self._ledger, self._store, self.recalls)
        results: Mapping[Recipient, Result]
        try:
            results = await carrier.send(recipients, consignment)
        except StoreUnavailable:
            raise
        except Exception:  # a carrier's bug, or a content that the disk has lost: it ends in five days too
            log.exception("an attempt to send letter %s broke off", letter_id.hex())
            results = dict.fromkeys(recipients, BROKE_OFF)
        with trio.CancelScope(shield=True):
            await self._settle(name, lane, letter_id, results)

    async def _settle(
        self, name: str, lane: Lane, letter_id: bytes, results: Mapping[Recipient, Result]
    ) -> None:
        """Write down what came of an attempt, then let the schedule know."""
        now = self._clock.now()
        broken = next((r for r in results.values() if r.way), None)
        if broken is not None:
            lane.failed(now, self._chance(), broken.until, missed=letter_id in lane.missed)
        elif any(r.tried for r in results.values()):
            lane.worked()
        letter = self._ledger.get(letter_id)
        if letter is None:
            return
        batch = Batch()
        changes = {r: self._judge(batch, letter, r, result, lane, now) for r, result in results.items()}
        letter = self._late(batch, letter.changed(changes), now)
        for recipient, delivery in changes.items():
            if delivery.recipient != recipient:
                self._ledger.move(batch, letter, recipient, delivery.recipient)
        self._ledger.put(batch, letter)
        for recipient in (r for r, result in results.items() if result.whole):
            self._ledger.received(batch, letter, recipient.address, letter.files)
        await self._store.write(batch)
        for delivery in changes.values():
            if delivery.open and delivery.state != "held":
                self._schedule.add(self._lane_of(delivery.recipient), letter_id, delivery.next)
            elif delivery.state == "held":
                self._schedule.hold(name, letter_id)
        self._tell(letter)

    def _judge(
        self, batch: Batch, letter: Letter, recipient: Recipient, result: Result, lane: Lane, now: int
    ) -> Delivery:
        """The delivery's next state; its notice, if one is due, goes into the same batch."""
        delivery = letter.delivery(recipient)
        patient = self._doubtful()
        told = judged(delivery, result, lane, now, self._chance(), kind=letter.kind, patient=patient)
        if (told.state == "held" or result.status == TIME) and delivery.state in WAITING:
            # Signed anew when it goes: what a wrong clock dated, the other side may never take.
            self._ledger.drop_parcel(batch, letter, recipient)
        if told.state in FAILED and delivery.open and letter.is_answerable:
            body = self._ledger.body(letter, recipient.route)
            self._notices(batch, letter, told, body.message if body else None, now)
        return told

    def _late(self, batch: Batch, letter: Letter, now: int) -> Letter:
        """The letter, its author told once if ordinary mail of it has been waiting for hours."""
        late = waiting_long(letter, now)
        if not late or self._doubtful():
            return letter
        body = self._ledger.body(letter, SMTP)
        self._delays(batch, letter, late, body.message if body else None, now)
        return replace(letter, delayed=now)

    # ---- what another room or a person asks for

    def receipt(self, batch: Batch, receipt: Receipt, author: str) -> Callable[[], None]:
        """A receipt came in a letter: it alone makes a letter `delivered` (§6). Returns what is to be
        done once the batch is on disk.
        """
        letter = self._ledger.by_receipt(receipt.letter_id, author)
        if letter is None or receipt.status.category != 2:
            return lambda: None
        changes = {
            d.recipient: replace(
                d, state="delivered", code=receipt.status.code, detail="", next=0, cause="", until=0
            )
            for d in letter.deliveries
            if d.recipient.address == author and d.state != "delivered"
        }
        arrived = letter.changed(changes)
        if changes:
            self._ledger.put(batch, arrived)
        self._ledger.received(batch, arrived, author, receipt.cids)
        return (lambda: self._stop(arrived, changes)) if changes else (lambda: None)

    def report(self, batch: Batch, report: Report) -> Callable[[], None] | None:
        """Another mail server says what became of a letter that it took; None where that is none of ours, or
        went to none of those. Who failed gets a notice, once. Returns what is to be done once the batch is on
        disk.
        """
        found = reported(self._ledger, report)
        if found is None:
            return None
        letter, changes = found
        after, now = letter.changed(changes), self._clock.now()
        ended = {r: d for r, d in changes.items() if d.state in FAILED}
        for delivery in ended.values():
            body = self._ledger.body(letter, delivery.recipient.route)
            self._notices(batch, letter, delivery, body.message if body else None, now)
        if changes:
            self._ledger.put(batch, after)
        return lambda: self._stop(after, ended)

    def revoked(self, batch: Batch, address: str) -> None:
        """The owner has revoked this recipient: it gets no attachment any more."""
        self._ledger.revoked(batch, address)

    def wake(self, address: str, route: str = "mailio") -> None:
        """Something changed at this address (a handshake came, its node connected): try all at once."""
        self._schedule.wake(f"{route}:{address}")

    def retry(self, letter_id: bytes) -> Letter:
        """Try what waits of this letter now. Raises OutboxError if nothing does."""
        letter = self._waiting(letter_id)
        for delivery in letter.deliveries:
            if delivery.open:
                name = self._lane_of(delivery.recipient)
                self._schedule.add(name, letter_id)
                self._schedule.wake(name)
        return letter

    async def approve(self, letter_id: bytes) -> Letter:
        """The author agrees to what held the letter (§6: a price above 10; a changed key)."""
        letter = self._waiting(letter_id)
        now = self._clock.now()
        changes = {
            d.recipient: replace(d, approved=True, state="queued", since=now, cause="")
            for d in letter.deliveries
            if d.state == "held" and d.cause == "approval"
        }
        if not changes:
            raise nothing_to_approve(letter_id.hex())
        letter = await self._decide(letter, changes)
        self._enlist(letter)
        return letter

    async def cancel(self, letter_id: bytes) -> Letter:
        """Stop what has not arrived yet. Raises OutboxError if nothing is on its way."""
        letter = self._waiting(letter_id)
        changes = {
            d.recipient: replace(
                d, state="cancelled", code="", next=0, cause="", detail="cancelled by its author", until=0
            )
            for d in letter.deliveries
            if d.open
        }
        batch = Batch()
        for recipient in changes:
            if parcel := self._ledger.parcel(letter, recipient):
                self._ledger.recall(batch, letter, recipient, parcel)
        letter = await self._decide(letter, changes, batch)
        self._stop(letter, changes)
        self.recalls.wake()
        return letter

    async def _decide(
        self, letter: Letter, changes: Mapping[Recipient, Delivery], batch: Batch | None = None
    ) -> Letter:
        letter = letter.changed(changes)
        batch = batch or Batch()
        self._ledger.put(batch, letter)
        await self._store.write(batch)
        self._tell(letter)
        return letter

    def _stop(self, letter: Letter, changes: Mapping[Recipient, Delivery]) -> None:
        """These have ended; who shares their lane and waits stays in it."""
        waiting = {self._lane_of(d.recipient) for d in letter.deliveries if d.open}
        for name in {self._lane_of(recipient) for recipient in changes} - waiting:
            self._schedule.cut(name, letter.id)
        self._tell(letter)

    def _waiting(self, letter_id: bytes) -> Letter:
        letter = self._ledger.get(letter_id)
        if letter is None:
            raise unknown_letter(letter_id.hex())
        if letter.ended:
            raise ended_letter(letter_id.hex())
        return letter

    # ---- telling

    def get(self, letter_id: bytes) -> Letter | None:
        return self._ledger.get(letter_id)

    def list(self, *, everything: bool = False) -> list[Letter]:
        """Letters on their way and those of the last day, newest first; or all that is kept, receipts too."""
        recent = self._clock.now() - RECENT_MS
        ended = [x for x in self._ledger.ended(LIST_ENDED) if everything or x.created >= recent]
        found = [*self._ledger.waiting(), *ended]
        shown = found if everything else [x for x in found if x.kind != "receipt"]
        return sorted(shown, key=lambda x: x.id, reverse=True)

    def counts(self) -> dict[str, int]:
        """`queued`: letters on their way; `failed`: letters of the last day that did not arrive somewhere."""
        letters = self.list()
        failed = [x for x in letters if any(d.state in FAILED for d in x.deliveries)]
        return {"queued": sum(not x.ended for x in letters), "failed": len(failed)}

    def _tell(self, letter: Letter) -> None:
        self._events.publish(
            "outbox", {"id": letter.id.hex(), "states": [d.state for d in letter.deliveries]}
        )
