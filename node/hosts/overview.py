"""How our hosts stand, read from the store and from those who work for them. Nothing is changed here."""

from collections.abc import Iterable, Mapping

from node.hosts.book import HostBook, HostRow, Stand
from node.hosts.errors import HostError
from node.hosts.keeper import Keeper
from node.hosts.shelf import Shelf
from node.hosts.status import Standing, Where, text_of
from node.runtime.clock import DAY_MS, Clock
from node.storage import Store
from protocol.account import Space
from protocol.kdf import blake2b

GIVEN_UP_MS = 10 * DAY_MS
"""How long a host may be away and still keep old prekeys from being destroyed (protocol §2)."""


class Overview:
    """`keepers` are those who work for a host now, none on a closed store."""

    def __init__(self, store: Store, book: HostBook, keepers: Mapping[bytes, Keeper], clock: Clock) -> None:
        self._store = store
        self._book = book
        self._keepers = keepers
        self._clock = clock

    def standings(self) -> list[Standing]:
        """Each host as it stands; of a running node."""
        found = []
        for host in self._shown():
            keeper = self._keepers.get(host.peer_id)
            if keeper is None:
                found.append(Standing(host, host.stand.value, host.since, 0, 0))
                continue
            shelf = keeper.shelf
            counts = shelf.missing, shelf.revocations, len(shelf.coming)
            found.append(Standing(host, keeper.state, keeper.since, *counts))
        return found

    async def closed_standings(self) -> list[Standing]:
        """The same on a closed store, where nobody was asked how it is."""
        found = []
        for host in self._shown():
            shelf = Shelf(self._store, host.peer_id)
            await shelf.load()
            state = host.stand.value if host.stand is not Stand.OPEN else "behind"
            if host.listed and not shelf.missing:
                state = "current"
            counts = shelf.missing, shelf.revocations, len(shelf.coming)
            found.append(Standing(host, state, host.since, *counts))
        return found

    def row_of(self, peer_id: bytes) -> dict[str, object]:
        """One of them, as `host list` has it."""
        return next(one.row() for one in self.standings() if one.host.peer_id == peer_id)

    def named(self, peer: str) -> HostRow:
        """The host of this id, or whose id begins so. Raises HostError."""
        found = [host for host in self._shown() if peer and text_of(host.peer_id).startswith(peer)]
        if len(found) != 1:
            what = "is none of your hosts" if not found else "fits several of your hosts"
            raise HostError("no-host", f"{peer[:100]} {what}", "see: mailio host list")
        return found[0]

    def where(self, files: Iterable[bytes]) -> Where:
        """Where the files of these CIDs are, as far as is known: together they are where the worst is."""
        hosts = [host for host in self._book.all() if host.used]
        found = Where.AT_HOSTS
        for cid in files:
            said = {self._has(host, blake2b(cid)) for host in hosts}
            if True in said:
                continue
            if False not in said:
                return Where.HERE
            found = Where.TO_HOSTS
        return found

    def drained(self, woke: int) -> bool:
        """Whether what waited at each host at that time (Unix ms) has been got, but at those that have been
        away for long.
        """
        return all(self._is_drained(host, woke) for host in self._book.all())

    def _shown(self) -> list[HostRow]:
        hosts = [host for host in self._book.all() if host.stand is not Stand.SHUNNED]
        return sorted(hosts, key=lambda host: (host.since, host.peer_id))

    def _has(self, host: HostRow, file: bytes) -> bool | None:
        """As a Keeper says it."""
        if keeper := self._keepers.get(host.peer_id):
            return keeper.has(file)
        row = Shelf(self._store, host.peer_id).get(Space.FILE, file)
        return row is not None and row.whole

    def _is_drained(self, host: HostRow, woke: int) -> bool:
        if host.stand not in (Stand.OPEN, Stand.LEFT):
            return True
        keeper = self._keepers.get(host.peer_id)
        if keeper is not None and keeper.drained is not None and keeper.drained >= woke:
            return True
        return self._clock.now() - max(host.reached, host.since) > GIVEN_UP_MS
