"""Who takes part: owners with their nodes, and the hosts that they chose."""

from dataclasses import dataclass
from random import Random

from protocol.letter import LETTER_LIFE_MS
from scripts.simulate_assumptions import DAY, GLANCE, HOUR, LAPTOP, ZONES, Assumptions
from scripts.simulate_time import Days, Machine, Stretch, Timeline, losses, outages

LIFE: float = LETTER_LIFE_MS / 1000
"""Seconds after which nobody waits for a letter any more."""


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner's node: when it is up, whether anybody can dial it, the hours of its owner from UTC."""

    timeline: Timeline
    dialable: bool
    zone: float


@dataclass(frozen=True, slots=True)
class Act:
    """Something that an owner does at a moment, with what follows after `resumes` at the earliest: later than
    the moment where the lid was closed at once. `seed` is for the chances that come.
    """

    owner: Owner
    at: float
    resumes: float
    seed: int


def a_zone(rng: Random) -> float:
    return rng.choices([zone for zone, _ in ZONES], [share for _, share in ZONES])[0]


def an_owner(rng: Random, a: Assumptions, zone: float, span: Stretch) -> Owner:
    """Some owner in this zone, looked at from the first moment to the last."""
    kind, own = rng.random(), Random(rng.getrandbits(64))
    if kind < a.always_on:
        machine = Machine(outages(own, a.always_on_up, a, span[1]))
        return Owner(machine, rng.random() < a.dialable_always_on, zone)
    habit = GLANCE if kind < a.always_on + a.glancing else LAPTOP
    return Owner(Days(own, habit, zone, a, span), rng.random() < a.dialable_laptops, zone)


def an_act(rng: Random, a: Assumptions, days: int) -> Act:
    """Some owner does something at a moment of these days at which its node is up."""
    while True:
        day, zone = rng.randrange(days), a_zone(rng)
        noon = day * DAY + 12 * HOUR - zone * HOUR
        owner = an_owner(rng, a, zone, (noon, noon + LIFE))
        at = _moment(rng, owner, noon)
        if at is None:
            continue
        start, end = owner.timeline.next_up(at)
        off = isinstance(owner.timeline, Days) and rng.random() < a.off_after
        return Act(owner, start, end if off else start, rng.getrandbits(64))


def _moment(rng: Random, owner: Owner, noon: float) -> float | None:
    """Somebody with a machine that is always on writes while awake, 8 to 23 h."""
    if isinstance(owner.timeline, Days):
        return owner.timeline.moment(rng.random())
    return noon + rng.uniform(-4, 11) * HOUR


class Hosts:
    """All hosts of one world, each made when it is first looked at."""

    def __init__(self, seed: int, count: int, a: Assumptions, until: float) -> None:
        self.count = count
        self._seed, self._a, self._until = seed, a, until
        self._made: dict[int, Machine] = {}
        self._operators: dict[int, list[Stretch]] = {}

    def some(self, rng: Random, most: int) -> list[Machine]:
        """What one owner chose, at most as many as there are."""
        return [self._host(number) for number in rng.sample(range(self.count), min(most, self.count))]

    def _host(self, number: int) -> Machine:
        if number not in self._made:
            self._made[number] = self._make(number)
        return self._made[number]

    def _make(self, number: int) -> Machine:
        a = self._a
        rng = Random(f"host {self._seed} {number}")
        shared = 1 - (1 - a.host_up) * a.shared_outages
        own = list(outages(rng, a.host_up / shared, a, self._until))
        lost = list(losses(rng, a, self._until))
        gone = [(t, t + a.replaced_days * DAY) for t in lost]
        return Machine([*own, *gone, *self._operator(int(number // a.hosts_per_operator), shared)], lost)

    def _operator(self, number: int, up: float) -> list[Stretch]:
        if number not in self._operators:
            rng = Random(f"operator {self._seed} {number}")
            self._operators[number] = list(outages(rng, up, self._a, self._until))
        return self._operators[number]
