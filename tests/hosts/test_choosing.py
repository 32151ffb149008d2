"""Which hosts are used: found by itself, set, added, refused, lost and replaced, removed."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from node.hosts import HostError
from node.hosts.book import HostRow, Stand
from node.hosts.talk import HOST
from node.network import PeerAddress
from protocol.account import Item, KeyRule, Space
from protocol.keys import SigningKey
from protocol.letter import MIN_ENVELOPE
from tests.hosts.conftest import Opener
from tests.kit.hostnodes import HostNode, deposit, fit, start
from tests.kit.houses import House, Street
from tests.kit.wires import Act, Frame, let_pass


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


async def meet(alice: House, *hosts: HostNode) -> None:
    for host in hosts:
        assert host.wire is not None
        alice.wire.meet(host.wire)


async def test_hosts_are_in_blocks_of_their_own(street: Street, alice: House, open_hosts: Opener) -> None:
    hosts = await open_hosts(3)
    for host in hosts[:2]:
        assert host.wire is not None
        host.wire.addrs = [f"/ip4/192.0.9.{host.number}/tcp/4101"]
    uses = await start(fit(street, alice))
    await meet(alice, *hosts)
    await street.quiet()
    assert 2 == len(uses.states())
    assert "current" == uses.state(hosts[2])
    assert ["current"] == [s for h in hosts[:2] if (s := uses.state(h))]


async def test_those_on_this_machine_are_in_no_block(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    hosts = await open_hosts(3)
    for host in hosts:
        assert host.wire is not None
        host.wire.addrs = [f"/ip4/127.0.0.1/tcp/{host.number}"]
    uses = await start(fit(street, alice))
    await meet(alice, *hosts)
    await street.quiet()
    assert ["current"] * 3 == [uses.state(host) for host in hosts]


async def test_set_ones_are_used_and_no_others(street: Street, alice: House, open_hosts: Opener) -> None:
    hosts = await open_hosts(3)
    uses = await start(fit(street, alice, [hosts[1].address]))
    await meet(alice, *hosts)
    await street.pass_time(120.0, step=10.0)
    assert ["current"] == list(uses.states().values())
    assert "current" == uses.state(hosts[1])
    assert ["hosts-few"] == [one.code for one in uses.hosts.warnings()]


async def test_none_are_used_where_the_owner_wants_none(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    uses = await start(fit(street, alice, ()))
    await meet(alice, *await open_hosts(3))
    await street.pass_time(120.0, step=10.0)
    assert {} == uses.states()
    assert [] == uses.hosts.warnings()


async def test_set_no_longer_is_used_no_longer(street: Street, alice: House, open_hosts: Opener) -> None:
    hosts = await open_hosts(2)
    first = await start(fit(street, alice, [host.address for host in hosts]))
    await first.stop()
    uses = await start(fit(street, alice, [hosts[0].address]))
    assert ["current"] == list(uses.states().values())
    assert [hosts[0].peer_id] == [one.peer_id for one in uses.hosts.listed()]


async def test_one_that_refuses_is_not_asked_again_for_a_day(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    (host,) = await open_hosts(1, policy="friends")
    uses = await start(fit(street, alice, [host.address]))
    assert "refused" == uses.state(host)
    assert "for whoever asks" in uses.row(host)["text"]
    asked = len(opens(street))
    await street.pass_time(23 * 3_600.0)
    assert asked == len(opens(street))
    await host.close()
    host.policy = "all"
    await host.open()
    await street.pass_time(2 * 3_600.0, step=60.0)
    assert "current" == uses.state(host)


async def test_one_that_refuses_leaves_its_place_to_another(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    no = await open_hosts(1, policy="friends")
    yes = await open_hosts(3, first=2)
    uses = await start(fit(street, alice))
    await meet(alice, *no, *yes)
    await street.pass_time(120.0, step=10.0)
    assert ["current"] * 3 == [uses.state(host) for host in yes]
    asked = len(opens(street))
    await street.pass_time(1_800.0, step=60.0)
    assert asked == len(opens(street))


async def test_work_beyond_what_an_owner_would_do_is_asked_of_nobody_unasked(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    (dear,) = await open_hosts(1, price=11)
    uses = await start(fit(street, alice))
    await meet(alice, dear)
    await street.quiet()
    assert "refused" == uses.state(dear)
    assert "11 bits" in uses.row(dear)["text"]


async def test_a_voucher_opens_where_nothing_else_does(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    (host,) = await open_hosts(1, policy="friends")
    assert host.hosting is not None
    voucher = await host.hosting.voucher()
    uses = await start(fit(street, alice, ()))
    row = await uses.hosts.add(host.address, voucher)
    assert ("opening", "owner") == (row["state"], row["origin"])
    await street.quiet()
    assert "current" == uses.state(host)
    assert [host.peer_id] == [one.peer_id for one in uses.hosts.listed()]


def friend_at(host: HostNode, key: SigningKey) -> Callable[[bytes], Awaitable[SigningKey | None]]:
    """Our delivery key at this one."""

    async def friend(peer_id: bytes) -> SigningKey | None:
        await trio.lowlevel.checkpoint()
        return key if peer_id == host.peer_id else None

    return friend


async def test_a_friends_node_opens_for_its_owners_delivery_key(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    key = SigningKey.from_seed(bytes(32))
    (host,) = await open_hosts(1, policy="friends", friends={key.public})
    friend = friend_at(host, key)
    uses = await start(fit(street, alice, [host.address], friend=friend))
    assert "current" == uses.state(host)


async def test_one_that_is_a_friends_no_longer_may_still_be_had_for_work(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    (host,) = await open_hosts(1, policy="all")
    friend = friend_at(host, SigningKey.from_seed(bytes(32)))
    uses = await start(fit(street, alice, [host.address], friend=friend))
    assert "current" == uses.state(host)


async def test_one_that_is_away_for_three_days_is_replaced_and_still_drained_when_it_is_back(
    street: Street, alice: House, bob: House, open_hosts: Opener
) -> None:
    await street.befriend(bob, alice)
    hosts = await open_hosts(3)
    uses = await start(fit(street, alice))
    await meet(alice, *hosts)
    await street.quiet()
    lost, (spare,) = hosts[0], await open_hosts(1, first=4)
    await lost.close()
    await meet(alice, spare)
    await street.pass_time(2.9 * 86_400)
    assert uses.state(spare) is None
    await street.pass_time(0.2 * 86_400, step=300.0)
    assert "current" == uses.state(spare)
    assert lost.peer_id not in [one.peer_id for one in uses.hosts.listed()]
    assert 3 == len(uses.hosts.listed())
    await lost.open()
    key = SigningKey.from_seed(bytes(32))
    rule = Item(key.public, 1, KeyRule(0, 1_000_000).encode())
    await lost.change(uses.account(lost), Space.KEY, [rule])
    await deposit(street, lost, uses.account(lost), key, bytes(MIN_ENVELOPE))
    await street.pass_time(3_600.0, step=60.0)
    assert [bytes(MIN_ENVELOPE)] == uses.came
    assert {} == uses.kept(lost, Space.HELD)
    assert {} == uses.kept(lost, Space.KEY)
    await street.pass_time(31 * 86_400.0, step=86_400.0)
    assert uses.state(lost) is None


async def test_one_that_is_gone_before_it_was_opened_leaves_its_place_at_once(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    hosts = await open_hosts(4)

    async def cut(frame: Frame) -> Act:
        return Act.CUT_BEFORE if frame.protocol == HOST and b"firstWeek" in frame.data else Act.PASS

    street.wires.judge = cut
    uses = await start(fit(street, alice))
    await meet(alice, hosts[0])
    await street.quiet()
    assert "unreachable" == uses.state(hosts[0])
    await hosts[0].close()
    street.wires.judge = let_pass
    await meet(alice, *hosts[1:])
    await street.pass_time(300.0, step=10.0)
    assert [None] + ["current"] * 3 == [uses.state(host) for host in hosts]


async def test_one_that_is_removed_while_it_is_opened_is_not_opened(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    (host,) = await open_hosts(1)
    await host.close()
    uses = await start(fit(street, alice, ()))
    await uses.hosts.add(host.address)
    await street.quiet()
    assert host.wire is not None
    await uses.hosts.remove(host.wire.peer_id_text)
    await host.open()
    await street.pass_time(3_600.0, step=60.0)
    assert {} == uses.states()
    assert [] == opens(street)


async def test_a_host_that_has_moved_is_looked_up(street: Street, alice: House, open_hosts: Opener) -> None:
    (host,) = await open_hosts(1)
    await start(fit(street, alice, [host.address]))
    asked: list[tuple[str, ...]] = []
    channel = alice.wire.channel

    def watched(peer: PeerAddress, *arguments: object, **more: object) -> object:
        asked.append(peer.addrs)
        return channel(peer, *arguments, **more)  # type: ignore[arg-type]

    alice.wire.channel = watched  # type: ignore[method-assign,assignment]
    await host.close()
    await street.pass_time(120.0, step=10.0)
    assert {(host.addr,), ()} == set(asked)


async def test_a_host_is_not_given_up_because_we_were_off_ourselves(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    hosts = await open_hosts(4)
    uses = await start(fit(street, alice))
    await meet(alice, *hosts[:3])
    await street.quiet()
    await uses.stop()
    await street.pass_time(5 * 86_400.0)
    again = fit(street, alice)
    await meet(alice, *hosts)
    await start(again)
    await street.pass_time(300.0, step=10.0)
    assert ["current"] * 3 + [None] == [again.state(host) for host in hosts]


async def test_removing_drains_first_takes_back_what_is_kept_and_chooses_it_no_more(
    street: Street, alice: House, bob: House, open_hosts: Opener
) -> None:
    await street.befriend(bob, alice)
    hosts = await open_hosts(3)
    uses = await start(fit(street, alice))
    await meet(alice, *hosts)
    await street.quiet()
    gone = hosts[0]
    assert gone.wire is not None
    row = await uses.hosts.remove(gone.wire.peer_id_text[:20])
    assert gone.wire.peer_id_text == row["peerId"]
    assert gone.peer_id not in [one.peer_id for one in uses.hosts.listed()]
    await street.pass_time(300.0, step=10.0)
    assert uses.state(gone) is None
    assert [{}, {}] == [uses.kept(gone, space) for space in (Space.HELD, Space.KEY)]
    await street.pass_time(86_400.0)
    assert uses.state(gone) is None
    await uses.hosts.add(gone.address)
    await street.quiet()
    assert "current" == uses.state(gone)
    assert 1 == len(uses.kept(gone, Space.HELD))


async def test_one_that_is_away_is_removed_when_it_is_back(
    street: Street, alice: House, bob: House, open_hosts: Opener
) -> None:
    await street.befriend(bob, alice)
    (host,) = await open_hosts(1)
    uses = await start(fit(street, alice, ()))
    await uses.hosts.add(host.address)
    await street.quiet()
    await host.close()
    assert host.wire is not None
    await uses.hosts.remove(host.wire.peer_id_text)
    await street.pass_time(3_600.0, step=60.0)
    assert () == uses.hosts.listed()
    await host.open()
    assert 1 == len(uses.kept(host, Space.HELD))
    await street.pass_time(1_200.0, step=60.0)
    assert {} == uses.kept(host, Space.HELD)
    assert {} == uses.states()


async def test_a_host_learns_of_every_new_record(street: Street, alice: House, open_hosts: Opener) -> None:
    (host,) = await open_hosts(1)
    uses = await start(fit(street, alice, [host.address]))
    assert host.hosting is not None
    assert alice.record.record == host.hosting.record_of(alice.address)
    assert [host.peer_id] == [one.peer_id for one in alice.record.hosts]
    await street.pass_time(86_400.0, step=600.0)
    assert alice.record.record == host.hosting.record_of(alice.address)
    assert "current" == uses.state(host)


async def test_an_owner_whose_clock_is_in_doubt_opens_nothing(
    street: Street, alice: House, open_hosts: Opener
) -> None:
    doubt = [True]
    hosts = await open_hosts(3)
    uses = await start(fit(street, alice, [hosts[0].address], doubtful=lambda: doubt[0]))
    await street.pass_time(120.0, step=10.0)
    assert "opening" == uses.state(hosts[0])
    assert [] == opens(street)
    doubt.clear()
    doubt.append(False)
    await street.pass_time(1_200.0, step=10.0)
    assert "current" == uses.state(hosts[0])


async def test_at_most_eight_and_never_oneself(street: Street, alice: House, open_hosts: Opener) -> None:
    uses = await start(fit(street, alice, ()))
    for host in await open_hosts(8):
        await uses.hosts.add(host.address)
    (one_more,) = await open_hosts(1, first=9)
    with pytest.raises(HostError, match="8 hosts are in use already"):
        await uses.hosts.add(one_more.address)
    with pytest.raises(HostError, match="its own host"):
        await uses.hosts.add(f"/ip4/192.0.2.1/tcp/4101/p2p/{alice.wire.peer_id_text}")
    with pytest.raises(HostError, match="none of your hosts"):
        await uses.hosts.remove("12D3nobody")
    with pytest.raises(HostError, match="fits several"):
        await uses.hosts.remove("12D3")


def opens(street: Street) -> list[bytes]:
    """What was asked to open an account, or tell of changes."""
    return [data for data in street.wires.said(HOST, asks=True) if b"firstWeek" in data]


@pytest.mark.parametrize(
    ("stand", "after"),
    [
        (Stand.OPENING, Stand.SHUNNED),
        (Stand.OPEN, Stand.LEFT),
        (Stand.REFUSED, Stand.SHUNNED),
        (Stand.LEFT, Stand.LEFT),  # letters wait there still
        (Stand.SHUNNED, Stand.SHUNNED),
    ],
)
def test_a_host_that_may_have_letters_is_drained_when_it_is_left(stand: Stand, after: Stand) -> None:
    host = HostRow(b"peer", ("/ip4/192.0.2.1/tcp/4101",), stand=stand, since=1, voucher=bytes(16))
    expected = HostRow(b"peer", host.addrs, stand=after, since=5, until=9, removed=True)
    assert expected == host.leaving(5, 9, removed=True)
