"""How much mail of strangers one address block, and one domain, may bring in a while: no stamp is paid by
SMTP, so without a bound one of them could push everybody else's out of `handshake`. Counting only; no
sockets.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

HOUR_MS: Final = 3_600_000

MAX_KNOWN: Final = 4_096
"""Blocks and domains that are counted at once, about a megabyte; who brought nothing for longest is
forgotten.
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """What may come at once after a quiet hour, and again in each hour."""

    letters: int
    size: int


BLOCK: Final = Rate(120, 100_000_000)
"""Of strangers from one /24 or /48: two a minute, or four of the largest letters."""

DOMAIN: Final = Rate(240, 200_000_000)
"""Of strangers who write from one domain, whoever brings it: a large provider has more servers than one
block.
"""


class Budgets:
    """Belongs to trio's thread. Names are whatever the caller calls blocks and domains."""

    def __init__(self) -> None:
        self._spent: OrderedDict[tuple[Rate, str], _Spent] = OrderedDict()

    def has(self, rate: Rate, name: str, now: int) -> bool:
        """Whether one more letter may come (`now` in Unix ms). "" has no bounds."""
        spent = self._spent.get((rate, name))
        return spent is None or spent.room(rate, now)

    def take(self, rate: Rate, name: str, size: int, now: int) -> None:
        """A letter of `size` bytes has come."""
        if not name:
            return
        spent = self._spent.setdefault((rate, name), _Spent(now))
        spent.add(rate, size, now)
        self._spent.move_to_end((rate, name))
        if len(self._spent) > MAX_KNOWN:
            self._spent.popitem(last=False)


class _Spent:
    """Both counts run down with time. A clock that was set back stops that, no more."""

    def __init__(self, now: int) -> None:
        self._at = now
        self._letters = self._size = 0.0

    def room(self, rate: Rate, now: int) -> bool:
        self._run_down(rate, now)
        return self._letters <= rate.letters - 1 and self._size < rate.size

    def add(self, rate: Rate, size: int, now: int) -> None:
        self._run_down(rate, now)
        self._letters += 1
        self._size += size

    def _run_down(self, rate: Rate, now: int) -> None:
        share = max(0, now - self._at) / HOUR_MS
        self._letters = max(0.0, self._letters - share * rate.letters)
        self._size = max(0.0, self._size - share * rate.size)
        self._at = now
