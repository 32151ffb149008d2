"""Verdicts before the body and after opening: protocol.md §6, *Taking it in*."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.consent import Limits, Rules
from node.runtime.clock import DAY_MS
from node.storage import Batch
from protocol import status as codes
from protocol.handshake import Level, State, Type
from protocol.keys import SigningKey
from tests.kit.gates import Party, open_party
from tests.kit.owners import NOW, owner

MINUTE = 60_000
SIZE = 12_000


@pytest.fixture
async def alice(tmp_path: Path) -> AsyncIterator[Party]:
    async with open_party("alice", tmp_path, limits=Limits(letter_bytes=100_000)) as party:
        yield party


@pytest.fixture
async def bob(tmp_path: Path) -> AsyncIterator[Party]:
    async with open_party("bob", tmp_path) as party:
        yield party


async def accept(alice: Party, bob: Party, rules: Rules | None = None) -> SigningKey:
    """Alice accepts, Bob learns of it; returns the key that proves Bob at Alice's node."""
    now, records = alice.clock.now(), []
    await alice.write(
        lambda batch: records.append(alice.consent.accept(batch, bob.counterpart, rules or Rules(), now))
    )
    await bob.write(lambda batch: bob.consent.learn(batch, records, alice.record, now))
    key = bob.consent.delivery_key(alice.address, alice.peer_id)
    assert key is not None
    return key


async def test_unknown_key_is_told_so(alice: Party) -> None:
    verdict = alice.consent.judge_key(bytes(range(32)), SIZE, False, NOW)
    assert (codes.UNKNOWN_SENDER, State.NONE, None) == (verdict.status, verdict.state, verdict.address)


async def test_marker_of_the_index_is_no_key(alice: Party) -> None:
    assert alice.consent.judge_key(bytes(32), SIZE, False, NOW).status == codes.UNKNOWN_SENDER


async def test_accepted_sender_is_known_by_its_key(alice: Party, bob: Party) -> None:
    key = await accept(alice, bob)
    verdict = alice.consent.judge_key(key.public, SIZE, False, NOW)
    assert (codes.OK, State.ACCEPTED, bob.address) == (verdict.status, verdict.state, verdict.address)
    assert (Type.PERSONAL, Level.PERSONAL, True) == (verdict.type, verdict.level, verdict.current)


async def test_key_is_bound_to_the_node_addressed(alice: Party, bob: Party) -> None:
    await accept(alice, bob)
    other = bob.consent.delivery_key(alice.address, b"another node")
    assert other is not None
    assert alice.consent.judge_key(other.public, SIZE, False, NOW).status == codes.UNKNOWN_SENDER


async def test_another_node_of_the_owner_makes_its_own_index(
    alice: Party, bob: Party, tmp_path: Path
) -> None:
    """As after a restore under a new peer key."""
    key = await accept(alice, bob)
    elsewhere = bob.consent.delivery_key(alice.address, b"another node")
    assert elsewhere is not None
    await alice.store.aclose()
    async with open_party("alice", tmp_path, peer_id=b"another node") as again:
        assert again.consent.judge_key(key.public, SIZE, False, NOW).status == codes.UNKNOWN_SENDER
        assert again.consent.judge_key(elsewhere.public, SIZE, False, NOW).address == bob.address


async def test_revoked_sender_is_refused_before_the_body_and_after(alice: Party, bob: Party) -> None:
    key = await accept(alice, bob)
    await alice.write(lambda batch: alice.consent.revoke(batch, bob.address, NOW + 1))
    assert alice.consent.judge_key(key.public, SIZE, False, NOW + 2).status == codes.REVOKED
    assert alice.consent.judge_author(bob.address, NOW + 2).status == codes.REVOKED


async def test_revoked_grant_does_not_come_back(alice: Party, bob: Party) -> None:
    old = await accept(alice, bob)
    await alice.write(lambda batch: alice.consent.revoke(batch, bob.address, NOW + 1))
    alice.clock.time = NOW + 2
    new = await accept(alice, bob)
    assert alice.consent.judge_key(old.public, SIZE, False, NOW + 3).status == codes.UNKNOWN_SENDER
    assert alice.consent.judge_key(new.public, SIZE, False, NOW + 3).status == codes.OK
    await alice.write(lambda batch: alice.consent.revoke(batch, bob.address, NOW + 4))
    statuses = {alice.consent.judge_key(key.public, SIZE, False, NOW + 5).status for key in (old, new)}
    assert {codes.REVOKED} == statuses


