"""The room's threads: everything that waits for the disk or works through megabytes. What is done there
stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar, TypeVarTuple

import trio

from protocol.stream import CHUNK_BYTES

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

STEP: Final = 16 * CHUNK_BYTES
"""Bytes that are read, encrypted or opened in one go: some 15 ms of work, 4 MiB of memory."""

THREADS: Final = 4
"""At once: a disk is not faster with more, and each holds STEP bytes or two."""


class Threads:
    """Runs what blocks for some milliseconds. A cancelled caller waits until it is finished."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(THREADS)

    async def run(self, work: Callable[[*Arguments], T], *args: *Arguments) -> T:
        return await trio.to_thread.run_sync(work, *args, limiter=self._limiter)
