"""What a stranger's first letter costs: challenges given, and stamps checked once each (protocol.md §6).

Who is a stranger is gate.py's; the work itself is protocol.stamps'.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from node.consent.threads import Threads
from node.runtime.clock import DAY_MS
from protocol.errors import RemoteProtocolError
from protocol.offer import MAX_FIRST_CONTACT_BYTES, Challenge, Stamp
from protocol.stamps import CHALLENGE_BYTES, DEFAULT_PRICE, RAISED_PRICE, verify_stamp
from protocol.status import BUSY, FAILED, TIME

CHALLENGE_LIFE_MS: Final = 600_000
"""Ten minutes: the highest price takes about a minute, on a small machine and with bad luck several."""

MAX_OPEN: Final = 4_096
"""Challenges remembered at once, about 1 MB; the oldest is forgotten first."""

MAX_OPEN_OF_PEER: Final = 8
"""Of one peer: letters that it can be searching for side by side. Its own oldest is forgotten first."""

MAX_CHECKS: Final = 32
"""Stamps waiting to be checked, 13 ms each: beyond half a second of them we are busy."""

RAISE_FROM: Final = 0.5
"""Share of the first-contact room from which on the price rises, up to the highest when it is full."""


DAILY: Final = 2_000
"""Stamps a day at which the price stays the highest: what strangers make us remember of their letters (that
they were taken, for 60 days) grows by a megabyte a day at most, whether there is anything to read in them or
not. As many letters as wait for the owner at once."""


@dataclass(frozen=True, slots=True)
class Open:
    """A challenge given and not used."""

    peer_id: bytes
    price: int
    until: int


class Challenges:
    """Challenges in memory: after a restart a stranger asks anew. `fullness`: 0 to 1, of the room where
    first letters wait. `daily`: stamps a day at which the price stays the highest.
    """

    def __init__(
        self,
        threads: Threads,
        fullness: Callable[[], float],
        least: int = DEFAULT_PRICE,
        daily: int = DAILY,
    ) -> None:
        self._threads = threads
        self._least = least
        self._fullness = fullness
        self._daily = daily
        self._open: OrderedDict[bytes, Open] = OrderedDict()
        self._of_peer: dict[bytes, list[bytes]] = {}
        self._checks = 0
        self._level, self._since = 0.0, 0

    def price(self, now: int, fullness: float = 0.0) -> int:
        """Leading zero bits asked of a stranger at `now` (Unix ms, §6); `fullness` of a smaller room, where
        the letter is for one of several.
        """
        fullness = max(self._fullness(), fullness, self._recent(now) / self._daily)
        over = min(max(fullness - RAISE_FROM, 0.0) / (1 - RAISE_FROM), 1.0)
        return self._least + round(over * max(RAISED_PRICE - self._least, 0))

    def give(self, peer_id: bytes, now: int, first_week: int, weeks: int, fullness: float = 0.0) -> Challenge:
        """A new challenge for this peer alone; `fullness` as in `price`."""
        mine = self._of_peer.get(peer_id, [])
        if len(mine) >= MAX_OPEN_OF_PEER:
            self._take(mine[0])
        elif len(self._open) >= MAX_OPEN:
            self._take(next(iter(self._open)))
        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        entry = Open(peer_id, self.price(now, fullness), now + CHALLENGE_LIFE_MS)
        self._open[challenge] = entry
        self._of_peer.setdefault(peer_id, []).append(challenge)
        return Challenge(challenge, entry.price, entry.until, first_week, weeks, MAX_FIRST_CONTACT_BYTES)

    async def check(self, peer_id: bytes, stamp: Stamp, now: int) -> None:
        """Return if the stamp pays for one of this peer's challenges, which is used up by this.

        Raises RemoteProtocolError: 4.8.3 where it has to ask for another challenge, 4.3.2 if we are
        busy (the challenge is then still good), 5.8.1 for work that was not done.
        """
        entry = self._open.get(stamp.challenge)
        if entry is None or entry.peer_id != peer_id or entry.until <= now:
            raise RemoteProtocolError("the challenge is not one of this peer's, or has run out", TIME)
        if self._checks >= MAX_CHECKS:
            raise RemoteProtocolError("too many stamps to check", BUSY)
        self._take(stamp.challenge)
        self._checks += 1
        try:
            pays = await self._threads.in_thread(verify_stamp, stamp.challenge, stamp.nonce, entry.price)
        finally:
            self._checks -= 1
        if not pays:
            raise RemoteProtocolError("the stamp is not worth its price", FAILED)
        self._level, self._since = self._recent(now) + 1, now

    def _recent(self, now: int) -> float:
        """Stamps taken lately, of which `daily` are forgotten in a day. A clock set back forgets none."""
        return max(0.0, self._level - self._daily * max(0, now - self._since) / DAY_MS)

    def _take(self, challenge: bytes) -> None:
        entry = self._open.pop(challenge)
        mine = self._of_peer[entry.peer_id]
        mine.remove(challenge)
        if not mine:
            del self._of_peer[entry.peer_id]
