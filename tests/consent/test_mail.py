"""What the gate says of e-mail addresses, and what it costs to be asked: protocol.md §5 and §6."""

import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import TypeVar

import pytest
import trio
import trio.testing

from node.consent import Counterpart, Limits, Ours, Rules, hash_emails
from node.consent.hashing import AT_ONCE
from node.consent.rows import ours_of, row_of_ours
from node.runtime.clock import DAY_MS
from node.runtime.errors import NodeError
from node.storage import Batch
from node.storage.batch import load
from node.storage.schema import OURS
from protocol import status as codes
from protocol.email import email_hash, email_index
from protocol.errors import LocalProtocolError
from protocol.handshake import Level, State, Type, parse_handshake
from tests.kit.gates import Party, open_party
from tests.kit.owners import NOW, owner

T = TypeVar("T")

SAM, TIM, UMA, VAL = (f"{name}@example.org" for name in ("sam", "tim", "uma", "val"))
MINUTE = 60_000
LATER = NOW + 1_000

# What alice's store held of bob in 0.1: the key, and the row before it was sealed.
OLD_PLACE = bytes.fromhex("9c2d0e021baabad56591a6e0a4d486bf")
OLD_ROW = bytes.fromhex(
    "b16761646472657373782a30783261313631313363623831663934323935643334363537336364653266323766393566"
    "6462316163657374617465686163636570746564647479706568706572736f6e616c656c6576656c68706572736f6e61"
    "6c6773756274797065606565766572790067657870697265731b000001a1f37cba0065756e74696c1b000001a1f37cba"
    "0067637265617465641b000001a1ee565e00696175746f6d61746963f4667265636f726459022ea4646b696e646b6861"
    "6e647368616b652f31677061796c6f6164590199ac637365711b000001a1ee565e00647479706568706572736f6e616c"
    "656772616e7450000102030405060708090a0b0c0d0e0f656c6576656c68706572736f6e616c66737461747573686163"
    "63657074656467637265617465641b000001a1ee565e0067657870697265731b000001a1f37cba006b68616e64736861"
    "6b6549647840343662633061346364343331633932643666613664386666333232356433633035626261363564663137"
    "626531663934346236356634666338636539653633656c6f776e657241646472657373782a3078393534326362333665"
    "613036643239643139613064393563636362306534313936666335636366386e6f776e65725075626c69634b6579782c"
    "4d324c324b784b4b6f71722f43454f6c46367a4a6c33397150536b6341663978346f4a316a2f2f6d73754d3d6e73656e"
    "6465724d65746164617461a16761646472657373782a3078326131363131336362383166393432393564333436353733"
    "636465326632376639356664623161636f7369676e6174757265536368656d656c45644453415f583235353139697075"
    "626c69634b657958203362f62b128aa2aaff0843a517acc9977f6a3d291c01ff71e282758fffe6b2e3697369676e6174"
    "7572655840477e4df50c8e7b3190c007b8ebf1692e9dd7ceb37e4b876ace3b536d51119b6fcb078aafa48a1e847b1922"
    "9ae3e4c11d54dee7d6520121b3bf3f7b9beda0e507656772616e7450000102030405060708090a0b0c0d0e0f67656172"
    "6c69657280636b65795820dede4d16fb656ab2c5087595a83d95e27924c6d97d856db0ebc42c67d3faa4976470616972"
    "582091cf75c0f17a8f55b29269936b02ca16ae2085080f2f12413940abbfc4f0b5676561736b65641b000001a1ee565e"
    "00646e6f7465664d617920493f"
)


def made_up(email: str) -> str:
    """Stands for the hash where only its shape matters."""
    return base64.b64encode(email.encode().ljust(32, b"\0")[:32]).decode()


def mail(email: str) -> Counterpart:
    return Counterpart(email, email_hash=made_up(email))


@pytest.fixture
async def alice(tmp_path: Path) -> AsyncIterator[Party]:
    async with open_party("alice", tmp_path, limits=Limits(requests=5)) as party:
        yield party


async def accept(alice: Party, email: str, rules: Rules | None = None, now: int = NOW) -> bytes:
    records: list[bytes] = []
    await alice.write(
        lambda batch: records.append(alice.consent.accept(batch, mail(email), rules or Rules(), now))
    )
    return records[0]


