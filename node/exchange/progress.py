"""Tells how far a content is while it comes: once a second at most, and only where somebody listens."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import trio

from node.letters import Missing
from node.runtime.events import Events

EVERY_S: Final = 1.0
"""Seconds between two words of one content."""

EVENT: Final = "attachment"
"""What it tells about on the notice board: `letter`, `ref` (its number there), `state`; while it is fetched
`fetched` and `size` in bytes and `rate` in bytes a second, where it is not, `detail`.
"""


class Progress:
    """Of one content of a letter: `come` says how many of its `size` bytes are here."""

    def __init__(self, events: Events, missing: Missing, size: int, come: Callable[[], int]) -> None:
        self._events = events
        self._missing = missing
        self._size = size
        self._come = come
        self._told = -math.inf
        self._fetched = 0

    def note(self) -> None:
        """Something of it has come."""
        now = trio.current_time()
        passed = now - self._told
        if passed < EVERY_S or not self._events.heard:
            return
        fetched = min(self._size, self._come())
        rate = 0 if passed == math.inf else int((fetched - self._fetched) / passed)
        self._told, self._fetched = now, fetched
        tell(self._events, self._missing, "fetching", fetched=fetched, size=self._size, rate=rate)


def tell(events: Events, missing: Missing, state: str, **more: int | str) -> None:
    """What became of a content."""
    events.publish(EVENT, {"letter": missing.letter.hex(), "ref": missing.n, "state": state, **more})
