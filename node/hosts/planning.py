"""What is to be at each host, worked out anew where something changed: handshakes and delivery keys from
consent, pages from the vault, files from those that were sent. Nothing is sent here.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final, Protocol

import trio

from node.consent import Kept, Place
from node.consent.entries import Ours
from node.hosts.book import HostRow
from node.hosts.shelf import Row, Shelf
from node.storage import Batch, Kind, Store
from node.storage.codec import Key
from node.storage.schema import CHANGED
from protocol.account import Item, KeptFile, Space
from protocol.cbor import Value
from protocol.fields import Fields
from protocol.handshake import Handshake
from protocol.held import Held
from protocol.kdf import blake2b
from protocol.keys import Secrets, SigningKey

AT_ONCE: Final = 16
"""Senders worked out before others get their turn, 0.5 ms each for one host."""

NOTES: Final = 256
"""Notes of changes read at once; the rest is read after them."""

SHARE: Final = 10
"""One sender's letters may take a tenth of the account (protocol §6)."""

USUAL_BYTES: Final = 100_000_000
"""Of an account, while its host has not said how many."""


class Consent(Protocol):
    """What consent says of hosts."""

    def list(self) -> Iterable[Ours]: ...

    def invitations(self) -> Iterable[bytes]: ...

    def ours(self, address: str) -> Ours | None: ...

    def kept(self, address: str, place: Place) -> Kept: ...

    def kept_invitation(self, key: bytes, place: Place) -> Kept: ...

    def open_held(self, address: str, held: Held) -> Handshake | None: ...


class Pages(Protocol):
    """The vault's pages, the same for every host."""

    def changed(self) -> None:
        """Something that may stand in them has changed; a note follows for each that becomes another."""
        ...

    def items(self) -> AsyncGenerator[Item, None]:
        """Every page as it is to be now."""
        ...

    async def newer(self, page: Item) -> bool:
        """A host has this one, which wins over ours: whether it is ours indeed, and was taken in."""
        ...


Outgoing = Callable[[], AsyncGenerator[tuple[int, KeptFile], None]]
"""Every file that hosts are to have, with its seq."""


