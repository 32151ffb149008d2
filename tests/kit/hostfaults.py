"""Which faults are played where hosts take part: one of each kind for each role, and pairs of which the
second meets what the first left behind at somebody else.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random

from tests.kit.faults import LOST, Fault, Pair, Step, single
from tests.kit.playing import Outcome
from tests.kit.stage import Story

Plan = tuple[Story, tuple[Fault, ...]]

NEAR = 3
"""Steps that lie so close to each other are neighbours."""

ROLES = {"alice": "sender", "eve": "sender", "bob": "recipient"}


def role(name: str) -> str:
    return ROLES.get(name, "host")


def covering(surveys: Iterable[tuple[Story, Outcome]], seed: int) -> list[Plan]:
    """Of each fault of each role, before and after batches and frames, and of each that befalls frames of a
    protocol, those of hosts and those to them, one: the same ones for a seed.
    """
    groups: dict[tuple[object, ...], list[Plan]] = {}
    for story, survey in surveys:
        for fault in singles(story, survey):
            groups.setdefault(_kind(fault, survey.order), []).append((story, (fault,)))
    chance = Random(seed)
    return [chance.choice(groups[kind]) for kind in sorted(groups)]


def singles(story: Story, survey: Outcome) -> list[Fault]:
    """Every fault at every step that there was: what goes to somebody who has just left never arrives."""
    return [fault for fault in single(survey.counts, story.hosts) if fault.step in survey.order]


def _kind(fault: Fault, order: Mapping[Step, str]) -> tuple[object, ...]:
    step = fault.step
    if fault.house:
        return fault.kind, role(fault.house), step.frame, step.after
    source, _ = step.where.split(">")
    return fault.kind, order.get(step, ""), role(source) == "host", step.after


def pairs(survey: Outcome, hosts: Sequence[str]) -> list[Pair]:
    """An author and a host die at neighbouring steps; a host loses everything and a recipient dies; what came
    twice was followed by a death; a clock is a day off and somebody sleeps.
    """
    return [*dict.fromkeys(_pairs(list(survey.order), hosts))]


def _pairs(order: Sequence[Step], hosts: Sequence[str]) -> Iterator[Pair]:
    for one, other in _neighbours(order):
        for first, second in itertools.product(one.where.split(">"), other.where.split(">")):
            mine, theirs = role(first), role(second)
            if {mine, theirs} == {"sender", "host"}:
                yield Fault("crash", one, first), Fault("power cut", other, second)
            if first in hosts and theirs == "recipient":
                yield Fault(LOST, one, first), Fault("crash", other, second)
            if first != second and not one.frame and not one.after:
                yield Fault("a day ahead", one, first), Fault("lid for an hour", other, second)
                yield Fault("a day behind, told", one, first), Fault("lid for an hour", other, second)
        if one.frame and not one.after:
            for second in other.where.split(">"):
                yield Fault("twice", one), Fault("crash", other, second)


def _neighbours(order: Sequence[Step]) -> Iterator[tuple[Step, Step]]:
    for n, one in enumerate(order):
        for other in order[n + 1 : n + 1 + NEAR]:
            yield one, other


def everything(story: Story, survey: Outcome) -> Iterator[tuple[Fault, ...]]:
    """All single faults, then all pairs."""
    yield from ((fault,) for fault in singles(story, survey))
    yield from pairs(survey, story.hosts)
