"""Records of the DHT that this node holds for others: what may come in, what has to go, and what is
left after a restart. No network.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol

from node.network.kad_table import point
from node.network.limits import MAX_RECORD, MAX_RECORD_BYTES, MAX_RECORDS, RECORD_LIFE_MS, SHED
from node.runtime.clock import Clock
from node.runtime.errors import NodeError
from protocol.errors import RemoteProtocolError

log = logging.getLogger(__name__)

NAMESPACE: Final = "/mailio/"
_KEY: Final = re.compile(rb"/mailio/(0x[0-9a-f]{40})")


class Validator(Protocol):
    """Judges values; the identity room's rules are behind it."""

    def validate(self, address: str, value: bytes) -> None:
        """Raises RemoteProtocolError for a value that may not stand under this Mailio address."""
        ...

    def select(self, address: str, values: list[bytes]) -> int:
        """The index of the best of several valid values; the last among equals."""
        ...

    def is_stamped(self, address: str, value: bytes) -> bool:
        """Whether a valid value carries a birth stamp: those are dropped last."""
        ...


class RecordStore(Protocol):
    """Where records stay over a restart. A lost write costs nothing: it is put again within 6 hours. So one
    that can't be made now raises NodeError, and the record is held in memory alone.
    """

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        """All of them, by key."""
        ...

    async def put(self, key: bytes, value: bytes) -> None:
        """Keep one."""
        ...

    async def delete(self, key: bytes) -> None:
        """Drop one."""
        ...


class MemoryRecords:
    """A record store for nodes that keep nothing, and for tests."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        """All of them, by key."""
        return list(self._values.items())

    async def put(self, key: bytes, value: bytes) -> None:
        """Keep one."""
        self._values[key] = value

    async def delete(self, key: bytes) -> None:
        """Drop one."""
        self._values.pop(key, None)


def key_of(address: str) -> bytes:
    """The DHT key of a Mailio address: 50 bytes, the most that libp2p looks up (protocol §3)."""
    return (NAMESPACE + address).encode()


def address_in(key: bytes) -> str:
    """The Mailio address in a DHT key. Raises RemoteProtocolError for any other key."""
    match = _KEY.fullmatch(key)
    if match is None:
        raise RemoteProtocolError("a key outside /mailio/")
    return match[1].decode()


class Records:
    """Valid records, at most MAX_RECORDS and MAX_RECORD_BYTES, each for RECORD_LIFE_MS after it was last
    put. `doubtful` says whether our clock is not to be believed.
    """

    def __init__(
        self,
        own_id: bytes,
        validator: Validator,
        store: RecordStore,
        clock: Clock,
        doubtful: Callable[[], bool] = lambda: False,
    ) -> None:
        self._own = point(own_id)
        self._validator, self._store, self._clock, self._doubtful = validator, store, clock, doubtful
        self._held: dict[bytes, tuple[int, bytes]] = {}  # key → (time put, value)
        self._distance: dict[bytes, int] = {}  # key → XOR from us
        self._unstamped: set[bytes] = set()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    async def load(self) -> int:
        """Take in what was held before the restart and is still valid; how many."""
        for key, blob in list(self._store.items()):
            put, value = int.from_bytes(blob[:8], "big"), blob[8:]
            try:
                self._keep(key, value, put)
            except RemoteProtocolError:
                await _if_possible(self._store.delete(key))
        await self.sweep()
        await self._shed()
        return len(self._held)

    def get(self, key: bytes) -> bytes | None:
        """The value under a key if it is still valid."""
        entry = self._held.get(key)
        if entry is None or entry[0] <= self._oldest():
            return None
        try:
            self._validator.validate(address_in(key), entry[1])
        except RemoteProtocolError:
            return None
        return entry[1]

    async def put(self, key: bytes, value: bytes) -> bool:
        """Hold a value; False where we hold a better one or have no room. Raises RemoteProtocolError
        for one that is not valid.
        """
        now = self._clock.now()
        if not self._keep(key, value, now):
            return False
        await _if_possible(self._store.put(key, now.to_bytes(8, "big") + value))
        await self._shed()
        return key in self._held

    async def drop(self, key: bytes) -> None:
        """Hold it no longer."""
        _, value = self._held.pop(key, (0, b""))
        self._bytes -= len(value)
        self._distance.pop(key, None)
        self._unstamped.discard(key)
        await _if_possible(self._store.delete(key))

    async def sweep(self) -> None:
        """Drop what nobody put again."""
        oldest = self._oldest()
        for key in [key for key, (put, _) in self._held.items() if put <= oldest]:
            await self.drop(key)

    def _oldest(self) -> int:
        """Records put then (Unix ms) or earlier have run out; none has by a clock in doubt (protocol §3)."""
        return -1 if self._doubtful() else self._clock.now() - RECORD_LIFE_MS

    def check(self, address: str, value: bytes) -> None:
        """Raises RemoteProtocolError for a value that is not valid."""
        if len(value) > MAX_RECORD:
            raise RemoteProtocolError("a record over 8 KiB")
        self._validator.validate(address, value)

    def _keep(self, key: bytes, value: bytes, put: int) -> bool:
        address = address_in(key)
        self.check(address, value)
        held = self._held.get(key)
        # The last among equals wins, or a record put again would run out.
        if held is not None and self._validator.select(address, [held[1], value]) == 0:
            return False
        self._bytes += len(value) - (len(held[1]) if held is not None else 0)
        self._held[key] = (put, value)
        self._distance[key] = point(key) ^ self._own
        if self._validator.is_stamped(address, value):
            self._unstamped.discard(key)
        else:
            self._unstamped.add(key)
        return True

    async def _shed(self) -> None:
        """Make room: unstamped first, then farthest from us by XOR, never the oldest (protocol §3)."""
        if len(self._held) <= MAX_RECORDS and self._bytes <= MAX_RECORD_BYTES:
            return
        records, size = MAX_RECORDS - MAX_RECORDS // SHED, MAX_RECORD_BYTES - MAX_RECORD_BYTES // SHED
        worst = sorted(self._held, key=lambda key: (key not in self._unstamped, -self._distance[key]))
        for key in worst:
            if len(self._held) <= records and self._bytes <= size:
                return
            await self.drop(key)


async def _if_possible(change: Awaitable[None]) -> None:
    """Strangers cause these changes: a full disk must end neither the node nor the answer to them."""
    try:
        await change
    except NodeError as error:
        log.debug("a DHT record's row stays as it was: %s", error)
