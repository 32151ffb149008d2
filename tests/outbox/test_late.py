"""Ordinary mail that is late: its author is told once, and nothing is told of what itself only tells."""

from pathlib import Path

import trio
from trio.testing import MockClock

from node.outbox import Recipient
from node.outbox.timetable import LATE_MS
from tests.outbox.conftest import ASLEEP, BOB, DELIVERED, EVE, Post, opened

HOUR = 3_600
CAROL = Recipient("carol@example.net", "smtp", "carol@example.net")
DAVE = Recipient("dave@example.com", "smtp", "dave@example.com")
AUTHOR = "alice@example.org"


async def test_the_author_is_told_once_of_all_who_have_not_got_it(
    post: Post, autojump_clock: MockClock
) -> None:
    post.courier.answer = lambda letter, recipient: DELIVERED if recipient == EVE else ASLEEP
    letter = await post.send("one", CAROL, DAVE, EVE, BOB, sender=AUTHOR)
    await trio.sleep(4 * HOUR)
    assert [] == post.late
    await trio.sleep(2 * HOUR)
    ((subject, recipients, when),) = post.late
    assert ("one", ["carol@example.net", "dave@example.com"]) == (subject, recipients)
    assert LATE_MS <= when < LATE_MS + HOUR * 1000
    await trio.sleep(6 * 24 * HOUR)
    assert 1 == len(post.late)
    assert [("failed", "4.4.1")] * 2 == post.state(letter)[:2]
    assert ["bob", "carol@example.net", "dave@example.com"] == sorted(to for _, to, _ in post.notices)


async def test_a_restart_does_not_tell_it_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path / "db") as post:
        post.courier.answer = lambda letter, recipient: ASLEEP
        letter = await post.send("one", CAROL, sender=AUTHOR)
        await trio.sleep(6 * HOUR)
        assert 1 == len(post.late)
    async with opened(tmp_path / "db") as post:
        found = post.outbox.get(letter.id)
        assert found is not None
        assert found.delayed
        post.courier.answer = lambda letter, recipient: ASLEEP
        await trio.sleep(12 * HOUR)
        assert [] == post.late


async def test_of_mail_without_a_sender_nobody_is_told(post: Post, autojump_clock: MockClock) -> None:
    post.courier.answer = lambda letter, recipient: ASLEEP
    letter = await post.send("auto", CAROL)
    await trio.sleep(6 * 24 * HOUR)
    assert [("failed", "4.4.1")] == post.state(letter)
    assert ([], []) == (post.late, post.notices)


async def test_a_doubtful_clock_calls_nothing_late(post: Post, autojump_clock: MockClock) -> None:
    post.courier.answer = lambda letter, recipient: ASLEEP
    post.doubt[0] = True
    await post.send("one", CAROL, sender=AUTHOR)
    await trio.sleep(12 * HOUR)
    assert [] == post.late


async def test_a_lane_that_nobody_needs_is_forgotten(post: Post, autojump_clock: MockClock) -> None:
    post.courier.answer = lambda letter, recipient: ASLEEP
    for n in range(20):
        to = f"x@d{n}.example"
        await post.send("one", Recipient(to, "smtp", to), sender=AUTHOR)
    await trio.sleep(HOUR)
    assert 20 == len(post.outbox._schedule._lanes)
    await trio.sleep(6 * 24 * HOUR)
    assert {} == post.outbox._schedule._lanes
