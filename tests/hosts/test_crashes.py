"""Whatever write a crash falls on: what consent says afterwards is what every host says."""

from contextlib import suppress

import pytest
import trio

from protocol.account import Space
from protocol.handshake import State
from protocol.held import open_held, parse_held
from tests.hosts.conftest import Opener
from tests.hosts.test_keeping import pair_of
from tests.kit.hostnodes import fit, start
from tests.kit.houses import Fuse, Street
from tests.kit.machines import PowerCut


@pytest.mark.parametrize("n", range(6))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_while_a_revocation_is_carried_over(
    street: Street, open_hosts: Opener, n: int, after: bool
) -> None:
    fuse, bob = Fuse(), await street.open("bob")
    alice = await street.open("alice", fuse)
    await street.befriend(bob, alice)
    hosts = await open_hosts(2)
    addresses = [host.address for host in hosts]
    uses = await start(fit(street, alice, addresses))
    assert ["current"] * 2 == [uses.state(host) for host in hosts]
    fuse.set(n, after=after)
    with suppress(PowerCut, trio.Cancelled):
        await alice.owner.handshakes.revoke(bob.address)
    await street.quiet()
    await uses.stop()
    await street.close(alice)
    alice = await street.open("alice")
    uses = await start(fit(street, alice, addresses))
    await street.pass_time(60.0, step=10.0)
    expected = State.ACCEPTED if n == 0 and not after else State.REVOKED
    assert expected is alice.stands(bob)
    pair = pair_of(alice, bob)
    for host in hosts:
        data = uses.kept(host, Space.HELD)[pair.tag][1]
        assert expected is open_held(parse_held(data), pair).status
        assert (expected is State.ACCEPTED) == bool(uses.kept(host, Space.KEY))
    assert ["current"] * 2 == [uses.state(host) for host in hosts]


@pytest.mark.parametrize("n", range(8))
async def test_a_crash_while_hosts_are_opened_and_filled(street: Street, open_hosts: Opener, n: int) -> None:
    fuse, bob = Fuse(), await street.open("bob")
    alice = await street.open("alice", fuse)
    await street.befriend(bob, alice)
    hosts = await open_hosts(2)
    addresses = [host.address for host in hosts]
    fuse.set(n, after=True)
    uses = await start(fit(street, alice, addresses))
    await uses.stop()
    await street.close(alice)
    alice = await street.open("alice")
    uses = await start(fit(street, alice, addresses))
    await street.pass_time(60.0, step=10.0)
    assert ["current"] * 2 == [uses.state(host) for host in hosts]
    assert {host.peer_id for host in hosts} == {one.peer_id for one in uses.hosts.listed()}
    assert [1, 1] == [len(uses.kept(host, Space.HELD)) for host in hosts]
