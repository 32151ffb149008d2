"""Gets what letters refer to (protocol.md §7): by itself, with patience, one content of an author at a time.
Of whom it is asked is providers.py's; how a content is fetched and checked, node.files'.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import trio

from node.exchange.fetched import Fetched
from node.exchange.progress import Progress, tell
from node.exchange.providers import Heard, Providers
from node.files import ContentDamaged, Files, Wanted
from node.letters import Mailbox, Missing
from node.letters.missing import State
from node.names import Names
from node.network import Network, PeerUnreachable
from node.runtime.clock import Clock
from node.runtime.events import Events
from node.storage import Batch, Store, StoreUnavailable

log = logging.getLogger(__name__)

MAX_TRIED: Final = 12
"""Authors whose contents are tried at once: one that sleeps costs a few dials and half a minute. How many of
them come at once is providers.py's.
"""

FOR_NEWS: Final = 4
"""Of those, kept for who was just heard of: a new letter's files must not wait for many who sleep."""

FIRST_PAUSE_MS: Final = 2_000
"""Until an author who was not reached is tried again, as after a start, before anybody is connected; doubles
up to LAST_PAUSE_MS. It is tried at once when its node connects, or a letter of its comes."""

LAST_PAUSE_MS: Final = 4 * 3_600_000
"""Four hours, as for letters (§6)."""

TURN_S: Final = 600.0
"""Seconds after which one content leaves its place to others: who sends a block now and then must not keep
it.
"""

TIRED_MS: Final = 60 * 86_400_000
"""How long it is tried after a letter came: no sender keeps an attachment for longer unless told to."""

NOT_KEPT: Final = "its sender does not keep it any more"

Key = tuple[bytes, int]


@dataclass
class _Lane:
    """What is wanted of one author. `due` (Unix ms) is when it may be tried again, `scope` ends the try that
    runs, which is for `current`. `asleep`: none of its nodes was there the last time. `heard`: something of
    it came since.
    """

    wanted: dict[Key, Missing] = field(default_factory=dict)
    failures: int = 0
    due: int = 0
    asleep: bool = False
    heard: bool = False
    current: Key | None = None
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def active(self) -> bool:
        return self.current is not None


class _Nobody:
    """Who is asked for nothing, since everything is here."""

    async def want(self, cids: Sequence[bytes]) -> None:
        raise PeerUnreachable("a part of it has been lost here")

    async def receive(self) -> tuple[bytes, bytes | None]:
        raise PeerUnreachable("nobody was asked")


