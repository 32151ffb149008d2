"""Hosts of a recipient that lie to whoever leaves a letter there: none is lost, and none kept for ever."""

import pytest
import trio

from protocol.account import Deposited, sign_deposit
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
