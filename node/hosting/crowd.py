"""How much of us strangers have, and those who have an account: questions by address block, large requests
under way, one piece of work at a time. Counting only; nothing is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import trio

from node.hosting.ports import Channel
from node.network import Busy
from node.runtime.rates import Rate

SMALL: Final = 16_384
"""Bytes of a request of somebody without an account: an opening with the largest IdentityRecord has 10,000.
Who has one is bounded so as well while too many large ones are under way."""

LARGE: Final = 32
"""Requests above SMALL that may be under way at once: 32 MiB."""

LARGE_OF_ACCOUNT: Final = 2
"""Of those, for one account: sixteen must work together to take all, each for 30 s."""

FINDS: Final = 60
"""Handshakes that one peer may look up in FINDS_S: it writes to so many, in a burst, that have hosts here."""

FINDS_OF_BLOCK: Final = 600
"""The same from one /24 or /48: peer ids are free."""

FINDS_S: Final = 60.0


class Large:
    """Which large requests are under way."""

    def __init__(self) -> None:
        self._of: Counter[bytes] = Counter()

    @contextmanager
    def reading(self, account: bytes, most: int) -> Iterator[_Reading]:
        """While one request of this account is awaited, of at most `most` bytes."""
        reading = _Reading(self._of, account, most)
        try:
            yield reading
        finally:
            reading.end()


class _Reading:
    """Asked by the channel when bytes have come; begun ones count until they are complete."""

    def __init__(self, of: Counter[bytes], account: bytes, most: int) -> None:
        self._of, self._account, self._largest = of, account, most
        self._counted = False
        self.crowded = False

    def most(self) -> int:
        """Bytes that the request under way may have."""
        if not self._counted:
            full = self._of.total() >= LARGE or self._of[self._account] >= LARGE_OF_ACCOUNT
            self.crowded = full
            if full:
                return SMALL
            self._of[self._account] += 1
            self._counted = True
        return self._largest

    def end(self) -> None:
        if self._counted:
            self._of[self._account] -= 1
            if not self._of[self._account]:
                del self._of[self._account]


class Turns:
    """One piece of work of an account at a time, whatever number of streams it has."""

    def __init__(self) -> None:
        self._locks: dict[bytes, trio.Lock] = {}
        self._users: Counter[bytes] = Counter()

    @asynccontextmanager
    async def turn(self, account: bytes) -> AsyncIterator[None]:
        self._users[account] += 1
        try:
            async with self._locks.setdefault(account, trio.Lock()):
                yield
        finally:
            self._users[account] -= 1
            if not self._users[account]:
                del self._users[account], self._locks[account]


class Finds:
    """Counts look-ups of handshakes, which need no account."""

    def __init__(self) -> None:
        self._peers = Rate(FINDS, FINDS_S)
        self._blocks = Rate(FINDS_OF_BLOCK, FINDS_S)

    def require(self, channel: Channel) -> None:
        """Count one. Raises Busy where that is one too many."""
        now = trio.current_time()
        if not self._peers.take(channel.peer_id, now) or not self._blocks.take(channel.remote_block, now):
            raise Busy("too many look-ups")
