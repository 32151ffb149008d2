"""One story after the other, each from the same beginning: made ready once, played with these faults or
those, and judged by what is there in the end.
"""

from __future__ import annotations

import logging
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import trio
from trio.testing import MockClock

from tests.kit.faults import RUDE, Counts, Fault, Step, named
from tests.kit.homes import NOW
from tests.kit.houses import DAY_S, Street
from tests.kit.stage import Stage, Story, hosts_of

BEGINS_MS: Final = NOW + 3_600_000
"""When a story is played (Unix ms): an hour after its houses were made ready."""

PATIENCE_S: Final = 3 * DAY_S
"""Seconds within which people have done what they had to do: a clock that was a day ahead costs a day."""

SETTLES_S: Final = 60.0
"""Seconds in which owners and their hosts come to know what each of them has."""

AFTERWARDS_S: Final = 600.0
"""Seconds in which nothing may change any more."""


MEMORY: Final = Path("/dev/shm")  # Linux's


@contextmanager
def a_place() -> Iterator[Path]:
    """Where stories are played: in memory, where the system has a place for that."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        yield Path(directory)


@dataclass(slots=True)
class Outcome:
    """What became of a story. `trouble` is what was wrong at the end; `seconds` are virtual."""

    line: str
    counts: Counter[str] = field(default_factory=Counter)
    order: dict[Step, str] = field(default_factory=dict)
    struck: list[Fault] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.line}: {'; '.join(self.trouble) or 'well'}"


class Theatre:
    """Plays one story as often as wanted, in a directory of its own."""

    def __init__(self, story: Story, directory: Path, seed: int = 0) -> None:
        self.story, self.seed = story, seed
        self._ready, self._scratch = directory / "ready", directory / "scratch"
        with _reproducible(seed):
            trio.run(self._prepare, clock=MockClock())

    def survey(self) -> Counts:
        """How many batches and frames there are when nothing goes wrong. Raises AssertionError if all is not
        well then.
        """
        outcome = self.play()
        assert outcome.trouble == [], outcome
        return outcome.counts

    def failures(self, plans: Iterable[Sequence[Fault]]) -> list[str]:
        """One line for each plan after which something was not as it must be; what must be done to see it
        again stands in it.
        """
        return [str(outcome) for plan in plans if (outcome := self.play(*plan)).trouble]

    def play(self, *faults: Fault) -> Outcome:
        outcome = Outcome(f"{self.story.name}: {named(faults)} (seed {self.seed})")
        alarms = _Alarms()
        logging.getLogger().addHandler(alarms)
        shutil.copytree(self._ready, self._scratch)
        try:
            with _reproducible(self.seed):
                trio.run(self._play, outcome, faults, clock=MockClock(autojump_threshold=0))
        finally:
            logging.getLogger().removeHandler(alarms)
            shutil.rmtree(self._scratch)
        outcome.trouble += alarms.lines
        if not outcome.struck and faults:
            outcome.trouble.append("nothing happened")
        return outcome

    async def _prepare(self) -> None:
        async with trio.open_nursery() as nursery:
            street = Street(self._ready, nursery)
            hosts = hosts_of(street, self.story)
            for host in hosts.values():
                await host.open()
            houses = {}
            for name in self.story.cast:
                addresses = [hosts[host].address for host in self.story.uses.get(name, ())]
                houses[name] = await street.open(name, hosts=tuple(addresses))
            await self.story.prologue(street, houses)
            await street.quiet()
            if hosts:
                await street.pass_time(SETTLES_S, 5.0)
            for house in houses.values():
                await street.close(house)
            for host in hosts.values():
                await host.close()

    async def _play(self, outcome: Outcome, faults: Sequence[Fault]) -> None:
        async with trio.open_nursery() as nursery:
            street = Street(self._scratch, nursery, BEGINS_MS)
            stage = Stage(street, self.story, faults, nursery)
            for name in (*self.story.hosts, *self.story.cast):
                await stage.open(name)
            if self.story.hosts:
                await trio.sleep(SETTLES_S)
            stage.begin()
            began = trio.current_time()
            with trio.move_on_after(PATIENCE_S) as patience:
                await stage.perform()
            if patience.cancelled_caught and not stage.confused:
                outcome.trouble.append("a person could not do what was to be done")
            await stage.until(lambda: stage.mended and not self.story.amiss(stage))
            outcome.seconds, outcome.counts = trio.current_time() - began, stage.counts.copy()
            outcome.order = stage.order.copy()
            await self._look(outcome, stage)
            outcome.struck = stage.struck
            nursery.cancel_scope.cancel()

    async def _look(self, outcome: Outcome, stage: Stage) -> None:
        """How it stands, a while later, and again when every house was closed and opened again."""
        outcome.trouble += self.story.amiss(stage)
        await trio.sleep(AFTERWARDS_S)
        for name in (*self.story.cast, *self.story.hosts):
            await stage.close(name)
            await stage.open(name)
        await trio.sleep(AFTERWARDS_S)
        outcome.trouble += [
            f"later {line}" for line in self.story.amiss(stage) if line not in outcome.trouble
        ]
        outcome.trouble += [f"a handler let out {bug!r}" for bug in stage.street.wires.bugs]
        if not any(fault.kind in RUDE for fault in stage.struck):
            outcome.trouble += [f"{name} was blamed for {fault}" for name, fault in stage.blamed]


class _Alarms(logging.Handler):
    """Nothing may end in a traceback of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.lines.append(f"logged: {record.getMessage()} ({record.exc_info[1]!r})")


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """The same order of tasks and the same jitter for a seed (what trio does for hypothesis), and the same
    secrets: an envelope's bytes say at which host it is left first.
    """
    random.seed(seed)
    run: Any = trio._core._run
    run._ALLOW_DETERMINISTIC_SCHEDULING = True
    run._r.seed(seed)
    chance = random.Random(seed).randbytes
    sources = ("secrets.token_bytes", "nacl.utils.random", "os.urandom")
    with ExitStack() as stack:
        for source in sources:
            stack.enter_context(patch(source, chance))
        yield
