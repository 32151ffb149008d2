"""Hosts that lie to whoever leaves a letter, or fetches one: none is lost by it, nobody gets in by it."""

from dataclasses import replace

import pytest
import trio

from protocol.account import Deposited, Space, sign_deposit
from protocol.handshake import State
from protocol.host import Waiting
from protocol.offer import Offer, Result
from protocol.status import OK, PREKEY_GONE
from tests.exchange.test_hosts import Town, friends, town
from tests.kit.hostnodes import HostNode
from tests.kit.houses import DAY_S, House

__all__ = ["friends", "town"]


def promise(host: HostNode, until: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on it signs this time, whatever it does."""

    def lie(key: bytes, envelope: bytes, known: int) -> Result:
        word = sign_deposit(Deposited(key, envelope, until), host.key)
        return Result(OK, until=until, receipt=word)

    assert host.hosting is not None
    monkeypatch.setattr(host.hosting._serving._deposits, "_promise", lie)


@pytest.mark.parametrize("until", [0, 1, 10**12])
async def test_a_host_that_promises_a_time_that_is_over_has_nothing(
    town: Town, friends: tuple[House, House], until: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = friends
    await town.sleep(bob)
    promise(town.hosts[0], until, monkeypatch)
    await town.hosts[1].close()
    letter = await alice.send(bob, "not for nothing")
    before = len(town.street.wires.frames)
    await town.while_hosts_answer()
    assert (alice.state(letter)[0][0], alice.folder()) == ("queued", [])
    assert len(town.street.wires.frames) - before < 50
    await town.hosts[1].open()
    await town.street.pass_time(DAY_S / 2, 600.0)
    assert alice.state(letter) == [("at-host", "2.0.0")]
    bob = await town.wake(bob)
    assert (bob.folder(), alice.state(letter)) == (["not for nothing"], [("delivered", "2.0.0")])


async def test_a_host_that_promises_for_ever_is_not_asked_for_ever(
    town: Town, friends: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = friends
    await town.sleep(bob)
    for host in town.hosts:
        promise(host, 2**53 - 1, monkeypatch)
    letter = await alice.send(bob, "taken back")
    await town.while_hosts_answer()
    assert alice.state(letter) == [("at-host", "2.0.0")]
    for host in town.hosts:
        await host.close()
    await alice.owner.outbox.cancel(letter.id)
    await town.street.pass_time(32 * DAY_S, 4 * 3_600.0)
    assert alice.owner.outbox.recalls.due() == []


@pytest.mark.parametrize("identity", ["none's", "another's", "the one that is known"])
async def test_a_host_that_says_that_a_prekey_is_gone_that_is_not_keeps_no_letter_from_the_others(
    town: Town, friends: tuple[House, House], identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = friends
    records = {"none's": b"x", "another's": alice.record.record, "the one that is known": bob.record.record}
    await town.sleep(bob)

    async def lie(channel: object, offer: Offer) -> Result:
        await trio.lowlevel.checkpoint()
        return Result(PREKEY_GONE, identity=records[identity])

    assert town.hosts[0].hosting is not None
    monkeypatch.setattr(town.hosts[0].hosting._serving._deposits, "answer", lie)
    letter = await alice.send(bob, "for all that")
    await town.while_hosts_answer()
    assert (alice.state(letter), town.waiting(bob)) == ([("at-host", "2.0.0")], [0, 1])
    await alice.owner.outbox.cancel(letter.id)  # the envelope that lies there is the one that was noted
    await town.settle()
    assert town.waiting(bob) == [0, 0]


async def test_hosts_that_all_say_so_do_not_keep_a_letter_for_ever(
    town: Town, friends: tuple[House, House], monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = friends
    await town.sleep(bob)

    async def lie(channel: object, offer: Offer) -> Result:
        await trio.lowlevel.checkpoint()
        return Result(PREKEY_GONE, identity=b"x")

    for host in town.hosts:
        assert host.hosting is not None
        monkeypatch.setattr(host.hosting._serving._deposits, "answer", lie)
    letter = await alice.send(bob, "nowhere")
    await town.street.pass_time(6 * DAY_S, 3_600.0)
    assert (alice.state(letter)[0][0], alice.folder()) == ("failed", ["Not delivered: nowhere"])


async def test_a_host_can_let_nobody_in_by_an_invitation(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows the invitation's delivery key, which it is to take deposits of."""
    bob, eve = await town.owner("bob"), await town.owner("eve")
    link = await bob.owner.handshakes.link()
    await town.settle()
    await town.sleep(bob)
    letter = await eve.send(bob, "let me in")
    await town.while_hosts_answer()
    assert (eve.state(letter), town.waiting(bob)) == ([("at-host", "2.0.0")], [1, 1])
    for host in town.hosts:
        label(host, next(iter(host.kept(town.account(bob, host), Space.KEY))), monkeypatch)
    bob = await town.wake(bob)
    assert (bob.stands(eve), bob.folder(), town.waiting(bob)) == (State.REQUEST, [], [0, 0])
    alice = await town.owner("alice")
    await alice.owner.handshakes.open(link)
    await town.settle()
    assert bob.stands(alice) is State.ACCEPTED


def label(host: HostNode, key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on it says that every letter came under this delivery key."""
    assert host.hosting is not None
    letters = host.hosting._serving._letters
    honest = letters.list

    def lie(account: bytes, after: int) -> tuple[list[Waiting], bool]:
        found, more = honest(account, after)
        return [replace(one, key=key) for one in found], more

    monkeypatch.setattr(letters, "list", lie)


async def test_an_invitation_is_used_at_hosts_by_one_alone(town: Town) -> None:
    alice, bob, eve = [await town.owner(name) for name in ("alice", "bob", "eve")]
    link = await bob.owner.handshakes.link()
    await town.settle()
    await town.sleep(bob)
    first = await alice.owner.handshakes.open(link)
    await town.while_hosts_answer()
    bob = await town.wake(bob)
    assert (bob.stands(alice), alice.state(first)) == (State.ACCEPTED, [("delivered", "2.0.0")])
    await town.sleep(bob)
    second = await eve.owner.handshakes.open(link)
    await town.while_hosts_answer()
    assert eve.state(second) == [("at-host", "2.0.0")]
    bob = await town.wake(bob)
    assert (bob.stands(eve), town.waiting(bob)) == (State.NONE, [0, 0])
    await town.street.pass_time(DAY_S + 60)  # she hears nothing, and comes herself
    assert (bob.stands(eve), eve.state(second)) == (State.REQUEST, [("delivered", "2.0.0")])
