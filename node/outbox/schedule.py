"""Which letter is tried when: the lanes, their timers, and the tasks that make the attempts.

Knows letters by id only. What an attempt does and what comes of it is handed in.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Awaitable, Callable

import trio

from node.outbox.timetable import Lane
from node.runtime.clock import Clock

MAX_ACTIVE = 32
"""Attempts at once over all lanes: each may hold a letter of 1 MiB in memory."""

JUMP_S = 60.0
"""Seconds after which a timer is compared with the wall clock again, which may have jumped."""

Attempt = Callable[[str, Lane, bytes], Awaitable[None]]


class Schedule:
    """Lanes of letter ids. One task runs `run`; the rest is called from any task and never waits."""

    def __init__(self, clock: Clock, attempt: Attempt) -> None:
        self._clock = clock
        self._attempt = attempt
        self._lanes: dict[str, Lane] = {}
        self._held: dict[str, set[bytes]] = {}
        self._scopes: dict[tuple[str, bytes], trio.CancelScope] = {}
        self._poked: dict[str, None] = {}
        self._timers: list[tuple[int, str]] = []
        self._armed: dict[str, int] = {}
        self._changed = trio.Event()

    @property
    def size(self) -> int:
        """How many letters wait for their turn or a time; held ones do not count."""
        return sum(len(lane.ready) + len(lane.deferred) for lane in self._lanes.values())

    def add(self, name: str, letter_id: bytes, not_before: int = 0) -> None:
        """Try this letter as soon as its lane may, but not before a time (Unix ms)."""
        self._held.get(name, set()).discard(letter_id)
        self._lanes.setdefault(name, Lane()).add(letter_id, not_before)
        self._poke(name)

    def hold(self, name: str, letter_id: bytes) -> None:
        """Not to be tried until the lane is woken; at once if that happened during the attempt."""
        if name in self._lanes and letter_id in self._lanes[name].missed:
            self.add(name, letter_id)
            return
        self.drop(name, letter_id)
        self._held.setdefault(name, set()).add(letter_id)

    def drop(self, name: str, letter_id: bytes) -> None:
        """Not to be tried any more."""
        self._held.get(name, set()).discard(letter_id)
        if name in self._lanes:
            self._lanes[name].discard(letter_id)
            self._poke(name)

    def cut(self, name: str, letter_id: bytes) -> None:
        """Drop it, and end an attempt that runs."""
        self.drop(name, letter_id)
        if scope := self._scopes.get((name, letter_id)):
            scope.cancel()

    def wake(self, name: str) -> None:
        """Try everything in this lane at once, held or not."""
        for letter_id in self._held.pop(name, ()):
            self.add(name, letter_id)
        if name in self._lanes:
            self._lanes[name].open()
            self._poke(name)

    async def run(self) -> None:
        """Make the attempts, for ever; cancelling it cancels those that run."""
        async with trio.open_nursery() as nursery:
            while True:
                self._changed = trio.Event()
                self._dispatch(nursery)
                await self._wait()

    def _poke(self, name: str) -> None:
        self._poked[name] = None
        self._changed.set()

    def _dispatch(self, nursery: trio.Nursery) -> None:
        now = self._clock.now()
        while self._timers and self._timers[0][0] <= now:
            due, name = heapq.heappop(self._timers)
            self._poked[name] = None
            if self._armed.get(name) == due:
                del self._armed[name]
        for name in list(self._poked):
            if len(self._scopes) >= MAX_ACTIVE:
                return
            del self._poked[name]
            if name in self._lanes:
                self._dispatch_lane(nursery, name, self._lanes[name], now)

    def _dispatch_lane(self, nursery: trio.Nursery, name: str, lane: Lane, now: int) -> None:
        while len(self._scopes) < MAX_ACTIVE and (letter_id := lane.take(now)) is not None:
            scope = self._scopes[name, letter_id] = trio.CancelScope()
            nursery.start_soon(self._guarded, name, lane, letter_id, scope)
        if len(self._scopes) >= MAX_ACTIVE:
            self._poked[name] = None  # its turn comes when an attempt ends
        elif (due := lane.next_due()) is not None:
            self._arm(name, due)
        elif lane.empty and now >= lane.retry_at:
            del self._lanes[name]
        elif lane.empty:
            self._arm(name, lane.retry_at)  # what it learned is of use until then

    def _arm(self, name: str, due: int) -> None:
        """Look at this lane again at `due`; one timer a lane, unless a sooner one takes its place."""
        if name not in self._armed or due < self._armed[name]:
            self._armed[name] = due
            heapq.heappush(self._timers, (due, name))

    async def _guarded(self, name: str, lane: Lane, letter_id: bytes, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await self._attempt(name, lane, letter_id)
        finally:
            del self._scopes[name, letter_id]
            lane.active.discard(letter_id)
            lane.missed.discard(letter_id)
            self._poke(name)

    async def _wait(self) -> None:
        """Until something changed or a timer is due."""
        seconds = math.inf
        if self._timers and len(self._scopes) < MAX_ACTIVE:
            seconds = min(max(0.0, (self._timers[0][0] - self._clock.now()) / 1000), JUMP_S)
        with trio.move_on_after(seconds):
            await self._changed.wait()
