"""What is done at one host whose account is open, but for letters: told of us, filled, compared, mended. When
to go there is keeper.py's.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import trio

from node.hosts.book import HostBook, HostRow
from node.hosts.draining import Take
from node.hosts.planning import Planner
from node.hosts.shelf import Shelf
from node.hosts.syncing import Newer, Syncer
from node.hosts.talk import Talk
from node.hosts.visits import Visit, Visits
from node.runtime.clock import Clock
from node.storage import Batch, Store
from protocol.account import Space
from protocol.host import Open

DIGEST_S: Final = 600.0
"""Seconds between two looks whether all is still there (protocol §6)."""

FILES_S: Final = 2.0
"""Seconds until a host that fetches files of ours is asked whether it has them; each pause is half as long
again, up to DIGEST_S, until another file is on its way.
"""

PLAN_S: Final = 86_400.0
"""Seconds between two workings out of everything: what no note told of, such as a grant that ended."""

LIES: Final = 3
"""Rounds in which a host's digest differs though all was put: from then on it counts as behind."""

NEVER: Final = float("-inf")

Former = Callable[[Talk], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Means:
    """What all keepers share. `former` reads an account that was open before we knew of it."""

    store: Store
    book: HostBook
    planner: Planner
    visits: Visits
    clock: Clock
    doubtful: Callable[[], bool]
    take: Take
    newer: Newer
    changed: Callable[[], None]
    former: Former


class Upkeep:
    """`host` is its row as it stands in the store, `shelf` what is to be there. What it raises is Talk's, and
    StoreUnavailable.
    """

    def __init__(self, means: Means, host: HostRow) -> None:
        self.host = host
        self.shelf = Shelf(means.store, host.peer_id)
        self._m = means
        self._syncer = Syncer(means.store, means.planner, self.shelf, means.newer)
        self._lies = 0
        self._loaded = False
        self._planned = self._looked = NEVER
        self._told: Open | None = None
        self._files = False
        self._coming, self._pause = frozenset[bytes](), FILES_S

    # ---- what is known

    @property
    def behind(self) -> bool:
        """Whether something is not there as it is to be."""
        return bool(self.shelf.missing) or self._lies >= LIES or not self.host.synced

    def has(self, file: bytes) -> bool | None:
        """Whether all of the file of this id is there; None where that is not to be hoped for."""
        row = self.shelf.get(Space.FILE, file)
        if row is not None and row.whole:
            return True
        return False if self._syncer.takes(file) else None

    def rest(self, least: float) -> float:
        """Seconds until there is something to look at again, where everything is there; `least` for what is
        not pressing.
        """
        rest = max(least, self._looked + DIGEST_S - trio.current_time())
        return min(rest, self._pause) if self.shelf.coming else rest

    # ---- what changed

    def files_changed(self) -> None:
        """Which files are to be there may be others."""
        self._files = True

    def look_again(self) -> None:
        """What is there may have changed."""
        self._looked = NEVER

    def plan_again(self) -> None:
        """What is to be there may have changed."""
        self._planned = NEVER

    def doubt(self) -> None:
        """What the shelf has in memory may not be what is in the store."""
        self._loaded = False

    async def save(self, row: HostRow, *, sync: bool = True) -> None:
        """The host stands so from here on."""
        self.host = row
        await self._m.book.save(row, sync=sync)

    # ---- on a visit

    async def open(self, visit: Visit) -> None:
        """Open the account; whatever it had before, it has no longer. Raises HostRefused."""
        self._told = await self._m.visits.open(visit.talk, self.host)
        self.look_again()

    async def tell(self, visit: Visit) -> None:
        """What is new of us: our record, our nodes, the oldest prekey."""
        if self._m.doubtful():
            return
        told = self._m.visits.told()
        if told != self._told:
            await visit.talk.open(told)
            self._told = told

    async def mend(self, visit: Visit) -> None:
        """Have there what is to be there, and at times compare all of it."""
        look = trio.current_time() >= self._looked + DIGEST_S
        answer = await self._syncer.digests(visit.talk) if look else None
        if answer is not None and answer.quota != self.host.account_bytes:
            self.plan_again()  # what one sender may take is a share of it
            await self.save(replace(self.host, account_bytes=answer.quota))
        await self.plan(whole=look)
        if answer is not None and Space.HELD in await self._syncer.differing(answer):
            # A revocation that we have forgotten, with a disk restored, is known before its key is put back.
            await self._syncer.repair(visit.talk, Space.HELD)
        await self._syncer.push(visit.talk, self._m.planner.place(self.host))
        if answer is not None:
            await self._compare(visit)
            self._looked = trio.current_time()
        await self._look_at_files(visit, always=answer is not None)

    async def plan(self, *, whole: bool) -> None:
        """Work out what is to be there, as far as no note tells of it."""
        if not self._loaded:
            await self.shelf.load()
            self._loaded = True
        if trio.current_time() >= self._planned + PLAN_S:
            await self._m.planner.everything(self.shelf, self._m.planner.place(self.host))
            self._planned = trio.current_time()
        elif whole or self._files:
            self._files = False
            await self._m.planner.files([self.shelf])
        if whole and not self._m.doubtful():
            await self._m.planner.expire(self.shelf, self._m.clock.now())

    async def empty(self, visit: Visit) -> None:
        """Take back all that is kept there."""
        await self._syncer.empty(visit.talk)
        await self.clear()
        await self.save(replace(self.host, cleared=True))

    async def clear(self) -> None:
        """Forget what was to be there."""
        while True:
            batch = Batch()
            if not self.shelf.clear(batch, 256):
                return
            await self._m.store.write(batch, sync=False)

    # ---- within

    async def _look_at_files(self, visit: Visit, *, always: bool) -> None:
        if self.shelf.coming - self._coming:
            self._pause = FILES_S  # the host has only just been told
        elif self.shelf.coming or always:
            await self._syncer.look(visit.talk)
            self._pause = min(1.5 * self._pause, DIGEST_S)
        self._coming = self.shelf.coming

    async def _compare(self, visit: Visit) -> None:
        """Mend what differs; what differs even then is a lie, or was refused."""
        talk, place = visit.talk, self._m.planner.place(self.host)
        differing = await self._syncer.differing(await self._syncer.digests(talk))
        if differing:
            for space in differing:
                await self._syncer.repair(talk, space)
            await self._syncer.push(talk, place)
            differing = await self._syncer.differing(await self._syncer.digests(talk))
        differing = [space for space in differing if space is not Space.FILE]  # of which some take none
        if not differing:
            self._lies = 0
        elif not self.shelf.missing:
            self._lies += 1
        if not differing and not self.shelf.missing and not self.host.synced:
            await self.save(replace(self.host, synced=True))
            self._m.changed()
