"""An owner with handshakes, names and a vault on one store, without a network."""

import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from node.consent import Counterpart, Rules
from node.hosts.vault import KeptPeople, Vault
from node.names import Names
from node.storage import Batch, Kind
from node.storage.schema import CHANGED
from protocol.account import Item
from protocol.handshake import Sender, Terms, accept
from protocol.vault import Entry, Page, VaultKeys, merged
from tests.kit.gates import Party, counterpart, open_party
from tests.kit.owners import GRANT, NOW, owner

Act = Callable[[Batch], object]


@dataclass
class More:
    """A room of which as much is kept as a test wants."""

    more: list[Entry]

    def entries(self) -> Iterator[Entry]:
        yield from self.more

    def restore(self, batch: Batch, entry: Entry) -> bool:
        if entry.kind == "more/1" and entry not in self.more:
            self.more.append(entry)
            return True
        return False


@dataclass
class Keeper:
    """An owner, her vault, and what of it hosts are to be told."""

    party: Party
    names: Names
    more: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keys = VaultKeys(self.party.owner.secrets.vault_key)
        self.vault = self.fresh()

    def fresh(self) -> Vault:
        """As after a start of the node."""
        handshakes = self.party.consent.keeping
        rooms = (handshakes, KeptPeople(self.names.keeping, handshakes), More(self.more))
        clock, store = self.party.clock, self.party.store
        return Vault(store, self.keys, rooms, clock, lambda: clock.doubtful)

    async def items(self) -> list[Item]:
        return [item async for item in self.vault.items()]

    async def pages(self) -> list[Page]:
        return [self.keys.open(item) for item in await self.items()]

    async def entries(self) -> list[Entry]:
        return sorted(merged(await self.pages(), self.keys), key=lambda entry: entry.key)

    async def kept(self) -> list[tuple[str, str]]:
        """Kind and name of everything in the vault."""
        entries = await self.entries()
        return [(e.kind, "" if e.kind == "contact/1" else e.name.decode()) for e in entries]

    def notes(self) -> set[bytes]:
        """The pages of which hosts are to be told."""
        found = {key[1] for key, _ in self.party.store.scan(CHANGED, (Kind.PAGE,), limit=1_000)}
        return {place for place in found if isinstance(place, bytes)}

    async def do(self, *acts: Act) -> int:
        """Write these acts, and renew; how many pages changed."""
        for act in acts:
            await self.party.write(act)
        return await self.vault.renew()

    def accept(self, who: Counterpart, now: int = NOW) -> Act:
        return lambda batch: self.party.consent.accept(batch, who, Rules(), now)

    def accept_mail(self, email: str) -> Act:
        return self.accept(Counterpart(email, email_hash=base64.b64encode(bytes(32)).decode()))

    def learn(self, name: str) -> Act:
        return lambda batch: self.names.learn(batch, owner(name).identity)

    def handshake_of(self, name: str) -> bytes:
        """That this owner accepts us."""
        who = Sender(address=self.party.address)
        return accept(owner(name).key, who, Terms(), previous=None, fresh_grant=GRANT, now=NOW).record


def of(name: str) -> Counterpart:
    return counterpart(owner(name).identity)


@asynccontextmanager
async def open_keeper(name: str, path: Path, **options: Any) -> AsyncIterator[Keeper]:
    await trio.Path(path).mkdir(exist_ok=True)
    async with open_party(name, path, **options) as party:
        nowhere: Any = None
        yield Keeper(party, Names(party.store, nowhere, nowhere, party.clock, lambda: False))
