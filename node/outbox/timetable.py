"""When a letter is tried again, and when it is given up: pure arithmetic and the lanes' memory.

protocol.md §6, *Sending*: 1 minute, doubling with jitter, at most 4 hours; five days.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

FIRST_WAIT_MS = 60_000
SOON_MS = 2_000
"""After an attempt that failed while the way was opened: it may have met the other side as it was before.
Doubles up to FIRST_WAIT_MS, for whoever answers each call and then hangs up opens the way each time.
"""

LONGEST_WAIT_MS = 4 * 3_600_000
JITTER = 0.2
"""A wait is stretched by up to this share, so that a host coming back is not met by all at once."""

GIVE_UP_MS = 5 * 86_400_000
"""RFC 5321 §4.5.4.1: give up after at least 4–5 days."""

LATE_MS = 4 * 3_600_000
"""Four hours: from then on the author is told once that ordinary mail is late, as most mail servers do."""

WIDTH = 8
"""Letters on their way at once in a lane that works: enough to hide a round trip, few enough to
stay inside what a peer takes at once."""


def wait_after(failures: int, chance: float) -> int:
    """Milliseconds to wait after this many failures in a row; `chance` is uniform in [0, 1)."""
    wait = min(FIRST_WAIT_MS << min(failures - 1, 20), LONGEST_WAIT_MS)
    return int(wait * (1 + JITTER * chance))


def wait_alone(waited: int, chance: float) -> int:
    """Milliseconds until a letter is tried again that was put off by itself while its lane works: as
    long as it has waited so far, which doubles the time, within the same bounds.
    """
    wait = min(max(FIRST_WAIT_MS, waited), LONGEST_WAIT_MS)
    return int(wait * (1 + JITTER * chance))


@dataclass(slots=True)
class Lane:
    """What waits for one destination. One letter probes a way that failed; many use one that works.

    `missed` are letters whose attempt was under way when the lane was opened: what they found out may
    be from before. `vain` counts those that failed, in a row.
    """

    ready: dict[bytes, None] = field(default_factory=dict)
    deferred: dict[bytes, int] = field(default_factory=dict)
    active: set[bytes] = field(default_factory=set)
    missed: set[bytes] = field(default_factory=set)
    failures: int = 0
    vain: int = 0
    retry_at: int = 0
    width: int = 1
    _due: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.ready or self.deferred or self.active)

    def add(self, letter_id: bytes, not_before: int = 0) -> None:
        """Let this letter go as soon as the lane may, but not before a time (Unix ms)."""
        self.discard(letter_id)
        if not_before:
            self.deferred[letter_id] = not_before
            heapq.heappush(self._due, (not_before, letter_id))
        else:
            self.ready[letter_id] = None

    def discard(self, letter_id: bytes) -> None:
        self.ready.pop(letter_id, None)
        self.deferred.pop(letter_id, None)

    def take(self, now: int) -> bytes | None:
        """The next letter that may go now, if the lane has room."""
        self._ripen(now)
        if now < self.retry_at or len(self.active) >= self.width:
            return None
        letter_id = next((i for i in self.ready if i not in self.active), None)
        if letter_id is not None:
            del self.ready[letter_id]
            self.active.add(letter_id)
        return letter_id

    def next_due(self) -> int | None:
        """When something here could go next, None if that does not depend on time."""
        if len(self.active) >= self.width:
            return None
        if any(letter_id not in self.active for letter_id in self.ready):
            return self.retry_at
        return max(self.retry_at, min(self.deferred.values())) if self.deferred else None

    def worked(self) -> None:
        """The other side answered: the way is good."""
        self.failures, self.vain, self.retry_at, self.width = 0, 0, 0, WIDTH

    def failed(self, now: int, chance: float, until: int = 0, *, missed: bool = False) -> int:
        """Close the lane for a while; returns when it opens again. Letters that failed side by side
        count as one failure. `missed`: the lane was opened during the attempt.
        """
        if now >= self.retry_at:
            self.failures += 1
            self.vain = self.vain + 1 if missed else 0
            soon = min(SOON_MS << min(self.vain - 1, 20), FIRST_WAIT_MS) if missed else 0
            self.retry_at = until or now + (soon or wait_after(self.failures, chance))
        self.width = 1
        return self.retry_at

    def open(self) -> None:
        """Something changed at the other side: try everything at once."""
        self.retry_at, self.failures = 0, 0
        self.missed |= self.active
        self.ready.update(dict.fromkeys(self.deferred))
        self.deferred.clear()
        self._due.clear()

    def _ripen(self, now: int) -> None:
        while self._due and self._due[0][0] <= now:
            when, letter_id = heapq.heappop(self._due)
            if self.deferred.get(letter_id) == when:
                del self.deferred[letter_id]
                self.ready[letter_id] = None
