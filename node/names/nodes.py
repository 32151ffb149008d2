"""Where owners' nodes are by their own word in letters to us (`nodes/1`, protocol.md §3).
Nodes that everyone may know stand in IdentityRecords, which are pins' business.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from node.storage import Batch, Kind, Store, note_change
from node.storage.schema import NODES
from protocol.errors import RemoteProtocolError
from protocol.identity import IdentityRecord
from protocol.keys import address_bytes
from protocol.nodes import NodesRecord
from protocol.peers import Peer

MAX_PARSED: Final = 512
"""Verified records kept in memory, 1 KB each: every try to deliver a letter asks for one."""


class SentNodes:
    """Reads and changes what owners told us. What takes a batch adds to it only; the caller writes it."""

    def __init__(self, store: Store, doubtful: Callable[[], bool]) -> None:
        self._store = store
        self._doubtful = doubtful
        self._parsed = lru_cache(MAX_PARSED)(_stored)

    def get(self, address: str) -> tuple[Peer, ...]:
        """The nodes that this owner told us of."""
        held = self._held(self._place(address))
        return () if held is None else held.nodes

    def learn(self, batch: Batch, records: Sequence[bytes], author: IdentityRecord, now: int) -> bool:
        """Keep the newest of what was kept and these `nodes/1` records of a letter's author; whether that
        is another than before. Raises RemoteProtocolError for one that is not the author's, or is from
        the future at `now` (Unix ms; not judged by a doubtful clock).
        """
        place = self._place(author.address)
        before = newest = self._held(place)
        for data in records:
            if before is not None and data == before.record:
                continue  # the usual case: it rides in every letter
            found = NodesRecord.parse(data, None if self._doubtful() else now)
            if found.public_key != author.public_key:
                raise RemoteProtocolError("a nodes record of another owner")
            if newest is None or found.replaces(newest):
                newest = found
        if newest is None or newest is before:
            return False
        batch.put(NODES, place, newest.record)
        note_change(batch, Kind.NODES, place[0], author.address)
        return True

    def record(self, address: str) -> bytes | None:
        """The `nodes/1` record that is kept of this owner."""
        held = self._held(self._place(address))
        return None if held is None else held.record

    def restore(self, batch: Batch, record: NodesRecord) -> bool:
        """Put back what an owner told us, unless it has told us anew; whether it was."""
        place = self._place(record.address)
        held = self._held(place)
        if held is not None and not record.replaces(held):
            return False
        batch.put(NODES, place, record.record)
        note_change(batch, Kind.NODES, place[0], record.address)
        return True

    def forget(self, batch: Batch, address: str) -> None:
        """Know no nodes of this owner's any longer."""
        place = self._place(address)
        if self._store.get(NODES, place) is not None:
            note_change(batch, Kind.NODES, place[0], address)
        batch.delete(NODES, place)

    def _held(self, place: tuple[bytes]) -> NodesRecord | None:
        data = self._store.get(NODES, place)
        return self._parsed(data) if isinstance(data, bytes) else None

    def _place(self, address: str) -> tuple[bytes]:
        return (self._store.index("nodes", address_bytes(address)),)


def _stored(data: bytes) -> NodesRecord:
    """A record that was verified when it came."""
    return NodesRecord.parse(data, None)
