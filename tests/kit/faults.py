"""What can go wrong at one step of a story, by name, and at which steps: values only. Who makes it happen is
stage.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal, TypeVar

Kind = Literal[
    "crash",
    "power cut",
    "disk lost",
    "lid for 20 s",
    "lid for an hour",
    "full disk",
    "a day ahead",
    "a day behind",
    "a day ahead, told",
    "a day behind, told",
    "lose",
    "cut",
    "twice",
    "reorder",
    "20 s late",
    "100 s late",
]

DEATHS: Final[tuple[Kind, ...]] = ("crash", "power cut")
"""The node is killed, and what it wrote stays; its machine stops, and what was not synced is lost."""

LIDS: Final[Mapping[Kind, float]] = {"lid for 20 s": 20.0, "lid for an hour": 3_600.0}
"""Seconds: within the deadline of a frame, and far beyond it."""

CLOCKS: Final[Mapping[Kind, int]] = {
    "a day ahead": 1,
    "a day behind": -1,
    "a day ahead, told": 1,
    "a day behind, told": -1,
}
"""Days by which a clock is off. Told: other nodes say the right time, so that it is known to be doubtful."""

DELAYS: Final[Mapping[Kind, float]] = {"20 s late": 20.0, "100 s late": 100.0}

LOST: Final[Kind] = "disk lost"
"""A host comes back with an empty disk. (An owner's comes back by its words, which a person has.)"""

FRAMES: Final[tuple[Kind, ...]] = ("lose", "cut", "twice", "reorder", *DELAYS)
"""What happens to a frame. `cut` ends its stream, before or after it has arrived."""

RUDE: Final[frozenset[Kind]] = frozenset({"lose", "twice", "reorder", *LIDS, *DELAYS, "power cut", LOST})
"""After which a node may count a fault of a peer's: what does not come in time, or out of turn, is (§8)."""


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """A moment: before or after the nth batch of a house, or the nth frame of `one>other`; from 0."""

    where: str
    n: int
    after: bool = False

    @property
    def frame(self) -> bool:
        return ">" in self.where

    def __str__(self) -> str:
        when, what = "after" if self.after else "before", "frame" if self.frame else "batch"
        return f"{when} {what} {self.n} of {self.where}"


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """This happens at this step, to this house or, without one, to the frame."""

    kind: Kind
    step: Step
    house: str = ""

    def __str__(self) -> str:
        return f"{self.kind}{f' at {self.house}' if self.house else ''} {self.step}"


T = TypeVar("T")

Counts = Mapping[str, int]
"""How many batches each house wrote, and how many frames went each way."""


def steps(counts: Counts) -> Iterator[Step]:
    for where, number in sorted(counts.items()):
        for n, after in itertools.product(range(number), (False, True)):
            yield Step(where, n, after)


def single(counts: Counts, hosts: Collection[str] = ()) -> list[Fault]:
    """Every fault at every step. A disk fills up and a clock goes wrong before a batch alone; `hosts` lose
    their disks.
    """
    return [fault for step in steps(counts) for fault in (*_at(step), *_lost_at(step, hosts))]


def _lost_at(step: Step, hosts: Collection[str]) -> Iterator[Fault]:
    for house in step.where.split(">"):
        if house in hosts:
            yield Fault(LOST, step, house)


def _at(step: Step) -> Iterator[Fault]:
    for house, kind in itertools.product(step.where.split(">"), (*DEATHS, *LIDS)):
        yield Fault(kind, step, house)
    if step.frame:
        yield from (Fault(kind, step) for kind in FRAMES if kind == "cut" or not step.after)
    elif not step.after:
        yield from (Fault(kind, step, step.where) for kind in ("full disk", *CLOCKS))


Pair = tuple[Fault, Fault]


def pairs(counts: Counts) -> list[Pair]:
    """Two faults where the second meets what the first left behind: both machines die at neighbouring steps,
    one dies again while it recovers, sleeps and dies, a frame is lost and the next one comes twice.
    """
    all_steps = list(steps(counts))
    return [
        *_deaths_of_both(all_steps),
        *_twice_dead(counts),
        *_asleep_and_dead(all_steps),
        *_lost_and_twice(counts),
    ]


def _deaths_of_both(found: Sequence[Step]) -> Iterator[Pair]:
    batches = [step for step in found if not step.frame]
    for one, other in itertools.combinations(batches, 2):
        if one.where != other.where and abs(one.n - other.n) <= 2:
            yield Fault("power cut", one, one.where), Fault("power cut", other, other.where)


def _twice_dead(counts: Counts) -> Iterator[Pair]:
    for where, number in sorted(counts.items()):
        if ">" in where:
            continue
        for n, more, first, second in itertools.product(range(number), (1, 2), (False, True), (False, True)):
            one, other = Step(where, n, first), Step(where, n + more, second)
            yield Fault("crash", one, where), Fault("power cut", other, where)


def _asleep_and_dead(found: Sequence[Step]) -> Iterator[Pair]:
    for one in found:
        for house in one.where.split(">"):
            other = Step(one.where, one.n + 1, one.after)
            yield Fault("lid for an hour", one, house), Fault("crash", other, house)
            for peer in set(one.where.split(">")) - {house}:
                yield Fault("lid for an hour", one, house), Fault("crash", other, peer)


def _lost_and_twice(counts: Counts) -> Iterator[Pair]:
    for where, number in sorted(counts.items()):
        if ">" in where:
            for n, more in itertools.product(range(number), (1, 2)):
                yield Fault("lose", Step(where, n)), Fault("twice", Step(where, n + more))
                yield Fault("100 s late", Step(where, n)), Fault("cut", Step(where, n + more), "")


def sample(found: Sequence[T], number: int, seed: int) -> list[T]:
    """Some of them, the same ones for a seed."""
    return Random(seed).sample(found, min(number, len(found)))


def named(faults: Iterable[Fault]) -> str:
    return " + ".join(map(str, faults)) or "nothing"
