"""What other mail servers report of letters that they took: only of ours, only once, and never too much."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from node.letters import Outcome, Reduced, Report
from node.outbox import Letter, Outgoing, Recipient, Result
from node.outbox.forgetting import KEEP_ENDED_MS
from node.storage import Batch
from node.storage import schema as spaces
from protocol.status import NO_ANSWER
from tests.outbox.conftest import ASLEEP, DELIVERED, Post, opened, settled

ID = "one@home.example"
BEN = Recipient("Ben", "smtp", "ben@far.example")
ZOE = Recipient("zoe@far.example", "smtp", "zoe@far.example")
GREYLISTED = Result("later", NO_ANSWER, "come again")
NOBODY_THERE = Outcome(("Ben@FAR.example",), "failed", "5.1.1", "550 5.1.1 nobody of that name")
SENT_BACK = "their mail server took it and sent it back: 550 5.1.1 nobody of that name"


@asynccontextmanager
async def by_mail(path: Path) -> AsyncIterator[Post]:
    async with opened(path) as post:
        post.outbox._carriers["smtp"] = post.courier  # type: ignore[index]  # an outbox with one more way
        yield post


@pytest.fixture
async def mail(tmp_path: Path, autojump_clock: MockClock) -> AsyncIterator[Post]:
    async with by_mail(tmp_path / "db") as found:
        yield found


async def send(post: Post, *to: Recipient, subject: str = "Hello", message_id: str = ID) -> Letter:
    batch, body = Batch(), Reduced(b"Subject: x\r\n\r\nx")
    outgoing = Outgoing("letter", subject, post.clock.now(), to, {"smtp": body}, message_id=message_id)
    letter = post.outbox.submit(batch, outgoing)
    await post.store.write(batch)
    post.outbox.started(letter)
    await settled()
    return letter


async def report(post: Post, *outcomes: Outcome, message_id: str = ID) -> bool:
    """Whether it was about a letter of ours."""
    batch = Batch()
    done = post.outbox.report(batch, Report(message_id, outcomes))
    await post.store.write(batch)
    if done is not None:
        done()
    return done is not None


async def test_who_could_not_be_reached_is_failed_and_told_once(mail: Post) -> None:
    letter = await send(mail, BEN, ZOE)
    for _ in range(2):
        assert await report(mail, NOBODY_THERE)
    assert [("failed", "5.1.1"), ("delivered", "2.0.0")] == mail.state(letter)
    assert [("Hello", "Ben", SENT_BACK)] == mail.notices
    assert 1 == mail.outbox.counts()["failed"]


@pytest.mark.parametrize(
    ("message_id", "who"),
    [
        ("another@home.example", "ben@far.example"),
        (ID, "eve@far.example"),
        (ID, "ben"),
        (ID.upper(), "ben@far.example"),
    ],
)
async def test_who_does_not_know_both_message_and_recipient_changes_nothing(
    mail: Post, message_id: str, who: str
) -> None:
    letter = await send(mail, BEN)
    forged = Outcome((who,), "failed", "5.1.1", "")
    assert not await report(mail, forged, message_id=message_id)
    assert ([("delivered", "2.0.0")], []) == (mail.state(letter), mail.notices)


async def test_a_forwarded_letter_is_known_by_whom_it_was_written_to(mail: Post) -> None:
    letter = await send(mail, BEN)
    forwarded = Outcome(("ben@far.example", "ben@further.example"), "failed", "", "")
    assert await report(mail, forwarded)
    assert [("failed", "5.0.0")] == mail.state(letter)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("delayed", "their mail server has it and could not pass it on yet: busy"),
        ("relayed", "their mail server passed it on to one that reports nothing: busy"),
        ("delivered", "their mail server says that it is in the mailbox: busy"),
    ],
)
async def test_what_is_no_failure_is_noted(mail: Post, action: str, words: str) -> None:
    letter = await send(mail, BEN)
    assert await report(mail, Outcome((BEN.address,), action, "4.4.1", "busy"))  # type: ignore[arg-type]
    found = mail.outbox.get(letter.id)
    assert found is not None
    assert [("delivered", "2.0.0", words)] == [(d.state, d.code, d.detail) for d in found.deliveries]
    assert [] == mail.notices


async def test_a_delay_says_nothing_of_what_is_still_here_and_a_failure_ends_it(
    mail: Post, autojump_clock: MockClock
) -> None:
    mail.courier.answer = lambda letter, recipient: ASLEEP
    letter = await send(mail, BEN)
    assert await report(mail, Outcome((BEN.address,), "delayed", "4.4.1", ""))
    assert [("queued", "4.4.1")] == mail.state(letter)
    assert await report(mail, NOBODY_THERE)
    await trio.sleep(86_400)
    assert ([("failed", "5.1.1")], 1) == (mail.state(letter), len(mail.courier.sent))


async def test_what_was_taken_back_stays_so(mail: Post) -> None:
    mail.courier.answer = lambda letter, recipient: ASLEEP
    letter = await send(mail, BEN)
    await mail.outbox.cancel(letter.id)
    assert await report(mail, NOBODY_THERE)
    assert ([("cancelled", "")], []) == (mail.state(letter), mail.notices)


async def test_of_two_with_one_message_id_each_is_found_by_its_recipient(mail: Post) -> None:
    """A mail program that hands a letter in once for each recipient."""
    first, second = await send(mail, BEN, subject="for Ben"), await send(mail, ZOE, subject="for Zoe")
    assert await report(mail, NOBODY_THERE)
    assert [[("failed", "5.1.1")], [("delivered", "2.0.0")]] == [mail.state(first), mail.state(second)]


async def test_it_is_known_after_a_restart_and_forgotten_with_its_letter(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with by_mail(tmp_path / "db") as post:
        letter = await send(post, BEN)
        await trio.sleep(10 * 86_400)
    async with by_mail(tmp_path / "db") as post:
        assert await report(post, NOBODY_THERE)
        assert [("failed", "5.1.1")] == post.state(letter)
        await trio.sleep(KEEP_ENDED_MS / 1_000 + 3_700)
        assert not await report(post, NOBODY_THERE)
        assert [] == list(post.store.walk(spaces.BY_LETTER))


async def test_who_could_not_be_reached_takes_nobody_along_who_waits_for_the_same_server(
    mail: Post, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail.courier, "lane", lambda recipient: "smarthost")
    tries = iter([GREYLISTED])
    mail.courier.answer = lambda letter, recipient: next(tries, DELIVERED) if recipient == ZOE else DELIVERED
    letter = await send(mail, BEN, ZOE)
    assert await report(mail, NOBODY_THERE)
    await trio.sleep(86_400)
    assert [("failed", "5.1.1"), ("delivered", "2.0.0")] == mail.state(letter)
