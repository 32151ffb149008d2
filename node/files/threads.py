"""The room's threads: everything that waits for the disk or works through megabytes. What is done there
stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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


async def together(first: Callable[[], Awaitable[T]], *others: Callable[[], Awaitable[object]]) -> T:
    """Do these at the same time, each to its end; what the first gives. Raises the first NodeError or
    ProtocolError of any.
    """
    faults: list[NodeError | ProtocolError] = []
    found: list[T] = []

    async def guarded(work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except (NodeError, ProtocolError) as fault:
            faults.append(fault)

    async def keep() -> None:
        found.append(await first())

    async with trio.open_nursery() as nursery:
        for work in (keep, *others):
            nursery.start_soon(guarded, work)
    if faults:
        raise faults[0]
    return found[0]
