"""Tells whoever listens in this process what has happened. Nothing is stored, nobody is waited for."""

from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import trio

QUEUE_LENGTH: Final = 256
"""Events that wait for one listener; beyond it the oldest go and the listener is told how many."""

LOST: Final = "lost"
"""Name of the event that says so; its data is {"count": n}."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: letter, handshake, outbox, peers, or `lost`."""

    name: str
    data: Mapping[str, object]


class Subscription:
    """One listener's queue. Iterate over it, or `receive()`."""

    def __init__(self, length: int) -> None:
        self._queue: deque[Event] = deque(maxlen=length)
        self._lost = 0
        self._more = trio.Event()

    def _offer(self, event: Event) -> None:
        self._lost += len(self._queue) == self._queue.maxlen
        self._queue.append(event)
        self._more.set()

    async def receive(self) -> Event:
        """The next event; a `lost` event first if some were dropped since the last."""
        await trio.lowlevel.checkpoint()
        while not self._queue:
            self._more = trio.Event()
            await self._more.wait()
        if self._lost:
            event = Event(LOST, {"count": self._lost})
            self._lost = 0
            return event
        return self._queue.popleft()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self.receive()


class Events:
    """The node's one notice board; belongs to trio's thread."""

    def __init__(self, queue_length: int = QUEUE_LENGTH) -> None:
        self._queue_length = queue_length
        self._subscriptions: set[Subscription] = set()

    @property
    def heard(self) -> bool:
        """Whether anyone listens: what is costly to tell need not be told to nobody."""
        return bool(self._subscriptions)

    def publish(self, name: str, data: Mapping[str, object]) -> None:
        """Tell every listener, at once and without waiting for any."""
        event = Event(name, data)
        for subscription in self._subscriptions:
            subscription._offer(event)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[Subscription]:
        """Listen from now on, until the block is left."""
        subscription = Subscription(self._queue_length)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
