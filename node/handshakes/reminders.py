"""To whom a handshake was sent again lately, so that nobody can have it sent without end. In memory only."""

from collections import OrderedDict
from typing import Final

REMIND_EVERY_MS: Final = 3_600_000
"""An hour between two sendings of a handshake to somebody who seems to lack it."""

MAX_REMINDED: Final = 1_024
"""Owners remembered as reminded; each paid a stamp to get in."""


class Reminders:
    """Times (Unix ms) of the last reminders."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, int] = OrderedDict()

    def due(self, address: str, now: int) -> bool:
        """Whether this owner may be reminded now."""
        return now >= self._last.get(address, 0) + REMIND_EVERY_MS

    def note(self, address: str, now: int) -> None:
        """A reminder is on disk."""
        self._last[address] = now
        self._last.move_to_end(address)
        if len(self._last) > MAX_REMINDED:
            self._last.popitem(last=False)
