"""Each letter exactly once, wherever the stream breaks and whichever write is the last (protocol.md §6)."""

from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from node.consent import Rules
from node.exchange.wire import LETTER
from protocol.offer import GoAhead, Result, parse_answer
from tests.kit.houses import Fuse, House, Street
from tests.kit.network import until
from tests.kit.stores import Trouble
from tests.kit.wires import Act, Frame, Judge

KEYED = 4
"""Frames of a letter under a delivery key: offer, go-ahead, envelope, status."""

FIRST = 6
"""Of a first letter: offer, challenge, offer, go-ahead, envelope, status."""

BREAKS = [Act.LOSE, Act.CUT_BEFORE, Act.CUT_AFTER]


def nth(number: int, act: Act) -> Judge:
    """Does this to the nth frame of a letter from now on."""
    left = [number]

    async def judge(frame: Frame) -> Act:
        if frame.protocol != LETTER:
            return Act.PASS
        left[0] -= 1
        return act if left[0] == -1 else Act.PASS

    return judge


def late(number: int, seconds: float) -> Judge:
    """Holds the nth frame of a letter up."""
    left = [number]

    async def judge(frame: Frame) -> Act:
        left[0] -= frame.protocol == LETTER
        if left[0] == -1:
            left[0] -= 1
            await trio.sleep(seconds)
        return Act.PASS

    return judge


@pytest.mark.parametrize("act", BREAKS)
@pytest.mark.parametrize("number", range(KEYED))
async def test_a_stream_that_breaks(
    street: Street, friends: tuple[House, House], number: int, act: Act
) -> None:
    alice, bob = friends
    street.wires.judge = nth(number, act)
    letter = await alice.send(bob, "Once")
    await street.pass_time(600, 60)
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["Once"] == bob.mail()
    if act is not Act.LOSE:  # what does not come in time is counted (§8)
        assert ([], []) == (alice.wire.blamed, bob.wire.blamed)


@pytest.mark.parametrize("act", BREAKS)
@pytest.mark.parametrize("number", range(FIRST))
async def test_a_first_letter_whose_stream_breaks(
    street: Street, alice: House, bob: House, number: int, act: Act
) -> None:
    street.wires.judge = nth(number, act)
    letter = await alice.send(bob, "Once")
    await street.pass_time(600, 60)
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["Once"] == bob.mail()
    if act is not Act.LOSE:  # what does not come in time is counted (§8)
        assert ([], []) == (alice.wire.blamed, bob.wire.blamed)


@pytest.mark.parametrize("seconds", [20.0, 100.0])
@pytest.mark.parametrize("number", range(KEYED))
async def test_a_frame_that_takes_its_time(
    street: Street, friends: tuple[House, House], number: int, seconds: float
) -> None:
    alice, bob = friends
    street.wires.judge = late(number, seconds)
    letter = await alice.send(bob, "Once")
    await street.pass_time(600, 10)
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["Once"] == bob.mail()


@pytest.mark.parametrize("number", range(KEYED))
async def test_a_frame_that_comes_twice(street: Street, friends: tuple[House, House], number: int) -> None:
    """No stream does this, so whether the letter arrives is open; that both sides agree is not."""
    alice, bob = friends
    street.wires.judge = nth(number, Act.TWICE)
    letter = await alice.send(bob, "Once")
    await street.pass_time(600, 60)
    ((state, _),) = alice.state(letter)
    assert (["Once"] if state == "delivered" else []) == bob.mail()
    after = await alice.send(bob, "After")
    await street.pass_time(600, 60)
    assert [("delivered", "2.0.0")] == alice.state(after)


@pytest.mark.parametrize("number", range(FIRST))
async def test_accepted_while_the_first_letter_is_broken_off(
    street: Street, alice: House, bob: House, number: int
) -> None:
    street.wires.judge = nth(number, Act.CUT_AFTER)
    letter = await alice.send(bob, "Once")
    await street.quiet()
    await bob.owner.handshakes.accept(alice.address)
    await street.pass_time(600, 60)
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["Once"] == bob.folder()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", range(4))
async def test_the_senders_machine_dies_at_a_write(
    street: Street, bob: House, write: int, after: bool
) -> None:
    fuse = Fuse()
    alice = await street.open("alice", fuse)
    await street.befriend(alice, bob)
    letter = await alice.send(bob, "Once")
    fuse.set(write, after=after)
    await street.quiet()
    alice = await street.reopen(alice)
    await street.pass_time(600, 60)
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["Once"] == bob.mail()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", range(3))
async def test_the_recipients_machine_dies_at_a_write(
    street: Street, alice: House, write: int, after: bool
) -> None:
    fuse = Fuse()
    bob = await street.open("bob", fuse)
    await street.befriend(alice, bob)
    fuse.set(write, after=after)
    letter = await alice.send(bob, "Once")
    await street.quiet()
    bob = await street.reopen(bob)
    await street.pass_time(3_600, 60)
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["Once"] == bob.mail()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", range(4))
@pytest.mark.parametrize("who", ["alice", "bob"])
async def test_a_first_letter_and_a_machine_that_dies(
    street: Street, who: str, write: int, after: bool
) -> None:
    fuse = Fuse()
    houses = {name: await street.open(name, *([fuse] if name == who else [])) for name in ("alice", "bob")}
    request = await houses["alice"].owner.handshakes.request(houses["bob"].address, "Once")
    fuse.set(write, after=after)
    await street.quiet()
    houses[who] = await street.reopen(houses[who])
    await street.pass_time(3_600, 60)
    await houses["bob"].owner.handshakes.accept(houses["alice"].address)
    await street.pass_time(3_600, 60)
    assert [("delivered", "2.0.0")] == houses["alice"].state(request)
    assert ["Once"] == houses["bob"].folder()
    answer = await houses["bob"].send(houses["alice"], "Back")
    await street.pass_time(600, 60)
    assert [("delivered", "2.0.0")] == houses["bob"].state(answer)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", range(3))
