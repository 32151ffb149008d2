"""Attachments of who has switched off: at its hosts, and what it knows of that; disks lost and restored."""

from __future__ import annotations

import shutil

import pytest
import trio

from node.app.hosts import whereabouts
from node.outbox import Letter
from protocol.account import KeptFile, Space
from protocol.handshake import State
from protocol.held import digest
from protocol.kdf import blake2b
from tests.exchange.test_attachments import content, send, states
from tests.exchange.test_hosts import Town, friends
from tests.kit.hostnodes import HostNode
from tests.kit.houses import DAY_S, House, Street
from tests.kit.wires import BITSWAP, Act, Frame

__all__ = ["friends"]

ROUND_S = 601.0
"""Seconds in which every host's digest is looked at."""


@pytest.fixture
async def town(street: Street) -> Town:
    return Town(street, [await HostNode(street, f"host{n}", n, keeps=True).open() for n in (11, 12)])


def where(house: House, letter: Letter) -> str:
    found = house.owner.outbox.get(letter.id)
    assert found is not None
    return whereabouts(house.owner.files, house.owner.hosts)(found)


def lacking(house: House) -> list[int]:
    """How many files each host has not yet."""
    return [int(str(row["files"])) for row in house.owner.hosts.status()]


async def lose_blocks(frame: Frame) -> Act:
    await trio.lowlevel.checkpoint()
    return Act.LOSE if frame.protocol == BITSWAP else Act.PASS


async def all_pass(frame: Frame) -> Act:
    await trio.lowlevel.checkpoint()
    return Act.PASS


async def at_host(town: Town, alice: House, bob: House, *files: bytes) -> Letter:
    """Bob sleeps, and alice writes to him."""
    await town.sleep(bob)
    letter = await send(alice, [bob], "while you slept", *files)
    await town.while_hosts_answer()
    assert alice.state(letter) == [("at-host", "2.0.0")]
    return letter


