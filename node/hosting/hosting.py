"""The room's face: a host for other owners, opened with what it needs and run as one task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import trio

from node.consent import Challenges, Threads
from node.hosting.book import Book
from node.hosting.deposits import Deposits
from node.hosting.gathering import Gatherer
from node.hosting.items import Items
from node.hosting.letters import Letters, Times
from node.hosting.opening import Openings
from node.hosting.ports import Keeper, Network
from node.hosting.publishing import Republisher
from node.hosting.purging import Purger
from node.hosting.rows import Limits
from node.hosting.serving import Serving
from node.runtime.clock import Clock
from node.runtime.rooms import Check, Warning_
from node.runtime.settings import in_words
from node.storage import Store
from protocol.keys import SigningKey
from protocol.stamps import DEFAULT_PRICE

NEARLY_FULL = 0.9
"""Share of any of the operator's limits from which on `status` warns."""

DEPOSITS_DAILY = 100_000
"""Strangers' letters a day, for all accounts, at which a stamp costs the most: the room of each account has a
price of its own, this one keeps the disk from being written to all day."""


class Hosting:
    """Keeps handshakes, letters and files for owners who sleep. Belongs to trio's thread."""

    def __init__(
        self,
        *,
        store: Store,
        network: Network,
        peer_key: SigningKey,
        clock: Clock,
        doubtful: Callable[[], bool],
        threads: Threads,
        policy: str,
        limits: Limits = Limits(),
        price: int = DEFAULT_PRICE,
        friend: Callable[[bytes], bool] = lambda key: False,
        files: Keeper | None = None,
    ) -> None:
        """`policy`: who may open an account, "no", "friends" or "all". `friend`: whether a delivery key is
        one of somebody whom this host's owner has accepted. `price`: bits of the least stamp.
        """
        self._policy = policy
        self._limits = limits
        self._book = Book(store)
        self._counts: Counter[str] = Counter()
        times = Times(clock, doubtful)
        opening = Challenges(threads, self._accounts_full, price)
        deposit = Challenges(threads, lambda: 0.0, price, DEPOSITS_DAILY)
        self._openings = Openings(self._book, opening, times, policy, limits, friend)
        items = Items(self._book, times, limits, files)
        letters = Letters(self._book, times)
        deposits = Deposits(self._book, letters, network, peer_key, deposit, times, limits, self._counts)
        self._gatherer = Gatherer(items, files, network)
        self._purger = Purger(self._book, letters, items, times)
        self._republisher = Republisher(self._book, network, times)
        self._serving = Serving(
            self._book, network, self._openings, items, letters, deposits, self._gatherer, limits
        )

    def serve(self) -> None:
        """Answer `/mailio/host/1`."""
        self._serving.serve()

    async def run(self) -> None:
        """Remove what has run out, publish, fetch files; until cancelled."""
        async with trio.open_nursery() as nursery:
            for task in (self._purger.run, self._republisher.run, self._gatherer.run):
                nursery.start_soon(task)

    def record_of(self, address: str) -> bytes | None:
        """The newest IdentityRecord of an owner who has an account here, for `/mailio/identity/1`."""
        record = self._book.record(address)
        return None if record is None else record.record

    async def voucher(self) -> bytes:
        """A secret of 16 bytes that opens one account, once. Raises StoreUnavailable."""
        return await self._openings.voucher()

    def status(self) -> Mapping[str, object]:
        """Who is served, what it takes (bytes), and what came since the start."""
        totals, limits = self._book.totals(), self._limits
        return {
            "offer": self._policy,
            "accounts": totals.accounts,
            "letters": totals.letters,
            "used": totals.size,
            "quota": limits.size,
            "deposits": self._counts["deposits"],
            "strangers": self._counts["strangers"],
            "warnings": self._warnings(),
        }

    async def checks(self) -> Sequence[Check]:
        """Whether there is room for more."""
        totals, limits = self._book.totals(), self._limits
        text = f"{totals.accounts} of {limits.accounts} accounts, {in_words(totals.size)}"
        if warnings := self._warnings():
            return [Check("hosting", "warn", text, warnings[0].remedy)]
        return [Check("hosting", "ok", text)]

    def _warnings(self) -> list[Warning_]:
        totals, limits = self._book.totals(), self._limits
        found = []
        if totals.size >= NEARLY_FULL * limits.size:
            text = f"what this node keeps for others takes {in_words(totals.size)} of {in_words(limits.size)}"
            found.append(Warning_("host-full", text, "raise limits.host_size"))
        if totals.accounts >= NEARLY_FULL * limits.accounts:
            text = f"this node has {totals.accounts} of {limits.accounts} accounts for others"
            found.append(Warning_("host-accounts", text, "raise limits.host_accounts"))
        return found

    def _accounts_full(self) -> float:
        return self._book.totals().accounts / self._limits.accounts