async def revoke(alice: Party, email: str, now: int = NOW) -> None:
    await alice.write(lambda batch: alice.consent.revoke(batch, email, now, made_up(email)))


async def ask(alice: Party, email: str, note: str = "", now: int = NOW) -> bool:
    new: list[bool] = []
    await alice.write(lambda batch: new.append(alice.consent.mail_requested(batch, email, note, now)))
    return new[0]


async def write_to(alice: Party, email: str, now: int = NOW) -> bool:
    done: list[bool] = []
    await alice.write(lambda batch: done.append(alice.consent.wrote_to(batch, email, made_up(email), now)))
    return done[0]


def entry(alice: Party, email: str) -> Ours:
    found = alice.consent.ours(email)
    assert found is not None
    return found


# ---- names


async def test_rows_of_the_last_release_still_load(alice: Party) -> None:
    bob, row = owner("bob").address, load(OLD_ROW)
    batch = Batch()
    batch.put(OURS, (OLD_PLACE,), row)
    await alice.store.write(batch)
    old = entry(alice, bob)
    assert (bob, State.ACCEPTED, "May I?", "") == (old.address, old.state, old.note, old.email_hash)
    assert isinstance(row, dict)
    assert {**row, "emailHash": ""} == row_of_ours(old)
    await alice.write(lambda batch: alice.consent.revoke(batch, bob, LATER))
    assert alice.consent.state(bob, LATER) is State.REVOKED


def test_rows_keep_the_hash() -> None:
    before = Ours(SAM, email_hash=made_up(SAM))
    assert before == ours_of(row_of_ours(before))


async def test_an_e_mail_address_lies_under_its_index_however_it_is_spelled(alice: Party) -> None:
    await accept(alice, SAM)
    index = email_index(alice.owner.secrets.vault_key, SAM)[:16]
    assert alice.store.get(OURS, (index,)) is not None
    assert alice.consent.state("Sam@EXAMPLE.org", NOW) is State.ACCEPTED


async def test_handshakes_name_the_hash_and_follow_each_other(alice: Party) -> None:
    first, again, records = Counterpart(SAM, email_hash=email_hash(SAM)), Counterpart(SAM), []
    batch = Batch()
    for who, now in ((first, NOW), (again, NOW + 1)):
        records.append(alice.consent.accept(batch, who, Rules(), now))
    records.append(alice.consent.revoke(batch, SAM, LATER) or b"")
    records.append(alice.consent.accept(batch, again, Rules(), LATER))
    await alice.store.write(batch)
    read = [parse_handshake(record, LATER) for record in records]
    assert [State.ACCEPTED, State.ACCEPTED, State.REVOKED, State.ACCEPTED] == [h.status for h in read]
    assert {(None, email_hash(SAM), alice.address)} == {
        (h.sender.address, h.sender.email_hash, h.owner_address) for h in read
    }
    assert sorted({h.seq for h in read}) == [h.seq for h in read]
    assert len({h.grant for h in read[:3]}) == 1
    assert read[3].grant != read[2].grant
    assert entry(alice, SAM).handshake_id(alice.address) == read[0].handshake_id


async def test_nothing_is_signed_without_the_hash(alice: Party) -> None:
    batch = Batch()
    with pytest.raises(LocalProtocolError):
        alice.consent.accept(batch, Counterpart(SAM), Rules(), NOW)
    with pytest.raises(LocalProtocolError):
        alice.consent.revoke(batch, SAM, NOW)
    assert batch.is_empty


# ---- verdicts


async def test_revoked_wins_under_any_name_and_accepted_counts_only_where_proven(alice: Party) -> None:
    await accept(alice, SAM)
    await revoke(alice, TIM)
    await ask(alice, UMA)
    words = {SAM: State.ACCEPTED, TIM: State.REVOKED, UMA: State.REQUEST, VAL: State.NONE}
    some = [names for size in range(3) for names in permutations(words, size)]
    for proven in some:
        for claimed in some:
            verdict = alice.consent.judge_mail(proven, claimed, LATER)
            if TIM in (*proven, *claimed):
                expected = (codes.REVOKED, State.REVOKED, TIM)
            elif SAM in proven:
                expected = (codes.OK, State.ACCEPTED, SAM)
            elif proven:
                expected = (codes.OK, words[proven[0]], proven[0])
            else:
                expected = (codes.OK, State.NONE, None)  # type: ignore[assignment]  # nobody is proven
            assert expected == (verdict.status, verdict.state, verdict.address)