async def test_a_letter_to_oneself_and_a_machine_that_dies(street: Street, write: int, after: bool) -> None:
    fuse = Fuse()
    alice = await street.open("alice", fuse)
    letter = await alice.send(alice, "Milk")
    fuse.set(write, after=after)
    await street.quiet()
    alice = await street.reopen(alice)
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["Milk"] == alice.mail()


async def test_the_cases_above_reach_the_last_write(street: Street) -> None:
    fuses = Fuse(), Fuse()
    alice, bob = await street.open("alice", fuses[0]), await street.open("bob", fuses[1])
    await street.befriend(alice, bob)
    before = [fuse.writes for fuse in fuses]
    await alice.send(bob, "Once")
    await street.quiet()
    sender, recipient = (fuse.writes - n for fuse, n in zip(fuses, before, strict=True))
    assert 1 + 4 > sender  # the first is the submission itself
    assert 3 > recipient


async def test_many_letters_and_a_recipient_that_dies_in_the_middle(street: Street, alice: House) -> None:
    fuse = Fuse()
    bob = await street.open("bob", fuse)
    await street.befriend(alice, bob)
    fuse.set(7, after=True)
    letters = [await alice.send(bob, f"Letter {n}") for n in range(20)]
    await street.quiet()
    bob = await street.reopen(bob)
    await street.pass_time(3_600, 60)
    assert {(("delivered", "2.0.0"),)} == {tuple(alice.state(letter)) for letter in letters}
    assert sorted(f"Letter {n}" for n in range(20)) == sorted(bob.mail())


async def test_taken_then_held_then_accepted_anew(street: Street, alice: House, bob: House) -> None:
    """The answer is lost, the permission runs out, and the letter is signed anew when there is another."""
    now = street.wires.clock.now()
    await alice.owner.handshakes.request(bob.address)
    await street.quiet()
    await bob.owner.handshakes.accept(alice.address, Rules(until=now + 30_000))
    await street.quiet()
    street.wires.judge = nth(KEYED - 1, Act.CUT_BEFORE)
    letter = await alice.send(bob, "Once", "word " * 6_000)
    await street.pass_time(120, 10)
    assert (["Once"], [("held", "4.8.9")]) == (bob.mail(), alice.state(letter))
    await bob.owner.handshakes.accept(alice.address)
    await street.quiet()
    assert (["Once"], [("delivered", "2.0.0")]) == (bob.mail(), alice.state(letter))
    assert [] == alice.wire.blamed


async def test_two_streams_bring_one_letter_and_nothing_is_said_before_it_is_on_disk(tmp_path: Path) -> None:
    trouble = Trouble()
    async with trio.open_nursery() as nursery:
        street = Street(tmp_path, nursery)
        bob = await street.open("bob", trouble, inline=False)
        carol = street.client()
        await bob.owner.handshakes.accept(carol.address)
        await until(lambda: carol.accepted_by(bob.address))
        key = carol.delivery_key(bob.record, bob.wire.peer_id)
        message = carol.message("Hi.", to=f"{bob.address}@mailio.alt", subject="Once")
        envelope = carol.seal(carol.sign(carol.inner(bob.record, message)), bob.record)
        ready: list[object] = []
        answers: list[object] = []
        go = trio.Event()

        async def bring() -> None:
            async with carol.channel(bob.peer) as channel:
                await channel.send(carol.offer(envelope, key=key).encode())
                assert GoAhead() == parse_answer(await channel.receive())
                ready.append(channel)
                await go.wait()
                await channel.send(envelope)
                answers.append(parse_answer(await channel.receive()))

        try:
            async with trio.open_nursery() as both:
                both.start_soon(bring)
                both.start_soon(bring)
                await until(lambda: len(ready) == 2)
                trouble.hold()
                go.set()
                await wait_all_tasks_blocked(0.1)
                assert [] == answers
                async with carol.channel(bob.peer) as third:
                    await third.send(carol.offer(envelope, key=key).encode())
                    await wait_all_tasks_blocked(0.1)
                    assert [] == answers
                    trouble.release()
                    answers.append(parse_answer(await third.receive()))
        finally:
            trouble.release()
        assert 3 == len(answers)
        assert 1 == len(set(answers))
        assert isinstance(answers[0], Result)
        assert answers[0].receipt is not None
        assert ["Once"] == bob.mail()
        assert [] == street.wires.bugs
        nursery.cancel_scope.cancel()
