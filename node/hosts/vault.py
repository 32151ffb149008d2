"""The pages of our vault, as hosts get them, made anew where something in them has changed (protocol.md §3).

What belongs into it is its rooms' to say; who brings pages to hosts is known elsewhere.
"""

import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Protocol, TypeAlias

import trio

from node.consent.keeping import Keeping as Handshakes
from node.names.keeping import Keeping as People
from node.runtime.clock import Clock
from node.storage import Batch, Kind, Store, StoreUnavailable, note_change
from node.storage.schema import CHANGED, VAULT_PAGE
from protocol.account import MAX_VAULT_BYTES, Item
from protocol.cbor import Value
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import Fields
from protocol.record import MAX_AHEAD_MS, next_seq
from protocol.vault import FULL_BYTES, MAX_PAGES, Entry, Page, VaultKeys, merged

log = logging.getLogger(__name__)

SETTLE_S: Final = 2.0
"""Seconds in which several changes become one."""

SHARE: Final = 20
"""A look at everything is followed by so many times its own duration of rest: one core's twentieth at most,
however many people there are and however often something changes."""

AGAIN_S: Final = 60.0
"""Seconds until the next try while the clock is doubtful or the disk is full."""

AT_ONCE: Final = 50
"""Entries read between two checkpoints, about 10 ms."""

GATHER: Final = 16
"""Pages gathered in one walk, 2 MiB: a vault that is made for the first time takes one walk for each."""

_MARK_BYTES: Final = 16

_Mark: TypeAlias = tuple[int, int, bytes]
"""Of an entry: its place, its size, a hash of it. 100,000 of them take 15 MB, the entries 100 MB."""


