"""Which of several peers is asked for which block: who will have it first, never one who lacks it, and
another beside one who is late (protocol.md §7). Values in, values out: sessions, tasks and the clock are
swarm.py's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from protocol.unixfs import RAW

MOST: Final = 16
"""Blocks that one peer owes at most: as many as a fetch wants at once (node.files), half of what a session
takes.
"""

PROBE: Final = 2
"""Of those, while its pace is not known and another's is."""

QUIET_S: Final = 2.0
"""Seconds without a byte after which what a peer owes is asked of others too: a retransmission or two."""

SLOW: Final = 3.0
"""Times its usual pace after which it is late, though bytes come."""

LONGEST_S: Final = 10.0
"""Seconds for a first leaf while bytes come: 256 KiB at 26 kB/s."""

SOONER: Final = 2.0
"""Times sooner that a peer must be expected to have a block that another, who is not late, was asked for."""

NEWEST: Final = 0.2
"""Share of the newest leaf in a peer's pace: two may come in one message, and the next a while after."""


@dataclass(eq=False)
class Source:
    """One peer. `due` is what it owes, in the order in which it was asked; `since` when it last answered, or
    was asked while it owed nothing, `heard` when bytes last came; `pace` is in seconds a leaf.
    """

    due: dict[bytes, None] = field(default_factory=dict)
    lacks: set[bytes] = field(default_factory=set)
    open: bool = False
    given: int = 0
    pace: float | None = None
    since: float = -math.inf
    heard: float = -math.inf

    def late_at(self) -> float:
        """When it is late with what it owes, if nothing more comes."""
        if not self.due:
            return math.inf
        limit = LONGEST_S if self.pace is None else max(QUIET_S, SLOW * self.pace)
        return min(max(self.since, self.heard) + QUIET_S, self.since + limit)

    def paced(self, cid: bytes, now: float) -> None:
        """A block has come: what that says of its pace. Nodes are small and say nothing."""
        if cid.startswith(RAW):
            took = now - self.since
            self.pace = took if self.pace is None else self.pace + NEWEST * (took - self.pace)

    def finish(self, unknown: float) -> float:
        """Seconds until it would give one block more; `unknown` is taken for a pace that is not known, and
        the first is had from such a one for nothing: that is how it is known.
        """
        if self.pace is None:
            return len(self.due) * unknown
        return (len(self.due) + 1) * self.pace

    def remaining(self, cid: bytes, now: float) -> float:
        """Seconds until a block that it owes is expected; for ever from who is late."""
        if now >= self.late_at():
            return math.inf
        return (list(self.due).index(cid) + 1) * (self.pace or 0.0)

    @property
    def empty(self) -> bool:
        """Whether it seems to have nothing."""
        return bool(self.lacks) and not self.given

    def can(self, cid: bytes) -> bool:
        """Whether it may be asked for this block now."""
        return self.open and len(self.due) < MOST and cid not in self.due and cid not in self.lacks


class Shares:
    """Who owes what. `wanted` is what nobody has given yet, in the order in which it was wanted."""

    def __init__(self) -> None:
        self.wanted: dict[bytes, None] = {}
        self.sources: list[Source] = []

    def want(self, cids: Iterable[bytes]) -> None:
        self.wanted.update(dict.fromkeys(cids))

    def end(self, source: Source) -> None:
        """Nothing more comes from it."""
        source.open = False
        source.due.clear()
        self.sources.remove(source)

    def answered(self, source: Source, cid: bytes, now: float, *, here: bool) -> bool:
        """It has given a block, or (not `here`) says that it lacks it. Whether that is a block that is still
        wanted.
        """
        if cid not in source.due:
            return False
        del source.due[cid]
        if here:
            source.given += 1
            source.paced(cid, now)
        else:
            source.lacks.add(cid)
        source.since = now
        if not here or cid not in self.wanted:
            return False
        del self.wanted[cid]
        return True

    def ask(self, now: float) -> list[tuple[Source, bytes]]:
        """Who is to be asked for what now. It counts as asked."""
        asked: list[tuple[Source, bytes]] = []
        held = {cid: [one for one in self.sources if cid in one.due] for cid in self.wanted}
        for cid, holders in held.items():
            if not holders and (best := self._best(cid, now)) is not None:
                asked.append(_ask(best, cid, now))
        if len(self.sources) > 1:
            for cid, holders in reversed(held.items()):  # what is owed last can be had sooner first
                best = self._best(cid, now) if holders else None
                if best is not None and self._sooner(best, cid, holders, now):
                    asked.append(_ask(best, cid, now))
        return asked

    def over(self, now: float) -> list[tuple[Source, bytes]]:
        """Who owes what another has given, and is to be told that. Who is late is not: what it owes shows
        whether it comes back.
        """
        over = [
            (one, cid)
            for one in self.sources
            if now < one.late_at()
            for cid in one.due
            if cid not in self.wanted
        ]
        for source, cid in over:
            del source.due[cid]
        return over

    def lost(self) -> bytes | None:
        """A block that is wanted and that none of them has."""
        return next((cid for cid in self.wanted if all(cid in one.lacks for one in self.sources)), None)

    def next(self, now: float) -> float:
        """When `ask` may have more to say though nothing happens."""
        return min((at for one in self.sources if (at := one.late_at()) > now), default=math.inf)

    def _best(self, cid: bytes, now: float) -> Source | None:
        """Who would have it first, of those who may be asked. Who is late, who seems to have nothing, and
        whose pace is still to be seen come behind the others.
        """
        able = [one for one in self.sources if one.can(cid)]
        if len(able) < 2:
            return able[0] if able else None
        known = [one.pace for one in able if one.pace is not None and now < one.late_at()]
        unknown = max(known, default=1.0)

        def rank(one: Source) -> tuple[bool, bool, bool, float]:
            unseen = bool(known) and one.pace is None and len(one.due) >= PROBE
            return now >= one.late_at(), one.empty, unseen, one.finish(unknown)

        return min(able, key=rank)

    def _sooner(self, best: Source, cid: bytes, holders: Sequence[Source], now: float) -> bool:
        """Whether to ask it beside those who owe the block already."""
        if now >= best.late_at():
            return False
        left = min(one.remaining(cid, now) for one in holders)
        if left == math.inf:
            return True
        if len(holders) > 1 or best.empty or (best.pace is None and len(best.due) >= PROBE):
            return False
        return left > SOONER * best.finish(0.0)


def _ask(source: Source, cid: bytes, now: float) -> tuple[Source, bytes]:
    if not source.due:
        source.since = now
    source.due[cid] = None
    return source, cid
