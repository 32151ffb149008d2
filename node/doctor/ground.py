"""What every node stands on, its clock and its disk; and what all looks are made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import trio

from node.runtime.rooms import Check

Ask = Callable[[], Awaitable[Sequence[Check]]]


async def together(asks: Sequence[Callable[[], Awaitable[Check]]]) -> list[Check]:
    """What each of these finds, in their order; they are asked side by side."""
    found: dict[int, Check] = {}

    async def one(number: int) -> None:
        found[number] = await asks[number]()

    async with trio.open_nursery() as nursery:
        for number in range(len(asks)):
            nursery.start_soon(one, number)
    return [found[number] for number in sorted(found)]


class Watch(Protocol):
    """The clock as it is compared with others' (runtime.clock)."""

    @property
    def skew_ms(self) -> int | None: ...

    @property
    def doubtful(self) -> str | None: ...


class Space(Protocol):
    """Bytes free on the disk (storage)."""

    @property
    def free(self) -> int: ...

    @property
    def fault(self) -> str | None: ...


def clock(watch: Watch) -> Ask:
    """Whether the time can be believed."""

    async def look() -> Sequence[Check]:
        if fault := watch.doubtful:
            return [
                Check(
                    "clock", "fail", fault, "set this machine's time, best by NTP: timedatectl set-ntp true"
                )
            ]
        if (skew := watch.skew_ms) is None:
            return [Check("clock", "ok", "not before this program was built; too few nodes to compare with")]
        return [Check("clock", "ok", f"{abs(skew) / 1000:.0f} s from what other nodes say")]

    return look


def disk(space: Space) -> Ask:
    """Whether there is room for mail."""

    async def look() -> Sequence[Check]:
        if fault := space.fault:
            return [Check("disk", "fail", fault, "make room on the disk, or look at the log")]
        return [Check("disk", "ok", f"{space.free / 1e9:,.1f} GB free")]

    return look
