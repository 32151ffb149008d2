"""Which hosts are used: found by itself, set, added, refused, lost and replaced, removed."""

from protocol.account import Space
from tests.hosts.conftest import Opener
from tests.kit.hostnodes import fit, start
from tests.kit.houses import House, Street


async def test_three_are_chosen_opened_filled_and_only_then_listed(
    street: Street, alice: House, bob: House, open_hosts: Opener
) -> None:
    await street.befriend(bob, alice)
    uses = await start(fit(street, alice))
    assert () == uses.hosts.listed()
    assert ["hosts-none"] == [one.code for one in uses.hosts.warnings()]
    hosts = await open_hosts(4)
    for host in hosts:
        assert host.wire is not None
        alice.wire.meet(host.wire)
    await street.quiet()
    used = [host for host in hosts if uses.state(host) is not None]
    assert 3 == len(used)
    assert ["current"] * 3 == [uses.state(host) for host in used]
    listed = sorted(uses.hosts.listed(), key=lambda one: one.peer_id)
    assert sorted((h.peer_id, (h.addr,), uses.account(h)) for h in used) == [
        (one.peer_id, one.addrs, one.account) for one in listed
    ]
    assert {("letters", "records")} == {one.roles for one in listed}
    assert {one.peer_id for one in listed} == {one.peer_id for one in alice.record.hosts}
    for host in used:
        assert 1 == len(uses.kept(host, Space.HELD))
        assert 1 == len(uses.kept(host, Space.KEY))
    assert [] == uses.hosts.warnings()
    assert uses.hosts.drained