async def test_superseded_grant_holds_thirty_days(alice: Party, bob: Party) -> None:
    old = await accept(alice, bob, Rules(until=NOW + DAY_MS))
    over = NOW + 2 * DAY_MS
    assert alice.consent.judge_key(old.public, SIZE, False, over).status == codes.UNKNOWN_SENDER
    alice.clock.time = bob.clock.time = over
    new = await accept(alice, bob)
    assert old != new
    for when, status in ((over + 29 * DAY_MS, codes.OK), (over + 30 * DAY_MS, codes.UNKNOWN_SENDER)):
        assert alice.consent.judge_key(old.public, SIZE, False, when).status == status
        assert alice.consent.judge_key(new.public, SIZE, False, when).status == codes.OK


async def test_new_rules_keep_the_grant(alice: Party, bob: Party) -> None:
    before = await accept(alice, bob)
    after = await accept(alice, bob, Rules(type=Type.SERVER, every_minutes=60))
    assert before == after


async def test_size_is_refused_before_the_body(alice: Party, bob: Party) -> None:
    key = await accept(alice, bob)
    assert alice.consent.judge_key(key.public, 100_001, False, NOW).status == codes.TOO_LARGE
    assert alice.consent.judge_key(key.public, 16_385, True, NOW).status == codes.MALFORMED


async def test_pause_between_two_letters(alice: Party, bob: Party) -> None:
    key = await accept(alice, bob, Rules(type=Type.SIGNUP, subtype="news", every_minutes=60))
    await alice.write(lambda batch: alice.consent.count(batch, bob.address, False, NOW))
    soon, later = NOW + 59 * MINUTE, NOW + 60 * MINUTE
    verdict = alice.consent.judge_key(key.public, SIZE, False, soon)
    assert (codes.TOO_OFTEN, later) == (verdict.status, verdict.until)
    # A stamp is no way around it.
    assert alice.consent.judge_author(bob.address, soon).until == later
    assert alice.consent.judge_author(bob.address, soon, service=True).status == codes.OK
    assert alice.consent.judge_key(key.public, SIZE, False, later).status == codes.OK


async def test_letter_counted_by_a_wrong_clock_shuts_nobody_out(alice: Party, bob: Party) -> None:
    key = await accept(alice, bob, Rules(type=Type.SERVER, every_minutes=60))
    await alice.write(lambda batch: alice.consent.count(batch, bob.address, False, NOW + 365 * DAY_MS))
    assert alice.consent.judge_key(key.public, SIZE, False, NOW).status == codes.OK


async def test_personal_handshakes_have_no_pause(alice: Party, bob: Party) -> None:
    key = await accept(alice, bob)
    batch = Batch()
    alice.consent.count(batch, bob.address, False, NOW)
    assert batch.is_empty
    assert alice.consent.judge_key(key.public, SIZE, False, NOW).status == codes.OK


async def test_service_letters_have_an_allowance_of_a_day(alice: Party, bob: Party) -> None:
    key = await accept(alice, bob)
    for _ in range(24):
        assert alice.consent.judge_key(key.public, SIZE, True, NOW).status == codes.OK
        await alice.write(lambda batch: alice.consent.count(batch, bob.address, True, NOW))
    verdict = alice.consent.judge_key(key.public, SIZE, True, NOW)
    tomorrow = (NOW // DAY_MS + 1) * DAY_MS
    assert (codes.TOO_OFTEN, tomorrow) == (verdict.status, verdict.until)
    assert alice.consent.judge_key(key.public, SIZE, False, NOW).status == codes.OK
    assert alice.consent.judge_key(key.public, SIZE, True, tomorrow).status == codes.OK


async def test_nothing_is_counted_of_strangers(alice: Party) -> None:
    batch = Batch()
    alice.consent.count(batch, owner("eve").address, True, NOW)
    assert batch.is_empty


async def test_stranger_may_make_a_first_contact(alice: Party, bob: Party) -> None:
    verdict = alice.consent.judge_author(bob.address, NOW)
    assert (codes.OK, State.NONE) == (verdict.status, verdict.state)


async def test_doubtful_clock_ends_no_acceptance(alice: Party, bob: Party) -> None:
    key = await accept(alice, bob, Rules(until=NOW + DAY_MS))
    late = NOW + 2 * DAY_MS
    assert alice.consent.judge_author(bob.address, late).state is State.NONE
    alice.clock.doubtful = True
    assert alice.consent.judge_key(key.public, SIZE, False, late).status == codes.OK
    assert alice.consent.judge_author(bob.address, late).state is State.ACCEPTED


async def test_judging_sees_what_lies_in_the_same_batch(alice: Party, bob: Party) -> None:
    batch = Batch()
    alice.consent.accept(batch, bob.counterpart, Rules(), NOW)
    assert alice.consent.judge_author(bob.address, NOW).state is State.NONE
    assert alice.consent.judge_author(bob.address, NOW, batch=batch).state is State.ACCEPTED
