"""How likely letters arrive and handshakes can be read, for so many owners with so many hosts each."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf
from random import Random
from typing import Any, Final

from scripts.simulate_assumptions import DAY, HOUR, MINUTE, Assumptions, table
from scripts.simulate_letters import Outcome, Reading, carry, read
from scripts.simulate_load import Left, Load, Presence, load, many_small, presence, worlds
from scripts.simulate_odds import Tally
from scripts.simulate_people import LIFE, Hosts, a_zone, an_act, an_owner
from scripts.simulate_time import is_up

OWNERS: Final = (1_000, 10_000, 100_000, 1_000_000)

MOST_HOSTS: Final = 5
"""Hosts an owner has at most here: what the fourth and the fifth bring is little."""

LETTERS: Final = 10_000
"""Letters, and as many handshakes, for each number of owners: odds are right to one in a hundred."""

WORLDS: Final = 20
"""Worlds with hosts of their own that they are spread over: enough to see how much worlds differ."""

TRIES: Final = 20
"""Moments tried until one is found at which a handshake's owner sleeps; a Pi hardly ever does."""

WITHIN: Final = {"1 min": MINUTE, "1 h": HOUR, "1 day": DAY}

Measure = Callable[[Outcome], bool | None]


def delivered(most: float) -> Measure:
    return lambda it: it.delivered <= most


def delivered_if_awake(most: float) -> Measure:
    return lambda it: it.delivered <= most if it.awake <= most else None


def taken(most: float) -> Measure:
    return lambda it: it.taken <= most


MEASURES: Final[Mapping[str, Measure]] = {
    **{f"owner {name}": delivered(most) for name, most in WITHIN.items()},
    "owner never": lambda it: it.delivered == inf,
    **{f"awake {name}": delivered_if_awake(most) for name, most in WITHIN.items()},
    **{f"taken {name}": taken(most) for name, most in WITHIN.items()},
}
READINGS: Final = ("readable", "newest")


class Found:
    """What was counted for one number of hosts an owner."""

    def __init__(self) -> None:
        self.tally = Tally([*MEASURES, *READINGS])
        self._letters, self._copies, self._stay = 0, 0, 0.0

    def letter(self, outcome: Outcome) -> None:
        self._letters += 1
        self._copies += outcome.copies
        self._stay += outcome.stay
        for name, measure in MEASURES.items():
            self.tally.add(name, measure(outcome))

    def reading(self, reading: Reading) -> None:
        self.tally.add("readable", reading.readable)
        self.tally.add("newest", reading.newest)

    @property
    def copies(self) -> float:
        """Of a letter, left at hosts at the mean."""
        return self._copies / self._letters

    @property
    def stay(self) -> float:
        """Seconds that they lie there together at the mean."""
        return self._stay / self._letters


@dataclass(frozen=True, slots=True)
class Plan:
    """What to find out."""

    owners: Sequence[int]
    hosts: Sequence[int]
    days: int
    letters: int
    seed: int
    assumptions: Assumptions


