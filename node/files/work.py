"""Who is at work with which content: what somebody reads, puts or fetches is not removed, and two who change
the same one take turns. Nothing is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio


class Work:
    """Counts of users by content. Belongs to trio's thread."""

    def __init__(self) -> None:
        self._users: Counter[bytes] = Counter()
        self._turns: dict[bytes, trio.Lock] = {}

    def users(self, name: bytes) -> int:
        return self._users[name]

    def take(self, name: bytes) -> None:
        self._users[name] += 1

    def give_back(self, name: bytes) -> None:
        self._users[name] -= 1
        if not self._users[name]:
            del self._users[name]
            self._turns.pop(name, None)

    @contextmanager
    def using(self, name: bytes) -> Iterator[None]:
        """Be one of its users."""
        self.take(name)
        try:
            yield
        finally:
            self.give_back(name)

    @asynccontextmanager
    async def turn(self, name: bytes) -> AsyncIterator[None]:
        """Be one of its users, and the only one of those who change it."""
        with self.using(name):
            async with self._turns.setdefault(name, trio.Lock()):
                yield
