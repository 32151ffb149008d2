"""The long form of tests/faults/test_hosts.py: every fault at every step, one at a time and in the pairs that
matter, in an order drawn by lot, so that who stops early has played some of everything.

    python -m tests.kit.longplay [--minutes N] [--processes N] [--seed S] [--story PART]
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from tests.kit.faults import Fault
from tests.kit.hostfaults import everything
from tests.kit.hoststories import HOSTED
from tests.kit.playing import Theatre, a_place

Plan = tuple[int, tuple[Fault, ...]]
"""Which story, and what goes wrong."""


class Company:
    """Plays any of the stories; one for each process."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.seed = seed
        self._directory = directory
        self._theatres: dict[int, Theatre] = {}

    def theatre(self, story: int) -> Theatre:
        if story not in self._theatres:
            self._theatres[story] = Theatre(HOSTED[story], self._directory / str(story), self.seed)
        return self._theatres[story]

    def play(self, plan: Plan) -> tuple[str, int, list[str]]:
        """The story, how many faults struck, and what was wrong, with what is needed to see it again."""
        story, faults = plan
        outcome = self.theatre(story).play(*faults)
        return HOSTED[story].name, len(outcome.struck), [str(outcome)] if outcome.trouble else []


def plans(company: Company, seed: int, part: str) -> list[Plan]:
    """All of them, in an order of chance."""
    stories = [n for n, story in enumerate(HOSTED) if part in story.name]
    found = [(n, faults) for n in stories for faults in everything(HOSTED[n], company.theatre(n).play())]
    Random(seed).shuffle(found)
    return found


def _work(share: Sequence[Plan], seed: int, until: float, results: multiprocessing.Queue) -> None:  # type: ignore[type-arg]
    with a_place() as directory:
        company = Company(directory, seed)
        for plan in share:
            if time.monotonic() > until:
                break
            results.put(company.play(plan))
    results.put(None)


def _played(found: Sequence[Plan], arguments: argparse.Namespace) -> Iterator[tuple[str, int, list[str]]]:
    until = time.monotonic() + arguments.minutes * 60
    context = multiprocessing.get_context("spawn")  # LevelDB's threads survive no fork
    results: multiprocessing.Queue[tuple[str, int, list[str]] | None] = context.Queue()
    number = arguments.processes
    workers = [
        context.Process(target=_work, args=(found[n::number], arguments.seed, until, results))
        for n in range(number)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        while (result := results.get()) is not None:
            yield result


def main(arguments: argparse.Namespace) -> int:
    """Exit 1 where something was not as it must be in the end."""
    with a_place() as directory:
        found = plans(Company(directory, arguments.seed), arguments.seed, arguments.story)
    played: Counter[str] = Counter()
    faults, wrong = 0, 0
    for story, struck, lines in _played(found, arguments):
        played[story] += 1
        faults += struck
        wrong += bool(lines)
        for line in lines:
            print(line, flush=True)
    for story, number in sorted(played.items()):
        print(f"{number} times: {story}")
    print(f"{sum(played.values())} of {len(found)} plays, {faults} faults, {wrong} not well")
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kit.longplay", description=__doc__)
    parser.add_argument("--minutes", type=float, default=24 * 60.0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--story", default="", help="those with this in their names")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(_arguments()))
