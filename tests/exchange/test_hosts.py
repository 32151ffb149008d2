"""Letters to owners who sleep: left at their hosts, fetched once, receipted; what hosts say of handshakes."""

from dataclasses import dataclass

import pytest

from node.exchange import Receipts
from node.exchange.depositing import HOST_S
from node.exchange.sender import DIRECT_S
from node.identity.files import KEEP_LINK_MS
from node.storage import Batch
from node.storage.schema import RECEIPT_DUE
from protocol.account import Item, Space
from protocol.handshake import State
from protocol.held import held_nonce, seal_held
from protocol.keys import SigningKey
from protocol.pair import Pair
from protocol.prekeys import week_of
from tests.kit.hostnodes import HostNode
from tests.kit.houses import DAY_S, House, Street

A_WHILE_S = DIRECT_S + HOST_S + 1
"""Seconds in which a letter is at hosts, whoever hangs."""


@dataclass
class Town:
    """Two hosts, and owners who use them."""

    street: Street
    hosts: list[HostNode]

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(host.address for host in self.hosts)

    async def owner(self, name: str) -> House:
        house = await self.street.open(name, hosts=self.addresses)
        await self.settle()
        return house

    async def settle(self) -> None:
        """Let hosts be told, and receipts go."""
        await self.street.pass_time(30.0, 5.0)

    async def wake(self, house: House) -> House:
        again = await self.owner(house.name)
        await self.settle()
        return again

    async def sleep(self, house: House) -> None:
        """It has told its hosts everything before."""
        await self.settle()
        await self.street.close(house)

    def account(self, house: House, host: HostNode) -> bytes:
        return SigningKey.from_seed(house.owner.identity.secrets.account_seed(host.peer_id)).public

    def waiting(self, house: House) -> list[int]:
        """Letters that wait for this owner at each host."""
        return [len(host.waiting(self.account(house, host))) for host in self.hosts]

    async def while_hosts_answer(self) -> None:
        await self.street.pass_time(A_WHILE_S, 1.0)


@pytest.fixture
async def town(street: Street) -> Town:
    hosts = [await HostNode(street, f"host{n}", n).open() for n in (11, 12)]
    return Town(street, hosts)


@pytest.fixture
async def friends(town: Town) -> tuple[House, House]:
    """Alice and Bob, who may write to each other, and whose hosts know it."""
    alice, bob = await town.owner("alice"), await town.owner("bob")
    await town.street.befriend(alice, bob)
    await town.settle()
    return alice, bob