class Keeping(Protocol):
    """A room of which something is kept."""

    def entries(self) -> Iterator[Entry]: ...

    def restore(self, batch: Batch, entry: Entry) -> bool:
        """Put back an entry of one of its kinds, unless what is there is as new; whether it was. Raises
        RemoteProtocolError.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeptPeople:
    """Names, and the keys of those with whom there are handshakes or who are in the address book."""

    people: People
    handshakes: Handshakes

    def entries(self) -> Iterator[Entry]:
        return self.people.entries(self.handshakes.keeps)

    def restore(self, batch: Batch, entry: Entry) -> bool:
        return self.people.restore(batch, entry)


@dataclass(frozen=True, slots=True)
class Known:
    """What a page was made of, and its seq."""

    seq: int
    count: int
    content: bytes


class Vault:
    """`run` is its one task. A page that changes leaves a note for node.hosts in its batch."""

    def __init__(
        self,
        store: Store,
        keys: VaultKeys,
        rooms: Sequence[Keeping],
        clock: Clock,
        doubtful: Callable[[], bool],
    ) -> None:
        self._store = store
        self._keys = keys
        self._rooms = rooms
        self._clock = clock
        self._doubtful = doubtful
        self._known: dict[int, Known] | None = None
        self._changed = trio.Event()
        self._current = False
        self._written: list[Callable[[], None]] = []

    def on_written(self, listener: Callable[[], None]) -> None:
        """Have `listener` called when pages have become others. It must not block."""
        self._written.append(listener)

    @property
    def pending(self) -> bool:
        """Whether something is kept that is not in the pages yet, or of which hosts have not been told."""
        return not self._current or bool(self._store.scan(CHANGED, limit=1))

    def changed(self) -> None:
        """Something that is kept may be another."""
        self._current = False
        self._changed.set()

    async def run(self) -> None:
        """Make pages anew after changes, until cancelled; the first look is at what was there before."""
        while True:
            self._changed = trio.Event()
            begun = trio.current_time()
            done = await self._try()
            self._current = done and not self._changed.is_set()
            took = trio.current_time() - begun
            with trio.move_on_after(float("inf") if done else AGAIN_S):
                await self._changed.wait()
            await trio.sleep(max(SETTLE_S, SHARE * took))

    async def items(self) -> AsyncGenerator[Item, None]:
        """The pages as they are, read one by one. Later numbers come first: where pages have doubled, what
        moved is at a host before the page is replaced from which it moved.
        """
        for number in sorted(self._pages(), reverse=True):
            await trio.lowlevel.checkpoint()
            row = self._store.get(VAULT_PAGE, (number,))
            if row is not None:
                fields = Fields(row, "vault page")
                data = fields.bytes("data", most=MAX_VAULT_BYTES)
                yield Item(self._keys.page_id(number), fields.int("seq"), data)

    async def newer(self, page: Item) -> bool:
        """A host has a page that wins over ours: whether we have written it, and know now what it says.
        Raises StoreUnavailable.
        """
        try:
            opened = self._keys.open(page)
        except RemoteProtocolError:
            return False
        await self.take_in([(opened, page)])
        return True

    async def take_in(self, pages: Sequence[tuple[Page, Item]]) -> Counter[str]:
        """Restore what these pages say together where nothing newer is here, and go on from them: what is
        the same stays as it is there, what we write replaces it. How many entries of each kind came back.
        Raises StoreUnavailable.
        """
        restored: Counter[str] = Counter()
        for entry in merged((page for page, _ in pages), self._keys):
            batch = self._restored(entry)
            if batch is not None:
                restored[entry.kind] += 1
                # Each by itself, since the next one may rest on it; the last write of all is synced.
                await self._store.write(batch, sync=False)
            await trio.lowlevel.checkpoint()
        await self._go_on(pages)
        self.changed()
        return restored

    async def renew(self) -> int:
        """Make those pages anew in which something has changed; how many. Raises StoreUnavailable."""
        marks: list[_Mark] = []
        await self._walk(lambda place, entry: marks.append((place, entry.size, _hash(entry))))
        known = self._pages()
        count = _count(marks, max((page.count for page in known.values()), default=1))
        contents = _contents(marks, count)
        stale = [n for n in reversed(range(count)) if n not in known or known[n].content != contents[n]]
        for start in range(0, len(stale), GATHER):
            await self._write(stale[start : start + GATHER], count)
        for listener in self._written if stale else ():
            listener()
        return len(stale)

    async def _try(self) -> bool:
        if self._doubtful():
            return False  # a page carries the time
        try:
            await self.renew()
        except (StoreUnavailable, LocalProtocolError) as fault:
            self._known = None
            log.warning("the vault was not written: %s", fault)
            return False
        return True

    def _restored(self, entry: Entry) -> Batch | None:
        """What puts this entry back; None where nothing is to be done."""
        batch = Batch()
        try:
            return batch if any(room.restore(batch, entry) for room in self._rooms) else None
        except RemoteProtocolError as fault:  # of a later version, or our own mistake
            log.warning("an entry of the vault can't be read: %s", fault)
            return None

    async def _go_on(self, pages: Iterable[tuple[Page, Item]]) -> None:
        for page, item in sorted(pages, key=lambda one: one[0].seq):
            known = self._pages().get(page.number)
            if known is None or known.seq < page.seq:
                batch = Batch()
                self._pages()[page.number] = self._put(batch, page, item)
                await self._store.write(batch)

    async def _write(self, numbers: Sequence[int], count: int) -> None:
        gathered: dict[int, list[Entry]] = {number: [] for number in numbers}

        def gather(place: int, entry: Entry) -> None:
            if place % count in gathered:
                gathered[place % count].append(entry)

        await self._walk(gather)
        for number in numbers:
            batch = Batch()
            page = Page(number, count, self._next(number), tuple(gathered[number]))
            item = self._keys.seal(page)
            self._pages()[number] = self._put(batch, page, item)
            note_change(batch, Kind.PAGE, item.id, "")
            await self._store.write(batch, sync=False)  # what a crash takes is made again

    def _next(self, number: int) -> int:
        known, now = self._pages().get(number), self._clock.now()
        # A clock that ran ahead dated a page that no host has taken.
        return next_seq(known.seq if known is not None and known.seq <= now + MAX_AHEAD_MS else None, now)

    def _put(self, batch: Batch, page: Page, item: Item) -> Known:
        known = Known(page.seq, page.count, _content(map(_hash, page.entries), page.count))
        row: dict[str, Value] = {
            "seq": known.seq,
            "count": known.count,
            "content": known.content,
            "data": item.data,
        }
        batch.put(VAULT_PAGE, (page.number,), row)
        return known

    def _pages(self) -> dict[int, Known]:
        """What is known of each page; read once."""
        if self._known is None:
            rows = self._store.walk(VAULT_PAGE)
            self._known = {number: _known_of(row) for (number,), row in rows if isinstance(number, int)}
        return self._known

    async def _walk(self, take: Callable[[int, Entry], None]) -> None:
        """Hand over everything that is kept, with its place, one by one."""
        for room in self._rooms:
            for n, entry in enumerate(room.entries()):
                if n % AT_ONCE == 0:
                    await trio.lowlevel.checkpoint()
                take(self._keys.place(entry.kind, entry.name), entry)


def _count(marks: Sequence[_Mark], least: int) -> int:
    """Pages needed: twice as many as long as one of them is too full, never fewer than there were."""
    count = least
    while count < MAX_PAGES:
        sizes = [0] * count
        for place, size, _ in marks:
            sizes[place % count] += size
        if max(sizes) <= FULL_BYTES:
            break
        count *= 2
    return count


def _contents(marks: Iterable[_Mark], count: int) -> list[bytes]:
    """What each page is to be made of."""
    hashes: list[list[bytes]] = [[] for _ in range(count)]
    for place, _, mark in marks:
        hashes[place % count].append(mark)
    return [_content(page, count) for page in hashes]


def _content(hashes: Iterable[bytes], count: int) -> bytes:
    return _short(count.to_bytes(8, "big") + b"".join(sorted(hashes)))


def _hash(entry: Entry) -> bytes:
    parts = (entry.kind.encode(), entry.name, entry.value)
    return _short(b"".join(len(part).to_bytes(4, "big") + part for part in parts))


def _short(data: bytes) -> bytes:
    return blake2b(data, digest_size=_MARK_BYTES).digest()


def _known_of(row: Value) -> Known:
    fields = Fields(row, "vault page")
    count = fields.int("count", least=1, most=MAX_PAGES)
    return Known(fields.int("seq"), count, fields.bytes("content", length=_MARK_BYTES))
