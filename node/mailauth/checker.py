"""Hands signatures to the worker process, those of several messages in one call. How they are checked is in
verify.py.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

import trio

from node.mailauth.verify import UNCHECKED, Task, verify_all
from node.runtime.worker import Worker, WorkerError

DEADLINE_S: Final = 4.0
"""Seconds for one call of the worker, as long as the reader of letters has: 25 MB take a quarter of one."""

MAX_TOGETHER: Final = 16
"""Messages in one call: a call costs more than the check of a small message."""

MAX_TOGETHER_BYTES: Final = 2 * 1024 * 1024
"""Bytes in one call (a single message may have more): they are copied to the worker."""


class _Job:
    """One message that waits to be checked."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.outcome: tuple[str, ...] | None = None


class Checker:
    """Hands messages to the worker process, several in one call where several wait."""

    def __init__(self, worker: Worker, deadline: float) -> None:
        self._worker = worker
        self._deadline = deadline
        self._waiting: deque[_Job] = deque()
        self._turn = trio.Lock()

    async def check(self, task: Task) -> tuple[str, ...]:
        """As verify_all says of it; a fault of the worker is a fault of its signatures."""
        job = _Job(task)
        self._waiting.append(job)
        try:
            while job.outcome is None:
                async with self._turn:  # who has the turn works for all who wait
                    if job.outcome is None:
                        await self._work()
        finally:
            if job in self._waiting:
                self._waiting.remove(job)
        return job.outcome

    async def _work(self) -> None:
        jobs = self._next_jobs()
        outcomes = await self._outcomes(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            job.outcome = outcome
            if job in self._waiting:  # else its caller has left
                self._waiting.remove(job)

    def _next_jobs(self) -> list[_Job]:
        """They stay where they wait until they are done: a cancelled call loses none."""
        jobs: list[_Job] = []
        size = 0
        for job in self._waiting:
            size += len(job.task.raw)
            if jobs and (len(jobs) == MAX_TOGETHER or size > MAX_TOGETHER_BYTES):
                break
            jobs.append(job)
        return jobs

    async def _outcomes(self, jobs: Sequence[_Job]) -> Sequence[tuple[str, ...]]:
        try:
            return await self._worker.run(verify_all, [job.task for job in jobs], deadline=self._deadline)
        except WorkerError as error:
            if len(jobs) == 1 or error.code == "worker-start":
                return [(UNCHECKED,) * len(job.task.signatures) for job in jobs]
        return [(await self._outcomes([job]))[0] for job in jobs]  # which of them was it?
