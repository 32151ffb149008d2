from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
import trio
from trio.testing import MockClock

import protocol.stamps
from node.identity import Identity, Profile, Publisher, create, load
from node.identity.publish import AGAIN_S, CALM_S, EVERY_S, REST_S, SETTLE_S, TRIES
from node.runtime.clock import TrioClock
from node.runtime.errors import NodeError
from node.runtime.home import Home
from node.runtime.worker import WorkerTimeout, open_worker
from node.storage import Store
from protocol.identity import IdentityRecord
from protocol.stamps import search_birth
from tests.identity.conftest import ROOT, Time
from tests.kit.owners import NOW
from tests.kit.stores import KEY

T = TypeVar("T")
DAY_S = 86_400
START = NOW + DAY_S * 1000  # no prekey link ends within the next three days


@dataclass
class Dht:
    """Takes records as if `peers` others were there; each put with the second at which it came."""

    peers: int = 3
    fault: NodeError | None = None
    puts: list[tuple[float, bytes]] = field(default_factory=list)
    came: trio.Event = field(default_factory=trio.Event)

    async def put_record(self, address: str, record: bytes) -> int:
        await trio.lowlevel.checkpoint()
        self.came.set()
        self.puts.append((round(trio.current_time(), 3), record))
        if self.fault is not None:
            raise self.fault
        return self.peers


@dataclass
class Jobs:
    """Runs no job but finds a stamp at this number, or never ends a job; `firsts` is where each began."""

    finds_at: int | None = None
    faults: int = 0
    firsts: list[int] = field(default_factory=list)

    async def run(self, job: Callable[..., T], *args: object, deadline: float) -> T:
        await trio.lowlevel.checkpoint()
        assert job is search_birth
        _, first, tries = args
        assert isinstance(first, int)
        assert isinstance(tries, int)
        self.firsts.append(first)
        if self.finds_at is None:
            await trio.sleep_forever()
        if self.faults:
            self.faults -= 1
            raise WorkerTimeout("worker-deadline", "too slow")
        assert self.finds_at is not None
        found = first <= self.finds_at < first + tries
        return self.finds_at.to_bytes(8, "big") if found else None  # type: ignore[return-value]


@pytest.fixture
def dht() -> Dht:
    return Dht()


@pytest.fixture
def watch() -> Time:
    return Time()


@asynccontextmanager
async def running(
    identity: Identity,
    dht: Dht,
    store: Store,
    watch: Time,
    jobs: Jobs | None = None,
    drained: Callable[[], bool] = lambda: True,
) -> AsyncIterator[Publisher]:
    identity.attach(store, Profile())
    publisher = Publisher(identity, dht, store, TrioClock(START), watch, jobs or Jobs(finds_at=1), drained)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.run)
        yield publisher
        nursery.cancel_scope.cancel()


