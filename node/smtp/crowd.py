"""All sessions of one listener: who has to go when there are too many of them, or too many bytes."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from node.smtp.limits import Limits
from node.smtp.reply import Reply

FULL: Final = Reply(421, "4.3.2", "Too many connections, try again later")
TOO_MUCH: Final = Reply(421, "4.3.1", "Too much at once, try again later")


class Member(Protocol):
    """A session, as the crowd sees it."""

    @property
    def busy(self) -> bool:
        """Whether our own side works for it; then it is never ended for another."""

    @property
    def block(self) -> str:
        """The address block that its client is in; "" for who is not bounded by it."""

    @property
    def stage(self) -> int:
        """How many different things it has achieved since its last letter."""

    @property
    def achieved(self) -> float:
        """When it achieved something last."""

    @property
    def held(self) -> int:
        """Bytes of its body in memory."""

    def rate(self, now: float) -> float:
        """Bytes a second of its body."""

    def end(self, reply: Reply) -> None:
        """Say this and close."""

    def cut(self) -> None:
        """Close without waiting for the client to take it."""


class Crowd:
    """Bounds `limits.sessions`, of which `limits.block` may be from one address block, and `limits.bodies`.

    Whoever achieved nothing for longest goes first, so that silent or trickling connections can't
    keep others out. Those who did achieve something in the last seconds are spared for those who
    achieved less, so that a flood of new connections does not push out one that works.
    """

    def __init__(self, limits: Limits, counters: Counter[str], now: Callable[[], float]) -> None:
        self._limits = limits
        self._counters = counters
        self._now = now
        self._held = 0
        self._empty = asyncio.Event()
        self.members: set[Member] = set()

    def enter(self, member: Member) -> bool:
        """Let it in, in place of another if need be; False if every other is being worked for."""
        rivals = self._rivals(member)
        if rivals is not None:
            idle = [other for other in rivals if not other.busy]
            if not idle:
                self._counters["refusedSessions"] += 1
                return False
            self._evict(min(idle, key=self._worth), FULL)
        self.members.add(member)
        self._counters["sessions"] += 1
        return True

    def _rivals(self, member: Member) -> list[Member] | None:
        """Those of whom one has to go for this one; None where there is room."""
        near = [other for other in self.members if other.block == member.block] if member.block else []
        if len(near) >= self._limits.block:
            return near
        return list(self.members) if len(self.members) >= self._limits.sessions else None

    def leave(self, member: Member) -> None:
        """It is gone."""
        self.members.discard(member)
        if not self.members:
            self._empty.set()

    async def wait_empty(self) -> None:
        """Until nobody is left; for when nobody new comes."""
        if self.members:
            self._empty.clear()
            await self._empty.wait()

    def hold(self, change: int) -> None:
        """So many bytes more, or less, are held by someone."""
        self._held += change
        while change > 0 and self._held > self._limits.bodies:
            large = [one for one in self.members if not one.busy and one.held > self._limits.small]
            if not large:  # `small` times `sessions` is what can come on top
                return
            now = self._now()
            slower = sorted(large, key=lambda one: one.rate(now))[: (len(large) + 1) // 2]
            self._evict(max(slower, key=lambda one: one.held), TOO_MUCH)

    def _worth(self, member: Member) -> tuple[int, float]:
        fresh = self._now() - member.achieved < self._limits.fresh
        return (member.stage if fresh else -1, member.achieved)

    def _evict(self, member: Member, reply: Reply) -> None:
        self._counters["evicted"] += 1
        self.members.discard(member)
        member.end(reply)  # gives back what it holds
