"""The queue at work: nothing is lost, nothing is tried too often, and everyone is told the truth."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from node.letters import Reduced
from node.outbox import Delivery, Letter, Outgoing, Recipient, Result
from node.outbox.errors import OutboxError
from node.outbox.ledger import PIECE
from node.outbox.timetable import FIRST_WAIT_MS, GIVE_UP_MS, WIDTH
from node.storage import Batch
from node.storage import schema as spaces
from protocol.receipt import Receipt
from protocol.status import FORGED_FROM, OK, REVOKED, TOO_OFTEN, UNKNOWN_SENDER
from tests.kit.stores import Trouble
from tests.outbox.conftest import ASLEEP, BOB, DELIVERED, EVE, Post, opened, settled

MINUTE = 60_000


async def test_a_letter_is_delivered_and_nothing_of_it_is_kept_but_its_row(
    post: Post, autojump_clock: MockClock
) -> None:
    letter = await post.send("one")
    await settled()
    assert post.state(letter) == [("delivered", "2.0.0")]
    assert post.courier.sent == [("one", "bob", 0)]
    assert list(post.store.walk(spaces.OUTBOX_BODY)) == []
    assert list(post.store.walk(spaces.OUTBOX)) == []
    assert post.outbox.counts() == {"queued": 0, "failed": 0}


async def test_who_sleeps_is_tried_after_one_two_four_minutes(post: Post, autojump_clock: MockClock) -> None:
    post.courier.answer = lambda letter, recipient: ASLEEP
    letter = await post.send("one")
    await trio.sleep(15 * 60 + 1)
    assert [at // MINUTE for _, _, at in post.courier.sent] == [0, 1, 3, 7, 15]
    assert post.state(letter) == [("queued", "4.4.1")]


async def test_one_letter_probes_a_sleeper_and_the_rest_follow_when_it_wakes(
    post: Post, autojump_clock: MockClock
) -> None:
    post.courier.answer = lambda letter, recipient: ASLEEP
    letters = [await post.send(f"{n}") for n in range(20)]
    await trio.sleep(8 * 60)
    assert len(post.courier.sent) == 4  # at 0, 1, 3 and 7 minutes, one each
    post.courier.answer = lambda letter, recipient: DELIVERED
    post.outbox.wake(BOB.address)
    await settled()
    assert [post.state(letter) for letter in letters] == [[("delivered", "2.0.0")]] * 20


async def test_a_sleeper_holds_up_nobody_else(post: Post, autojump_clock: MockClock) -> None:
    post.courier.answer = lambda letter, recipient: ASLEEP if recipient == EVE else DELIVERED
    await post.send("to eve", EVE)
    for n in range(40):
        await post.send(f"{n}", EVE)
    bob = await post.send("to bob", BOB)
    await settled()
    assert post.state(bob) == [("delivered", "2.0.0")]


async def test_a_good_lane_is_used_by_several_letters_at_once_and_no_more(
    post: Post, autojump_clock: MockClock
) -> None:
    post.courier.seconds = 1.0
    for n in range(30):
        await post.send(f"{n}")
    await trio.sleep(100)
    assert post.courier.most == WIDTH
    assert len(post.courier.sent) == 30


async def test_after_five_days_the_author_gets_a_notice(post: Post, autojump_clock: MockClock) -> None:
    post.courier.answer = lambda letter, recipient: ASLEEP
    letter = await post.send("one")
    await trio.sleep(GIVE_UP_MS / 1000 - 60)
    assert post.state(letter) == [("queued", "4.4.1")]
    await trio.sleep(5 * 3600)
    assert post.state(letter) == [("failed", "4.4.1")]
    assert post.notices == [("one", "bob", "given up after five days: asleep")]
    assert post.outbox.counts() == {"queued": 0, "failed": 0}  # it failed, but was written days ago


async def test_nothing_is_given_up_by_a_doubtful_clock(post: Post, autojump_clock: MockClock) -> None:
    post.courier.answer = lambda letter, recipient: ASLEEP
    post.doubt[0] = True
    letter = await post.send("one")
    await trio.sleep(2 * GIVE_UP_MS / 1000)
    assert post.state(letter) == [("queued", "4.4.1")]
    assert post.notices == []


async def test_a_refusal_is_final_and_told_at_once(post: Post, autojump_clock: MockClock) -> None:
    refusal = Result("refused", REVOKED, "the recipient has revoked this sender")
    post.courier.answer = lambda letter, recipient: refusal if recipient == EVE else DELIVERED
    letter = await post.send("one", BOB, EVE)
    await settled()
    assert post.state(letter) == [("delivered", "2.0.0"), ("refused", "5.8.2")]
    assert post.notices == [("one", "eve", "the recipient has revoked this sender")]
    assert post.outbox.counts() == {"queued": 0, "failed": 1}


async def test_a_deferral_that_names_a_time_waits_for_it_and_starts_the_five_days(
    post: Post, autojump_clock: MockClock
) -> None:
    until = post.clock.now() + 7 * 24 * 60 * MINUTE
    answers = iter([Result("later", TOO_OFTEN, until=until), DELIVERED])
    post.courier.answer = lambda letter, recipient: next(answers)
    letter = await post.send("one")
    await trio.sleep(6 * 86_400)
    assert post.state(letter) == [("queued", "4.8.10")]
    await trio.sleep(86_400 + 1)
    assert post.state(letter) == [("delivered", "2.0.0")]
    assert [at // MINUTE for _, _, at in post.courier.sent] == [0, 7 * 24 * 60]


async def test_a_held_letter_waits_for_ever_and_goes_when_woken(
    post: Post, autojump_clock: MockClock
) -> None:
    post.courier.answer = lambda letter, recipient: Result("held", UNKNOWN_SENDER, cause="handshake")
    letter = await post.send("one")
    await trio.sleep(30 * 86_400)
    assert post.state(letter) == [("held", "4.8.9")]
    assert len(post.courier.sent) == 1
    post.courier.answer = lambda letter, recipient: ASLEEP
    post.outbox.wake(BOB.address)
    await trio.sleep(4 * 86_400)  # its five days begin when it is let go
    assert post.state(letter) == [("queued", "4.4.1")]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(Result("held", UNKNOWN_SENDER, cause="handshake"), id="a handshake comes"),
        pytest.param(ASLEEP, id="a way opens"),
    ],
)
async def test_what_comes_during_an_attempt_in_vain_is_not_missed(
    post: Post, first: Result, autojump_clock: MockClock
) -> None:
    answers = iter([first, DELIVERED])
    post.courier.answer = lambda letter, recipient: next(answers)
    post.courier.seconds = 10.0
    letter = await post.send("one")
    await trio.sleep(5)
    post.outbox.wake(BOB.address)
    await trio.sleep(20)
    assert post.state(letter) == [("delivered", "2.0.0")]


async def test_who_answers_each_call_and_hangs_up_is_not_called_all_the_time(
    post: Post, autojump_clock: MockClock
) -> None:
    def hangs_up(letter: Letter, recipient: Recipient) -> Result:
        post.outbox.wake(BOB.address)
        return ASLEEP

    post.courier.answer = hangs_up
    await post.send("one")
    await trio.sleep(3 * 60)
    assert [at // 1_000 for _, _, at in post.courier.sent] == [0, 2, 6, 14, 30, 62, 122]


async def test_a_held_letter_goes_when_its_author_approves(post: Post, autojump_clock: MockClock) -> None:
    held = Result("held", UNKNOWN_SENDER, cause="approval")
    post.courier.answer = lambda letter, recipient: DELIVERED if letter.delivery(recipient).approved else held
    letter = await post.send("one")
    await settled()
    assert post.state(letter) == [("held", "4.8.9")]
    await post.outbox.approve(letter.id)
    await settled()
    assert post.state(letter) == [("delivered", "2.0.0")]
    with pytest.raises(OutboxError):
        await post.outbox.approve(letter.id)


async def test_cancelling_ends_a_running_attempt_at_once(post: Post, autojump_clock: MockClock) -> None:
    post.courier.seconds = 3600.0
    letter = await post.send("one")
    await settled()
    assert post.courier.under_way == 1
    await post.outbox.cancel(letter.id)
    await settled()
    assert post.courier.under_way == 0
    assert post.state(letter) == [("cancelled", "")]
    await trio.sleep(86_400)
    assert len(post.courier.sent) == 1
    assert post.notices == []


async def test_nothing_is_kept_of_a_letter_that_ended_while_it_was_sealed(
    post: Post, autojump_clock: MockClock
) -> None:
    post.courier.seconds = 3600.0
    letter = await post.send("one")
    await settled()
    (consignment,) = post.courier.seen
    await post.outbox.cancel(letter.id)
    await consignment.keep(Batch(), BOB, b"sealed too late")
    assert list(post.store.walk(spaces.PARCEL)) == []


async def test_retry_tries_now(post: Post, autojump_clock: MockClock) -> None:
    post.courier.answer = lambda letter, recipient: ASLEEP
    letter = await post.send("one")
    await settled()
    post.outbox.retry(letter.id)
    await settled()
    assert post.courier.sent == [("one", "bob", 0), ("one", "bob", 0)]


async def test_a_receipt_makes_it_delivered_and_only_its_recipient_can_give_one(
    post: Post, autojump_clock: MockClock
) -> None:
    post.courier.answer = lambda letter, recipient: ASLEEP
    letter = await post.send("one")
    await settled()
    receipt = Receipt(letter.letter_id, bytes(32), OK, (), post.clock.now())
    for author in (EVE.address, BOB.address):
        batch = Batch()
        after = post.outbox.receipt(batch, receipt, author)
        await post.store.write(batch)
        after()
        expected = [("queued", "4.4.1")] if author == EVE.address else [("delivered", "2.0.0")]
        assert post.state(letter) == expected
    await trio.sleep(86_400)
    assert len(post.courier.sent) == 1


async def test_what_the_carrier_keeps_is_there_at_the_next_try(post: Post, autojump_clock: MockClock) -> None:
    post.courier.answer = lambda letter, recipient: ASLEEP
    post.courier.parcel = b"sealed once"
    await post.send("one")
    await trio.sleep(90)
    assert post.courier.kept == [None, b"sealed once"]


async def test_everything_waiting_is_tried_again_after_a_restart(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path / "db") as first:
        first.courier.answer = lambda letter, recipient: ASLEEP
        letters = [await first.send(f"{n}", BOB, EVE) for n in range(300)]
        await settled()
    async with opened(tmp_path / "db") as second:
        await settled()
        states = [second.state(letter) for letter in letters]
        assert states == [[("delivered", "2.0.0"), ("delivered", "2.0.0")]] * 300
        assert sorted(second.courier.sent) == sorted(
            (letter.subject, to, 0) for letter in letters for to in ("bob", "eve")
        )


async def test_an_attempt_that_breaks_off_is_tried_again(post: Post, autojump_clock: MockClock) -> None:
    def broken(*_: object) -> Result:
        raise ZeroDivisionError

    post.courier.answer = broken
    letter = await post.send("one")
    await settled()
    post.courier.answer = lambda letter, recipient: DELIVERED
    await trio.sleep(FIRST_WAIT_MS / 1000)
    await settled()
    assert post.state(letter) == [("delivered", "2.0.0")]


async def test_a_letter_whose_attempts_all_break_off_is_given_up_and_told(
    post: Post, autojump_clock: MockClock
) -> None:
    def broken(*_: object) -> Result:
        raise ZeroDivisionError

    post.courier.answer = broken
    letter = await post.send("one")
    await trio.sleep(6 * 86_400)
    assert post.state(letter) == [("failed", "4.3.0")]
    text = "given up after five days: a fault of this node, see its log"
    assert post.notices == [("one", "bob", text)]


async def test_a_full_disk_at_the_end_of_an_attempt_loses_nothing(
    tmp_path: Path, autojump_clock: MockClock, trouble: Trouble
) -> None:
    async with opened(tmp_path / "db", trouble) as post:
        post.courier.seconds = 1.0
        letter = await post.send("one")
        await settled()
        trouble.full = True
        await trio.sleep(2)
        assert post.state(letter) == [("queued", "")]
        trouble.full = False
        await trio.sleep(120)
        assert post.state(letter) == [("delivered", "2.0.0")]


async def test_a_cancelled_letter_that_arrived_all_the_same_is_said_to_have_arrived(
    post: Post, autojump_clock: MockClock
) -> None:
    letter = await post.send("one")
    await settled()
    with pytest.raises(OutboxError):
        await post.outbox.cancel(letter.id)
    assert post.state(letter) == [("delivered", "2.0.0")]


async def test_a_whole_row_is_what_was_submitted(post: Post, autojump_clock: MockClock) -> None:
    post.courier.answer = lambda letter, recipient: Result("refused", FORGED_FROM, "no")
    letter = await post.send("one")
    await settled()
    found = post.outbox.get(letter.id)
    assert found is not None
    assert found.deliveries == (
        Delivery(BOB, "refused", since=letter.deliveries[0].since, code="5.7.1", detail="no"),
    )
    assert (found.letter_id, found.subject, found.created) == (
        letter.letter_id,
        letter.subject,
        letter.created,
    )


async def test_what_was_handed_in_is_known_by_its_digest_until_it_is_forgotten(
    post: Post, autojump_clock: MockClock
) -> None:
    digest, found = bytes(range(32)), []
    for _ in range(2):
        batch = Batch()
        found.append(
            post.outbox.submit(batch, Outgoing("letter", "x", post.clock.now(), (BOB,), digest=digest))
        )
        await post.store.write(batch)
        post.outbox.started(found[-1])
        await trio.sleep(86_400)
    last = post.outbox.handed_in(digest)
    assert last is not None
    assert last.id == found[1].id
    await trio.sleep(58.5 * 86_400)
    assert post.outbox.get(found[0].id) is None
    assert post.outbox.handed_in(digest) is not None  # what goes is not the last one
    await trio.sleep(2 * 86_400)
    assert list(post.store.walk(spaces.BY_LETTER)) == []


async def test_large_bodies_lie_in_pieces_and_go_with_the_letter(
    post: Post, autojump_clock: MockClock
) -> None:
    post.courier.answer = lambda letter, recipient: ASLEEP
    for size in (0, 1, PIECE, PIECE + 1, 3 * PIECE):
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        letter = await post.send("large", body=body)
        await settled()
        consignment = post.courier.seen[-1]
        assert (await consignment.load("mailio"), consignment.body("mailio")) == (body, Reduced(body))
        assert len(list(post.store.walk(spaces.OUTBOX_BODY))) == max(1, -(-size // PIECE))
        await post.outbox.cancel(letter.id)
        assert list(post.store.walk(spaces.OUTBOX_BODY)) == []
        assert await consignment.load("mailio") is None
        post.outbox.wake(BOB.address)


async def test_old_rows_are_forgotten(post: Post, autojump_clock: MockClock) -> None:
    letter = await post.send("one")
    await trio.sleep(59 * 86_400)
    assert post.outbox.list(everything=True) == [post.outbox.get(letter.id)]
    assert post.outbox.list() == []
    await trio.sleep(2 * 86_400)
    assert post.outbox.get(letter.id) is None
    assert list(post.store.walk(spaces.BY_LETTER)) == []
