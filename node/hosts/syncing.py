"""Making what is at a host what it is to be: puts and drops, digests, repair by pages (protocol.md §6,
*Hosts*). A host is never believed over what we have signed ourselves.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final, TypeVar

from node.consent import Place
from node.hosts.planning import Planner
from node.hosts.reading import entries_of, items_of
from node.hosts.shelf import Row, Shelf
from node.hosts.talk import Talk, in_frames
from node.storage import Batch, Store
from protocol.account import Entry, Item, KeptFile, Space, replaces
from protocol.errors import RemoteProtocolError
from protocol.handshake import Handshake
from protocol.held import digest, parse_held
from protocol.host import MAX_IDS, Answer, Digest, Get, Put
from protocol.status import NOT_OFFERED

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_ENTRIES: Final = 1_000_000
"""Entries read of one space. A host that names more is not honest."""

AT_ONCE: Final = 500
"""Items made ready before they are sent, some 2 MB of handshakes."""

MAX_ADOPTED: Final = 10_000
"""Files of ours that we do not know taken over in one round, some MB of rows; an owner has fewer."""

NOTHING: Final = digest(())

Newer = Callable[[Handshake], Awaitable[None]]
"""Told of a handshake that we have signed and do not know: another node of ours, or a disk restored."""


class Syncer:
    """Works on one host's shelf over a stream that is the account's. What it raises is Talk's, and
    StoreUnavailable.
    """

    def __init__(self, store: Store, planner: Planner, shelf: Shelf, newer: Newer) -> None:
        self._store = store
        self._planner = planner
        self._shelf = shelf
        self._newer = newer
        self._no_files = False
        self._refused: set[bytes] = set()  # files that the host did not take when it was last asked

    def takes(self, file: bytes) -> bool:
        """Whether this host is to be hoped for where the file of this id is to be kept."""
        return not self._no_files and file not in self._refused

    async def push(self, talk: Talk, place: Place) -> None:
        """Put what is not there and drop what is still there, revocations first, each once."""
        for keys in _groups(self._shelf.unsettled(), AT_ONCE):
            some = self._shelf.rows_of(keys)
            for space in Space:
                gone = [row for row in some if row.space is space and row.gone]
                await self._drop_rows(talk, space, gone)
                here = [row for row in some if row.space is space and not row.gone]
                if space in (Space.HELD, Space.KEY):
                    await self._put(talk, space, await self._planner.items(here, place))
                elif here and not (space is Space.FILE and self._no_files):
                    await self._put_loose(talk, space, here)

    async def differing(self, answer: Answer) -> list[Space]:
        """The spaces in which a host's digests are not ours."""
        return [s for s in Space if answer.digests.get(s, NOTHING) != await self._shelf.digest(s)]

    async def digests(self, talk: Talk) -> Answer:
        return await talk.ask(Digest())

    async def repair(self, talk: Talk, space: Space) -> None:
        """Find out by pages in what a host differs, so that `push` mends it; what nobody knows is dropped,
        but files: of those that were sent before a disk was lost the host alone knows.
        """
        strays: list[bytes] = []
        lost: list[bytes] = []
        rivals: list[Row] = []
        async with aclosing(_side_by_side(self._shelf.rows(space), _entries(talk, space))) as found:
            async for row, entry in found:
                if row is None and entry is not None and space is Space.FILE and len(lost) < MAX_ADOPTED:
                    lost.append(entry.id)
                elif row is None and entry is not None:
                    strays.append(entry.id)
                    await self._drop(talk, space, strays, MAX_IDS)
                elif row is not None and await self._wins(row, entry) and len(rivals) < MAX_IDS:
                    rivals.append(row)  # beyond so many the others in the next round
        await self._drop(talk, space, strays, 1)
        await self._adopt(talk, lost)
        for rival in rivals:
            await self._rival(talk, rival)

    async def look(self, talk: Talk) -> None:
        """Find out of which files the host has everything by now."""
        space = Space.FILE
        async with aclosing(_side_by_side(self._shelf.rows(space), _entries(talk, space))) as found:
            async for row, entry in found:
                if row is None:
                    continue
                whole = entry is not None and entry.whole and row.is_at(entry)
                now = self._shelf.get(space, row.id)
                if now is not None and now.is_at(row.entry) and now.whole != whole:
                    batch = Batch()
                    self._shelf.put(batch, replace(now, whole=whole))
                    await self._store.write(batch, sync=False)

    async def empty(self, talk: Talk) -> None:
        """Drop all that this account keeps there, whatever we know of it."""
        for space in Space:
            ids: list[bytes] = []
            async with aclosing(_entries(talk, space)) as entries:
                async for entry in entries:
                    ids.append(entry.id)
                    await self._drop(talk, space, ids, MAX_IDS)
            await self._drop(talk, space, ids, 1)

    # ---- within

    async def _put(self, talk: Talk, space: Space, items: Sequence[Item]) -> None:
        for put in in_frames(list(items), space):
            refused = (await talk.ask(put)).refused
            for status in set(refused.values()):
                log.info("a host does not take some of what it is to keep (%s): %s", space, status.text)
                self._no_files |= space is Space.FILE and status == NOT_OFFERED
            if space is Space.FILE:
                self._refused -= {item.id for item in put.items}
                self._refused |= refused.keys()
            await self._placed(space, [item.entry for item in put.items if item.id not in refused])

    async def _put_loose(self, talk: Talk, space: Space, rows: Sequence[Row]) -> None:
        """One by one: pages are large, and made only when they are asked for."""
        async with aclosing(self._planner.loose(space, {row.id: row for row in rows})) as items:
            async for item in items:
                await self._put(talk, space, [item])
                if space is Space.FILE and self._no_files:
                    return

    async def _placed(self, space: Space, entries: Sequence[Entry]) -> None:
        """They are there, unless they have become others meanwhile."""
        batch = Batch()
        for entry in entries:
            row = self._shelf.get(space, entry.id)
            if row is not None and row.is_at(entry):
                self._shelf.put(batch, replace(row, placed=True))
        await self._store.write(batch, sync=False)

    async def _drop_rows(self, talk: Talk, space: Space, rows: Sequence[Row]) -> None:
        for some in _groups(rows, MAX_IDS):
            await talk.ask(Put(space, (), tuple(row.id for row in some)))
            batch = Batch()
            for row in some:
                now = self._shelf.get(space, row.id)
                if now is not None and now.gone:
                    self._shelf.delete(batch, space, row.id)
            await self._store.write(batch, sync=False)

    async def _drop(self, talk: Talk, space: Space, ids: list[bytes], least: int) -> None:
        """Have these dropped, once there are so many."""
        if len(ids) >= least:
            await talk.ask(Put(space, (), tuple(ids)))
            ids.clear()

    async def _adopt(self, talk: Talk, ids: Sequence[bytes]) -> None:
        """Leave these files where they are until they end; what is none is dropped."""
        odd: list[bytes] = []
        async with aclosing(items_of(talk, Space.FILE, ids)) as items:
            async for item in items:
                try:
                    file = KeptFile.parse(item.data)
                except RemoteProtocolError:
                    file = None
                if file is None or file.id != item.id:
                    odd.append(item.id)
                elif self._shelf.get(Space.FILE, item.id) is None:  # nothing was sent meanwhile
                    entry, batch = item.entry, Batch()
                    row = Row(Space.FILE, entry.id, entry.seq, entry.hash, placed=True, until=file.until)
                    self._shelf.put(batch, replace(row, adopted=True))
                    await self._store.write(batch, sync=False)
        await self._drop(talk, Space.FILE, odd, 1)

    async def _wins(self, row: Row, entry: Entry | None) -> bool:
        """Note what a host has of this item; whether that would win over ours."""
        if entry is None:
            await self._absent(row)
        elif row.gone:
            return False  # `push` drops it
        elif row.is_at(entry):
            if not row.placed:
                await self._placed(row.space, [entry])
        elif replaces(row.entry, entry):
            await self._absent(row)
        else:
            return True
        return False

    async def _absent(self, row: Row) -> None:
        """A host does not have this, or has an older one."""
        now = self._shelf.get(row.space, row.id)
        if now is None or (not now.placed and not now.gone):
            return
        batch = Batch()
        if now.gone or now.adopted:
            self._shelf.delete(batch, row.space, row.id)
        else:
            self._shelf.put(batch, replace(now, placed=False, whole=False))
        await self._store.write(batch, sync=False)

    async def _rival(self, talk: Talk, row: Row) -> None:
        """A host has one that would win over ours. If it is ours indeed, whoever can judge is told and it
        stays; anything else goes.
        """
        items = (await talk.ask(Get(row.space, (row.id,)))).items
        if items and items[0].id == row.id and await self._is_ours(row, items[0]):
            return
        await talk.ask(Put(row.space, (), (row.id,)))
        await self._absent(row)

    async def _is_ours(self, row: Row, item: Item) -> bool:
        if row.space is Space.VAULT:
            return await self._planner.newer_page(item)
        if row.space is not Space.HELD:
            return False
        try:
            handshake = self._planner.open_held(row, parse_held(item.data))
        except RemoteProtocolError:
            return False
        if handshake is None or handshake.seq < row.seq or self._planner.knows(row, handshake):
            return False
        await self._newer(handshake)
        return True


async def _side_by_side(
    rows: Iterator[Row], entries: AsyncGenerator[Entry, None]
) -> AsyncGenerator[tuple[Row | None, Entry | None], None]:
    """Both in order of ids, what has one id together."""
    row = next(rows, None)
    async with aclosing(entries):
        async for entry in entries:
            while row is not None and row.id < entry.id:
                yield row, None
                row = next(rows, None)
            if row is None or row.id != entry.id:
                yield None, entry
            else:
                yield row, entry
                row = next(rows, None)
    while row is not None:
        yield row, None
        row = next(rows, None)


def _entries(talk: Talk, space: Space) -> AsyncGenerator[Entry, None]:
    return entries_of(talk, space, MAX_ENTRIES)


def _groups(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), most):
        yield items[start : start + most]
