"""What an owner keeps in an account: four spaces of items in one mechanism (protocol.md §3, §6, §11). Letters
that wait are letters.py's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import trio

from node.hosting.book import Book, Change
from node.hosting.letters import Times
from node.hosting.ports import Keeper
from node.hosting.rows import Account, Kept, Limits
from node.storage.schema import HOST_DUE, HOST_ENTRY, HOST_ITEM, HOST_USE, ITEM_SPACE
from protocol.account import Entry, Item, KeptFile, KeyRule, Space, replaces
from protocol.errors import RemoteProtocolError
from protocol.held import parse_held
from protocol.host import MAX_ITEMS_BYTES
from protocol.kdf import HASH_BYTES
from protocol.record import MAX_AHEAD_MS
from protocol.status import BUSY, FAILED, FULL, MALFORMED, NOT_OFFERED, TIME, Status

OVERHEAD: Final = 256
"""Bytes that each item is charged with besides its own: its rows and their keys."""

LETTERS: Final = 4
"""One part in so many of an account is not for files: who sends much must shut out neither who writes to
them nor their own handshakes."""

PAGE: Final = 500
"""Entries of one page, some 15 ms of work."""

STEP: Final = 100
"""Items or drops of one batch: some ms of work between two pauses."""

PAUSE: Final = 128
"""Entries hashed, or items read, between two pauses: some ms of work."""

TRIES: Final = 3
"""Digests begun anew because items changed meanwhile; only the account itself can do that."""

SEQ_BYTES: Final = 8
"""Of a seq in a digest (§11)."""


class Items:
    """Puts, drops and tells of items. Who asks has proven the account."""

    def __init__(self, book: Book, times: Times, limits: Limits, files: Keeper | None) -> None:
        self._book = book
        self._times = times
        self._limits = limits
        self._files = files

    # ---- changing

    async def put(
        self, account: bytes, space: Space, items: Sequence[Item], drop: Sequence[bytes]
    ) -> dict[bytes, Status]:
        """Drop, then add or replace; the items that were not taken, each with its status. When this returns
        the others are on disk. Raises StoreUnavailable.
        """
        for first in range(0, len(drop), STEP):
            change = self._begin(account)
            for name in dict.fromkeys(drop[first : first + STEP]):
                self._drop(change, space, name)
            await self._book.store.write(change.done())
        refused: dict[bytes, Status] = {}
        newest = _newest(items)
        for first in range(0, len(newest), STEP):
            some = newest[first : first + STEP]
            faults = {item.id: fault for item in some if (fault := self._fault(account, space, item))}
            await trio.lowlevel.checkpoint()
            change = self._begin(account)
            for item in some:
                if fault := faults.get(item.id) or self._put(change, space, item):
                    refused[item.id] = fault
            if change.batch.adds:
                self._book.store.require_room()
            await self._book.store.write(change.done())
        await self._book.store.barrier()  # what was older than what another stream puts just now
        return refused

    def _begin(self, key: bytes) -> Change:
        account = self._book.account(key)
        assert account is not None  # an account once opened stays
        return Change(self._book, account)

    def _fault(self, account: bytes, space: Space, item: Item) -> Status | None:
        """What is wrong with an item as such."""
        now = self._times.believed()
        if now is not None and item.seq > now + MAX_AHEAD_MS:
            return TIME
        try:
            match space:
                case Space.HELD:
                    held = parse_held(item.data)
                    if held.account != account:
                        return FAILED
                    return None if (held.tag, held.seq) == (item.id, item.seq) else MALFORMED
                case Space.KEY:
                    KeyRule.parse(item.data)
                case Space.FILE:
                    if self._files is None:
                        return NOT_OFFERED
                    return None if KeptFile.parse(item.data).id == item.id else MALFORMED
        except RemoteProtocolError as fault:
            return fault.status
        return None

    def _put(self, change: Change, space: Space, item: Item) -> Status | None:
        """Take an item that is newer; one that is not is passed over."""
        account, batch, place = change.account, change.batch, (change.account.key, ITEM_SPACE[space], item.id)
        old = self._book.kept(account.key, space, item.id)
        if old is not None and not replaces(item.entry, old.entry):
            return None
        file = KeptFile.parse(item.data) if space is Space.FILE else None
        charge = OVERHEAD + len(item.data) + (file.size if file else 0)
        more = charge - (old.charge if old else 0)
        if more > 0 and self._full(change, more, spared=LETTERS if file else 0):
            return FULL
        if old is not None and file is not None:
            self._forget_file(change, item.id)
        kept = Kept(item.entry, charge, file.cid if file else None)
        batch.put(HOST_ENTRY, place, kept.to_row())
        batch.put(HOST_ITEM, place, item.data)
        if file is not None:
            batch.put(HOST_DUE, (file.until, account.key, 0, item.id), b"")
        change.account = _changed(account, space, more)
        return None

    def _full(self, change: Change, more: int, spared: int) -> bool:
        """Whether there is no room; one part in `spared` of the account is for other things (0: none)."""
        grown, quota = change.account.size + more, self._limits.account_size
        others = self._book.totals().size - (change.before.size if change.before else 0)
        return grown > quota - (quota // spared if spared else 0) or others + grown > self._limits.size

    def _drop(self, change: Change, space: Space, item: bytes) -> None:
        account, place = change.account, (change.account.key, ITEM_SPACE[space], item)
        old = self._book.kept(account.key, space, item)
        if old is None:
            return
        if space is Space.FILE:
            self._forget_file(change, item)
            if self._files is not None and old.cid is not None:
                self._files.release(change.batch, account.key, old.cid)
        if space is Space.KEY and not self._book.use(account.key, item).waiting:
            change.batch.delete(HOST_USE, (account.key, item))
        change.batch.delete(HOST_ENTRY, place)
        change.batch.delete(HOST_ITEM, place)
        change.account = _changed(account, space, -old.charge)

    def _forget_file(self, change: Change, item: bytes) -> None:
        """The end of a file as it stands comes no more."""
        data = self._book.data(change.account.key, Space.FILE, item)
        if data is not None:
            change.batch.delete(HOST_DUE, (KeptFile.parse(data).until, change.account.key, 0, item))

    def due(self, change: Change, item: bytes, now: int) -> None:
        """The end of a file has come."""
        data = self._book.data(change.account.key, Space.FILE, item)
        if data is not None and KeptFile.parse(data).until <= now:
            self._drop(change, Space.FILE, item)

    # ---- telling

    async def get(self, account: bytes, space: Space, ids: Sequence[bytes]) -> tuple[list[Item], bool]:
        """Items in the order of their ids as asked, as many as fit a frame, and whether some did not. What is
        not here is passed over.
        """
        found: list[Item] = []
        room = MAX_ITEMS_BYTES
        for number, item in enumerate(ids):
            if number % PAUSE == PAUSE - 1:
                await trio.lowlevel.checkpoint()
            kept, data = self._book.kept(account, space, item), self._book.data(account, space, item)
            if kept is None or data is None:
                continue
            room -= len(data) + OVERHEAD
            if found and room < 0:
                return found, True
            found.append(Item(item, kept.entry.seq, data))
        return found, False

    def page(self, account: bytes, space: Space, after: bytes | None) -> tuple[list[Entry], bool]:
        """Entries in order of ids, and whether there are more."""
        found = self._book.page(account, space, after, PAGE + 1)
        entries = [self._entry(account, space, kept) for kept in found[:PAGE]]
        return entries, len(found) > PAGE

    def _entry(self, account: bytes, space: Space, kept: Kept) -> Entry:
        if space is not Space.FILE or self._files is None:
            return kept.entry
        file = self.file(account, kept.entry.id)
        return replace(kept.entry, whole=file is not None and self._files.whole(account, file))

    def file(self, account: bytes, item: bytes) -> KeptFile | None:
        """A file that is wanted."""
        data = self._book.data(account, Space.FILE, item)
        return None if data is None else KeptFile.parse(data)

    def files(self, account: bytes) -> Iterator[KeptFile]:
        """All files of an account."""
        for kept in self._book.walk(account, Space.FILE):
            if file := self.file(account, kept.entry.id):
                yield file

    def find(self, account: bytes, tag: bytes) -> bytes | None:
        """The handshake under a tag."""
        return self._book.data(account, Space.HELD, tag)

    async def digests(self, account: Account) -> dict[Space, bytes]:
        """Of each space; what has not changed is not worked out again. Raises RemoteProtocolError (4.3.2) if
        items change all the while.
        """
        for _ in range(TRIES):
            fresh = self._book.account(account.key)
            if fresh is None or len(fresh.digests) == len(Space):
                break
            found = {s: fresh.digests.get(s) or await self._digest(fresh.key, s) for s in Space}
            await self._remember(fresh, found)
        fresh = self._book.account(account.key)
        if fresh is None or len(fresh.digests) < len(Space):
            raise RemoteProtocolError("the items change all the while", BUSY)
        return dict(fresh.digests)

    async def _remember(self, worked_on: Account, digests: dict[Space, bytes]) -> None:
        fresh = self._book.account(worked_on.key)
        if fresh is not None and fresh.changes == worked_on.changes:
            change = Change(self._book, replace(fresh, digests=digests))
            await self._book.store.write(change.done(), sync=False)  # after a crash it is worked out again

    async def _digest(self, account: bytes, space: Space) -> bytes:
        """As protocol.held's, over entries that come in order and are not held."""
        found = hashlib.blake2b(digest_size=HASH_BYTES)
        for number, kept in enumerate(self._book.walk(account, space)):
            entry = kept.entry
            found.update(entry.id + entry.seq.to_bytes(SEQ_BYTES, "big") + entry.hash)
            if number % PAUSE == PAUSE - 1:
                await trio.lowlevel.checkpoint()
        return found.digest()


def _newest(items: Sequence[Item]) -> list[Item]:
    """Of several with one id the one that counts."""
    found: dict[bytes, Item] = {}
    for item in items:
        other = found.get(item.id)
        if other is None or replaces(item.entry, other.entry):
            found[item.id] = item
    return list(found.values())


def _changed(account: Account, space: Space, more: int) -> Account:
    """The account with so many bytes more in a space that is another now."""
    digests = {one: digest for one, digest in account.digests.items() if one is not space}
    return replace(account, item_size=account.item_size + more, changes=account.changes + 1, digests=digests)
