"""What time it is, and whether to believe it. Waiting is trio's; nothing here sleeps."""

import statistics
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

import trio

DAY_MS: Final = 86_400_000

MAX_SKEW_MS: Final = 600_000
"""Ten minutes: further from the median of our peers the clock is doubtful (protocol §3)."""

MIN_PEERS: Final = 3
"""Peers that must have told their time before their median counts (protocol §3)."""

MAX_TOLD: Final = 64
"""Peers whose time is remembered; the one heard longest ago goes first."""

MAX_TOLD_AGE_S: Final = 86_400.0
"""A day: what a peer said longer ago says nothing about the clock of now."""


class Clock(Protocol):
    """The only source of wall time; handed in by constructor."""

    def now(self) -> int:
        """Unix time in milliseconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000


class TrioClock:
    """Wall time that moves with trio's clock, so that a virtual clock moves both."""

    def __init__(self, start_ms: int) -> None:
        self._start_ms = start_ms
        self._began = trio.current_time()

    def now(self) -> int:
        return self._start_ms + round((trio.current_time() - self._began) * 1000)


def elapsed() -> float:
    """Seconds that went by since some fixed point, sleep of the machine included, whatever anyone
    did to its clock. (Python's `time.monotonic` stands still while a laptop sleeps.)
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC)


class ClockWatch:
    """Compares our clock with our program's build date and with what peers tell (protocol §3).

    A peer has one voice however often it speaks. What it told ages by `elapsed`, so that mending
    the clock ends the doubt at once.
    """

    def __init__(self, clock: Clock, build_date_ms: int, elapsed: Callable[[], float] = elapsed) -> None:
        self._clock = clock
        self._build_date_ms = build_date_ms
        self._elapsed = elapsed
        self._told: OrderedDict[bytes, tuple[int, float]] = OrderedDict()  # peer → (its time, told when)

    def told(self, peer_id: bytes, their_ms: int) -> None:
        """Remember that this peer says that it is `their_ms` now."""
        self._told.pop(peer_id, None)
        self._told[peer_id] = (their_ms, self._elapsed())
        while len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)

    @property
    def skew_ms(self) -> int | None:
        """How far our clock is ahead of the median of our peers; None with fewer than three."""
        ours, mark = self._clock.now(), self._elapsed()
        ages = [(theirs, mark - when) for theirs, when in self._told.values()]
        skews = [ours - theirs - round(age * 1000) for theirs, age in ages if age <= MAX_TOLD_AGE_S]
        return round(statistics.median(skews)) if len(skews) >= MIN_PEERS else None

    @property
    def doubtful(self) -> str | None:
        """Why our clock can't be believed, in words; None while it can."""
        if self._clock.now() < self._build_date_ms:
            return "the clock is before the date on which this program was built"
        skew = self.skew_ms
        if skew is not None and abs(skew) > MAX_SKEW_MS:
            direction = "ahead of" if skew > 0 else "behind"
            return f"the clock is {abs(skew) // 60_000} minutes {direction} what other nodes say"
        return None
