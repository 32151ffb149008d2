"""Hands signatures to the worker process, those of several messages in one call. How they are checked is in
verify.py.
"""

from collections.abc import Sequence
from typing import Final

from node.mailauth.verify import UNCHECKED, Task, verify_all
from node.runtime.together import Together
from node.runtime.worker import Worker, WorkerError

DEADLINE_S: Final = 4.0
"""Seconds for one call of the worker, as long as the reader of letters has: 25 MB take a quarter of one."""


class Checker:
    """Hands messages to the worker process, several in one call where several wait."""

    def __init__(self, worker: Worker, deadline: float) -> None:
        self._worker = worker
        self._deadline = deadline
        self._together = Together(self._outcomes, lambda task: len(task.raw))

    async def check(self, task: Task) -> tuple[str, ...]:
        """As verify_all says of it; a fault of the worker is a fault of its signatures."""
        return await self._together.run(task)

    async def _outcomes(self, tasks: Sequence[Task]) -> Sequence[tuple[str, ...]]:
        try:
            return await self._worker.run(verify_all, tasks, deadline=self._deadline)
        except WorkerError as error:
            if len(tasks) == 1 or error.code == "worker-start":
                return [(UNCHECKED,) * len(task.signatures) for task in tasks]
        return [(await self._outcomes([task]))[0] for task in tasks]  # which of them was it?
