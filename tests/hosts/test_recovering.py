"""A disk is lost and the words are kept (protocol.md §3, §9): what hosts have comes back."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
import trio

from node.consent import Counterpart, Rules
from node.hosts.book import HostBook, Stand
from node.hosts.recovering import GRACE_S, KEEP_TRYING_MS, PATIENCE_S, Recovery, begin, is_recovering
from node.hosts.restoring import Restorer
from node.hosts.vault import KeptPeople, Vault
from node.identity import ask_identity
from node.storage import Batch
from node.storage.database import Database
from protocol.account import Item, Space
from protocol.handshake import State
from protocol.vault import Page, VaultKeys, merged
from tests.kit.hostnodes import HostNode, Uses, deposit, fit, start
from tests.kit.houses import Fuse, House, Street
from tests.kit.machines import PowerCut

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

    async def settle_in(self) -> tuple[House, House]:
        """Until hosts have everything that a vault may hold. Gives who was accepted, and who was revoked."""
        street, alice = self.street, self.house
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
        await self.soon()
        return bob, carol

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


async def dies(back: Back) -> bool:
    """Whether the machine dies before everything is back."""
    dead = False
    try:
        await back.recovery.run()
    except* PowerCut:
        dead = True
    return dead


def stands(house: House) -> dict[str, tuple[State, bytes]]:
    return {e.address: (e.state, e.record) for e in house.owner.consent.list() if e.record}


async def test_disk_lost_words_kept(street: Street, alice: House, open_hosts: Any) -> None:
    hosts = await open_hosts(3)
    home = await Home.of(street, alice, hosts)
    bob, carol = await home.settle_in()
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


async def test_letters_that_waited_arrive_once(street: Street, alice: House, open_hosts: Any) -> None:
    """The hosts that were read are in use again at once, and draining them is what it always is."""
    (host,) = await open_hosts(1)
    home = await Home.of(street, alice, [host])
    bob, _ = await home.settle_in()
    await home.lose()
    account, key = home.uses.account(host), bob.owner.consent.delivery_key(alice.address, host.peer_id)
    assert key is not None
    blob = bytes(5_000)
    assert "2.0.0" == (await deposit(street, host, account, key, blob)).status.code

    back = await recover(street, await come_back(street))
    uses = await start(fit(street, back.house, [host.address], pages=back.vault))
    await street.pass_time(SOON_S, step=10.0)
    assert [blob] == uses.came
    assert [] == host.waiting(account)
    assert uses.hosts.drained


async def test_nothing_that_hosts_keep_is_lost_by_what_comes_after(
    street: Street, alice: House, open_hosts: Any
) -> None:
    hosts = await open_hosts(2)
    home = await Home.of(street, alice, hosts)
    await home.settle_in()
    before = {space: home.uses.kept(hosts[0], space) for space in (Space.HELD, Space.VAULT)}
    await home.lose()
    back = await recover(street, await come_back(street))
    home = await Home.of(street, back.house, hosts)
    assert before == {space: home.uses.kept(hosts[0], space) for space in (Space.HELD, Space.VAULT)}
    assert "current" == home.uses.state(hosts[0])


async def test_of_several_hosts_the_newest_pages_count(street: Street, alice: House, open_hosts: Any) -> None:
    hosts = await open_hosts(2)
    home = await Home.of(street, alice, hosts)
    await home.write(lambda batch: alice.owner.names.add(batch, "Old", ["old@example.org"]))
    await home.soon()
    await hosts[1].close()
    await home.write(lambda batch: alice.owner.names.remove(batch, "Old"))
    await home.write(lambda batch: alice.owner.names.add(batch, "New", ["new@example.org"]))
    await home.soon()
    await home.lose()
    await hosts[1].open()
    back = await recover(street, await come_back(street))
    assert ["New"] == [one.name for one in back.house.owner.names.contacts()]
    assert {host.peer_id for host in hosts} == back.hosts()


async def test_a_host_that_comes_late_changes_nothing_that_is_newer(
    street: Street, alice: House, open_hosts: Any
) -> None:
    hosts = await open_hosts(2)
    home = await Home.of(street, alice, hosts)
    bob, _ = await home.settle_in()
    await hosts[1].close()
    await alice.owner.handshakes.revoke(bob.address)
    await home.soon()
    await home.lose()
    back = await recover(street, await come_back(street))
    expected = ["1 of your hosts are read, 1 have not answered yet"]
    assert expected == [one.text for one in back.recovery.warnings()]
    assert not back.recovery.settled.is_set()
    await street.pass_time(GRACE_S)
    assert back.recovery.settled.is_set()
    assert not back.recovery.ended.is_set()
    before = stands(back.house)
    assert State.REVOKED is before[bob.address][0]
    await hosts[1].open()
    await street.pass_time(120.0, step=10.0)
    assert back.recovery.ended.is_set()
    assert before == stands(back.house)
    assert {host.peer_id for host in hosts} == back.hosts()


async def test_a_handshake_newer_than_the_vault_is_taken_from_what_is_held(
    street: Street, alice: House, open_hosts: Any
) -> None:
    (host,) = await open_hosts(1)
    home = await Home.of(street, alice, [host])
    bob, _ = await home.settle_in()
    account, vault = home.uses.account(host), home.uses.kept(host, Space.VAULT)
    await alice.owner.handshakes.revoke(bob.address)
    await home.soon()
    newer = home.uses.kept(host, Space.VAULT)
    assert vault != newer
    expected = stands(alice)
    await home.lose()
    await host.change(account, Space.VAULT, drop=list(newer))
    await host.change(account, Space.VAULT, [Item(name, *vault[name]) for name in vault])
    back = await recover(street, await come_back(street))
    assert expected == stands(back.house)
    assert State.REVOKED is expected[bob.address][0]


@pytest.mark.parametrize("lie", ["garbage", "another's", "dated later", "cut"])
async def test_a_lying_host_changes_nothing(street: Street, alice: House, open_hosts: Any, lie: str) -> None:
    hosts = await open_hosts(2)
    home = await Home.of(street, alice, hosts)
    await home.settle_in()
    expected, contacts = stands(alice), alice.owner.names.contacts()
    await home.lose()
    for name, (seq, data) in home.uses.kept(hosts[1], Space.VAULT).items():
        lies = {
            "garbage": Item(name, seq + 1, bytes(len(data))),
            "another's": replace(VaultKeys(bytes(32)).seal(Page(0, 1, seq + 1, ())), id=name),
            "dated later": Item(name, seq + 1, data),
            "cut": Item(name, seq + 1, data[:100]),
        }
        await hosts[1].change(home.uses.account(hosts[1]), Space.VAULT, [lies[lie]])
    back = await recover(street, await come_back(street))
    assert back.recovery.ended.is_set()
    assert (expected, contacts) == (stands(back.house), back.house.owner.names.contacts())


async def test_a_host_named_by_the_owner_is_enough(street: Street, alice: House, open_hosts: Any) -> None:
    """Nothing is in the DHT any more: the host itself knows who we were, and who else hosts us."""
    hosts = await open_hosts(2)
    home = await Home.of(street, alice, hosts)
    await home.settle_in()
    expected = stands(alice)
    await home.lose()
    street.wires.records.clear()
    back = await recover(street, await come_back(street, hints=(hosts[0].address,)), 20.0)
    assert expected == stands(back.house)
    assert {host.peer_id for host in hosts} == back.hosts()


async def test_a_host_that_is_connected_is_asked(street: Street, alice: House, open_hosts: Any) -> None:
    (host,) = await open_hosts(1)
    home = await Home.of(street, alice, [host])
    await home.settle_in()
    expected = stands(alice)
    await home.lose()
    street.wires.records.clear()
    back = await recover(street, await come_back(street))
    assert {} == stands(back.house)
    assert host.wire is not None
    back.house.wire.meet(host.wire)
    back.recovery.connected(host.peer_id)
    await street.pass_time(5.0, step=1.0)
    assert back.recovery.ended.is_set()
    assert expected == stands(back.house)


async def test_without_any_host_the_node_goes_on_and_keeps_looking(
    street: Street, alice: House, open_hosts: Any
) -> None:
    (host,) = await open_hosts(1)
    home = await Home.of(street, alice, [host])
    await home.settle_in()
    expected = stands(alice)
    await home.lose()
    await host.close()
    back = await recover(street, await come_back(street), PATIENCE_S - 10.0)
    assert not back.recovery.settled.is_set()
    await street.pass_time(20.0)
    assert back.recovery.settled.is_set()
    assert is_recovering(back.store)
    assert ["recovering"] == [one.code for one in back.recovery.warnings()]
    await host.open()
    await street.pass_time(600.0, step=60.0)
    assert expected == stands(back.house)
    assert not is_recovering(back.store)


async def test_it_ends_when_nothing_can_be_hoped_for(street: Street, alice: House) -> None:
    await street.close(alice)
    street.wires.records.clear()
    back = await recover(street, await come_back(street))
    await street.pass_time(KEEP_TRYING_MS / 1_000 - 7_200, step=3_600.0)
    assert not back.recovery.ended.is_set()
    await street.pass_time(14_400.0)
    assert back.recovery.ended.is_set()
    assert not is_recovering(back.store)


async def test_the_owner_ends_it(street: Street, alice: House) -> None:
    await street.close(alice)
    back = await recover(street, await come_back(street))
    await back.recovery.end()
    await street.quiet()
    assert back.recovery.settled.is_set()
    assert back.recovery.ended.is_set()
    assert not is_recovering(back.store)


async def test_who_never_lost_anything_waits_for_nothing(street: Street, alice: House) -> None:
    recovery = fit_back(alice).recovery
    assert recovery.settled.is_set()
    assert recovery.ended.is_set()
    await recovery.run()


async def test_a_former_host_met_by_chance_is_read_before_it_is_changed(
    street: Street, alice: House, open_hosts: Any
) -> None:
    """As after an old backup was put back: nothing says that there is anything to recover."""
    (host,) = await open_hosts(1)
    home = await Home.of(street, alice, [host])
    await home.settle_in()
    expected = stands(alice)
    await home.lose()
    house = await street.open("alice", folder="new")
    home = await Home.of(street, house, [host])
    assert expected == stands(house)
    keys = VaultKeys(house.owner.identity.secrets.vault_key)
    kept = home.uses.kept(host, Space.VAULT)
    pages = [keys.open(Item(name, *kept[name])) for name in kept]
    assert expected.keys() == {e.name.decode() for e in merged(pages, keys) if e.kind == "ours/1"}
    assert "current" == home.uses.state(host)


async def test_a_crash_at_any_write_costs_nothing(street: Street, alice: House, open_hosts: Any) -> None:
    hosts = await open_hosts(2)
    home = await Home.of(street, alice, hosts)
    await home.settle_in()
    expected, contacts = stands(alice), alice.owner.names.contacts()
    await home.lose()
    crashes = 0
    for n in range(100):
        for after in (False, True):
            folder, fuse = f"new-{n}-{after}", Fuse()
            back = await come_back(street, folder, opener=fuse)
            fuse.set(n, after=after)
            dead = await dies(back)
            if dead:
                await street.close(back.house)
                back = await recover(street, await come_back(street, folder))
            assert back.recovery.ended.is_set()
            assert (expected, contacts) == (stands(back.house), back.house.owner.names.contacts())
            assert {host.peer_id for host in hosts} == back.hosts()
            await street.close(back.house)
            crashes += dead
        if not dead:
            assert 10 <= crashes
            return
    raise AssertionError("it never ended")
