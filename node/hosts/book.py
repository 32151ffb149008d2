"""The hosts that we use, as the store has them. What is kept at each is shelf.py's, which to use is
choosing.py's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from node.storage import Batch, Store
from node.storage.schema import HOSTS
from protocol.cbor import Value
from protocol.fields import Fields
from protocol.host import VOUCHER_BYTES
from protocol.peers import MAX_ADDR, MAX_ADDRS, MAX_PEER_ID

MAX_TEXT: Final = 512
"""Bytes of what a host said on refusing."""


class Stand(StrEnum):
    """How far we are with a host. `left`: not used any more, drained until nothing more can come; `shunned`:
    the owner does not want it, or it has been given up, and it is not chosen again before `until`.
    """

    OPENING = "opening"
    OPEN = "open"
    REFUSED = "refused"
    LEFT = "left"
    SHUNNED = "shunned"


class Origin(StrEnum):
    """Who wants it: the node by itself, the settings, or the owner by a command."""

    SELF = "self"
    SET = "set"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class HostRow:
    """One host: `addrs` without `/p2p/`. Times in Unix ms: `since` it stands so, `reached` last (0: never),
    `until` it stands so, where that ends. `synced`: everything was there once. `cleared`: nothing of ours is
    kept there any more. `removed`: by the owner. `account_bytes`: what the account may take there, 0 while
    unknown. `text`: what it said when it refused.
    """

    peer_id: bytes
    addrs: tuple[str, ...] = ()
    origin: Origin = Origin.SELF
    stand: Stand = Stand.OPENING
    since: int = 0
    reached: int = 0
    until: int = 0
    synced: bool = False
    cleared: bool = False
    removed: bool = False
    account_bytes: int = 0
    voucher: bytes | None = None
    text: str = ""

    @property
    def used(self) -> bool:
        """Whether it is one of ours, or is to become one."""
        return self.stand in (Stand.OPENING, Stand.OPEN)

    @property
    def listed(self) -> bool:
        """Whether everyone may know of it."""
        return self.stand is Stand.OPEN and self.synced

    def leaving(self, now: int, until: int, *, removed: bool) -> "HostRow":
        """It is used no longer: one that may have letters is drained until then, any other shunned."""
        drained = self.stand in (Stand.OPEN, Stand.LEFT)
        stand = Stand.LEFT if drained else Stand.SHUNNED
        return replace(self, stand=stand, since=now, until=until, removed=removed, voucher=None)


class HostBook:
    """Reads at once; what takes a batch only adds to it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, peer_id: bytes) -> HostRow | None:
        value = self._store.get(HOSTS, self._place(peer_id))
        return None if value is None else _read(Fields(value, "host"))

    def all(self) -> Iterator[HostRow]:
        """Every host, whatever became of it."""
        for _, value in self._store.walk(HOSTS):
            yield _read(Fields(value, "host"))

    def put(self, batch: Batch, row: HostRow) -> None:
        value: dict[str, Value] = {
            "peerId": row.peer_id,
            "addrs": list(row.addrs),
            "origin": row.origin.value,
            "stand": row.stand.value,
            "since": row.since,
            "reached": row.reached,
            "until": row.until,
            "synced": row.synced,
            "cleared": row.cleared,
            "removed": row.removed,
            "accountBytes": row.account_bytes,
            "text": row.text,
        }
        if row.voucher is not None:
            value["voucher"] = row.voucher
        batch.put(HOSTS, self._place(row.peer_id), value)

    def delete(self, batch: Batch, peer_id: bytes) -> None:
        batch.delete(HOSTS, self._place(peer_id))

    async def save(self, row: HostRow, *, sync: bool = True) -> None:
        """Write this one. Raises StoreUnavailable."""
        batch = Batch()
        self.put(batch, row)
        await self._store.write(batch, sync=sync)

    def _place(self, peer_id: bytes) -> tuple[bytes]:
        return (self._store.index("host", peer_id),)


def _read(fields: Fields) -> HostRow:
    return HostRow(
        peer_id=fields.bytes("peerId", most=MAX_PEER_ID),
        addrs=fields.texts("addrs", MAX_ADDRS, MAX_ADDR),
        origin=Origin(fields.text("origin")),
        stand=Stand(fields.text("stand")),
        since=fields.int("since"),
        reached=fields.int("reached"),
        until=fields.int("until"),
        synced=fields.flag("synced"),
        cleared=fields.flag("cleared"),
        removed=fields.flag("removed"),
        account_bytes=fields.int("accountBytes"),
        voucher=fields.optional_bytes("voucher", length=VOUCHER_BYTES),
        text=fields.text("text", MAX_TEXT),
    )
