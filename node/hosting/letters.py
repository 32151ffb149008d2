"""Letters that wait: how one comes, who has fetched it, when it goes. Who may bring one is deposits.py's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import trio

from node.hosting.book import Book, Change
from node.hosting.rows import Account, Known, Letter
from node.runtime.clock import Clock
from node.storage.schema import HOST_BODY, HOST_DUE, HOST_ENVELOPE, HOST_LETTER
from protocol.errors import RemoteProtocolError
from protocol.host import Waiting
from protocol.kdf import blake2b
from protocol.letter import LETTER_LIFE_MS
from protocol.offer import KeyProof, Offer
from protocol.status import FAILED

FETCHED_LIFE_MS: Final = 7 * 86_400_000
"""Milliseconds for which a letter stays after the first node has it, for the others (protocol §6)."""

REMEMBER_MS: Final = 2 * 86_400_000
"""Milliseconds for which an envelope that is gone is known: its sender, who may not have heard our answer,
tries again within hours, and must not make a second letter of it."""

PAGE: Final = 500
"""Letters of one list, some 15 ms of work."""

STEP: Final = 100
"""Letters acknowledged in one batch, about 10 ms of work."""


@dataclass(frozen=True, slots=True)
class Times:
    """What time it is, and whether to believe it."""

    clock: Clock
    doubtful: Callable[[], bool]

    def believed(self) -> int | None:
        """Unix ms, None while the clock is doubtful."""
        return None if self.doubtful() else self.clock.now()


class Letters:
    """Adds, tells of, and removes."""

    def __init__(self, book: Book, times: Times) -> None:
        self._book = book
        self._times = times
        self._news: dict[bytes, trio.Event] = {}

    # ---- coming

    def add(self, change: Change, offer: Offer, envelope: bytes, now: int) -> Letter:
        """Keep an envelope with this change, until 30 days after now: so it is never too short (§6)."""
        account, proof = change.account, offer.proof if isinstance(offer.proof, KeyProof) else None
        until = now + LETTER_LIFE_MS
        letter = Letter(
            n=account.last + 1,
            envelope_id=offer.envelope_id,
            size=offer.size,
            arrived=now,
            until=until,
            due=until,
            key=proof.key if proof else None,
            service=offer.service,
            cancel=offer.cancel,
            signature=proof.signature if proof else None,
        )
        place = (account.key, letter.n)
        change.batch.put(HOST_LETTER, place, letter.to_row())
        change.batch.put(HOST_BODY, place, envelope)
        change.batch.put(HOST_ENVELOPE, (account.key, letter.envelope_id), Known(letter.n, until).to_row())
        change.batch.put(HOST_DUE, (until, *place, letter.envelope_id), b"")
        change.account = replace(_counted(account, letter, 1), last=letter.n)
        return letter

    def came(self, account: bytes) -> None:
        """A letter is on disk: answer who waits for one."""
        news = self._news.pop(account, None)
        if news is not None:
            news.set()

    # ---- for the owner's nodes

    def list(self, account: bytes, after: int) -> tuple[list[Waiting], bool]:
        """Letters that wait, and whether there are more."""
        found = self._book.letters(account, after, PAGE + 1)
        return [letter.waiting for letter in found[:PAGE]], len(found) > PAGE

    async def wait(self, account: bytes, after: int, seconds: int) -> int:
        """The number of the newest letter, as soon as that is above `after` or the time is over."""
        with trio.move_on_after(seconds):
            while self._book.newest(account) <= after:
                await self._next(account)
        return self._book.newest(account)

    async def _next(self, account: bytes) -> None:
        """Until a letter comes."""
        news = self._news.setdefault(account, trio.Event())
        try:
            await news.wait()
        finally:
            if self._news.get(account) is news and not news.statistics().tasks_waiting:
                del self._news[account]

    def fetch(self, account: bytes, envelope_id: bytes) -> bytes | None:
        """The envelope, None where it is gone."""
        letter = self._book.by_envelope(account, envelope_id)
        return None if letter is None else self._book.body(account, letter.n)

    async def acknowledge(self, account: Account, envelope_ids: tuple[bytes, ...], peer_id: bytes) -> None:
        """A node of the owner's has these on its disk; what all listed ones have goes. When this returns that
        is on our disk. Raises StoreUnavailable.
        """
        for first in range(0, len(envelope_ids), STEP):
            fresh = self._book.account(account.key)
            if fresh is None:
                return
            change = Change(self._book, fresh)
            for envelope_id in dict.fromkeys(envelope_ids[first : first + STEP]):
                letter = self._book.by_envelope(account.key, envelope_id)
                if letter is not None:
                    self._fetched(change, letter, peer_id)
            await self._book.store.write(change.done())
        await self._book.store.barrier()  # what another stream acknowledges just now

    def _fetched(self, change: Change, letter: Letter, peer_id: bytes) -> None:
        account, now = change.account, self._times.clock.now()
        fetched = {*letter.fetched, peer_id}
        if fetched.issuperset(account.nodes):
            self.remove(change, letter, now)
            return
        due = letter.due
        if not letter.fetched and not self._times.doubtful():
            due = min(letter.until, now + FETCHED_LIFE_MS)
        listed = tuple(node for node in account.nodes if node in fetched)
        after = replace(letter, fetched=listed or (peer_id,), due=due)
        if after != letter:
            place = (account.key, letter.n)
            change.batch.delete(HOST_DUE, (letter.due, *place, letter.envelope_id))
            change.batch.put(HOST_DUE, (due, *place, letter.envelope_id), b"")
            change.batch.put(HOST_LETTER, place, after.to_row())

    # ---- going

    def cancel(self, change: Change, envelope_id: bytes, secret: bytes) -> None:
        """Its sender takes a letter back; what is gone already is fine. Raises RemoteProtocolError (5.8.1)
        where the secret is wrong.
        """
        letter = self._book.by_envelope(change.account.key, envelope_id)
        if letter is None:
            return
        if letter.cancel is None or blake2b(secret) != letter.cancel:
            raise RemoteProtocolError("not the secret of this deposit", FAILED)
        self.remove(change, letter, self._times.clock.now())

    def remove(self, change: Change, letter: Letter, now: int) -> None:
        """A letter goes; its envelope stays known for a while."""
        place = (change.account.key, letter.n)
        change.batch.delete(HOST_LETTER, place)
        change.batch.delete(HOST_BODY, place)
        change.batch.delete(HOST_DUE, (letter.due, *place, letter.envelope_id))
        change.batch.put(HOST_DUE, (now + REMEMBER_MS, *place, letter.envelope_id), b"")
        change.account = _counted(change.account, letter, -1)
        if letter.key is not None:
            use = change.use(letter.key)
            change.set_use(letter.key, replace(use, waiting=max(0, use.waiting - letter.size)))

    def due(self, change: Change, n: int, envelope_id: bytes, now: int) -> None:
        """The time of a letter has come, or that of the memory of one that is gone."""
        letter = self._book.letter(change.account.key, n)
        if letter is not None:
            if letter.due <= now:
                self.remove(change, letter, now)
            return
        known = self._book.known(change.account.key, envelope_id)
        if known is not None and known.n == n:
            change.batch.delete(HOST_ENVELOPE, (change.account.key, envelope_id))


def _counted(account: Account, letter: Letter, sign: int) -> Account:
    """The account with this letter more, or less."""
    strange = letter.key is None
    return replace(
        account,
        letters=account.letters + sign,
        letter_size=account.letter_size + sign * letter.size,
        strangers=account.strangers + sign * strange,
        stranger_size=account.stranger_size + sign * letter.size * strange,
    )
