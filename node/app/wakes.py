"""Wakes what waits for an owner when its record is put into our part of the DHT (protocol §6: "publishes").

Whether anything waits is the outbox's to know. In memory only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import trio

PAUSE_S: Final = 60.0
"""Seconds in which further puts of one address wake nobody: anyone may put a record again and again."""

MAX_WOKEN: Final = 4_096
"""Addresses whose pause is remembered; who floods the DHT to have one forgotten pays for as many puts."""


class Wakes:
    """Calls `wake(address)` for puts of an address, at most once in PAUSE_S for each."""

    def __init__(self, wake: Callable[[str], None]) -> None:
        self._wake = wake
        self._last: OrderedDict[str, float] = OrderedDict()

    def put(self, address: str) -> None:
        """A valid record of this owner has just been put at us."""
        now = trio.current_time()
        if now - self._last.get(address, float("-inf")) < PAUSE_S:
            return
        self._last[address] = now
        self._last.move_to_end(address)
        if len(self._last) > MAX_WOKEN:
            self._last.popitem(last=False)
        self._wake(address)
