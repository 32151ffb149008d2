"""What is to be at one host, item by item, and whether it is there. Where it comes from is planning.py's,
how it gets there syncing.py's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import trio

from node.storage import Batch, Kind, Store
from node.storage.codec import Key
from node.storage.schema import ITEM_SPACE, KEPT
from protocol.account import ID_BYTES, Entry, Space
from protocol.cbor import Value
from protocol.fields import Fields
from protocol.held import digest
from protocol.kdf import HASH_BYTES

_SOURCE: Final = 1_024
"""Bytes of what an item comes from: a Mailio address, a delivery key; room for more."""


@dataclass(frozen=True, slots=True)
class Row:
    """One item as it is to be at a host. `placed`: the host has it. `gone`: it is not to be there, and the
    row goes once the host has dropped it. `kind` and `source` say what it is made from (None: a page or a
    file); `until` ends it (Unix ms, 0: never). `revoked`: while it is not placed, somebody revoked may
    still be let in there. Of a file, `whole`: the host has all of it; `adopted`: it is from before a disk
    was lost, and lies there alone.
    """

    space: Space
    id: bytes
    seq: int = 0
    hash: bytes = bytes(HASH_BYTES)
    placed: bool = False
    gone: bool = False
    revoked: bool = False
    kind: Kind | None = None
    source: str = ""
    until: int = 0
    whole: bool = False
    adopted: bool = False

    @property
    def entry(self) -> Entry:
        return Entry(self.id, self.seq, self.hash)

    def is_at(self, entry: Entry) -> bool:
        """Whether this is what a host says that it has."""
        return not self.gone and (self.seq, self.hash) == (entry.seq, entry.hash)


class Shelf:
    """One host's rows, and in memory which of them are not settled yet: few, but for a new host."""

    def __init__(self, store: Store, peer_id: bytes) -> None:
        self._store = store
        self._host = store.index("host", peer_id)
        self._open: dict[tuple[Space, bytes], str] = {}  # → who is revoked by it, if anyone
        self._coming: set[bytes] = set()  # files of which the host has not everything

    @property
    def missing(self) -> int:
        """How many items are not there yet, or still there. Files do not count: a host may take none."""
        return sum(space is not Space.FILE for space, _ in self._open)

    @property
    def coming(self) -> frozenset[bytes]:
        """The ids of files of which the host does not have everything yet."""
        return frozenset(self._coming)

    @property
    def revocations(self) -> int:
        """How many senders are revoked by some of that."""
        return len(set(self._open.values()) - {""})

    async def load(self) -> None:
        """Find out anew what is not settled. Raises StoreUnavailable."""
        self._open.clear()
        self._coming.clear()
        for space in Space:
            for row in self.rows(space):
                self._note(row)
                await trio.lowlevel.checkpoint()

    def unsettled(self) -> list[tuple[Space, bytes]]:
        """What is not there, or still there; revocations first."""
        return sorted(self._open, key=lambda key: (not self._open[key], ITEM_SPACE[key[0]]))

    def rows_of(self, keys: Iterable[tuple[Space, bytes]]) -> list[Row]:
        """The rows of those that are not settled yet."""
        found = (self.get(space, item) for space, item in keys)
        return [row for row in found if row is not None and not (row.placed and not row.gone)]

    def get(self, space: Space, item: bytes) -> Row | None:
        value = self._store.get(KEPT, self._key(space, item))
        return None if value is None else _read(space, item, Fields(value, "kept"))

    def rows(self, space: Space) -> Iterator[Row]:
        """All of a space, in order of ids."""
        for key, value in self._store.walk(KEPT, (self._host, ITEM_SPACE[space])):
            item = key[2]
            assert isinstance(item, bytes)
            yield _read(space, item, Fields(value, "kept"))

    async def digest(self, space: Space) -> bytes:
        """What the host's must be once everything is settled."""
        entries = []
        for row in self.rows(space):
            if not row.gone:
                entries.append((row.id, row.seq, row.hash))
            await trio.lowlevel.checkpoint()
        return digest(entries)

    def put(self, batch: Batch, row: Row) -> None:
        value: dict[str, Value] = {
            "seq": row.seq,
            "hash": row.hash,
            "placed": row.placed,
            "gone": row.gone,
            "revoked": row.revoked,
            "kind": -1 if row.kind is None else int(row.kind),
            "source": row.source,
            "until": row.until,
            "whole": row.whole,
            "adopted": row.adopted,
        }
        batch.put(KEPT, self._key(row.space, row.id), value)
        self._note(row)

    def delete(self, batch: Batch, space: Space, item: bytes) -> None:
        batch.delete(KEPT, self._key(space, item))
        self._open.pop((space, item), None)
        self._coming.discard(item)

    def want(self, batch: Batch, row: Row) -> None:
        """Have this item there; nothing where it is so already. A rule that changed gets a seq of its own:
        at one seq the later does not win.
        """
        before = self.get(row.space, row.id)
        if before is not None and row.space is Space.KEY:
            same = before.hash == row.hash
            row = replace(row, seq=before.seq if same else max(row.seq, before.seq + 1))
        if before is not None and before.is_at(row.entry):
            row = replace(row, placed=before.placed, whole=before.whole)
        if row != before:
            self.put(batch, row)

    def unwant(self, batch: Batch, space: Space, item: bytes, *, revoked: bool = False) -> None:
        """Have this item not there; nothing where we never had it there."""
        before = self.get(space, item)
        if before is not None and not (before.gone and before.revoked == revoked):
            self.put(batch, replace(before, gone=True, placed=False, whole=False, revoked=revoked))

    def clear(self, batch: Batch, most: int) -> int:
        """Forget up to so many rows; how many those were."""
        rows = self._store.scan(KEPT, (self._host,), limit=most)
        for key, _ in rows:
            batch.delete(KEPT, key)
        self._open.clear()
        self._coming.clear()
        return len(rows)

    def _note(self, row: Row) -> None:
        key = (row.space, row.id)
        if row.placed and not row.gone:
            self._open.pop(key, None)
        else:
            self._open[key] = row.source if row.revoked else ""
        if row.space is Space.FILE and not (row.gone or row.whole or row.adopted):
            self._coming.add(row.id)
        else:
            self._coming.discard(row.id)

    def _key(self, space: Space, item: bytes) -> Key:
        return self._host, ITEM_SPACE[space], item


def _read(space: Space, item: bytes, fields: Fields) -> Row:
    kind = fields.value("kind")
    assert len(item) == ID_BYTES
    return Row(
        space=space,
        id=item,
        seq=fields.int("seq"),
        hash=fields.bytes("hash", length=HASH_BYTES),
        placed=fields.flag("placed"),
        gone=fields.flag("gone"),
        revoked=fields.flag("revoked"),
        kind=Kind(kind) if isinstance(kind, int) and kind >= 0 else None,
        source=fields.text("source", _SOURCE),
        until=fields.int("until"),
        whole=fields.flag("whole"),
        adopted=fields.flag("adopted"),
    )