class Fetcher:
    """One task runs `run`; the rest may be called from any task of trio's."""

    def __init__(
        self,
        *,
        store: Store,
        mailbox: Mailbox,
        files: Files,
        names: Names,
        network: Network,
        fetched: Fetched,
        events: Events,
        clock: Clock,
    ) -> None:
        self._store = store
        self._outstanding = mailbox.outstanding
        self._files = files
        self._names = names
        self._providers = Providers(files, names, network, clock)
        self._fetched = fetched
        self._events = events
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._changed = trio.Event()

    # ---- what others tell

    def add(self, letter: bytes) -> None:
        """A letter came, or is asked for: get what it wants before anything else, and at once, for whoever
        brought it is there.
        """
        for n, missing in reversed(self._outstanding.book.of(letter).items()):
            if missing.state == "wanted":
                lane = self._lanes.pop(missing.author, _Lane())
                self._lanes = {missing.author: lane} | self._lanes
                lane.wanted = {(letter, n): missing} | lane.wanted
                self.wake(missing.author)

    async def ask(self, letter: bytes) -> None:
        """Get everything of it that is not here, now. Raises StoreUnavailable."""
        batch = Batch()
        self._outstanding.ask_for(batch, letter)
        await self._store.write(batch)
        self.add(letter)

    def drop(self, letter: bytes) -> None:
        """A letter is gone: what it wanted is wanted no more."""
        for lane in self._lanes.values():
            for key in [key for key in lane.wanted if key[0] == letter]:
                del lane.wanted[key]
                if key == lane.current:
                    lane.scope.cancel()

    def retry(self) -> None:
        """There is more room than there was: try what waits."""
        for lane in self._lanes.values():
            lane.due = 0
        self._changed.set()

    def connected(self, peer_id: bytes) -> None:
        """A peer is there: if it is a node of somebody who was not reached, try at once."""
        for author, lane in self._lanes.items():
            missed = lane.failures or lane.asleep
            if missed and any(peer.peer_id == peer_id for peer in self._names.nodes_of(author)):
                lane.asleep = False
                self.wake(author)

    def wake(self, author: str) -> None:
        """Try this author's at once."""
        if lane := self._lanes.get(author):
            lane.due = lane.failures = 0
            lane.heard = True
            self._changed.set()

    # ---- work

    async def run(self) -> None:
        """Fetch what is wanted, for ever. What was wanted at the last stop is tried at once."""
        for missing in self._outstanding.book.all():
            await trio.lowlevel.checkpoint()
            if missing.state == "wanted":
                lane = self._lanes.setdefault(missing.author, _Lane())
                lane.wanted[missing.letter, missing.n] = missing
        async with trio.open_nursery() as nursery:
            while True:
                self._changed = trio.Event()
                await self._wait(self._dispatch(nursery))

    def _dispatch(self, nursery: trio.Nursery) -> int | None:
        """Try whoever is due, as far as there are places; when the next one is (Unix ms), if any."""
        now = self._clock.now()
        active = sum(lane.active for lane in self._lanes.values())
        for author, lane in list(self._lanes.items()):
            if not lane.wanted and not lane.active:
                del self._lanes[author]
            elif not lane.active and lane.due <= now and active < MAX_TRIED - FOR_NEWS * (not lane.heard):
                lane.current = next(iter(lane.wanted))
                lane.scope = trio.CancelScope()
                nursery.start_soon(self._guarded, lane, lane.current)
                active += 1
        return min((lane.due for lane in self._lanes.values() if lane.due > now), default=None)

    async def _wait(self, due: int | None) -> None:
        """Until something changed, as when a place is free, or somebody is due."""
        if due is None:
            await self._changed.wait()
            return
        # Time that a suspended machine slept through is looked at every minute.
        with trio.move_on_after(min(max(0.0, (due - self._clock.now()) / 1000), 60.0)):
            await self._changed.wait()

    async def _guarded(self, lane: _Lane, key: Key) -> None:
        """One content of one author, for TURN_S at most. A fault here ends this try and nothing else."""
        try:
            with lane.scope, trio.move_on_after(TURN_S) as turn:
                if await self._try(lane, key):
                    lane.wanted.pop(key, None)
                    lane.failures = lane.due = 0
                else:
                    self._last(lane, key)  # its hosts may have another one already
                    self._pause(lane)
            if turn.cancelled_caught:
                self._last(lane, key)
        except StoreUnavailable as fault:
            log.warning("an attachment waits: %s", fault.text)
            self._pause(lane)
        except Exception:  # a task's boundary: a bug with one content must not end the others
            log.exception("fetching an attachment broke off")
            self._last(lane, key)
            self._pause(lane)
        finally:
            lane.current = None
            self._changed.set()

    @staticmethod
    def _last(lane: _Lane, key: Key) -> None:
        """Let its author's others come first."""
        if key in lane.wanted:
            lane.wanted[key] = lane.wanted.pop(key)

    def _pause(self, lane: _Lane) -> None:
        pause = min(FIRST_PAUSE_MS << min(lane.failures, 20), LAST_PAUSE_MS)
        lane.due = self._clock.now() + pause
        lane.failures += 1
        lane.heard = False

    async def _try(self, lane: _Lane, key: Key) -> bool:
        """Whether there is nothing more to do for it."""
        current = self._outstanding.book.get(*key)
        wanted = None if current is None else self._outstanding.wanted(current)
        if current is None or wanted is None or current.state != "wanted":
            return True
        try:
            heard = await self._fetch(lane, current, wanted)
        except ContentDamaged as fault:
            await self._end(current, wanted, "damaged", fault.text)
            return True
        except StoreUnavailable as fault:
            await self._note(current, fault.text)
            raise
        lane.asleep = not heard.awake
        if heard.here:
            await self._fetched.came(current)
        elif heard.not_kept or self._tired(current):
            await self._end(current, wanted, "expired", NOT_KEPT if heard.not_kept else heard.detail)
        else:
            await self._note(current, heard.detail)
            return False
        return True

    async def _fetch(self, lane: _Lane, missing: Missing, wanted: Wanted) -> Heard:
        if self._files.whole(wanted.name):  # it came with another letter of the same author
            with suppress(PeerUnreachable):
                await self._files.fetch(wanted, _Nobody())
                return Heard(here=True, awake=not lane.asleep)
        progress = Progress(self._events, missing, wanted.size, partial(self._files.come, wanted.name))
        return await self._providers.fetch(wanted, missing.author, asleep=lane.asleep, came=progress.note)

    # ---- what it came to

    async def _end(self, missing: Missing, wanted: Wanted, state: State, detail: str) -> None:
        """It is not fetched any more, unless it is asked for again."""
        batch = Batch()
        changed = replace(missing, state=state, detail=detail)
        if state == "damaged":
            self._outstanding.give_up(batch, changed, wanted.name)
        else:
            self._outstanding.book.put(batch, changed)
        await self._store.write(batch)
        tell(self._events, missing, state, detail=detail)

    async def _note(self, missing: Missing, detail: str) -> None:
        if missing.detail != detail:
            batch = Batch()
            self._outstanding.book.put(batch, replace(missing, detail=detail))
            await self._store.write(batch, sync=False)
            tell(self._events, missing, "waiting", detail=detail)

    def _tired(self, missing: Missing) -> bool:
        return self._clock.now() - int.from_bytes(missing.letter[:6]) > TIRED_MS
