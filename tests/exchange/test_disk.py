"""A disk that is full or a store that is broken, at either end: refused with 4.3.x, told, nothing lost."""

from dataclasses import replace

import pytest

from node.app.status import warnings_of
from node.exchange.wire import LETTER
from node.storage import StoreUnavailable
from tests.kit.houses import CHEAP, House, Street
from tests.kit.stores import Trouble
from tests.kit.wires import Act, Frame, let_pass


@pytest.mark.parametrize("first", [True, False])
async def test_the_recipients_disk_is_full_for_a_while(street: Street, alice: House, first: bool) -> None:
    trouble = Trouble()
    bob = await street.open("bob", trouble)
    if not first:
        await street.befriend(alice, bob)
    trouble.full = True
    letter = await alice.send(bob, "Patience")
    await street.pass_time(600, 60)
    assert [("queued", "4.3.1")] == alice.state(letter)
    assert ["store"] == [warning.code for warning in warnings_of(bob.ground)]
    assert [] == bob.mail()
    trouble.full = False
    await street.pass_time(8 * 3_600, 600)
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["Patience"] == bob.mail()
    assert [] == warnings_of(bob.ground)
    assert ([], []) == (alice.wire.blamed, bob.wire.blamed)


async def test_too_little_room_is_said_before_the_body(street: Street, alice: House) -> None:
    bob = await street.open("bob", limits=replace(CHEAP, free_disk=10**15))
    letter = await alice.send(bob, "No room")
    await street.quiet()
    assert [("queued", "4.3.1")] == alice.state(letter)
    assert ["store"] == [warning.code for warning in warnings_of(bob.ground)]
    assert {"taken": 0, "refusedBeforeBody": 1}.items() <= bob.receiver.counts().items()


async def test_a_store_that_is_gone(street: Street, alice: House) -> None:
    trouble = Trouble()
    bob = await street.open("bob", trouble)
    await street.befriend(alice, bob)
    trouble.full = trouble.gone = True
    letter = await alice.send(bob, "Later")
    await street.pass_time(1_200, 60)
    assert "queued" == alice.state(letter)[0][0]
    assert alice.state(letter)[0][1].startswith("4.3.")
    trouble.full = trouble.gone = False
    await street.pass_time(8 * 3_600, 600)
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["Later"] == bob.mail()


async def test_the_senders_disk_is_full(street: Street, bob: House) -> None:
    trouble = Trouble()
    alice = await street.open("alice", trouble)
    await street.befriend(alice, bob)
    trouble.full = True
    with pytest.raises(StoreUnavailable):
        await alice.send(bob, "Not taken on")
    assert [] == alice.folder("sent")
    trouble.full = False
    letter = await alice.send(bob, "Taken on")
    trouble.full = True  # from the first attempt on
    await street.pass_time(1_200, 60)
    assert "queued" == alice.state(letter)[0][0]
    trouble.full = False
    await street.pass_time(8 * 3_600, 600)
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert (["Taken on"], ["Taken on"]) == (bob.mail(), alice.folder("sent"))


async def test_the_senders_disk_fills_while_the_letter_is_on_its_way(street: Street, bob: House) -> None:
    trouble = Trouble()
    alice = await street.open("alice", trouble)
    await street.befriend(alice, bob)
    letter = await alice.send(bob, "Once")

    async def fill(frame: Frame) -> Act:
        trouble.full = trouble.full or (frame.protocol == LETTER and not frame.asks)
        return Act.PASS

    street.wires.judge = fill
    await street.pass_time(600, 60)
    assert ["Once"] == bob.mail()
    street.wires.judge = let_pass
    trouble.full = False
    await street.pass_time(8 * 3_600, 600)
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["Once"] == bob.mail()
