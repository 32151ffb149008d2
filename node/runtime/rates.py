"""How often somebody may do something: levels that fill by one at a time and empty evenly. What is counted,
and what becomes of who comes too often, is for those who ask.
"""

from collections import OrderedDict
from typing import Final

MAX_COUNTED: Final = 4_096
"""Names that are counted; the one seen longest ago is forgotten first."""


class Rate:
    """At most so many in so many seconds for each name, coming back evenly."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._levels: OrderedDict[bytes | str, tuple[float, float]] = OrderedDict()

    def take(self, who: bytes | str, now: float) -> bool:
        """Count one at `now` (seconds of trio's clock); False where that is one too many."""
        level, since = self._levels.get(who, (0.0, now))
        level = max(0.0, level - (now - since) * self._most / self._seconds)
        if level + 1 > self._most:
            return False
        self._levels[who] = level + 1, now
        self._levels.move_to_end(who)
        while len(self._levels) > MAX_COUNTED:
            self._levels.popitem(last=False)
        return True