async def test_pause_of_a_signup_holds_for_mail(alice: Party) -> None:
    await accept(alice, SAM, Rules(type=Type.SIGNUP, subtype="news", every_minutes=60))
    first = alice.consent.judge_mail([SAM], [], NOW)
    assert (codes.OK, Type.SIGNUP, Level.PERSONAL) == (first.status, first.type, first.level)
    await alice.write(lambda batch: alice.consent.count(batch, SAM, False, NOW))
    again = alice.consent.judge_mail([SAM], [], NOW + MINUTE)
    assert (codes.TOO_OFTEN, NOW + 60 * MINUTE) == (again.status, again.until)
    # Somebody else who only claims the name is not held to it.
    assert codes.OK == alice.consent.judge_mail([], [SAM], NOW + MINUTE).status
    assert codes.OK == alice.consent.judge_mail([SAM], [], NOW + 60 * MINUTE).status


async def test_verdict_sees_what_lies_in_the_batch(alice: Party) -> None:
    batch = Batch()
    alice.consent.accept(batch, mail(SAM), Rules(), NOW)
    states = [alice.consent.judge_mail([SAM], [], NOW, given).state for given in (None, batch)]
    assert [State.NONE, State.ACCEPTED] == states


async def test_acceptance_until_a_day_ends_and_a_revocation_does_not(alice: Party) -> None:
    await accept(alice, SAM, Rules(until=NOW + DAY_MS))
    await revoke(alice, TIM)
    late = NOW + 10_000 * DAY_MS
    alice.clock.doubtful = True
    assert alice.consent.judge_mail([SAM], [], late).state is State.ACCEPTED
    alice.clock.doubtful = False
    await alice.write(lambda batch: alice.consent.expire(batch, late))
    assert alice.consent.judge_mail([SAM], [], late).state is State.NONE
    assert alice.consent.judge_mail([], [TIM], late).status == codes.REVOKED
    assert made_up(SAM) == entry(alice, SAM).email_hash


async def test_doubtful_clock_revokes_but_does_not_accept(alice: Party) -> None:
    last = parse_handshake(await accept(alice, SAM))
    alice.clock.doubtful = True
    with pytest.raises(NodeError, match="clock"):
        alice.consent.accept(Batch(), mail(TIM), Rules(), NOW)
    await revoke(alice, SAM, NOW + 400 * DAY_MS)
    handshake = entry(alice, SAM).handshake
    assert handshake is not None
    assert (State.REVOKED, last.seq + 1) == (handshake.status, handshake.seq)


async def test_names_stay_when_the_node_is_another(tmp_path: Path) -> None:
    async with open_party("alice", tmp_path) as party:
        await accept(party, SAM)
    async with open_party("alice", tmp_path, peer_id=b"restored") as party:
        assert party.consent.state(SAM, NOW) is State.ACCEPTED


# ---- strangers


async def test_stranger_asks_once_and_costs_nothing(alice: Party) -> None:
    asked = [await ask(alice, SAM, note, when) for when, note in ((NOW, "Offer"), (LATER, "\x1b[2JOffer!"))]
    assert [True, False] == asked
    found = entry(alice, SAM)
    assert (State.REQUEST, NOW, "[2JOffer!", NOW) == (found.state, found.asked, found.note, found.created)
    assert (b"", "", "") == (found.record, found.email_hash, found.handshake_id(alice.address))


async def test_the_judged_do_not_ask(alice: Party) -> None:
    await accept(alice, SAM)
    await revoke(alice, TIM)
    batch = Batch()
    assert [False, False] == [alice.consent.mail_requested(batch, e, "", LATER) for e in (SAM, TIM)]
    assert batch.is_empty


async def test_mail_and_letters_share_the_room_for_requests(alice: Party) -> None:
    for number in range(6):
        await ask(alice, f"stranger{number}@example.org", "", NOW + 2 * number)
        batch = Batch()
        record = owner(f"stranger {number}").identity
        alice.consent.request_arrived(batch, record, "", NOW + 2 * number + 1)
        await alice.store.write(batch)
    waiting = {e.address for e in alice.consent.list()}
    assert len(waiting) <= 5
    assert {"stranger5@example.org", owner("stranger 5").address} <= waiting


