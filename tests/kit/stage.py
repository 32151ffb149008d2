"""Plays a story with its faults, in virtual time: has them happen, mends what a machine's owner would mend
anyway (it is started again, its lid opened, its disk made room on, its clock set), and looks at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Final, Protocol

import trio
from trio.testing import MockClock

from node.runtime.errors import NodeError
from tests.kit.faults import CLOCKS, DELAYS, LIDS, LOST, Fault, Step
from tests.kit.hostnodes import HostNode
from tests.kit.houses import DAY_S, House, Street
from tests.kit.machines import Machine, PowerCut
from tests.kit.wires import Act, Frame, Late, Wire

REBOOT_S: Final = 30.0
"""Seconds until a machine that died runs again."""

DISK_S: Final = 600.0
"""Seconds until somebody makes room on a full disk."""

CLOCK_S: Final = 2 * 3_600.0
"""Seconds until somebody sets a clock right; within the day for which what peers told counts."""

OVERTAKEN_S: Final = 20.0
"""Seconds that a frame waits at most for another one to overtake it."""

AGAIN_S: Final = 60.0
"""Seconds after which a person does again what the machine did not take."""

RECOVERS_S: Final = 6 * DAY_S
"""Seconds within which everything must be as it should: after five days a letter is given up."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that a person does. `done` is whether it is in effect, as they can see it; it is done again
    where it was not acknowledged and is not. `ready`: not before.
    """

    who: str
    act: Callable[[Stage], Awaitable[object]]
    done: Callable[[Stage], bool]
    ready: Callable[[Stage], bool] = lambda stage: True


class Story(Protocol):
    """Who plays, how things stand at first, what people do, and how it must end."""

    @property
    def name(self) -> str: ...

    @property
    def cast(self) -> Sequence[str]: ...

    @property
    def hosts(self) -> Sequence[str]: ...

    @property
    def uses(self) -> Mapping[str, Sequence[str]]:
        """Who has which hosts."""

    @property
    def deeds(self) -> Sequence[Deed]: ...

    async def prologue(self, street: Street, houses: dict[str, House]) -> None:
        """Before anything can go wrong."""

    def slips(self, stage: Stage, frame: Frame) -> bool:
        """Whether this frame gets lost in this story, whatever else happens."""

    def amiss(self, stage: Stage) -> list[str]:
        """What is not yet, or not at all, as it must be at the end."""


def hosts_of(street: Street, story: Story) -> dict[str, HostNode]:
    """The hosts of a story, not open yet."""
    return {name: HostNode(street, name, n, keeps=True) for n, name in enumerate(story.hosts, 1)}


class Stage:
    """A street on which one story is played. `order` are all steps as they came, and of frames what they
    belonged to.
    """

    def __init__(self, street: Street, story: Story, faults: Sequence[Fault], nursery: trio.Nursery) -> None:
        self.street, self.story = street, story
        self.counts: Counter[str] = Counter()
        self.order: dict[Step, str] = {}
        self.struck: list[Fault] = []
        self.slipped = 0
        self._hosts = hosts_of(street, story)
        self._off: set[str] = set()
        self._faults = faults
        self._nursery = nursery
        self._houses: dict[str, House] = {}
        self._names: dict[bytes, str] = {}
        self._wires: list[Wire] = []
        self._mending = self._standing = 0
        self._began = trio.current_time()
        self._passing = trio.Event()
        self._numbers: dict[int, Step] = {}

    def __getitem__(self, name: str) -> House:
        return self._houses[name]

    @property
    def blamed(self) -> list[tuple[str, str]]:
        """Whom any node of this story has blamed, and for what."""
        return [
            (self._names.get(peer, "a mask"), fault) for wire in self._wires for peer, fault in wire.blamed
        ]

    async def open(self, name: str) -> None:
        """Open a house, or open it again."""
        with self.time_stands_still():
            if name in self._hosts:
                wire = (await self._hosts[name].open()).wire
            else:
                addresses = [self._hosts[host].address for host in self.story.uses.get(name, ())]
                self._houses[name] = await self.street.open(name, hosts=tuple(addresses))
                wire = self._houses[name].wire
        assert wire is not None
        self._names[wire.peer_id] = name
        self._wires.append(wire)

    async def close(self, name: str) -> None:
        if name in self._hosts:
            await self._hosts[name].close()
        else:
            await self.street.close(self[name])

    def _ended(self, name: str) -> trio.Event:
        return self._hosts[name].ended if name in self._hosts else self[name].ended

    @property
    def seconds(self) -> float:
        """Since it began."""
        return trio.current_time() - self._began

    def host(self, name: str) -> HostNode:
        return self._hosts[name]

    async def leave(self, name: str, back: Callable[[], bool], seconds: float) -> None:
        """Switch this machine off until then, or for so many seconds at most. Raises PowerCut where it only
        just starts.
        """
        if self._ended(name).is_set():
            raise PowerCut
        self._off.add(name)
        await self.close(name)

        async def wait() -> None:
            await self.until(back, seconds)
            self._off.discard(name)
            await self.open(name)

        self._nursery.start_soon(wait)

    @contextmanager
    def time_stands_still(self) -> Iterator[None]:
        """While real threads work, which virtual time would not wait for."""
        clock = self.street.time
        assert isinstance(clock, MockClock)
        self._standing += 1
        clock.autojump_threshold = inf
        try:
            yield
        finally:
            self._standing -= 1
            clock.autojump_threshold = inf if self._standing else 0

    async def until(self, true: Callable[[], bool], seconds: float = RECOVERS_S) -> bool:
        """Let time go on until this holds; whether it came to hold in time."""
        end, pause = trio.current_time() + seconds, 0.5
        while not true():
            if trio.current_time() >= end:
                return False
            await trio.sleep(pause)
            pause = min(pause * 1.5, 1_800.0)
        return True

    # ---- what happens

    def begin(self) -> None:
        """From here on steps are counted and faults strike."""
        for name in (*self.story.cast, *self.story.hosts):
            self.street.machine(name).step = self._batch
        self._began = trio.current_time()
        self.street.wires.judge, self.street.wires.passed = self._judge, self._passed

    async def perform(self) -> None:
        """Each person does what it has to do, one thing after the other."""
        async with trio.open_nursery() as nursery:
            for name in (*self.story.cast, *self.story.hosts):
                nursery.start_soon(self._live, [deed for deed in self.story.deeds if deed.who == name])

    async def _live(self, deeds: Sequence[Deed]) -> None:
        for deed in deeds:
            await self.until(partial(deed.ready, self))
            while not await self._done(deed):  # noqa: ASYNC110 - a person waits for no event
                await trio.sleep(AGAIN_S)

    async def _done(self, deed: Deed) -> bool:
        """Try it, if it was not done without its person having heard of it."""
        await self.until(lambda: self.awake(deed.who))
        if deed.done(self):
            return True
        try:
            await deed.act(self)
            return True
        except (PowerCut, NodeError):
            return False

    def awake(self, name: str) -> bool:
        machine = self.street.machine(name)
        return machine.running and not machine.lid.closed

    @property
    def mended(self) -> bool:
        """Nothing is out of order any more."""
        return self._mending == 0

    @property
    def confused(self) -> bool:
        """Somebody was told nonsense, which no stream makes of what was said: a letter may have been refused
        for it, and what waits for that letter does not happen.
        """
        return any(fault.kind == "twice" for fault in self.struck)

    def _batch(self, machine: Machine, after: bool) -> None:
        if not after:
            self.counts[machine.name] += 1
        step = Step(machine.name, self.counts[machine.name] - 1, after)
        self.order[step] = ""
        self._step(step)

    async def _judge(self, frame: Frame) -> Act | Late:
        where = f"{self._names[frame.source]}>{self._names[frame.target]}"
        step = Step(where, self.counts[where])
        self.counts[where] += 1
        self._numbers[id(frame)] = step
        self.order[step] = frame.protocol
        if self.story.slips(self, frame):
            self.slipped += 1
            return Act.LOSE
        found = [fault for fault in self._step(step) if not fault.house]
        found += [fault for fault in self._due(replace(step, after=True)) if fault.kind == "cut"]
        if not any(fault.kind == "reorder" for fault in found):
            self._passing.set()
            self._passing = trio.Event()
        return self._act(found[0]) if found else Act.PASS

    def _passed(self, frame: Frame) -> None:
        step = replace(self._numbers[id(frame)], after=True)
        self.order[step] = frame.protocol
        self._step(step)

    def _due(self, step: Step) -> list[Fault]:
        return [fault for fault in self._faults if fault.step == step]

    def _step(self, step: Step) -> list[Fault]:
        """Have happen what happens here; what it is."""
        due = self._due(step)
        for fault in due:
            self.struck.append(fault)
            if fault.house:
                self._strike(fault, self.street.machine(fault.house))
        return due

    def _act(self, fault: Fault) -> Act | Late:
        if fault.kind == "cut":
            return Act.CUT_AFTER if fault.step.after else Act.CUT_BEFORE
        if fault.kind == "reorder":
            return Late(self._overtaken)
        if fault.kind in DELAYS:
            return Late(partial(trio.sleep, DELAYS[fault.kind]))
        return {"lose": Act.LOSE, "twice": Act.TWICE}[fault.kind]

    async def _overtaken(self) -> None:
        with trio.move_on_after(OVERTAKEN_S):
            await self._passing.wait()

    def _strike(self, fault: Fault, machine: Machine) -> None:
        if fault.kind in CLOCKS:
            machine.misdate(CLOCKS[fault.kind], told=fault.kind.endswith("told"))
            self._mend(CLOCK_S, partial(machine.misdate, 0, told=True))
        elif fault.kind == "full disk":
            machine.full = True
            self._mend(DISK_S, machine.make_room)
        elif fault.kind in LIDS:
            machine.sleep(LIDS[fault.kind])
            self._mend(LIDS[fault.kind], machine.wake)
        elif machine.running:
            if fault.kind == LOST:
                self._hosts[fault.house].disk += "-new"
            machine.crash() if fault.kind == "crash" else machine.lose_power()
            self._mend(REBOOT_S, partial(self._reboot, fault.house, self._ended(fault.house)))

    def _mend(self, seconds: float, mend: Callable[[], Awaitable[None] | None]) -> None:
        """After a while somebody puts it right."""

        async def wait() -> None:
            await trio.sleep(seconds)
            if (mending := mend()) is not None:
                await mending
            self._mending -= 1

        self._mending += 1
        self._nursery.start_soon(wait)

    async def _reboot(self, name: str, ended: trio.Event) -> None:
        await ended.wait()
        if name not in self._off and not self.street.machine(name).running:
            await self.open(name)
