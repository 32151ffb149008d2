"""Work done for several callers at once, where one call costs more than what one caller hands in. What is
done in such a call is its room's business.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

import trio

J = TypeVar("J")
R = TypeVar("R")

MAX_TOGETHER: Final = 16
"""Jobs in one call."""

MAX_TOGETHER_BYTES: Final = 2 * 1024 * 1024
"""Bytes in one call (a single job may have more): they are copied to the worker."""


class Together(Generic[J, R]):
    """Gathers the jobs of those who wait. Belongs to trio's thread.

    `work` is given jobs and returns the outcome of each, none of them None; `size` says how many bytes
    a job has.
    """

    def __init__(
        self, work: Callable[[Sequence[J]], Awaitable[Sequence[R]]], size: Callable[[J], int]
    ) -> None:
        self._work = work
        self._size = size
        self._waiting: dict[_Waiting[J, R], None] = {}  # in order
        self._turn = trio.Lock()

    async def run(self, job: J) -> R:
        """Its outcome. Raises what `work` raises where this caller was the one that worked for all: the
        others' jobs stay, so another works for them, and so it is when this caller is cancelled.
        """
        mine: _Waiting[J, R] = _Waiting(job)
        self._waiting[mine] = None
        try:
            while mine.outcome is None:
                async with self._turn:  # who has the turn works for all who wait
                    if mine.outcome is None:
                        await self._work_for_all()
        finally:
            self._waiting.pop(mine, None)
        return mine.outcome

    async def _work_for_all(self) -> None:
        some = self._next_ones()
        for one, outcome in zip(some, await self._work([one.job for one in some]), strict=True):
            one.outcome = outcome
            self._waiting.pop(one, None)  # or its caller has left

    def _next_ones(self) -> list["_Waiting[J, R]"]:
        """Those in the next call; they stay where they wait until they are done."""
        some: list[_Waiting[J, R]] = []
        size = 0
        for one in self._waiting:
            size += self._size(one.job)
            if some and (len(some) == MAX_TOGETHER or size > MAX_TOGETHER_BYTES):
                break
            some.append(one)
        return some


class _Waiting(Generic[J, R]):
    """One job and, when it is done, its outcome."""

    def __init__(self, job: J) -> None:
        self.job = job
        self.outcome: R | None = None