def odds_of(plan: Plan, owners: int) -> dict[int, Found]:
    """Send letters and ask for handshakes in several worlds; by hosts an owner. Every number of hosts sees
    the same letters, so that a difference between two is no chance of who wrote when.
    """
    a, found = plan.assumptions, {k: Found() for k in plan.hosts}
    for world in range(WORLDS):
        rng = Random(f"{plan.seed} {owners} {world}")
        hosts = Hosts(rng.getrandbits(64), many_small(owners, a), a, plan.days * DAY + 2 * LIFE)
        for one in found.values():
            one.tally.next_world()
        for _ in range(plan.letters * world // WORLDS, plan.letters * (world + 1) // WORLDS):
            _send(rng, plan, hosts, found)
            _ask(rng, plan, hosts, found)
    return found


def _send(rng: Random, plan: Plan, hosts: Hosts, found: Mapping[int, Found]) -> None:
    a = plan.assumptions
    act = an_act(rng, a, plan.days)
    zone = act.owner.zone if rng.random() < a.same_zone else a_zone(rng)
    recipient = an_owner(rng, a, zone, (act.at, act.at + LIFE))
    chosen = hosts.some(rng, MOST_HOSTS)
    for k, one in found.items():
        one.letter(carry(act, recipient, chosen[:k], a))


def _ask(rng: Random, plan: Plan, hosts: Hosts, found: Mapping[int, Found]) -> None:
    a = plan.assumptions
    act, chosen = an_act(rng, a, plan.days), hosts.some(rng, MOST_HOSTS)
    for _ in range(TRIES):
        asked = act.at + rng.random() * a.read_days * DAY
        if asked >= act.resumes and not is_up(act.owner.timeline, asked):
            break
    else:
        return
    readings = read(act, chosen, asked, a)
    for k, one in found.items():
        one.reading(readings[min(k, len(chosen))])


# What is printed

COLUMNS: Final = {
    "a letter is at its owner's node within, %": {
        "1 min": "owner 1 min",
        "1 h": "owner 1 h",
        "1 day": "owner 1 day",
        "never (30 d)": "owner never",
    },
    "the same where that is awake within the time, %": {name: f"awake {name}" for name in WITHIN},
    "a letter is at a host or its owner's node within, %": {name: f"taken {name}" for name in WITHIN},
    "a handshake while its owner sleeps, %": {"readable": "readable", "newest read": "newest"},
}

LOADS: Final[Mapping[str, Mapping[str, Callable[[Load], str]]]] = {
    "a host": {
        "hosts": lambda it: f"{it.hosts:,}",
        "accounts": lambda it: f"{it.accounts:,.0f}",
        "fullest": lambda it: f"{it.fullest:,.0f}",
        "awake at it": lambda it: f"{it.connections:,.0f}",
        "deposits/s": lambda it: f"{it.deposits:,.3f}",
        "waiting": lambda it: f"{it.waiting:,.0f}",
        "MB": lambda it: f"{it.waiting_bytes / 1e6:,.0f}",
        "records/s": lambda it: f"{it.host_puts:,.3f}",
    },
    "a directory server": {
        "servers": lambda it: f"{it.servers:,.0f}",
        "records": lambda it: f"{it.records:,.0f}",
        "puts/s": lambda it: f"{it.server_puts:,.3f}",
        "of a host/h": lambda it: f"{it.peer_puts_an_hour:,.1f}",
    },
}


def show(plan: Plan, owners: int, found: Mapping[int, Found], there: Presence) -> None:
    print(f"\n== {owners:,} owners; {many_small(owners, plan.assumptions):,} hosts for the odds")
    odds = {k: one.tally.odds() for k, one in found.items()}
    for title, columns in COLUMNS.items():
        print(f"\n{title}\n" + _row("k", columns))
        for k in found:
            print(_row(str(k), [str(odds[k][name] or "-") for name in columns.values()]))
    rows = {
        f"{k} {kind}": one_load
        for k, one in found.items()
        for kind, one_load in loads(plan, owners, k, one, there).items()
    }
    for title, figures in LOADS.items() if rows else ():
        print(f"\n{title}\n" + _row("k hosts", figures))
        for name, one_load in rows.items():
            print(_row(name, [figure(one_load) for figure in figures.values()]))
    for name, one_load in rows.items():
        for fault in one_load.too_much(plan.assumptions):
            print(f"too much, {name}: {fault}")


def _row(first: str, cells: Iterable[str]) -> str:
    return f"{first:<12}" + "".join(f"{cell:>13}" for cell in cells)


def loads(plan: Plan, owners: int, k: int, found: Found, there: Presence) -> dict[str, Load]:
    """By how the hosts are made up; none where nobody has a host."""
    a = plan.assumptions
    left = Left(found.copies, found.stay)
    return {
        world.kind: load(world, k, left, there, a) for world in (worlds(owners, k, there, a) if k else ())
    }


def as_json(plan: Plan, owners: int, found: Mapping[int, Found], there: Presence) -> Iterator[dict[str, Any]]:
    """One object for each number of hosts an owner."""
    for k, one in found.items():
        kinds = loads(plan, owners, k, one, there)
        yield {
            "owners": owners,
            "k": k,
            "seed": plan.seed,
            "days": plan.days,
            "odds": {name: odds and asdict(odds) for name, odds in one.tally.odds().items()},
            "loads": {
                kind: asdict(it) | {"too_much": list(it.too_much(plan.assumptions))}
                for kind, it in kinds.items()
            },
        }


def main(arguments: list[str]) -> int:
    """Exit 2 for arguments that are none."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--owners", type=_whole(1), help="one number of owners in place of four")
    parser.add_argument(
        "--hosts", type=_whole(0, MOST_HOSTS), help="one number of hosts an owner in place of 0 to 5"
    )
    parser.add_argument("--days", type=_whole(1, 365), default=28, help="days in which letters are written")
    parser.add_argument(
        "--letters", type=_whole(WORLDS), default=LETTERS, help="letters for each number of owners"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--assume", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--assumptions", action="store_true", help="print what is assumed, and why")
    parser.add_argument("--json", action="store_true", help="one object a line")
    given = parser.parse_args(arguments)
    if given.assumptions:
        print(table())
        return 0
    try:
        assumptions = Assumptions().but(given.assume)
    except ValueError as fault:
        parser.error(str(fault))
    owners = OWNERS if given.owners is None else (given.owners,)
    hosts = range(MOST_HOSTS + 1) if given.hosts is None else (given.hosts,)
    run(Plan(owners, hosts, given.days, given.letters, given.seed, assumptions), in_json=given.json)
    return 0


def run(plan: Plan, *, in_json: bool) -> None:
    there = presence(Random(f"{plan.seed} presence"), plan.assumptions)
    if not in_json:
        print(f"up: {there.up:.0%} of owners at the mean, {there.busiest:.0%} in the busiest hour; ", end="")
        print(f"up and dialable: {there.servers:.0%}")
        print(f"{plan.letters:,} letters in {plan.days} days, seed {plan.seed}")
    for owners in plan.owners:
        found = odds_of(plan, owners)
        if in_json:
            for figures in as_json(plan, owners, found, there):
                print(json.dumps(figures), flush=True)
        else:
            show(plan, owners, found, there)


def _whole(least: int, most: int = 1_000_000_000) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not from {least} to {most}")
        return value

    return parse


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