class Planner:
    """Writes what shelves are to hold; each act is one at a time."""

    def __init__(
        self, store: Store, secrets: Secrets, consent: Consent, pages: Pages | None, files: Outgoing | None
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._consent = consent
        self._pages = pages
        self._files = files
        self._lock = trio.Lock()

    def account(self, peer_id: bytes) -> SigningKey:
        """The key of our account at this host."""
        return SigningKey.from_seed(self._secrets.account_seed(peer_id))

    def place(self, host: HostRow) -> Place:
        share = (host.account_bytes or USUAL_BYTES) // SHARE
        return Place(host.peer_id, self.account(host.peer_id), share)

    async def changes(self, shelves: Mapping[Shelf, Place]) -> bool:
        """Carry over what was noted; whether there was anything. A note goes only once all that follows from
        it is written, and stays where it was made anew meanwhile.
        """
        async with self._lock:
            notes = self._store.scan(CHANGED, limit=NOTES)
            for key, value in notes:
                await self._carry(key, value, shelves)
            kinds = {key[0] for key, _ in notes}
            if self._pages is not None and kinds - {Kind.PAGE}:
                self._pages.changed()
            if notes:
                await self._plan_pages(list(shelves))
            batch = Batch()
            for key, value in notes:
                if self._store.get(CHANGED, key) == value:
                    batch.delete(CHANGED, key)
            await self._store.write(batch, sync=False)
            return bool(notes)

    async def everything(self, shelf: Shelf, place: Place) -> None:
        """Work out all that a host is to have, and what it is to have no longer."""
        async with self._lock:
            seen: set[bytes] = set()
            addresses = (entry.address for entry in self._consent.list() if entry.record and entry.pair_key)
            await self._all_of(Kind.OURS, addresses, shelf, place, seen)
            keys = (key.hex() for key in self._consent.invitations())
            await self._all_of(Kind.INVITATION, keys, shelf, place, seen)
            await self._drop_others(shelf, (Space.HELD, Space.KEY), seen)
            await self._plan_pages([shelf])
            await self._plan_files([shelf])

    async def files(self, shelves: Sequence[Shelf]) -> None:
        """Which files are to be there."""
        async with self._lock:
            await self._plan_files(shelves)

    async def expire(self, shelf: Shelf, now: int) -> None:
        """Drop what has ended by `now` (Unix ms). Not to be called while the clock is doubtful."""
        async with self._lock:
            for space in (Space.KEY, Space.FILE):
                for row in shelf.rows(space):
                    if row.until and row.until <= now and not row.gone:
                        batch = Batch()
                        shelf.unwant(batch, space, row.id)
                        await self._store.write(batch, sync=False)
                    await trio.lowlevel.checkpoint()

    async def items(self, rows: Iterable[Row], place: Place) -> list[Item]:
        """What these rows of handshakes and keys stand for; one that has changed since is left out."""
        made: dict[tuple[Kind, str], dict[tuple[Space, bytes], bytes]] = {}
        found = []
        for row in rows:
            if row.kind is None:
                continue
            source = row.kind, row.source
            if source not in made:
                await trio.lowlevel.checkpoint()
                made[source] = _data_of(self._kept(*source, place))
            data = made[source].get((row.space, row.id))
            if data is not None and blake2b(data) == row.hash:
                found.append(Item(row.id, row.seq, data))
        return found

    async def loose(self, space: Space, wanted: Mapping[bytes, Row]) -> AsyncGenerator[Item, None]:
        """Those of the pages, or files, that are wanted, one after the other."""
        async with aclosing(self._pages_now() if space is Space.VAULT else self._files_now()) as items:
            async for item in items:
                row = wanted.get(item.id)
                if row is not None and row.is_at(item.entry):
                    yield item

    def open_held(self, row: Row, held: Held) -> Handshake | None:
        """The handshake that a host has in the place of ours, if it is one of ours."""
        return self._consent.open_held(row.source, held) if row.kind is Kind.OURS else None

    def knows(self, row: Row, handshake: Handshake) -> bool:
        """Whether that is the one that we have, only sealed in another way."""
        entry = self._consent.ours(row.source)
        return entry is not None and entry.record == handshake.record

    async def newer_page(self, page: Item) -> bool:
        return self._pages is not None and await self._pages.newer(page)

    # ---- within

    async def _carry(self, key: Key, value: Value, shelves: Mapping[Shelf, Place]) -> None:
        if key[0] not in (Kind.OURS, Kind.INVITATION):
            return
        kind, name = Kind(int(key[0])), Fields(value, "note").text("name", 1_024)
        for shelf, place in shelves.items():
            batch = Batch()
            self._source(batch, kind, name, shelf, place)
            await self._store.write(batch, sync=False)

    async def _all_of(
        self, kind: Kind, names: Iterable[str], shelf: Shelf, place: Place, seen: set[bytes]
    ) -> None:
        batch = Batch()
        for count, name in enumerate(names, 1):
            seen |= self._source(batch, kind, name, shelf, place)
            if count % AT_ONCE == 0:
                await self._store.write(batch, sync=False)
                batch = Batch()
        await self._store.write(batch, sync=False)

    def _source(self, batch: Batch, kind: Kind, name: str, shelf: Shelf, place: Place) -> set[bytes]:
        """Have what follows from one sender or invitation; the ids of what is to be there."""
        kept, ids = self._kept(kind, name, place), set()
        if kept.held is not None:
            entry = kept.held.entry
            row = Row(Space.HELD, entry.id, entry.seq, entry.hash, kind=kind, source=name)
            shelf.want(batch, replace(row, revoked=kept.revoked))
            ids.add(entry.id)
        for key in kept.keys:
            hashed = blake2b(key.rule.encode())
            row = Row(Space.KEY, key.id, key.seq, hashed, kind=kind, source=name, until=key.rule.until)
            shelf.want(batch, row)
            ids.add(key.id)
        for tag in kept.no_tags:
            shelf.unwant(batch, Space.HELD, tag)
        for gone in kept.no_keys:
            shelf.unwant(batch, Space.KEY, gone, revoked=kept.revoked)
        return ids

    def _kept(self, kind: Kind, name: str, place: Place) -> Kept:
        if kind is Kind.INVITATION:
            return self._consent.kept_invitation(bytes.fromhex(name), place)
        return self._consent.kept(name, place)

    async def _plan_pages(self, shelves: Sequence[Shelf]) -> None:
        await self._plan_loose(Space.VAULT, shelves, self._pages_now())

    async def _plan_files(self, shelves: Sequence[Shelf]) -> None:
        await self._plan_loose(Space.FILE, shelves, self._files_now())

    async def _plan_loose(
        self, space: Space, shelves: Sequence[Shelf], items: AsyncGenerator[Item, None]
    ) -> None:
        seen: set[bytes] = set()
        async with aclosing(items):
            async for item in items:
                entry, until = item.entry, KeptFile.parse(item.data).until if space is Space.FILE else 0
                seen.add(entry.id)
                batch = Batch()
                for shelf in shelves:
                    shelf.want(batch, Row(space, entry.id, entry.seq, entry.hash, until=until))
                await self._store.write(batch, sync=False)
        for shelf in shelves:
            await self._drop_others(shelf, (space,), seen)

    async def _drop_others(self, shelf: Shelf, spaces: Iterable[Space], seen: set[bytes]) -> None:
        for space in spaces:
            for row in shelf.rows(space):
                if row.id not in seen and not row.gone and not row.adopted:
                    batch = Batch()
                    shelf.unwant(batch, space, row.id)
                    await self._store.write(batch, sync=False)
                await trio.lowlevel.checkpoint()

    async def _pages_now(self) -> AsyncGenerator[Item, None]:
        if self._pages is not None:
            async with aclosing(self._pages.items()) as items:
                async for item in items:
                    yield item

    async def _files_now(self) -> AsyncGenerator[Item, None]:
        if self._files is not None:
            async with aclosing(self._files()) as files:
                async for seq, file in files:
                    yield Item(file.id, seq, file.encode())


def _data_of(kept: Kept) -> dict[tuple[Space, bytes], bytes]:
    held = {(Space.HELD, kept.held.id): kept.held.data} if kept.held is not None else {}
    return held | {(Space.KEY, key.id): key.rule.encode() for key in kept.keys}
