"""Fits the DHT and the peers' memory to the store, and the protocol's rules to the DHT. No wiring here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from node.runtime.clock import Clock, ClockWatch
from node.storage import Batch, Store
from node.storage.schema import DHT, PEERS
from protocol.cbor import Value
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields
from protocol.identity import DHT_PREFIX, IdentityRecord, dht_key, parse_dht_value
from protocol.stamps import verify_birth

if TYPE_CHECKING:
    from node.network import PeerAddress

MAX_PEERS: Final = 256
"""Peers read from earlier runs; the network remembers fewer."""

MAX_BIRTHS: Final = 20_000
"""Birth stamps remembered as good: trying one takes 13 ms, and so many records are held at most."""

PUT_BYTES: Final = 8
"""Of the time before each stored record."""

MAX_ADDRS: Final = 16
"""Addresses kept of one peer; the network tells fewer."""

MAX_ADDR: Final = 512
"""Bytes of one, the longest that a multiaddr of ours has."""


class IdentityRules:
    """What may stand in the DHT: identity records under their own address (protocol §3)."""

    def __init__(self, clock: Clock, watch: ClockWatch) -> None:
        self._clock = clock
        self._watch = watch
        self._births: OrderedDict[tuple[bytes, bytes], None] = OrderedDict()

    def validate(self, address: str, value: bytes) -> None:
        """Raises RemoteProtocolError. With a doubtful clock times are not judged."""
        now = None if self._watch.doubtful else self._clock.now()
        record = parse_dht_value(dht_key(address), value, now)
        if record.birth is None or (record.public_key, record.birth) in self._births:
            return
        if not verify_birth(record.public_key, record.birth):
            raise RemoteProtocolError("a birth stamp that was not paid for")
        self._remember(record.public_key, record.birth)

    def trust(self, value: bytes) -> None:
        """A value that we have stored was validated when it came: its stamp need not be tried again."""
        record = IdentityRecord.parse(value, None)
        if record.birth is not None:
            self._remember(record.public_key, record.birth)

    def _remember(self, public_key: bytes, birth: bytes) -> None:
        self._births[public_key, birth] = None
        while len(self._births) > MAX_BIRTHS:
            self._births.popitem(last=False)

    def select(self, address: str, values: list[bytes]) -> int:
        """The newest; among equals the last, or a record put again would run out."""
        best = 0
        records = [IdentityRecord.parse(value, None) for value in values]
        for n, record in enumerate(records):
            if record.record == records[best].record or record.replaces(records[best]):
                best = n
        return best

    def is_stamped(self, address: str, value: bytes) -> bool:
        """Whether it carries a birth stamp, which `validate` has tried."""
        return IdentityRecord.parse(value, None).birth is not None


class StoredRecords:
    """Other people's DHT records, over a restart. A row is the time of the put (8 bytes) and the value."""

    def __init__(self, store: Store, rules: IdentityRules) -> None:
        self._store = store
        self._rules = rules
        self._listeners: list[Callable[[str], None]] = []

    def on_put(self, listener: Callable[[str], None]) -> None:
        """Have `listener` called with the address of each record that is put. It must not block."""
        self._listeners.append(listener)

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        rows: Any = self._store.walk(DHT)
        for key, value in rows:
            with suppress(RemoteProtocolError):  # what no reader takes any more is dropped by who loads it
                self._rules.trust(value[PUT_BYTES:])
            yield key[0], value

    async def put(self, key: bytes, value: bytes) -> None:
        batch = Batch()
        batch.put(DHT, (key,), value)
        await self._store.write(batch, sync=False)
        for listener in self._listeners:
            listener(key.removeprefix(DHT_PREFIX).decode())

    async def delete(self, key: bytes) -> None:
        batch = Batch()
        batch.delete(DHT, (key,))
        await self._store.write(batch, sync=False)


class StoredPeers:
    """Peers that were good in earlier runs. Whom one knows is secret, so their keys are hashes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def items(self) -> Iterable[PeerAddress]:
        from node.network import PeerAddress

        for _, value in self._store.scan(PEERS, limit=MAX_PEERS):
            fields = Fields(value, "peer")
            yield PeerAddress(fields.bytes("id"), fields.texts("addrs", MAX_ADDRS, MAX_ADDR))

    async def remember(self, peer: PeerAddress) -> None:
        batch = Batch()
        row: dict[str, Value] = {"id": peer.peer_id, "addrs": list(peer.addrs[:MAX_ADDRS])}
        batch.put(PEERS, self._place(peer.peer_id), row)
        await self._store.write(batch, sync=False)

    async def forget(self, peer_id: bytes) -> None:
        batch = Batch()
        batch.delete(PEERS, self._place(peer_id))
        await self._store.write(batch, sync=False)

    def _place(self, peer_id: bytes) -> tuple[bytes]:
        return (self._store.index("peers", peer_id),)
