"""What becomes of one letter, and of one handshake that is asked for while its owner sleeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from operator import or_
from random import Random
from typing import Final

from node.outbox.timetable import GIVE_UP_MS, wait_after
from scripts.simulate_assumptions import HOUR, Assumptions
from scripts.simulate_people import LIFE, Act, Owner
from scripts.simulate_time import Machine, Timeline, is_up

DEPOSITS: Final = 2
"""Hosts at which a sender leaves a letter (protocol §6, *Sending*)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Seconds after the letter was written, `inf` for never within its life: until a host or the owner's node
    has it, until the owner's node has it, until that is up at all. `copies` were left at hosts, where they
    stayed for `stay` seconds together.
    """

    taken: float
    delivered: float
    awake: float
    copies: int = 0
    stay: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Whether any host answers with the handshake, and whether one has the newest."""

    readable: bool
    newest: bool


def carry(act: Act, recipient: Owner, hosts: Sequence[Machine], a: Assumptions) -> Outcome:
    """Send a letter as protocol §6 has it: directly, else to two hosts, else wait."""
    rng, t, failures, copies, stay = Random(act.seed), act.at, 0, 0, 0.0
    taken = delivered = inf
    gone: dict[Machine, float] = {}  # when what lies at a host is lost with it
    while t < min(delivered, act.at + LIFE):
        there = t + a.talk_seconds
        if recipient.dialable and is_up(recipient.timeline, t):
            taken, delivered = min(taken, there), min(delivered, there)
            break
        for host in [host for host in hosts if gone.get(host, -inf) <= t and is_up(host, t)][:DEPOSITS]:
            gone[host], collected = host.lost_after(there), collect(recipient.timeline, host, there, a)
            taken, delivered, copies = min(taken, there), min(delivered, collected), copies + 1
            stay += min(collected, gone[host], there + LIFE) - there
        if gone:
            wait = a.another_way_hours * HOUR
        else:
            failures += 1
            wait = wait_after(failures, rng.random()) / 1000
            if t + wait > act.at + GIVE_UP_MS / 1000:
                break
        t = act.owner.timeline.next_up(max(t + wait, act.resumes))[0]
    awake = recipient.timeline.next_up(act.at)[0]
    return Outcome(_after(act, taken), _after(act, delivered), _after(act, awake), copies, stay)


def _after(act: Act, moment: float) -> float:
    """Seconds since the letter was written, `inf` after its life."""
    return moment - act.at if moment <= act.at + LIFE else inf


def collect(owner: Timeline, host: Machine, since: float, a: Assumptions) -> float:
    """When the owner's node has what lies at a host from then on; `inf` where the host vanishes before."""
    met = meet(owner, host, since, a)
    return inf if host.lost_after(since) < met else met


def meet(owner: Timeline, host: Timeline, since: float, a: Assumptions) -> float:
    """When the two have talked: both up for as long as it takes. At once where they are connected; a node
    that wakes dials its hosts; one that is up dials a host that was away again after a while.
    """
    t = since
    while t < inf:
        start, end = owner.next_up(t)
        both, until = host.next_up(start)
        if both >= end:
            t = both
            continue
        if both == since:
            lag = a.talk_seconds
        else:
            lag = a.wake_seconds if both == start else a.redial_seconds
        if both + lag <= min(end, until):
            return both + lag
        t = min(end, until)
    return inf


def read(act: Act, hosts: Sequence[Machine], asked: float, a: Assumptions) -> list[Reading]:
    """A handshake changed by this act and asked for at a moment at which its owner sleeps: what the first 0,
    1, 2… hosts answer. Every host that is up is asked, and the highest seq counts (protocol §5).
    """
    answers = [_answer(act, host, asked, a) for host in hosts]
    readable = accumulate((some for some, _ in answers), or_, initial=False)
    newest = accumulate((new for _, new in answers), or_, initial=False)
    return list(map(Reading, readable, newest))


def _answer(act: Act, host: Machine, asked: float, a: Assumptions) -> tuple[bool, bool]:
    """Whether this host answers with some version, and with the newest."""
    if not is_up(host, asked):
        return False, False
    owner = act.owner.timeline
    if is_up(host, act.at):
        pushed = act.at + a.talk_seconds
    else:
        pushed = meet(owner, host, max(act.at, act.resumes), a)
    # What replaces a vanished host knows nothing until the owner comes to it.
    loss = max((loss for loss in host.losses if loss <= asked), default=-inf)
    if loss >= act.at:
        pushed = meet(owner, host, host.next_up(loss)[0], a)
        return pushed <= asked, pushed <= asked
    return True, pushed <= asked