async def test_a_letter_waits_at_two_hosts_and_arrives_once(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await town.sleep(bob)
    letter = await alice.send(bob, "while you slept")
    await town.while_hosts_answer()
    assert (alice.state(letter), town.waiting(bob)) == ([("at-host", "2.0.0")], [1, 1])
    bob = await town.wake(bob)
    assert (bob.folder(), town.waiting(bob)) == (["while you slept"], [0, 0])
    assert alice.state(letter) == [("delivered", "2.0.0")]


async def test_both_asleep_in_turn(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await town.sleep(bob)
    letter = await alice.send(bob, "while you slept")
    await town.while_hosts_answer()
    await town.sleep(alice)
    bob = await town.wake(bob)
    assert bob.folder() == ["while you slept"]
    await town.sleep(bob)  # his receipt waits at her hosts
    assert town.waiting(alice) == [1, 1]
    alice = await town.wake(alice)
    assert alice.state(letter) == [("delivered", "2.0.0")]
    assert alice.folder() == []


async def test_who_leaves_letters_at_a_host_is_nobody_there(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await town.sleep(bob)
    for host in town.hosts:
        assert host.wire is not None
        host.wire.guests.clear()
    await alice.send(bob, "while you slept")
    await town.while_hosts_answer()
    guests = [host.wire.guests - {alice.wire.peer_id} for host in town.hosts if host.wire is not None]
    assert [len(one) for one in guests] == [1, 1]
    assert not guests[0] & guests[1]


async def test_a_friend_and_a_stranger_after_three_weeks(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    eve = await town.owner("eve")
    await town.sleep(bob)
    letter = await alice.send(bob, "welcome back")
    first = await eve.send(bob, "may I")
    await town.while_hosts_answer()
    assert (alice.state(letter), eve.state(first)) == ([("at-host", "2.0.0")], [("at-host", "2.0.0")])
    await town.street.pass_time(21 * DAY_S, 6 * 3_600.0)
    bob = await town.wake(bob)
    assert (bob.folder(), bob.folder("handshake")) == (["welcome back"], ["may I"])
    assert bob.stands(eve) is State.REQUEST
    assert alice.state(letter) == [("delivered", "2.0.0")]
    assert eve.state(first) == [("at-host", "2.0.0")]  # nobody has said that it was fetched
    await bob.owner.handshakes.accept(eve.address)
    await town.settle()
    assert sorted(bob.folder()) == ["may I", "welcome back"]
    assert eve.state(first) == [("delivered", "2.0.0")]


async def test_an_acceptance_is_read_at_a_host(town: Town) -> None:
    bob, eve = await town.owner("bob"), await town.street.open("eve")
    await eve.owner.handshakes.request(bob.address)
    await town.settle()
    await town.street.close(eve)
    await bob.owner.handshakes.accept(eve.address)
    await town.sleep(bob)
    eve = await town.street.open("eve")
    large = await eve.send(bob, "no first contact", "x" * 20_000)
    await town.while_hosts_answer()
    assert eve.owner.consent.accepted_by(bob.address)
    assert (eve.state(large), town.waiting(bob)) == ([("at-host", "2.0.0")], [1, 1])
    bob = await town.wake(bob)
    assert bob.folder() == ["no first contact"]


async def test_a_revocation_holds_while_its_owner_sleeps(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await bob.owner.handshakes.revoke(alice.address)
    await town.street.close(alice)
    alice = await town.street.open("alice", hosts=town.addresses)
    await town.sleep(bob)
    letter = await alice.send(bob, "still there")
    await town.while_hosts_answer()
    assert (alice.state(letter), town.waiting(bob)) == ([("queued", "4.8.9")], [0, 0])
    found = alice.owner.outbox.get(letter.id)
    assert found is not None
    assert "revoked" in found.deliveries[0].detail
    bob = await town.wake(bob)
    alice.owner.outbox.wake(bob.address)
    await town.settle()
    assert (alice.state(letter), bob.mail()) == ([("refused", "5.8.2")], [])


async def test_a_hosts_no_is_advice(town: Town, friends: tuple[House, House]) -> None:
    """It has an old word: by then bob has accepted alice again, and was not there to tell it."""
    alice, bob = friends
    await bob.owner.handshakes.revoke(alice.address)
    await town.sleep(bob)
    for host in town.hosts:
        await host.close()
    bob = await town.street.open("bob")
    await bob.owner.handshakes.accept(alice.address)
    await town.street.close(bob)
    for host in town.hosts:
        await host.open()
    letter = await alice.send(bob, "once more")
    await town.while_hosts_answer()
    assert alice.state(letter) == [("queued", "4.8.9")]
    bob = await town.wake(bob)
    alice.owner.outbox.wake(bob.address)
    await town.settle()
    assert (alice.state(letter), bob.folder()) == ([("delivered", "2.0.0")], ["once more"])


async def test_what_is_cancelled_is_taken_back(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await town.sleep(bob)
    letter = await alice.send(bob, "oh no")
    await town.while_hosts_answer()
    await alice.owner.outbox.cancel(letter.id)
    await town.settle()
    assert (alice.state(letter), town.waiting(bob)) == ([("cancelled", "")], [0, 0])
    bob = await town.wake(bob)
    assert bob.mail() == []


async def test_what_is_cancelled_is_taken_back_from_a_host_that_was_away(
    town: Town, friends: tuple[House, House]
) -> None:
    alice, bob = friends
    await town.sleep(bob)
    letter = await alice.send(bob, "oh no")
    await town.while_hosts_answer()
    await town.hosts[1].close()
    await alice.owner.outbox.cancel(letter.id)
    await town.settle()
    alice = await town.street.reopen(alice)
    await town.hosts[1].open()
    await town.street.pass_time(600.0, 60.0)
    assert town.waiting(bob) == [0, 0]


@pytest.mark.parametrize("closes", [False, True])
async def test_what_is_cancelled_while_it_is_left_at_hosts_is_taken_back(
    town: Town, friends: tuple[House, House], closes: bool
) -> None:
    """One has it already, the other hangs."""
    alice, bob = friends
    await town.sleep(bob)
    assert town.hosts[0].wire is not None
    town.hosts[0].wire.suspended = True
    letter = await alice.send(bob, "oh no")
    await town.street.pass_time(3.0, 1.0)
    assert (alice.state(letter), town.waiting(bob)) == ([("queued", "")], [0, 1])
    if closes:
        alice = await town.street.reopen(alice)
    await alice.owner.outbox.cancel(letter.id)
    await town.settle()
    assert (alice.state(letter), town.waiting(bob)) == ([("cancelled", "")], [0, 0])
    assert alice.owner.outbox.recalls.due() == []


async def test_one_host_hangs(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await town.sleep(bob)
    assert town.hosts[0].wire is not None
    town.hosts[0].wire.suspended = True
    bob.wire.awake, bob.wire.suspended = True, True
    letter = await alice.send(bob, "in time")
    await town.while_hosts_answer()
    assert (alice.state(letter), town.waiting(bob)) == ([("at-host", "2.0.0")], [0, 1])
    bob.wire.awake = False
    bob = await town.wake(bob)
    assert bob.folder() == ["in time"]


async def test_a_letter_for_a_prekey_that_is_gone_is_sealed_anew_at_a_host(
    town: Town, friends: tuple[House, House]
) -> None:
    alice, bob = friends
    await town.sleep(bob)
    letter = await alice.send(bob, "sealed long ago")
    for host in town.hosts:
        await host.close()
    await town.street.quiet()
    await town.street.close(alice)  # the envelope is sealed, and nobody has it
    for host in town.hosts:
        await host.open()
    await town.street.pass_time(2 * DAY_S)
    bob = await town.wake(bob)
    assert await bob.owner.identity.destroy_links(bob.ground.clock.now() + KEEP_LINK_MS)
    assert bob.owner.identity.first_week == week_of(bob.ground.clock.now())
    await town.street.pass_time(600.0, 60.0)
    await town.sleep(bob)
    alice = await town.owner("alice")
    await town.while_hosts_answer()
    assert alice.state(letter)[0][0] == "at-host"
    bob = await town.wake(bob)
    assert bob.folder() == ["sealed long ago"]


async def test_what_nobody_fetches_is_told(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await town.sleep(bob)
    letter = await alice.send(bob, "unread")
    await town.street.pass_time(31 * DAY_S, 6 * 3_600.0)
    assert (alice.state(letter), town.waiting(bob)) == ([("not-collected", "5.8.3")], [0, 0])
    assert alice.folder() == ["Not delivered: unread"]


async def test_a_host_that_loses_letters_loses_none(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await town.sleep(bob)
    letter = await alice.send(bob, "lost and found")
    await town.while_hosts_answer()
    for host in town.hosts:
        await forget(host, town.account(bob, host))
    assert town.waiting(bob) == [0, 0]
    bob = await town.wake(bob)
    assert bob.folder() == []
    await town.street.pass_time(DAY_S)
    assert (alice.state(letter), bob.folder()) == ([("delivered", "2.0.0")], ["lost and found"])


async def forget(host: HostNode, account: bytes) -> None:
    """Drop what waits, as if it had been fetched."""
    assert host.hosting is not None
    letters = host.hosting._serving._letters
    ids = [one.envelope_id for one in host.waiting(account)]
    found = host.hosting._book.account(account)
    assert found is not None
    for node in found.nodes:
        await letters.acknowledge(found, tuple(ids), node)


async def test_many_letters_have_few_receipts(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await town.sleep(bob)
    letters = [await alice.send(bob, f"{n}") for n in range(100)]
    await town.street.pass_time(60.0, 1.0)
    assert town.waiting(bob) == [100, 100]
    bob = await town.wake(bob)
    await town.street.pass_time(60.0, 1.0)
    assert sorted(bob.folder(), key=int) == [str(n) for n in range(100)]
    assert {alice.state(letter)[0][0] for letter in letters} == {"delivered"}
    sent = [one for one in bob.owner.outbox.list(everything=True) if one.kind == "receipt"]
    assert len(sent) <= 6


async def test_a_revocation_from_before_a_disk_was_restored_comes_back_from_hosts(
    town: Town, friends: tuple[House, House]
) -> None:
    """Its hosts had it, and the vault's page was not written any more."""
    alice, bob = friends
    old = Batch()
    bob.owner.consent.revoke(old, alice.address, bob.ground.clock.now())  # never written: a later disk's
    entry = bob.owner.consent.ours(alice.address, old)
    assert entry is not None
    assert entry.handshake is not None
    assert entry.pair_key is not None
    secrets = bob.owner.identity.secrets
    ends = (secrets.pair_public, entry.pair_key, bob.address, alice.address)
    pair = Pair.derive(secrets.pair_key, entry.pair_key, *ends)
    for host in town.hosts:
        account = SigningKey.from_seed(secrets.account_seed(host.peer_id))
        sealed = seal_held(entry.handshake, pair, account, held_nonce(entry.handshake, pair))
        held = Item(pair.tag, entry.handshake.seq, sealed)
        keys = tuple(host.kept(account.public, Space.KEY))
        await host.change(account.public, Space.HELD, [held])
        await host.change(account.public, Space.KEY, drop=keys)
    assert bob.stands(alice) is State.ACCEPTED
    await town.street.pass_time(700.0, 10.0)
    assert bob.stands(alice) is State.REVOKED
    assert [host.kept(town.account(bob, host), Space.KEY) for host in town.hosts] == [{}, {}]


async def test_a_copy_from_another_host_undoes_no_receipt(town: Town, friends: tuple[House, House]) -> None:
    """What has been fetched meanwhile stands in the one that is due."""
    alice, bob = friends
    store = bob.ground.store
    receipts, letter_id = Receipts(store, bob.owner.outbox, bob.ground.clock), bytes(32)
    for receipt, again in ((b"with files", False), (b"as it was taken", True)):
        batch = Batch()
        receipts.note(batch, alice.address, letter_id, receipt, again=again)
        await store.write(batch)
    rows = [row for _, row in store.scan(RECEIPT_DUE, limit=9)]
    assert [{"author": alice.address, "receipt": b"with files"}] == rows
