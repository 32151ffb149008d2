"""A letter that lies at its recipient's hosts: kept here too until a receipt comes, tried another way every
day, told when nobody fetched it.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from node.outbox import Outgoing, Result
from node.outbox.errors import OutboxError
from node.outbox.judging import ANOTHER_WAY_MS
from node.storage import Batch
from node.storage import schema as spaces
from protocol.receipt import Receipt
from protocol.status import OK, REVOKED, UNKNOWN_SENDER
from tests.outbox.conftest import ASLEEP, BOB, DELIVERED, Post, opened, settled

DAY_S = 86_400
LIFE_MS = 30 * DAY_S * 1_000


def at_host(post: Post, cause: str = "") -> None:
    """From now on its hosts take it."""
    until = post.clock.now() + LIFE_MS
    result = Result("at-host", OK, until=until)
    post.courier.answer = lambda letter, recipient: (
        replace(result, cause="first-contact") if cause else result
    )


async def test_it_is_kept_until_the_receipt_comes(post: Post, autojump_clock: MockClock) -> None:
    at_host(post)
    letter = await post.send("one")
    await settled()
    assert post.state(letter) == [("at-host", "2.0.0")]
    assert len(list(post.store.walk(spaces.OUTBOX_BODY))) == 1
    assert post.outbox.counts() == {"queued": 1, "failed": 0}
    batch = Batch()
    done = post.outbox.receipt(batch, Receipt(letter.letter_id, bytes(32), OK, (), 0), BOB.address)
    await post.store.write(batch)
    done()
    assert post.state(letter) == [("delivered", "2.0.0")]
    assert list(post.store.walk(spaces.OUTBOX_BODY)) == []
    await trio.sleep(2 * DAY_S)
    assert len(post.courier.sent) == 1


async def test_it_goes_another_way_every_day(post: Post, autojump_clock: MockClock) -> None:
    at_host(post)
    letter = await post.send("one")
    await trio.sleep(3 * DAY_S + 60)
    assert [at // ANOTHER_WAY_MS for _, _, at in post.courier.sent] == [0, 1, 2, 3]
    post.courier.answer = lambda letter, recipient: DELIVERED
    post.outbox.wake(BOB.address)
    await settled()
    assert post.state(letter) == [("delivered", "2.0.0")]


async def test_nobody_being_there_changes_nothing_of_it(post: Post, autojump_clock: MockClock) -> None:
    at_host(post)
    letter = await post.send("one")
    await settled()
    post.courier.answer = lambda letter, recipient: ASLEEP
    await trio.sleep(10 * DAY_S)
    assert post.state(letter) == [("at-host", "2.0.0")]
    post.courier.answer = lambda letter, recipient: Result("held", UNKNOWN_SENDER, cause="handshake")
    await trio.sleep(2 * DAY_S)
    assert post.state(letter) == [("at-host", "2.0.0")]


async def test_what_nobody_fetched_is_told_when_its_time_is_over(
    post: Post, autojump_clock: MockClock
) -> None:
    at_host(post)
    letter = await post.send("one")
    await settled()
    post.courier.answer = lambda letter, recipient: ASLEEP
    await trio.sleep(LIFE_MS / 1_000 - 60)
    assert (post.state(letter), post.notices) == ([("at-host", "2.0.0")], [])
    await trio.sleep(DAY_S)
    assert post.state(letter) == [("not-collected", "5.8.3")]
    assert post.notices == [("one", "bob", "nobody fetched it from the host that kept it for 30 days")]
    assert list(post.store.walk(spaces.OUTBOX)) == []


async def test_nothing_is_not_collected_by_a_doubtful_clock(post: Post, autojump_clock: MockClock) -> None:
    at_host(post)
    letter = await post.send("one")
    await settled()
    post.courier.answer = lambda letter, recipient: ASLEEP
    post.doubt[0] = True
    await trio.sleep(2 * LIFE_MS / 1_000)
    assert (post.state(letter), post.notices) == ([("at-host", "2.0.0")], [])


async def test_a_first_contact_stays_at_its_host(post: Post, autojump_clock: MockClock) -> None:
    at_host(post, "first-contact")
    letter = await post.send("one")
    await settled()
    post.courier.answer = lambda letter, recipient: ASLEEP
    await trio.sleep(LIFE_MS / 1_000 + DAY_S)
    assert (post.state(letter), post.notices) == ([("at-host", "2.0.0")], [])
    assert list(post.store.walk(spaces.OUTBOX)) == []  # nothing is left to do


async def test_of_receipts_nobody_is_asked(post: Post, autojump_clock: MockClock) -> None:
    post.courier.answer = lambda letter, recipient: Result("held", UNKNOWN_SENDER, cause="approval")
    batch = Batch()
    letter = post.outbox.submit(
        batch, Outgoing("receipt", "Receipt", post.clock.now(), (BOB,), records=(b"r",))
    )
    await post.store.write(batch)
    post.outbox.started(letter)
    await trio.sleep(6 * DAY_S)
    assert post.state(letter) == [("failed", "4.8.9")]
    assert (list(post.store.walk(spaces.OUTBOX)), post.notices) == ([], [])


async def test_nobody_receipts_receipts(post: Post, autojump_clock: MockClock) -> None:
    at_host(post)
    batch = Batch()
    letter = post.outbox.submit(
        batch, Outgoing("receipt", "Receipt", post.clock.now(), (BOB,), records=(b"r",))
    )
    await post.store.write(batch)
    post.outbox.started(letter)
    await trio.sleep(3 * DAY_S)
    assert post.state(letter) == [("at-host", "2.0.0")]
    assert list(post.store.walk(spaces.OUTBOX)) == []


async def test_its_owners_node_may_refuse_what_its_host_took(post: Post, autojump_clock: MockClock) -> None:
    at_host(post)
    letter = await post.send("one")
    await settled()
    post.courier.answer = lambda letter, recipient: Result("refused", REVOKED, "revoked")
    post.outbox.wake(BOB.address)
    await settled()
    assert (post.state(letter), post.notices) == ([("refused", "5.8.2")], [("one", "bob", "revoked")])


async def test_it_waits_there_over_a_restart(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path / "db") as post:
        at_host(post)
        letter = await post.send("one")
        await settled()
    async with opened(tmp_path / "db") as post:
        await trio.sleep(DAY_S - 60)
        assert (post.state(letter), post.courier.sent) == ([("at-host", "2.0.0")], [])
        await trio.sleep(61)
        assert [subject for subject, _, _ in post.courier.sent] == ["one"]


async def test_who_cancels_has_it_taken_back(post: Post, autojump_clock: MockClock) -> None:
    at_host(post)
    post.courier.parcel = b"where it lies"
    letter = await post.send("one")
    await settled()
    noted = post.outbox.recalls.noted
    await post.outbox.cancel(letter.id)
    assert post.state(letter) == [("cancelled", "")]
    assert noted.is_set()
    ((key, parcel),) = post.outbox.recalls.due()
    assert parcel == b"where it lies"
    batch = Batch()
    post.outbox.recalls.change(batch, key, parcel, b"less")
    await post.store.write(batch)
    assert post.outbox.recalls.due() == [(key, b"less")]
    batch = Batch()
    post.outbox.recalls.change(batch, key, b"less", None)
    await post.store.write(batch)
    assert post.outbox.recalls.due() == []
    with pytest.raises(OutboxError):
        await post.outbox.cancel(letter.id)
