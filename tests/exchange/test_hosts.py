"""Letters to owners who sleep: left at their hosts, fetched once, receipted; and what hosts say of handshakes."""

from dataclasses import dataclass

import pytest

from node.exchange.sender import DIRECT_S
from tests.kit.hostnodes import HostNode
from tests.kit.houses import House, Street


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

    def waiting(self, house: House) -> list[int]:
        """Letters that wait for this owner at each host."""
        secrets = house.owner.identity.secrets
        return [len(host.waiting(account_of(secrets, host))) for host in self.hosts]


def account_of(secrets: object, host: HostNode) -> bytes:
    from protocol.keys import SigningKey

    return SigningKey.from_seed(secrets.account_seed(host.peer_id)).public  # type: ignore[attr-defined]


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
    await town.street.close(bob)
    letter = await alice.send(bob, "while you slept")
    await town.street.pass_time(2 * DIRECT_S, 1.0)
    assert (alice.state(letter), town.waiting(bob)) == ([("at-host", "2.0.0")], [1, 1])
    bob = await town.wake(bob)
    assert bob.folder() == ["while you slept"]
    assert town.waiting(bob) == [0, 0]
    assert alice.state(letter) == [("delivered", "2.0.0")]


async def test_who_leaves_letters_at_a_host_is_nobody_there(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await town.street.close(bob)
    for host in town.hosts:
        assert host.wire is not None
        host.wire.guests.clear()
    await alice.send(bob, "while you slept")
    await town.street.pass_time(2 * DIRECT_S, 1.0)
    guests = [host.wire.guests - {alice.wire.peer_id} for host in town.hosts if host.wire is not None]
    assert [len(one) for one in guests] == [1, 1]
    assert not guests[0] & guests[1]
