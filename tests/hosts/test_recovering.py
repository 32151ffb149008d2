"""A disk is lost and the words are kept (protocol.md §3, §9): what hosts have comes back."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio

from node.consent import Counterpart, Rules
from node.hosts.book import HostBook, Stand
from node.hosts.recovering import Recovery, begin, is_recovering
from node.hosts.restoring import Restorer
from node.hosts.vault import KeptPeople, Vault
from node.identity import ask_identity
from node.storage import Batch
from node.storage.database import Database
from protocol.handshake import State
from protocol.vault import VaultKeys
from tests.kit.hostnodes import HostNode, Uses, fit
from tests.kit.houses import House, Street

EMAIL = "dave@example.org"
SOON_S = 120.0
"""Until hosts have what they are to have."""


def vault_of(house: House) -> Vault:
    owner, ground = house.owner, house.ground
    rooms = (owner.consent.keeping, KeptPeople(owner.names.keeping, owner.consent.keeping))
    keys = VaultKeys(owner.identity.secrets.vault_key)
    return Vault(ground.store, keys, rooms, ground.clock, ground.doubtful)


@dataclass
class Home:
    """An owner who uses hosts, and what was published."""

    street: Street
    house: House
    vault: Vault
    uses: Uses

    @classmethod
    async def of(cls, street: Street, house: House, hosts: list[HostNode]) -> "Home":
        vault = vault_of(house)
        restorer = Restorer(house.ground.store, vault._keys, vault, house.owner.consent.keeping)
        uses = fit(street, house, [host.address for host in hosts], pages=vault, former=restorer.former)
        home = cls(street, house, vault, uses)
        street.run(home._live)
        await home.soon()
        return home

    async def soon(self) -> None:
        """Until hosts have everything; the DHT knows who they are."""
        await self.street.pass_time(SOON_S, step=10.0)
        self.publish()

    def publish(self) -> None:
        self.street.wires.records[self.house.address] = [self.house.record.record]

    async def write(self, act: Any) -> None:
        batch = Batch()
        act(batch)
        await self.house.ground.store.write(batch)

    async def lose(self) -> None:
        """The machine is gone, and its disk."""
        await self.uses.stop()
        await self.street.close(self.house)

    async def _live(self) -> None:
        with self.uses.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.vault.run)
                nursery.start_soon(self.uses.hosts.run)


@dataclass
class Back:
    """The same owner with a new disk, looking for what hosts have."""

    house: House
    vault: Vault
    recovery: Recovery
    found: list[int] = field(default_factory=list)

    @property
    def store(self) -> Any:
        return self.house.ground.store

    def hosts(self) -> set[bytes]:
        return {row.peer_id for row in HostBook(self.store).all() if row.stand is Stand.OPEN}


async def come_back(
    street: Street, folder: str = "new", hints: tuple[str, ...] = (), opener: Any = Database, **more: Any
) -> Back:
    """Open a new home of alice's, or the one that was begun; the DHT still has her old record."""
    records = dict(street.wires.records)
    house = await street.open("alice", opener, folder=folder, **more)
    street.wires.records = records
    back = fit_back(house)
    if not (street.path / folder / "begun").exists():
        batch = Batch()
        begin(batch, hints, street.wires.clock.now())
        await house.ground.store.write(batch)
        (street.path / folder / "begun").touch()
        back = fit_back(house)
    return back


def fit_back(house: House) -> Back:
    network: Any = house.wire
    vault = vault_of(house)
    restorer = Restorer(house.ground.store, vault._keys, vault, house.owner.consent.keeping)
    back = Back(house, vault, None)  # type: ignore[arg-type] # set in the next line
    back.recovery = Recovery(
        store=house.ground.store,
        secrets=house.owner.identity.secrets,
        network=network,
        ask=partial(ask_identity, network),
        restorer=restorer,
        identity=house.owner.identity,
        clock=house.ground.clock,
        found=lambda: back.found.append(1),
    )
    return back


async def recover(street: Street, back: Back, seconds: float = 0.0) -> Back:
    street.run(back.recovery.run)
    await street.quiet()
    if seconds:
        await street.pass_time(seconds, step=5.0)
    return back


async def settle_in(street: Street, alice: House) -> tuple[House, House]:
    """Everything that a vault may hold."""
    bob, carol = await street.open("bob"), await street.open("carol")
    await street.befriend(alice, bob)
    await street.befriend(bob, alice)
    await street.befriend(alice, carol)
    await alice.owner.handshakes.accept(carol.address)
    await street.quiet()
    await alice.owner.handshakes.revoke(carol.address)
    await street.quiet()
    hashes = await alice.owner.consent.hashes([EMAIL])
    batch = Batch()
    now = alice.ground.clock.now()
    alice.owner.consent.accept(batch, Counterpart(EMAIL, email_hash=hashes[EMAIL]), Rules(), now)
    await alice.ground.store.write(batch)
    batch = Batch()
    alice.owner.names.add(batch, "Bob", [bob.address, "bob@example.org"])
    await alice.ground.store.write(batch)
    return bob, carol


def stands(house: House) -> dict[str, tuple[State, bytes]]:
    return {e.address: (e.state, e.record) for e in house.owner.consent.list() if e.record}


async def test_disk_lost_words_kept(street: Street, alice: House, open_hosts: Any) -> None:
    hosts = await open_hosts(3)
    home = await Home.of(street, alice, hosts)
    bob, carol = await settle_in(street, alice)
    await home.soon()
    expected, contacts = stands(alice), alice.owner.names.contacts()
    theirs = {e.address: e for e in alice.owner.consent.list_theirs()}
    await home.lose()

    back = await recover(street, await come_back(street))
    assert back.recovery.ended.is_set()
    assert back.recovery.settled.is_set()
    assert not is_recovering(back.store)
    again = back.house
    assert alice.address == again.address
    assert expected == stands(again)
    assert {bob.address, carol.address, EMAIL} == expected.keys()
    assert theirs == {e.address: e for e in again.owner.consent.list_theirs()}
    assert contacts == again.owner.names.contacts()
    assert {host.peer_id for host in hosts} == back.hosts()
    assert (3, 1) == (back.recovery.restored["ours/1"], back.recovery.restored["contact/1"])
    assert [] == back.recovery.warnings()
    assert back.found


async def test_our_record_is_newer_than_the_one_before(street: Street, alice: House, open_hosts: Any) -> None:
    home = await Home.of(street, alice, await open_hosts(1))
    published = alice.record
    await home.lose()
    back = await come_back(street)
    await recover(street, back)
    assert back.house.record.replaces(published)
