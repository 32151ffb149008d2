"""The long form of tests/faults: every fault at every step, one at a time and in the pairs that
matter, in an order drawn by lot, so that who stops early has played some of everything.

    scripts/soak --harness [--minutes N] [--processes N] [--seed S] [--only TEXT]
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
from typing import Final

from tests.kit.faults import Fault, named, pairs
from tests.kit.hostfaults import everything
from tests.kit.hoststories import HOSTED
from tests.kit.playing import Outcome, Theatre, a_place
from tests.kit.stage import Story
from tests.kit.stories import DIRECT

STORIES: Final = (*DIRECT, *HOSTED)

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
            self._theatres[story] = Theatre(STORIES[story], self._directory / str(story), self.seed)
        return self._theatres[story]

    def play(self, plan: Plan) -> tuple[str, int, list[str]]:
        """The story, how many faults struck, and what was wrong, with what is needed to see it again."""
        story, faults = plan
        outcome = self.theatre(story).play(*faults)
        return STORIES[story].name, len(outcome.struck), [str(outcome)] if outcome.trouble else []


def plans(company: Company, seed: int, text: str) -> list[Plan]:
    """All whose names have this text in them, in an order of chance."""
    found = [
        (n, faults)
        for n, story in enumerate(STORIES)
        for faults in _plans(story, company.theatre(n).play())
        if text in f"{story.name}: {named(faults)}"
    ]
    Random(seed).shuffle(found)
    return found


def _plans(story: Story, survey: Outcome) -> Iterator[tuple[Fault, ...]]:
    yield from everything(story, survey)
    if not story.hosts:
        yield from pairs(survey.counts)


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
        found = plans(Company(directory, arguments.seed), arguments.seed, arguments.only)
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
    parser = argparse.ArgumentParser(prog="scripts/soak --harness", description=__doc__)
    parser.add_argument("--minutes", type=float, default=24 * 60.0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="plays that have this in what is said of them")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(_arguments()))
