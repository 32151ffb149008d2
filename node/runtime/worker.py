"""Work that must not hold up trio: jobs on hostile input in a process that can be ended, short blocking
calls in a few threads. What the jobs do is their rooms' business.
"""

import contextlib
import io
import resource
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final, TypeVar

import trio
import trio_parallel

from node.runtime.errors import NodeError

T = TypeVar("T")

PROCESSES: Final = 1
"""Worker processes at once: one, so that hostile mail can take one core at most."""

THREADS: Final = 4
"""Blocking calls at once (argon2 of 64 MiB, look-ups): bounds their memory and what they take from trio."""

IDLE_S: Final = 60.0
"""Seconds after which a worker without jobs ends and gives its memory back."""

START_S: Final = 30.0
"""Seconds in which a worker must have started; 0.15 on an idle machine, many times that on a busy one."""

CLOSE_S: Final = 2.0
"""Seconds that a worker gets to end by itself when we close."""

ORPHAN_S: Final = 5.0
"""Seconds after its deadline at which a job ends itself, should the process that set the deadline be gone."""

MEMORY: Final = 768 * 1024 * 1024
"""Bytes of address space of a worker: a letter of 1 MiB needs 60 MB to parse; beyond this it is hostile."""


class WorkerError(NodeError):
    """The worker died in a job, ran out of memory, or could not start."""


class WorkerTimeout(WorkerError):  # noqa: N818 - what it is called everywhere
    """The job was ended at its deadline."""


class Worker:
    """Runs jobs; made by `open_worker()`."""

    def __init__(self, context: trio_parallel.WorkerContext, processes: int, threads: int) -> None:
        self._context = context
        self._slots = trio.CapacityLimiter(processes)
        self._threads = trio.CapacityLimiter(threads)

    async def run(self, job: Callable[..., T], *args: object, deadline: float) -> T:
        """`job(*args)` in the worker process, which is killed after `deadline` seconds of its own time
        (waiting for a slot and starting the process are not counted) or when the caller is cancelled.

        `job` must be importable from a module that imports little; arguments, result and exceptions
        must pickle. Raises what the job raises; WorkerTimeout; WorkerError if it took the process down.
        """
        async with self._slots:
            return await self._run(job, args, deadline)

    async def run_on(
        self, source: AsyncGenerator[bytes, None], job: Callable[..., T], *args: object, deadline: float
    ) -> T:
        """`job(file, *args)`, where `file` (io.BytesIO, at its start) holds what `source` gives, which is
        closed here. It is handed over piece by piece, so that only the worker holds more of it than a piece;
        how much it may be is the caller's to bound. The rest is as in `run`, `deadline` the job's own. Raises
        what `source` does, too.
        """
        async with contextlib.aclosing(source), self._slots:
            size = 0
            async for piece in source:
                size = await self._run(_take, (size, piece), deadline)
            return await self._run(_on_taken, (size, job, args), deadline)

    async def _run(self, job: Callable[..., T], args: tuple[object, ...], deadline: float) -> T:
        try:
            await self._ensure_started()
            with trio.move_on_after(deadline):
                return await self._call(_bounded, deadline + ORPHAN_S, job, args)
        except trio_parallel.BrokenWorkerError as error:
            raise WorkerError("worker-died", "the worker process died in a job") from error
        except MemoryError as error:
            raise WorkerError("worker-memory", "a job needed more memory than it may have") from error
        raise WorkerTimeout("worker-deadline", f"a job took longer than {deadline:g} seconds")

    async def _ensure_started(self) -> None:
        if self._context.statistics().idle_workers:
            return
        with trio.move_on_after(START_S) as scope:
            await self._call(bool)
        if scope.cancelled_caught:
            raise WorkerError("worker-start", f"the worker process did not start within {START_S:g} seconds")

    async def _call(self, job: Callable[..., T], *args: object) -> T:
        result: T = await self._context.run_sync(
            job, *args, kill_on_cancel=True, limiter=contextlib.nullcontext()
        )
        return result

    async def in_thread(self, call: Callable[..., T], *args: object, abandon_on_cancel: bool = False) -> T:
        """`call(*args)`, short and blocking, in one of a few threads. With `abandon_on_cancel` a
        cancelled caller leaves at once and the thread finishes alone; without, it waits.
        """
        return await trio.to_thread.run_sync(
            call,
            *args,
            limiter=self._threads,
            abandon_on_cancel=abandon_on_cancel,
        )


@contextlib.asynccontextmanager
async def open_worker(
    *, processes: int = PROCESSES, threads: int = THREADS, idle: float = IDLE_S
) -> AsyncIterator[Worker]:
    """A Worker whose processes start when first needed and are gone when the block is left.
    `idle` in seconds. Tasks that use it must end inside the block.
    """
    async with trio_parallel.open_worker_context(
        idle_timeout=idle, init=_prepare, grace_period=CLOSE_S
    ) as context:
        yield Worker(context, processes, threads)


def _prepare() -> None:
    """Runs in a new worker: what it may use of this machine."""
    with contextlib.suppress(ValueError, OSError):  # macOS takes no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _bounded(seconds: float, job: Callable[..., T], args: tuple[object, ...]) -> T:
    """Runs in the worker. If the parent was killed nobody enforces the deadline, so the process is
    its own last guard: SIGALRM's default ends it even in C code that holds the interpreter.
    """
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return job(*args)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


_taken: Final[list[io.BytesIO]] = []
"""In the worker: the file that is being handed over, if one is."""


def _take(size: int, piece: bytes) -> int:
    """Runs in the worker. Puts a piece behind the `size` bytes that have come; how many these are now."""
    return size + _file(size).write(piece)


def _on_taken(size: int, job: Callable[..., T], args: tuple[object, ...]) -> T:
    """Runs in the worker, on a file that has come whole. Nothing of it is kept."""
    file = _file(size)
    _taken.clear()
    file.seek(0)
    return job(file, *args)


def _file(size: int) -> io.BytesIO:
    """The file of which so much has come; a new one for 0, in place of what another left behind."""
    if size == 0:
        _taken[:] = [io.BytesIO()]
    if not _taken or _taken[0].tell() != size:
        raise WorkerError("worker-died", "the worker process died with a part of a file")
    return _taken[0]