async def test_published_at_the_start_every_six_hours_and_anew_each_day(
    identity: Identity, dht: Dht, store: Store, watch: Time, autojump_clock: MockClock
) -> None:
    async with running(identity, dht, store, watch, Jobs(finds_at=None)) as publisher:
        await trio.sleep(1.0)
        assert publisher.status() == {"published": START, "stored": 3}
        await trio.sleep(DAY_S)
        records = [IdentityRecord.parse(record, None) for _, record in dht.puts]
        times = [time for time, _ in dht.puts]
        assert times == [round(n * (EVERY_S + SETTLE_S), 3) for n in range(4)]
        assert len({record.created // (DAY_S * 1000) for record in records}) == 2
        assert [records[n].replaces(records[n - 1]) for n in (1, 2, 3)].count(True) == 1


async def test_a_change_is_published_when_it_settled(
    identity: Identity, dht: Dht, store: Store, watch: Time, autojump_clock: MockClock
) -> None:
    async with running(identity, dht, store, watch, Jobs(finds_at=3)):
        await trio.sleep(CALM_S + 5 * SETTLE_S)
        (_, first), (time, second) = dht.puts
        assert time == CALM_S + SETTLE_S
        assert IdentityRecord.parse(first, None).birth is None
        assert IdentityRecord.parse(second, None).birth == (3).to_bytes(8, "big")


async def test_while_nobody_holds_it_each_new_peer_is_a_reason(
    identity: Identity, dht: Dht, store: Store, watch: Time, autojump_clock: MockClock
) -> None:
    dht.peers = 0
    async with running(identity, dht, store, watch, Jobs(finds_at=None)) as publisher:
        await trio.sleep(1.0)
        assert publisher.status() == {"published": None, "stored": 0}
        await trio.sleep(10.0)
        dht.peers = 3
        for _ in range(5):
            publisher.peer_connected()
        await trio.sleep(AGAIN_S)
        publisher.peer_connected()
        await trio.sleep(AGAIN_S)
        assert [time for time, _ in dht.puts] == [0.0, 11.0 + SETTLE_S]


async def test_while_nobody_holds_it_it_is_tried_again(
    identity: Identity, dht: Dht, store: Store, watch: Time, autojump_clock: MockClock
) -> None:
    dht.fault = NodeError("network", "no way")
    async with running(identity, dht, store, watch, Jobs(finds_at=None)) as publisher:
        await trio.sleep(AGAIN_S)
        dht.fault = None
        await trio.sleep(SETTLE_S + 1)
        assert [time for time, _ in dht.puts] == [0.0, AGAIN_S + SETTLE_S]
        assert publisher.stored == 3


async def test_a_doubtful_clock_neither_publishes_nor_destroys(
    dht: Dht, tmp_path: Path, store: Store, watch: Time, autojump_clock: MockClock
) -> None:
    home = Home(tmp_path / "old")
    create(home, KEY, ROOT, NOW - 30 * DAY_S * 1000)
    identity = load(home, KEY)
    watch.doubtful = "the clock is 20 minutes ahead of what other nodes say"
    first = identity.first_week
    async with running(identity, dht, store, watch, Jobs(finds_at=None)) as publisher:
        await trio.sleep(10 * AGAIN_S)
        assert (dht.puts, identity.first_week) == ([], first)
        (warning,) = publisher.warnings()
        assert (warning.code, warning.text.startswith(watch.doubtful)) == ("clock-doubtful", True)
        watch.doubtful = None
        await dht.came.wait()
        assert publisher.warnings() == []
        assert len(dht.puts) == 1
        assert load(home, KEY).first_week == identity.first_week > first


async def test_what_waits_at_a_host_can_still_be_opened_when_it_is_fetched(
    dht: Dht, tmp_path: Path, store: Store, watch: Time, autojump_clock: MockClock
) -> None:
    home = Home(tmp_path / "old")
    create(home, KEY, ROOT, NOW - 30 * DAY_S * 1000)
    identity, drained = load(home, KEY), [False]
    first = identity.first_week
    async with running(identity, dht, store, watch, Jobs(finds_at=None), lambda: drained[0]):
        await trio.sleep(EVERY_S / 2)
        assert (len(dht.puts), identity.first_week) == (1, first)
        dht.came, drained[0] = trio.Event(), True
        await dht.came.wait()
        assert load(home, KEY).first_week == identity.first_week > first


async def test_the_birth_stamp_is_sought_calmly_and_goes_on_after_a_restart(
    identity: Identity, home: Home, dht: Dht, store: Store, watch: Time, autojump_clock: MockClock
) -> None:
    jobs = Jobs(finds_at=5 * TRIES)
    async with running(identity, dht, store, watch, jobs):
        await trio.sleep(CALM_S - 1)
        assert jobs.firsts == []
        await trio.sleep(1 + 2.5 * REST_S)
        assert jobs.firsts == [0, TRIES, 2 * TRIES]
    again = load(home, KEY)
    async with running(again, dht, store, watch, jobs):
        await trio.sleep(CALM_S + 100 * REST_S)
        assert jobs.firsts == [n * TRIES for n in range(6)]
        assert again.birth == (5 * TRIES).to_bytes(8, "big")
    once_more = load(home, KEY)
    async with running(once_more, dht, store, watch, jobs):
        await trio.sleep(CALM_S + 100 * REST_S)
        assert len(jobs.firsts) == 6


async def test_the_search_outlives_a_worker_that_fails(
    identity: Identity, dht: Dht, store: Store, watch: Time, autojump_clock: MockClock
) -> None:
    jobs = Jobs(finds_at=3, faults=2)
    async with running(identity, dht, store, watch, jobs):
        await trio.sleep(CALM_S + 3 * AGAIN_S)
        assert jobs.firsts == [0, 0, 0]
        assert identity.birth == (3).to_bytes(8, "big")


def test_a_slice_finds_the_first_stamp_in_it(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol.stamps, "BIRTH_BITS", 2)
    nonces = [number.to_bytes(8, "big") for number in range(24)]
    good = [nonce for nonce in nonces if protocol.stamps.verify_birth(identity.public_key, nonce)]
    assert search_birth(identity.public_key, 0, 24) == good[0]
    first = int.from_bytes(good[0], "big")
    assert search_birth(identity.public_key, first, 1) == good[0]
    assert search_birth(identity.public_key, 0, first) is None


async def test_a_slice_runs_in_the_worker_process(identity: Identity) -> None:
    async with open_worker() as worker:
        found = await worker.run(search_birth, identity.public_key, 0, 1, deadline=30.0)
    assert found == search_birth(identity.public_key, 0, 1)
