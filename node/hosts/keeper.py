"""One host's two tasks: going there for whatever is to be done, and getting what waits there. How it stands,
and how it is left. What is done there is upkeep.py's.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Final

import trio

from node.hosts.book import MAX_TEXT, HostRow, Origin, Stand
from node.hosts.draining import Drainer
from node.hosts.errors import HostRefused
from node.hosts.shelf import Shelf
from node.hosts.upkeep import DIGEST_S, Means, Upkeep
from node.hosts.visits import Visit
from node.runtime.clock import DAY_MS
from node.runtime.errors import NodeError
from protocol.errors import RemoteProtocolError
from protocol.status import BUSY, DISK_FULL, STORE_BROKEN, TIME

log = logging.getLogger(__name__)

RETRY_S: Final = 30.0
"""Seconds until a host that failed is tried again."""

RARELY_S: Final = 600.0
"""The same for one that has been away for a day."""

REFUSED_MS: Final = DAY_MS
"""How long a host that refused is not asked again."""

REACHED_EVERY_MS: Final = 3_600_000
"""How stale the time may be at which we last reached a host, after a crash."""

FRESH_MS: Final = 60_000
"""How long ago a host must have been drained when we leave it for good."""

PASSING: Final = frozenset({BUSY, DISK_FULL, STORE_BROKEN, TIME})
"""Refusals that say nothing of tomorrow: asked again as if it had not answered."""


class Keeper:
    """Works for one host while `run` runs; `host` is its row as it stands in the store."""

    def __init__(self, means: Means, host: HostRow) -> None:
        self.drained: int | None = None
        self.away = False
        self.failures = 0
        self.since = means.clock.now()
        self._shown = ""
        self._m = means
        self._upkeep = Upkeep(means, host)
        self._drainer = Drainer(means.visits, means.take, self._all_taken)
        self._wake, self._come = trio.Event(), trio.Event()
        self._greeted = trio.Event()
        self._staying = trio.CancelScope()

    @property
    def host(self) -> HostRow:
        """Its row as it stands in the store."""
        return self._upkeep.host

    @property
    def shelf(self) -> Shelf:
        """What is to be there."""
        return self._upkeep.shelf

    def has(self, file: bytes) -> bool | None:
        """Whether all of the file of this id is there; None where that is not to be hoped for."""
        return self._upkeep.has(file)

    def poke(self, *, files: bool = False) -> None:
        """Something is to be done; `files`: which files are to be there may be others."""
        if files:
            self._upkeep.files_changed()
        self._wake.set()

    def connected(self) -> None:
        """The host is there: look at everything."""
        self._upkeep.look_again()
        self._wake.set()
        self._come.set()

    def woke(self) -> None:
        """The machine has slept: streams may be dead, and letters may have come."""
        self.failures = 0
        self._staying.cancel()
        self.connected()

    def restart(self, host: HostRow) -> None:
        """The owner has said something else of it."""
        self._upkeep.host = host
        self._upkeep.plan_again()
        self.connected()

    async def leave(self, until: int, *, removed: bool = False) -> None:
        """Use it no longer: what waits is got until then (Unix ms), what is kept there is taken back."""
        await self._upkeep.save(self.host.leaving(self._m.clock.now(), until, removed=removed))
        self._m.changed()
        self._wake.set()

    async def moved(self, addrs: tuple[str, ...]) -> None:
        """It says that it is there now."""
        await self._upkeep.save(replace(self.host, addrs=addrs))

    @property
    def state(self) -> str:
        """One of opening, refused, left, unreachable, behind, current."""
        stand = self.host.stand
        if stand in (Stand.REFUSED, Stand.LEFT):
            return stand.value
        if self.away:
            return "unreachable"
        if stand is Stand.OPENING:
            return "opening"
        return "behind" if self._upkeep.behind else "current"

    async def run(self) -> None:
        """Until there is nothing to do for this host any more."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._drain_always)
            await self._keep()
            nursery.cancel_scope.cancel()

    # ---- keeping

    async def _keep(self) -> None:
        while not self._is_finished():
            self._wake = trio.Event()
            done = await self._guard(self._round)
            self._greeted.set()
            if self.away and self.host.stand is Stand.OPEN:
                await self._guard(partial(self._upkeep.plan, whole=False))  # it lacks something too
            self._note()
            if self._is_finished():
                return
            with trio.move_on_after(self._rest(done)):
                await self._wake.wait()

    def _is_finished(self) -> bool:
        chosen = self.host.origin is Origin.SELF
        return self.host.stand is Stand.SHUNNED or (self.host.stand is Stand.REFUSED and chosen)

    def _rest(self, done: bool) -> float:
        """Seconds until the next round."""
        now = self._m.clock.now()
        if self.host.stand is Stand.REFUSED:
            return max(RETRY_S, min((self.host.until - now) / 1_000, DIGEST_S))
        if not done and self.host.reached and now - self.host.reached > DAY_MS:
            return RARELY_S
        if not done or (self.shelf.missing and self.host.stand is not Stand.LEFT):
            return RETRY_S
        if self.host.stand is Stand.LEFT:
            return DIGEST_S
        return self._upkeep.rest(RETRY_S)

    async def _round(self) -> None:
        if self.host.stand is Stand.REFUSED and self._m.clock.now() < self.host.until:
            return
        if self.host.stand is Stand.LEFT and self._m.clock.now() >= self.host.until:
            await self._forget()
            return
        # Every second try that fails is where it was known to be, the others where the network finds it.
        async with self._m.visits.to(self.host, anew=self.failures % 2 == 1) as visit:
            await self._reached()
            if self.host.stand is Stand.LEFT:
                await self._leave(visit)
            elif visit.opened or await self._open(visit):
                if visit.opened and self.host.stand in (Stand.OPENING, Stand.REFUSED):
                    await self._m.former(visit.talk)
                await self._serve(visit)

    async def _serve(self, visit: Visit) -> None:
        """Everything that an open account is for, but letters."""
        if self.host.stand in (Stand.OPENING, Stand.REFUSED):
            await self._stands(Stand.OPEN, voucher=None, text="")
            self._come.set()
        await self._upkeep.tell(visit)
        self._greeted.set()
        await self._upkeep.mend(visit)

    async def _open(self, visit: Visit) -> bool:
        """Whether the account is open now. An owner with a doubtful clock opens none."""
        if self._m.doubtful():
            return False
        try:
            await self._upkeep.open(visit)
        except HostRefused as fault:
            if fault.status in PASSING:
                raise
            until = self._m.clock.now() + REFUSED_MS
            if self.host.stand is not Stand.LEFT:
                await self._stands(Stand.REFUSED, until=until, text=_short(fault.text))
            return False
        return True

    async def _leave(self, visit: Visit) -> None:
        """Drain first, then take back what is kept there."""
        if not visit.opened:
            await self._forget()
            return
        if self.host.cleared and not self.host.removed:
            return
        if self.drained is None or self._m.clock.now() - self.drained > FRESH_MS:
            self._staying.cancel()  # it begins anew, and wakes us when it is through
            self._come.set()
            return
        if not self.host.cleared:
            await self._upkeep.empty(visit)
        if self.host.removed and not self._drainer.put_off:
            await self._forget()

    async def _forget(self) -> None:
        """It is none of ours any more; one that the owner removed is not chosen again for a while."""
        await self._upkeep.clear()
        await self._stands(Stand.SHUNNED, cleared=True)

    # ---- draining

    async def _drain_always(self) -> None:
        # Who it is that has a letter must be known there: nodes of ours that are no more can't say so.
        await self._greeted.wait()
        while True:
            self._come = trio.Event()
            if self.host.stand in (Stand.OPEN, Stand.LEFT) and not await self._guard(self._stay):
                self.poke()  # it may be away, which the other task finds out
            with trio.move_on_after(RARELY_S if self.away else RETRY_S):
                await self._come.wait()

    async def _stay(self) -> None:
        with trio.CancelScope() as self._staying:
            await self._drainer.stay(self.host)

    def _all_taken(self) -> None:
        self.drained = self._m.clock.now()
        if self.host.stand is Stand.LEFT and (self.host.removed or not self.host.cleared):
            self.poke()

    # ---- how it stands

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Whether it went well; what went wrong is said, and tried again later."""
        from node.network import PeerUnreachable

        try:
            await work()
        except PeerUnreachable as fault:
            if work == self._round:
                self.away, self.failures = True, self.failures + 1
            log.debug("a host: %s", fault)
        except (RemoteProtocolError, HostRefused) as fault:
            if self.host.stand is Stand.OPENING and work == self._round:
                self.failures += 1  # another one is found in its place
            log.warning("a host does not do what it should: %s", fault)
        except NodeError as fault:
            log.warning("the work for a host rests: %s", fault)
            self._upkeep.doubt()
        else:
            return True
        return False

    async def _reached(self) -> None:
        if self.away:
            self._come.set()
        self.away, now = False, self._m.clock.now()
        if self.host.stand is not Stand.OPENING:  # until then it has to do more than be there
            self.failures = 0
        if now - self.host.reached >= REACHED_EVERY_MS or now < self.host.reached:
            await self._upkeep.save(replace(self.host, reached=now), sync=False)

    async def _stands(self, stand: Stand, **more: object) -> None:
        row = replace(self.host, stand=stand, since=self._m.clock.now(), **more)  # type: ignore[arg-type]
        await self._upkeep.save(row)
        self._m.changed()

    def _note(self) -> None:
        if self.state != self._shown:
            self._shown, self.since = self.state, self._m.clock.now()


def _short(text: str) -> str:
    """As much of what a host said as a row holds: what is too long could not be read again."""
    return text.encode()[:MAX_TEXT].decode(errors="ignore")
