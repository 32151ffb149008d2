"""The room's threads: everything that waits for the disk or works through megabytes. What is done there
stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar, TypeVarTuple

import trio

from node.runtime.errors import NodeError
from protocol.errors import ProtocolError
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

    async def both(self, work: Callable[[], object], beside: Callable[[], object]) -> None:
        """Do two things at the same time, both to their end. Raises what `work` does, of NodeError and
        ProtocolError; `beside` raises nothing.
        """
        fault: NodeError | ProtocolError | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.run, beside)
            try:
                await self.run(work)
            except (NodeError, ProtocolError) as error:
                fault = error
        if fault is not None:
            raise fault
