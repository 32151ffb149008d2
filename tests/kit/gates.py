"""Consent rooms of real owners on real stores, with a clock that stands where a test puts it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from node.consent import Consent, Counterpart, Limits
from node.storage import Batch, Store, open_store
from node.storage.database import Database
from protocol.identity import IdentityRecord
from tests.kit.owners import NOW, Owner, owner
from tests.kit.stores import KEY

T = TypeVar("T")

PEER = b"peer of "


@dataclass
class Hand:
    """A clock moved by hand, and whether it is to be believed."""

    time: int = NOW
    doubtful: bool = False

    def now(self) -> int:
        return self.time


class Here:
    """Runs what is for a thread at once."""

    async def in_thread(self, call: Callable[..., T], /, *args: object) -> T:
        return call(*args)


@dataclass
class Party:
    """An owner with a gate of its own."""

    owner: Owner
    store: Store
    consent: Consent
    clock: Hand
    peer_id: bytes
    fullness: list[float] = field(default_factory=lambda: [0.0])

    @property
    def address(self) -> str:
        return self.owner.address

    @property
    def record(self) -> IdentityRecord:
        return self.owner.identity

    @property
    def counterpart(self) -> Counterpart:
        return counterpart(self.record)

    async def write(self, act: Callable[[Batch], object]) -> None:
        """Carry out one act as one batch."""
        batch = Batch()
        act(batch)
        await self.store.write(batch)


def counterpart(record: IdentityRecord) -> Counterpart:
    return Counterpart(record.address, record.public_key, record.pair_key)


@asynccontextmanager
async def open_party(
    name: str,
    path: Path,
    *,
    limits: Limits | None = None,
    peer_id: bytes | None = None,
    clock: Hand | None = None,
    opener: Callable[[Path], Database] = Database,
) -> AsyncIterator[Party]:
    """The owner of this name at a gate whose store lies under `path`."""
    clock = clock or Hand()
    async with open_store(path / name, KEY, inline=True, opener=opener) as store:
        fullness = [0.0]
        who = owner(name)
        node = peer_id or PEER + name.encode()
        consent = Consent(
            store,
            who.secrets,
            node,
            clock,
            Here(),
            limits=limits or Limits(),
            doubtful=lambda: clock.doubtful,
            fullness=lambda: fullness[0],
        )
        await consent.start()
        yield Party(who, store, consent, clock, node, fullness)
