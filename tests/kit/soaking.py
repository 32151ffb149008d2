"""Real nodes that are killed and suspended at random while letters are on their way: from node to node,
through hosts, and by ordinary mail. Each must come, and none twice.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import trio

from node.cli.client import NotRunning
from node.runtime.errors import NodeError
from tests.kit.outside import STELLA, World, open_world
from tests.kit.people import heard, standing
from tests.kit.processes import Unmet, Village, a_village, until
from tests.kit.soakpost import Figures, Post, Sent

DAVE: Final = "dave@dales.example"

OWNERS: Final = ("alice", "bob", "carol")
HOSTS: Final = ("bootstrap", "haven")

STAYS_AWAY: Final = 0.3
"""Share of killed owners that stay away until hosts have taken over."""

AWAY_S: Final = 12.0
"""Seconds that such a one is away at most: by then letters for it lie at hosts."""

HURT: Final = 2
"""Nodes that are hurt at once: of two who write to each other, and of two hosts, both."""

LIDS_S: Final = (1.0, 4.0, 40.0)
"""Seconds for which a process is stopped: within every deadline, and beyond that of a frame."""

LONG_LID: Final = 0.05
"""Share of stopped processes that sleep for the longest: each costs that time."""

SETTLE_S: Final = 1_800.0
"""Seconds in which everything must have come once nobody is hurt any more: waits double up to what an outage
lasted.
"""

WATCH_S: Final = 5.0
"""Seconds between two looks at what lies at hosts: a list of hundreds of letters each time."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """So many letters, kills (SIGKILL) and stops (SIGSTOP), or what fits into `seconds` where that is set."""

    letters: int
    kills: int
    stops: int
    seed: int
    seconds: float = 0.0


class Soak:
    """The village, its post, and who torments it."""

    def __init__(self, village: Village, world: World, plan: Plan, tell: Tell) -> None:
        self.village, self.world, self.plan, self._tell = village, world, plan, tell
        self.post = Post(village, world)
        self.figures = Figures()
        self.sent: list[Sent] = []
        self._chance = Random(plan.seed)
        self._number = 0
        self._harms = 0
        self._ends = trio.current_time() + plan.seconds
        self._at_hosts: set[str] = set()
        self._busy: set[str] = set()
        self._strength = trio.Semaphore(HURT)
        self._moved = trio.Event()

    async def run(self) -> Figures:
        """Raises Unmet where the village can't be set up, or a node does not start again."""
        await self._set_up()
        begun = time.time()
        self._ends = trio.current_time() + self.plan.seconds
        async with trio.open_nursery() as watching:
            watching.start_soon(self._watch)
            async with trio.open_nursery() as nursery:
                for name in (*OWNERS, "stella"):
                    nursery.start_soon(self._write, name)
                nursery.start_soon(self._torment)
            self._tell(f"{len(self.sent)} letters are handed in, and from now on nobody is hurt")
            await self._settle()
            watching.cancel_scope.cancel()
        await self._judge()
        self.figures.at_hosts, self.figures.seconds = len(self._at_hosts), time.time() - begun
        return self.figures

    # ---- before

    async def _set_up(self) -> None:
        """Hosts, owners who have accepted each other, and Stella, whom alice has."""
        for name in HOSTS:
            await self._host(name)
        for name in OWNERS:
            settings = self.world.settings if name == "alice" else {}
            await self.village.owner(name, **settings, **_at_a_port())
        nodes = self.post.nodes
        for one, other in (("alice", "bob"), ("alice", "carol"), ("bob", "carol")):
            await nodes[one].mailio("handshake", "request", nodes[other].address)
            await nodes[other].mailio("handshake", "accept", nodes[one].address)
            await heard(nodes[one], nodes[other])
        await self.post.bring("hello")
        await until("Stella's first letter", partial(standing, nodes["alice"], STELLA))
        await nodes["alice"].mailio("handshake", "accept", STELLA)
        for name in OWNERS:
            await until(f"that the hosts have all of {name}'s", partial(self._kept, name), 120.0)
        self._tell("two hosts and three owners run, who have accepted each other")

    async def _host(self, name: str) -> None:
        host = self.village.node(name, **_at_a_port())
        await host.start("bootstrap", "run")
        self.village.bootstrap += tuple((await host.mailio("status"))["listen"]["libp2p"])

    async def _kept(self, name: str) -> bool | None:
        rows = (await self.post.ask(name, "GET", "/api/v1/status"))["hosts"]
        return True if sum(row["state"] == "current" for row in rows) == len(HOSTS) else None

    # ---- letters

    @property
    def _all(self) -> int:
        """How many times somebody is to be hurt."""
        return self.plan.kills + self.plan.stops

    @property
    def _over(self) -> bool:
        return self.plan.seconds > 0 and trio.current_time() >= self._ends

    async def _write(self, name: str) -> None:
        """Hand letters in, one after the other, until there are no more."""
        while (number := await self._next()) is not None:
            to = self._chance.choice(
                [one for one in OWNERS if one != name] + [DAVE, DAVE] * (name == "alice")
            )
            subject = f"soak {number:05}"
            if name == "stella":
                to = "alice"
                await self.post.bring(subject)
            else:
                await self.post.hand_in(name, to, subject)
            way = "smtp in" if name == "stella" else "smtp out" if to == DAVE else "mailio"
            self.figures.letters[way] += 1
            self.sent.append(Sent(subject, name, to, time.time()))
            self._move()

    async def _next(self) -> int | None:
        """The number of a letter that may go now: they are spread over all that happens."""
        await trio.sleep(self._chance.uniform(0.0, 0.5))
        if self.plan.seconds:
            self._number += 1
            return None if self._over else self._number
        while self._number < self.plan.letters:
            if self._number * self._all < (self._harms + 1) * self.plan.letters:
                self._number += 1
                return self._number
            await self._moved.wait()
        return None

    # ---- what happens to them

    async def _torment(self) -> None:
        """Hurt one node after the other; who stays away does so while others are hurt."""
        planned = ["kill"] * self.plan.kills + ["stop"] * self.plan.stops
        self._chance.shuffle(planned)
        async with trio.open_nursery() as nursery:
            while not self._over and (self.plan.seconds or self._harms < len(planned)):
                harm = planned[self._harms] if planned else self._chance.choice(["kill", "kill", "stop"])
                await self._until_flowing()
                await self._strength.acquire()
                victim = self._chance.choice([one for one in self.post.nodes if one not in self._busy])
                nursery.start_soon(self._hurt, victim, self._kill if harm == "kill" else self._stop)
                self._busy.add(victim)
                self._harms += 1
                self._move()
                self._report()

    async def _hurt(self, name: str, how: Callable[[str], Awaitable[None]]) -> None:
        await how(name)
        self._busy.discard(name)
        self._strength.release()

    async def _until_flowing(self) -> None:
        """Until there are letters for what comes next."""
        await trio.sleep(self._chance.uniform(0.0, 1.0))
        while not self.plan.seconds and len(self.sent) * self._all < self._harms * self.plan.letters:
            await self._moved.wait()

    def _move(self) -> None:
        """Tell who waits that there was a letter, or a blow."""
        self._moved.set()
        self._moved = trio.Event()

    async def _kill(self, name: str) -> None:
        node = self.post.nodes[name]
        await node.kill()
        self.figures.kills[name] += 1
        away = name in OWNERS and self._chance.random() < STAYS_AWAY
        await trio.sleep(self._chance.uniform(AWAY_S / 2, AWAY_S) if away else self._chance.random())
        await node.start(*(("bootstrap", "run") if name in HOSTS else ()))

    async def _stop(self, name: str) -> None:
        node = self.post.nodes[name]
        node.send_signal(signal.SIGSTOP)
        self.figures.stops[name] += 1
        short, long, longest = LIDS_S
        slept = longest if self._chance.random() < LONG_LID else self._chance.uniform(short, long)
        await trio.sleep(slept)
        node.send_signal(signal.SIGCONT)

    def _report(self) -> None:
        every = max(1, (self._all or 100) // 10)
        if self._harms % every == 0:
            kills, stops = sum(self.figures.kills.values()), sum(self.figures.stops.values())
            self._tell(f"{len(self.sent)} letters, {kills} kills, {stops} stops")

    async def _watch(self) -> None:
        """Note which letters lay at a host."""
        while True:
            for name in OWNERS:
                with suppress(NotRunning, NodeError):
                    rows = await self.post.ask(name, "GET", "/api/v1/outbox")
                    states = {row["id"]: {one["state"] for one in row["recipients"]} for row in rows}
                    self._at_hosts |= {one for one, found in states.items() if "at-host" in found}
            await trio.sleep(WATCH_S)

    # ---- after

    async def _settle(self) -> None:
        """Until no node has anything left to do."""

        async def look() -> bool | None:
            try:
                return (
                    True if not [line for name in OWNERS for line in await self.post.waiting(name)] else None
                )
            except (NotRunning, NodeError):
                return None

        with suppress(Unmet):  # what did not come is told by name
            await until("that everything has come", look, SETTLE_S)

    async def _judge(self) -> None:
        found = {name: await self.post.came(name) for name in OWNERS}
        found[DAVE], self.figures.repeated = self.post.outside()
        for one in self.sent:
            came = found[one.to].get(one.subject, [])
            what = f"{one.subject} of {one.author} to {one.to}"
            if not came:
                self.figures.lost.append(what)
            elif len(came) > 1:
                self.figures.doubled.append(f"{what}: {len(came)} times")
            else:
                self.figures.slowest = max(self.figures.slowest, came[0] - one.at)
        for name in OWNERS:
            self.figures.amiss += await self.post.waiting(name)
            known = {one.subject for one in self.sent} | {"hello"}
            notices = [subject for subject in found[name] if "soak" in subject and subject not in known]
            self.figures.amiss += [f"{name} was told: {subject}" for subject in notices]


async def soak(directory: Path, plan: Plan, tell: Tell) -> Figures:
    """Set everything up in this directory, which has the nodes' logs afterwards. Raises Unmet."""
    async with open_world(directory) as world, a_village(directory) as village:
        return await Soak(village, world, plan, tell).run()


def _at_a_port() -> dict[str, str]:
    """A port that was free just now: a node that starts again is where it was, as real ones are."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return {"MAILIO_NETWORK_LISTEN": f"/ip4/127.0.0.1/tcp/{one.getsockname()[1]}"}
