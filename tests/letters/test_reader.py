"""Messages through the worker: several in one call, and none that can take others along."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from node.letters.limits import MAX_MESSAGE_BYTES
from node.letters.parse import Summary, read_parts, summarize
from node.letters.reader import LARGE, Reader
from node.runtime.together import MAX_TOGETHER
from node.runtime.worker import Worker, WorkerError, WorkerTimeout
from protocol.errors import RemoteProtocolError
from tests.kit.letters import written

T = TypeVar("T")


class Troubled:
    """A worker that a message with SLOW in it holds up, one with FATAL kills, and that can be held."""

    def __init__(self) -> None:
        self.calls: list[Sequence[bytes]] = []
        self.gate = trio.Event()
        self.gate.set()
        self.fault: WorkerError | None = None
        self.deaths = 99
        self.absent = False

    async def run(self, job: Callable[..., T], what: bytes | Sequence[bytes] = (), *, deadline: float) -> T:
        raws = [what] if isinstance(what, bytes) else what
        self.calls.append(raws)
        if self.absent:
            raise WorkerError("worker-died", "died while it started")
        await self.gate.wait()
        if self.fault:
            raise self.fault
        if any(b"SLOW" in raw for raw in raws):
            raise WorkerTimeout("worker-deadline", "too slow")
        if any(b"FATAL" in raw for raw in raws) and self.deaths:
            self.deaths -= 1
            raise WorkerError("worker-died", "died")
        return job(what) if raws else job()


@pytest.fixture
def troubled() -> Troubled:
    return Troubled()


@pytest.fixture
def reader(troubled: Troubled) -> Reader:
    return Reader(cast(Worker, troubled))


async def together(reader: Reader, raws: Sequence[bytes]) -> dict[int, Summary | str]:
    """What each gets when all are asked for at once."""
    got: dict[int, Summary | str] = {}

    async def ask(number: int, raw: bytes) -> None:
        try:
            got[number] = await reader.summary(raw)
        except RemoteProtocolError as error:
            got[number] = error.status.code

    async with trio.open_nursery() as nursery:
        for number, raw in enumerate(raws):
            nursery.start_soon(ask, number, raw)
    return got


async def test_the_real_worker_says_what_the_parser_says(worker: Worker) -> None:
    raws = [written(f"Letter {n}") for n in range(20)] + [b"A: b\n" * 9_000]
    got = await together(Reader(worker), raws)
    assert got == {n: summarize(raw) for n, raw in enumerate(raws[:20])} | {20: "5.6.0"}


async def test_who_waits_is_read_in_one_call(reader: Reader, troubled: Troubled) -> None:
    troubled.gate = trio.Event()
    raws = [written(f"Letter {n}") for n in range(2 * MAX_TOGETHER + 1)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(together, reader, raws)
        await wait_all_tasks_blocked()
        troubled.gate.set()
    assert [len(raws) for raws in troubled.calls] == [MAX_TOGETHER, MAX_TOGETHER, 1]


async def test_one_that_is_too_slow_is_put_off_alone(reader: Reader, troubled: Troubled) -> None:
    raws = [written("a"), b"SLOW: x\r\n\r\n", written("b")]
    got = await together(reader, raws)
    assert got == {0: summarize(raws[0]), 1: "4.3.2", 2: summarize(raws[2])}


async def test_one_that_kills_the_worker_twice_is_refused_alone(reader: Reader, troubled: Troubled) -> None:
    raws = [written("a"), b"FATAL: x\r\n\r\n"]
    assert await together(reader, raws) == {0: summarize(raws[0]), 1: "5.6.0"}


async def test_a_worker_that_died_once_is_not_the_messages_fault(reader: Reader, troubled: Troubled) -> None:
    troubled.deaths = 1
    raw = b"FATAL: x\r\n\r\n"
    assert await reader.summary(raw) == summarize(raw)


async def test_a_worker_that_can_not_start_is_no_verdict_on_the_message(
    reader: Reader, troubled: Troubled
) -> None:
    troubled.absent = True
    with pytest.raises(WorkerError):
        await reader.summary(written())
    troubled.absent = False
    assert await reader.summary(written()) == summarize(written())


async def test_no_worker_is_no_verdict_on_the_message(reader: Reader, troubled: Troubled) -> None:
    troubled.fault = WorkerError("worker-start", "no worker")
    with pytest.raises(WorkerError):
        await reader.summary(written())
    troubled.fault = None
    assert await reader.summary(written()) == summarize(written())


async def test_who_leaves_takes_nobody_along(reader: Reader, troubled: Troubled) -> None:
    first_gate = troubled.gate = trio.Event()
    messages = [written(name) for name in ("first", "leaves", "stays", "stays too", "leaves while waiting")]
    got: list[str] = []

    async def ask(raw: bytes, scope: trio.CancelScope) -> None:
        with scope:
            got.append((await reader.summary(raw)).subject)

    async with trio.open_nursery() as nursery:
        scopes = [trio.CancelScope() for _ in messages]
        for raw, scope in zip(messages, scopes, strict=True):
            nursery.start_soon(ask, raw, scope)
            await wait_all_tasks_blocked()
        troubled.gate = trio.Event()
        first_gate.set()
        await wait_all_tasks_blocked()
        for scope in (scopes[4], scopes[1]):  # the second works for all who are left
            scope.cancel()
            await wait_all_tasks_blocked()
        troubled.gate.set()
    assert sorted(got) == ["first", "stays", "stays too"]
    assert troubled.calls == [messages[:1], messages[1:], messages[2:4]]


async def test_a_large_message_has_a_worker_of_its_own(reader: Reader, troubled: Troubled) -> None:
    """And no letter waits for it."""
    heavy = Troubled()
    heavy.gate = trio.Event()
    reader = Reader(cast(Worker, troubled), cast(Worker, heavy))
    large, small = written() + b"x" * LARGE, written()
    got: list[object] = []

    async def ask(read: Callable[[bytes], Awaitable[object]]) -> None:
        got.append(await read(large))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, reader.summary)
        nursery.start_soon(ask, reader.parts)
        await wait_all_tasks_blocked()
        assert await reader.summary(small) == summarize(small)
        assert await reader.parts(small) == read_parts(small)
        assert got == []
        heavy.gate.set()
    assert len(got) == len(heavy.calls) == len(troubled.calls) == 2


async def test_a_message_beyond_its_size_never_reaches_the_worker(reader: Reader, troubled: Troubled) -> None:
    with pytest.raises(RemoteProtocolError):
        await reader.summary(bytes(MAX_MESSAGE_BYTES + 1))
    with pytest.raises(RemoteProtocolError):
        await reader.parts(bytes(MAX_MESSAGE_BYTES + 1))
    assert troubled.calls == []
