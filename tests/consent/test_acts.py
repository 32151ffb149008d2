"""What the owner, letters and time do to a handshake: protocol.md §5."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.consent import Counterpart, Limits, Ours, Rules
from node.consent.rules import accepted, clean_note, expired, requested, revoked, state_of
from node.runtime.clock import DAY_MS
from node.runtime.errors import NodeError
from node.storage import Batch
from protocol import status as codes
from protocol.handshake import TRANSITIONS, Event, Level, State, parse_handshake
from protocol.pair import GRANT_BYTES
from tests.kit.gates import Party, counterpart, open_party
from tests.kit.owners import NOW, owner

LATER = NOW + 1_000
SIZE = 4_000


@pytest.fixture
async def alice(tmp_path: Path) -> AsyncIterator[Party]:
    async with open_party("alice", tmp_path, limits=Limits(requests=5, invitations=3)) as party:
        yield party


@pytest.fixture
async def bob(tmp_path: Path) -> AsyncIterator[Party]:
    async with open_party("bob", tmp_path) as party:
        yield party


def state(party: Party, name: str, now: int = LATER) -> State:
    return party.consent.state(owner(name).address, now)


# ---- the table


BOB = counterpart(owner("bob").identity)
SAM = Counterpart("sam@example.org", email_hash=base64.b64encode(bytes(32)).decode())


def after_event(entry: Ours, event: Event, now: int, who: Counterpart = BOB) -> Ours | None:
    key = owner("alice").key
    match event:
        case Event.REQUEST_ARRIVES:
            return requested(entry, who, "", now)
        case Event.OWNER_ACCEPTS:
            terms = Rules(until=now + DAY_MS).terms(Level.PERSONAL)
            return accepted(entry, who, terms, key, bytes(GRANT_BYTES), now, automatic=False)
        case Event.OWNER_REVOKES:
            return revoked(entry, key, now)
        case _:
            return expired(entry)


def entry_in(state: State, who: Counterpart) -> Ours:
    entry = Ours(who.address, email_hash=who.email_hash)
    if state is State.NONE:
        return entry
    event = {
        State.REQUEST: Event.REQUEST_ARRIVES,
        State.ACCEPTED: Event.OWNER_ACCEPTS,
        State.REVOKED: Event.OWNER_REVOKES,
    }[state]
    found = after_event(entry, event, NOW, who)
    assert found is not None
    return found


@pytest.mark.parametrize("who", [BOB, SAM])
@pytest.mark.parametrize(("before", "event"), TRANSITIONS)
def test_entries_follow_the_table(before: State, event: Event, who: Counterpart) -> None:
    after = after_event(entry_in(before, who), event, LATER, who)
    assert TRANSITIONS[before, event] == state_of(after, LATER)


@given(st.lists(st.sampled_from(Event), max_size=8))
def test_whatever_happens_seq_grows_and_a_revocation_ends(events: list[Event]) -> None:
    entry: Ours | None = Ours(owner("bob").address)
    seq = 0
    for step, event in enumerate(events):
        if event is Event.EXPIRES and (entry is None or entry.state not in (State.REQUEST, State.ACCEPTED)):
            continue
        entry = after_event(entry or Ours(owner("bob").address), event, NOW + step)
        handshake = entry.handshake if entry else None
        if event in (Event.OWNER_ACCEPTS, Event.OWNER_REVOKES):
            assert handshake is not None
            assert handshake.seq > seq
            assert (handshake.status, handshake.grant or b"") == (
                entry and entry.state,
                entry and entry.grant,
            )
            seq = handshake.seq
        if event is Event.OWNER_REVOKES:
            assert entry is not None
            assert entry.until == 0
            assert not any(e.until for e in entry.earlier)


# ---- revoking


async def test_revoking_tells_only_who_was_accepted(alice: Party, bob: Party) -> None:
    told: list[bytes | None] = []
    await alice.write(lambda batch: told.append(alice.consent.revoke(batch, bob.address, NOW)))
    await alice.write(lambda batch: alice.consent.accept(batch, bob.counterpart, Rules(), NOW + 1))
    await alice.write(lambda batch: told.append(alice.consent.revoke(batch, bob.address, NOW + 2)))
    await alice.write(lambda batch: told.append(alice.consent.revoke(batch, bob.address, NOW + 3)))
    assert [None, True, None] == [t and True for t in told]
    assert told[1] is not None
    assert parse_handshake(told[1]).status is State.REVOKED


async def test_revocation_works_by_a_doubtful_clock_and_stays_in_reach(alice: Party, bob: Party) -> None:
    records = []
    await alice.write(
        lambda batch: records.append(alice.consent.accept(batch, bob.counterpart, Rules(), NOW))
    )
    alice.clock.doubtful = True
    wrong = NOW + 400 * DAY_MS
    await alice.write(lambda batch: records.append(alice.consent.revoke(batch, bob.address, wrong) or b""))
    assert state(alice, "bob", wrong) is State.REVOKED
    accepted_seq, revoked_seq = (parse_handshake(record).seq for record in records)
    assert accepted_seq + 1 == revoked_seq


async def test_nothing_is_granted_by_a_doubtful_clock(alice: Party, bob: Party) -> None:
    alice.clock.doubtful = True
    batch = Batch()
    with pytest.raises(NodeError, match="clock"):
        alice.consent.accept(batch, bob.counterpart, Rules(), NOW)
    assert () == alice.consent.way_back(batch, bob.record, NOW)
    assert batch.is_empty


# ---- requests


async def test_request_is_one_however_often_it_comes(alice: Party, bob: Party) -> None:
    new: list[bool] = []
    for when, note in ((NOW, "hello"), (NOW + 1, "hello\x1b[2J again"), (NOW + 2, "")):
        batch = Batch()
        new.append(alice.consent.request_arrived(batch, bob.record, note, when))
        await alice.store.write(batch)
    assert [True, False, False] == new
    entry = alice.consent.ours(bob.address)
    assert entry is not None
    assert (State.REQUEST, NOW, "hello [2J again") == (entry.state, entry.asked, entry.note)


async def test_requests_of_the_judged_change_nothing(alice: Party, bob: Party) -> None:
    await alice.write(lambda batch: alice.consent.revoke(batch, bob.address, NOW))
    batch = Batch()
    assert not alice.consent.request_arrived(batch, bob.record, "please", LATER)
    assert batch.is_empty


async def test_requests_are_bounded_and_the_oldest_goes(alice: Party) -> None:
    for number in range(12):
        record = owner(f"stranger {number}").identity
        batch = Batch()
        alice.consent.request_arrived(batch, record, "", NOW + number)
        await alice.store.write(batch)
    waiting = [e.address for e in alice.consent.list()]
    assert len(waiting) <= 5
    assert owner("stranger 11").address in waiting
    assert owner("stranger 0").address not in waiting


async def test_request_ends_after_sixty_days(alice: Party, bob: Party) -> None:
    await alice.write(lambda batch: alice.consent.request_arrived(batch, bob.record, "", NOW))
    end = NOW + 60 * DAY_MS
    for now, left in ((end - 1, 1), (end, 0)):
        batch = Batch()
        alice.consent.expire(batch, now)
        await alice.store.write(batch)
        assert left == len(list(alice.consent.list()))


# ---- time


async def test_acceptance_ends_and_its_grant_is_remembered(alice: Party, bob: Party) -> None:
    until = NOW + DAY_MS
    await alice.write(lambda batch: alice.consent.accept(batch, bob.counterpart, Rules(until=until), NOW))
    done: list[int] = []
    alice.clock.doubtful = True
    await alice.write(lambda batch: done.append(alice.consent.expire(batch, until)))
    alice.clock.doubtful = False
    await alice.write(lambda batch: done.append(alice.consent.expire(batch, until)))
    await alice.write(lambda batch: done.append(alice.consent.expire(batch, until)))
    assert [0, 1, 0] == done
    entry = alice.consent.ours(bob.address)
    assert entry is not None
    assert (State.NONE, True) == (entry.state, bool(entry.grant))


async def test_revocation_never_ends(alice: Party, bob: Party) -> None:
    await alice.write(
        lambda batch: alice.consent.accept(batch, bob.counterpart, Rules(until=NOW + DAY_MS), NOW)
    )
    await alice.write(lambda batch: alice.consent.revoke(batch, bob.address, LATER))
    await alice.write(lambda batch: alice.consent.expire(batch, NOW + 10_000 * DAY_MS))
    assert state(alice, "bob", NOW + 10_000 * DAY_MS) is State.REVOKED


# ---- the way back


async def test_letter_to_someone_not_judged_opens_the_way_back(alice: Party, bob: Party) -> None:
    records: list[bytes] = []
    await alice.write(lambda batch: records.extend(alice.consent.way_back(batch, bob.record, NOW)))
    (record,) = records
    handshake = parse_handshake(record, NOW)
    assert (Level.NONE, NOW + 90 * DAY_MS) == (handshake.terms.level, handshake.terms.expires)
    await bob.write(lambda batch: bob.consent.learn(batch, records, alice.record, NOW))
    key = bob.consent.delivery_key(alice.address, alice.peer_id)
    assert key is not None
    assert alice.consent.judge_key(key.public, SIZE, False, LATER).status == codes.OK


async def test_way_back_rides_along_for_five_days_and_is_renewed_at_half_time(
    alice: Party, bob: Party
) -> None:
    async def written(day: int) -> tuple[bytes, ...]:
        records: list[bytes] = []
        now = NOW + day * DAY_MS
        await alice.write(lambda batch: records.extend(alice.consent.way_back(batch, bob.record, now)))
        return tuple(records)

    first = await written(0)
    assert first == await written(4)
    assert () == await written(5)
    assert () == await written(45)
    renewed = await written(46)
    old, new = parse_handshake(first[0]), parse_handshake(renewed[0])
    assert (old.grant, NOW + (46 + 90) * DAY_MS) == (new.grant, new.terms.expires)


async def test_way_back_leaves_the_owners_word_alone(alice: Party, bob: Party) -> None:
    eve = owner("eve").identity
    await alice.write(lambda batch: alice.consent.accept(batch, bob.counterpart, Rules(until=LATER), NOW))
    await alice.write(lambda batch: alice.consent.revoke(batch, eve.address, NOW))
    batch = Batch()
    assert () == alice.consent.way_back(batch, bob.record, NOW)
    assert () == alice.consent.way_back(batch, eve, NOW)
    assert batch.is_empty


# ---- invitations


async def invite(alice: Party, bob: Party) -> bytes:
    """Bob opens a link of Alice's; returns the index that Alice's gate finds it by."""
    secrets: list[bytes] = []
    await alice.write(lambda batch: secrets.append(alice.consent.new_invitation(batch, NOW)))
    await bob.write(lambda batch: bob.consent.learn_invitation(batch, alice.address, secrets[0]))
    key = bob.consent.delivery_key(alice.address, alice.peer_id)
    assert key is not None
    verdict = alice.consent.judge_key(key.public, SIZE, False, NOW)
    assert verdict.status == codes.OK
    assert verdict.invitation is not None
    return verdict.invitation


async def use(alice: Party, index: bytes, name: str, now: int = LATER) -> bool:
    used: list[bool] = []
    await alice.write(
        lambda batch: used.append(alice.consent.use_invitation(batch, index, owner(name).identity, now))
    )
    return used[0]


async def test_first_user_of_an_invitation_is_accepted_and_nobody_else(alice: Party, bob: Party) -> None:
    index = await invite(alice, bob)
    assert [True, False, True] == [await use(alice, index, name) for name in ("bob", "eve", "bob")]
    assert (State.ACCEPTED, State.NONE) == (state(alice, "bob"), state(alice, "eve"))
    entry = alice.consent.ours(bob.address)
    assert entry is not None
    assert (Level.PERSONAL, 0, False) == (entry.terms.level, entry.until, entry.automatic)


async def test_invitation_ends_after_72_hours(alice: Party, bob: Party) -> None:
    index = await invite(alice, bob)
    end = NOW + 72 * 3_600_000
    assert not await use(alice, index, "bob", end)
    bob.clock.time = end
    assert bob.consent.delivery_key(alice.address, alice.peer_id) is None
    await alice.write(lambda batch: alice.consent.expire(batch, end))
    assert await use(alice, index, "bob", LATER) is False


async def test_revoked_sender_gains_nothing_by_an_invitation_nor_uses_it_up(alice: Party, bob: Party) -> None:
    index = await invite(alice, bob)
    await alice.write(lambda batch: alice.consent.revoke(batch, owner("eve").address, NOW))
    assert [False, True] == [await use(alice, index, name) for name in ("eve", "bob")]
    await alice.write(lambda batch: alice.consent.revoke(batch, bob.address, LATER))
    assert not await use(alice, index, "bob")
    key = bob.consent.delivery_key(alice.address, alice.peer_id)
    assert key is not None
    assert alice.consent.judge_key(key.public, SIZE, False, LATER).status == codes.REVOKED


async def test_invitation_lifts_the_way_back_but_not_the_owners_rules(alice: Party, bob: Party) -> None:
    index = await invite(alice, bob)
    await alice.write(lambda batch: alice.consent.way_back(batch, bob.record, NOW))
    assert await use(alice, index, "bob")
    lifted = alice.consent.ours(bob.address)
    index = await invite(alice, bob)
    await alice.write(
        lambda batch: alice.consent.accept(batch, bob.counterpart, Rules(until=NOW + DAY_MS), NOW)
    )
    assert await use(alice, index, "bob")
    kept = alice.consent.ours(bob.address)
    assert lifted is not None
    assert kept is not None
    assert (0, NOW + DAY_MS) == (lifted.until, kept.until)


async def test_open_invitations_are_bounded(alice: Party) -> None:
    for _ in range(3):
        await alice.write(lambda batch: alice.consent.new_invitation(batch, NOW))
    with pytest.raises(NodeError, match="open already"):
        alice.consent.new_invitation(Batch(), NOW)


@given(st.text(max_size=4_000))
def test_notes_fit_a_screen(text: str) -> None:
    note = clean_note(text)
    assert len(note.encode()) <= 2_048
    assert note.isprintable()
    assert note == clean_note(note)


def test_counterpart_is_what_a_record_proves() -> None:
    record = owner("bob").identity
    assert Counterpart(record.address, record.public_key, record.pair_key) == counterpart(record)