async def test_both_asleep_in_turn_and_an_attachment(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    letter = await at_host(town, alice, bob, content(1), content(2))
    await town.street.pass_time(5.0, 1.0)
    assert (where(alice, letter), lacking(alice)) == ("at-hosts", [0, 0])
    await town.street.close(alice)
    bob = await town.wake(bob)
    assert await states(bob, "while you slept") == ["complete", "complete"]


async def test_where_attachments_are_is_known_soon_and_never_before(
    town: Town, friends: tuple[House, House]
) -> None:
    alice, bob = friends
    town.street.wires.judge = lose_blocks
    letter = await at_host(town, alice, bob, content(1), content(2))
    await town.street.pass_time(60.0, 1.0)
    assert (where(alice, letter), lacking(alice)) == ("to-hosts", [2, 2])
    assert [row["state"] for row in alice.owner.hosts.status()] == ["current", "current"]
    town.street.wires.judge = all_pass
    await town.street.pass_time(90.0, 1.0)
    assert (where(alice, letter), lacking(alice)) == ("at-hosts", [0, 0])


async def test_one_host_is_enough(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await town.hosts[1].close()
    letter = await at_host(town, alice, bob, content(1))
    await town.street.pass_time(60.0, 1.0)
    assert (where(alice, letter), sorted(lacking(alice))) == ("at-hosts", [0, 1])


async def test_what_a_host_has_lost_is_not_there(town: Town, friends: tuple[House, House]) -> None:
    alice, bob = friends
    letter = await at_host(town, alice, bob, content(1))
    await town.street.pass_time(10.0, 1.0)
    assert where(alice, letter) == "at-hosts"
    town.street.wires.judge = lose_blocks
    for host in town.hosts:
        account = town.account(alice, host)
        ((name, _),) = host.kept(account, Space.FILE).items()
        await host.change(account, Space.FILE, drop=[name])
        assert host.files is not None
        assert await host.files.collect()
    await town.street.pass_time(ROUND_S, 30.0)
    assert (where(alice, letter), lacking(alice)) == ("to-hosts", [1, 1])


async def test_a_letter_without_attachments_and_one_that_nobody_waits_for(
    town: Town, friends: tuple[House, House]
) -> None:
    alice, bob = friends
    plain = await alice.send(bob, "no file")
    full = await send(alice, [bob], "a file", content(1))
    await town.settle()
    assert alice.state(full) == [("delivered", "2.0.0")]
    assert await states(bob, "a file") == ["complete"]
    assert (where(alice, plain), where(alice, full)) == ("none", "none")


async def test_hosts_that_take_no_files(street: Street) -> None:
    town = Town(street, [await HostNode(street, f"host{n}", n).open() for n in (11, 12)])
    alice, bob = await town.owner("alice"), await town.owner("bob")
    await street.befriend(alice, bob)
    await town.settle()
    letter = await at_host(town, alice, bob, content(1))
    await street.pass_time(30.0, 1.0)
    assert (where(alice, letter), lacking(alice)) == ("here", [1, 1])


async def test_files_at_hosts_outlive_the_disk_of_who_sent_them(
    town: Town, friends: tuple[House, House]
) -> None:
    alice, bob = friends
    await at_host(town, alice, bob, content(1))
    await town.street.pass_time(5.0, 1.0)
    before = [host.kept(town.account(alice, host), Space.FILE) for host in town.hosts]
    await town.street.close(alice)
    alice = await town.street.open("alice", folder="new", hosts=town.addresses)
    await town.street.pass_time(3 * ROUND_S, 30.0)
    for host, kept in zip(town.hosts, before, strict=True):
        assert kept == host.kept(town.account(alice, host), Space.FILE)
        keeper = alice.owner.hosts._keepers[host.peer_id]
        ours = await keeper.shelf.digest(Space.FILE)
        assert digest((i, seq, blake2b(data)) for i, (seq, data) in kept.items()) == ours
    assert lacking(alice) == [0, 0]
    await town.street.close(alice)
    alice = await town.street.open(
        "alice", folder="new", hosts=town.addresses
    )  # planned anew, and still there
    await town.street.pass_time(ROUND_S, 30.0)
    bob = await town.wake(bob)
    assert await states(bob, "while you slept") == ["complete"]
    ((_, data),) = before[0].values()
    left = KeptFile.parse(data).until - town.street.wires.clock.now()
    await town.street.pass_time(left / 1_000 + DAY_S, DAY_S / 4)
    assert [{}, {}] == [host.kept(town.account(alice, host), Space.FILE) for host in town.hosts]
    assert [] == list(alice.owner.hosts._keepers[town.hosts[0].peer_id].shelf.rows(Space.FILE))


@pytest.mark.parametrize("doubtful", [False, True])
async def test_a_revocation_at_a_host_wins_over_a_restored_backup(
    town: Town, friends: tuple[House, House], monkeypatch: pytest.MonkeyPatch, doubtful: bool
) -> None:
    alice, bob = friends
    await town.sleep(alice)
    await trio.to_thread.run_sync(shutil.copytree, town.street.path / "alice", town.street.path / "old")
    alice = await town.owner("alice")
    (away,) = town.hosts[1:]
    await away.close()
    await alice.owner.handshakes.revoke(bob.address)
    await town.sleep(alice)
    await away.open()
    alice = await town.street.open("alice", folder="old", hosts=town.addresses)
    if doubtful:
        monkeypatch.setattr(type(alice.ground.watch), "doubtful", "the clock is wrong")
    assert alice.stands(bob) is State.ACCEPTED
    await town.street.pass_time(ROUND_S, 10.0)
    assert alice.stands(bob) is State.REVOKED
    assert [{}, {}] == [host.kept(town.account(alice, host), Space.KEY) for host in town.hosts]
    held = [host.kept(town.account(alice, host), Space.HELD) for host in town.hosts]
    assert held[0].keys() == held[1].keys()
    assert {seq for seq, _ in held[0].values()} == {seq for seq, _ in held[1].values()}