async def test_request_ends_after_sixty_days_and_nothing_stays(alice: Party) -> None:
    await ask(alice, SAM)
    await alice.write(lambda batch: alice.consent.expire(batch, NOW + 60 * DAY_MS))
    assert [] == list(alice.consent.list())


# ---- the way back


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        (State.NONE, True, State.ACCEPTED),
        (State.REQUEST, True, State.ACCEPTED),
        (State.ACCEPTED, False, State.ACCEPTED),
        (State.REVOKED, False, State.REVOKED),
    ],
)
async def test_writing_lets_an_answer_in(alice: Party, before: State, changes: bool, after: State) -> None:
    if before is State.REQUEST:
        await ask(alice, SAM)
    elif before is State.ACCEPTED:
        await accept(alice, SAM, Rules(until=NOW + DAY_MS))
    elif before is State.REVOKED:
        await revoke(alice, SAM)
    record = alice.consent.ours(SAM) and entry(alice, SAM).record
    assert changes == await write_to(alice, SAM, LATER)
    assert after is alice.consent.judge_mail([SAM], [], LATER).state
    if not changes:
        assert record == entry(alice, SAM).record
        return
    found = entry(alice, SAM)
    assert (True, Level.NONE, LATER + 90 * DAY_MS) == (found.automatic, found.terms.level, found.until)
    handshake = parse_handshake(found.record, LATER)
    assert (made_up(SAM), LATER + 90 * DAY_MS) == (handshake.sender.email_hash, handshake.terms.expires)


async def test_way_back_is_renewed_at_half_time_and_ends(alice: Party) -> None:
    assert [True, False, False, True] == [
        await write_to(alice, SAM, NOW + day * DAY_MS) for day in (0, 1, 45, 46)
    ]
    end = NOW + (46 + 90) * DAY_MS
    assert [State.ACCEPTED, State.NONE] == [alice.consent.state(SAM, now) for now in (end - 1, end)]
    assert await write_to(alice, SAM, end)


async def test_owners_word_lifts_the_way_back(alice: Party) -> None:
    await write_to(alice, SAM)
    await accept(alice, SAM, now=LATER)
    found = entry(alice, SAM)
    assert (False, 0, Level.PERSONAL) == (found.automatic, found.until, found.terms.level)


async def test_no_way_back_by_a_doubtful_clock(alice: Party) -> None:
    alice.clock.doubtful = True
    assert not await write_to(alice, SAM)
    assert alice.consent.ours(SAM) is None


# ---- hashes


class Counted:
    """Threads that note what comes, and let it go on when told."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.go = trio.Event()

    async def in_thread(self, call: Callable[..., T], /, *args: object) -> T:
        self.asked.extend(args)
        await self.go.wait()
        return call(*args)


async def test_each_address_is_hashed_once_and_few_at_a_time() -> None:
    threads, found = Counted(), {}
    emails = (SAM, TIM, SAM, UMA)

    async def work() -> None:
        found.update(await hash_emails(emails, threads))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await trio.testing.wait_all_tasks_blocked()
        assert [SAM, TIM][:AT_ONCE] == threads.asked
        threads.go.set()
    assert [SAM, TIM, UMA] == sorted(str(one) for one in threads.asked)
    assert {email: email_hash(email) for email in (SAM, TIM, UMA)} == found


async def test_a_kept_hash_is_not_worked_out_again(alice: Party) -> None:
    await accept(alice, SAM)
    await ask(alice, TIM)
    assert (TIM, UMA) == alice.consent.unhashed([SAM, TIM, UMA, TIM])
    assert {SAM: made_up(SAM), TIM: email_hash(TIM)} == await alice.consent.hashes([SAM, TIM])


def test_entries_without_a_hash_name_nobody() -> None:
    with pytest.raises(LocalProtocolError):
        _ = Ours(SAM).sender
    assert replace(Ours(SAM), email_hash=made_up(SAM)).sender.email_hash == made_up(SAM)
    assert Ours("0x12").sender.address == "0x12"
