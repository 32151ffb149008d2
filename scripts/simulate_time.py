"""Who is up when: laptops by their owners' days, machines by their outages. Times are seconds from a Monday,
0 h UTC; stretches are found as far as somebody looks.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from math import floor, inf
from random import Random
from typing import Final, Protocol

from scripts.simulate_assumptions import DAY, HOUR, SPREAD, YEAR, Assumptions, Habit

Stretch = tuple[float, float]

NEVER: Final = (inf, inf)

WARM_UP: Final = 30 * DAY
"""Before what is looked at: by then the share of machines that are down is steady."""


class Timeline(Protocol):
    """When somebody is up."""

    def next_up(self, t: float) -> Stretch:
        """From when on it is up, at `t` or later, and until when; NEVER where it is not again."""
        ...


def is_up(timeline: Timeline, t: float) -> bool:
    return timeline.next_up(t)[0] == t


class Machine:
    """Up but for its outages, which may touch and overlap. `losses` are the times at which all that it holds
    is gone.
    """

    __slots__ = ("_ends", "_starts", "losses")

    def __init__(self, outages: Iterable[Stretch], losses: Iterable[float] = ()) -> None:
        self._starts, self._ends = array("d"), array("d")
        self.losses = tuple(losses)
        for start, end in sorted(outages):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(end, self._ends[-1])
            else:
                self._starts.append(start)
                self._ends.append(end)

    def next_up(self, t: float) -> Stretch:
        after = bisect_right(self._starts, t)
        if after and t < self._ends[after - 1]:
            t = self._ends[after - 1]
        return t, self._starts[after] if after < len(self._starts) else inf

    def lost_after(self, t: float) -> float:
        """When it next loses all that it holds."""
        return next((loss for loss in self.losses if loss >= t), inf)


def outages(rng: Random, up: float, a: Assumptions, until: float) -> Iterator[Stretch]:
    """Those of a machine that is up for this share of the time: short ones and long ones."""
    if up >= 1:
        return
    down = HOUR * ((1 - a.long_outages) * a.outage_hours + a.long_outages * a.long_outage_hours)
    t = -WARM_UP
    while t < until:
        t += rng.expovariate((1 - up) / (up * down)) if up > 0 else 0.0
        hours = a.long_outage_hours if rng.random() < a.long_outages else a.outage_hours
        start, t = t, t + rng.expovariate(1 / (hours * HOUR))
        yield start, t


def losses(rng: Random, a: Assumptions, until: float) -> Iterator[float]:
    """When a host vanishes for good; in its place in this list comes the one that replaces it."""
    t = -WARM_UP
    while a.lost_a_year > 0 and (t := t + rng.expovariate(a.lost_a_year / YEAR)) < until:
        yield t


class Days:
    """A machine that is up when its owner sits at it. One stream of chance, day after day."""

    __slots__ = ("_a", "_away", "_day", "_ends", "_habit", "_last", "_offset", "_rng", "_starts")

    def __init__(self, rng: Random, habit: Habit, zone: float, a: Assumptions, span: Stretch) -> None:
        """`span`: the first moment that is looked at, and the last."""
        self._rng, self._habit, self._a = rng, habit, a
        self._offset = zone * HOUR
        self._day, self._last = (floor((t + self._offset) / DAY) for t in span)
        self._day -= 1  # its evening may reach into the first
        self._away = rng.random() < a.away
        self._starts: list[float] = []
        self._ends: list[float] = []

    def next_up(self, t: float) -> Stretch:
        while True:
            place = bisect_right(self._ends, t)
            if place < len(self._ends):
                return max(t, self._starts[place]), self._ends[place]
            if self._day > self._last:
                return NEVER
            self._live_a_day()

    def moment(self, chance: float) -> float | None:
        """A moment of the first day, evenly over the stretches in which it is up; None where it is not."""
        self._live_a_day()
        left = chance * sum(end - start for start, end in zip(self._starts, self._ends, strict=True))
        for start, end in zip(self._starts, self._ends, strict=True):
            if left < end - start:
                return start + left
            left -= end - start
        return None

    def _live_a_day(self) -> None:
        rng, habit, day = self._rng, self._habit, self._day
        self._day += 1
        if day % 7 == 0:
            self._away = rng.random() < self._a.away
        used = rng.random() < (habit.weekday if day % 7 < 5 else habit.weekend)
        if self._away or not used:
            return
        begin = day * DAY - self._offset
        t = max(begin + rng.gauss(habit.opens * HOUR, SPREAD), self._ends[-1] if self._ends else -inf)
        close = begin + rng.gauss(habit.closes * HOUR, SPREAD)
        while t < close:
            end = min(t + rng.expovariate(1 / (habit.session * HOUR)), close)
            self._starts.append(t)
            self._ends.append(end)
            t = end + rng.expovariate(1 / (habit.pause * HOUR))
