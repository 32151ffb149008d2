"""Odds from counts, with what chance leaves open."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Final, Self

LEVEL: Final = NormalDist().inv_cdf(0.975)
"""Standard deviations on either side that hold 95 %."""


@dataclass(frozen=True, slots=True)
class Odds:
    """A share with its interval of 95 %; `of` so many."""

    value: float
    low: float
    high: float
    of: int

    @classmethod
    def of_worlds(cls, hits: Sequence[int], of: Sequence[int]) -> Self | None:
        """From the hits in several worlds; None where nothing was counted. The interval is Wilson's. Letters
        of one world share its hosts: where worlds differ by more than chance, fewer letters count.
        """
        total = sum(of)
        if not total:
            return None
        p = sum(hits) / total
        low, high = wilson(p, total / _design_effect(p, hits, of))
        return cls(p, low, high, total)

    def __str__(self) -> str:
        """In percent, with the longer arm of the interval."""
        return f"{100 * self.value:.2f} ±{100 * max(self.high - self.value, self.value - self.low):.2f}"


def wilson(p: float, n: float) -> tuple[float, float]:
    """The interval of Wilson's score for a share of n."""
    square = LEVEL * LEVEL / n
    centre = p + square / 2
    arm = sqrt(square * (p * (1 - p) + square / 4))
    # The ends belong to it where nothing, or everything, was hit; rounding must not say otherwise.
    low, high = (centre - arm) / (1 + square), (centre + arm) / (1 + square)
    return (0.0 if p == 0 else low), (1.0 if p == 1 else high)


def _design_effect(p: float, hits: Sequence[int], of: Sequence[int]) -> float:
    """How many times more the worlds differ than by chance (Kish); at least 1."""
    by_chance = p * (1 - p)
    if len(of) < 2 or not by_chance:
        return 1.0
    spread = sum((hit - p * n) ** 2 / n for hit, n in zip(hits, of, strict=True) if n)
    return max(1.0, spread / (by_chance * (len(of) - 1)))


class Tally:
    """Counts hits of several measures, world by world."""

    def __init__(self, names: Iterable[str]) -> None:
        self._hits: dict[str, list[int]] = {name: [] for name in names}
        self._of: dict[str, list[int]] = {name: [] for name in self._hits}

    def next_world(self) -> None:
        for counts in (*self._hits.values(), *self._of.values()):
            counts.append(0)

    def add(self, name: str, hit: bool | None) -> None:
        """Count one; None is not counted."""
        if hit is not None:
            self._hits[name][-1] += hit
            self._of[name][-1] += 1

    def odds(self) -> dict[str, Odds | None]:
        return {name: Odds.of_worlds(self._hits[name], self._of[name]) for name in self._hits}
