"""Whose letters are taken for an account, and that each lies on disk once (protocol.md §6)."""

from dataclasses import replace
from typing import Any

import pytest
import trio

from node.hosting import Limits
from node.hosting.deposits import SERVICE_DAILY
from node.hosts import Talk
from node.runtime.clock import DAY_MS
from protocol.account import Deposited, Item, KeyRule, Space, parse_deposit
from protocol.host import Acknowledge, Cancel, Deposit, Digest, Fetch, List, Put, Wait
from protocol.kdf import blake2b
from protocol.keys import SigningKey
from protocol.letter import LETTER_LIFE_MS, MAX_ENVELOPE, MIN_ENVELOPE, envelope_id
from protocol.offer import (
    MAX_FIRST_CONTACT_BYTES,
    Challenge,
    GoAhead,
    KeyProof,
    Offer,
    Result,
    Stamp,
    parse_answer,
    prove_offer,
)
from protocol.status import (
    FAILED,
    FULL,
    MALFORMED,
    OK,
    PREKEY_GONE,
    TIME,
    TOO_LARGE,
    TOO_OFTEN,
    UNKNOWN_SENDER,
    WRONG_RECIPIENT,
    Status,
)
from tests.kit.hosting import (
    ROOMY,
    WEEK,
    Guest,
    Inn,
    Lane,
    a_blob,
    a_channel,
    an_offer,
    deposit,
    pay,
    refusal,
    talking,
)
from tests.kit.owners import NOW

KEY = SigningKey.from_seed(b"k" * 32)
OTHER = SigningKey.from_seed(b"o" * 32)
BLOB = a_blob(1)


async def waiting(guest: Guest, inn: Inn) -> list[bytes]:
    """Envelopes that wait for this owner, in order."""
    async with guest.talk(inn) as talk:
        return [letter.envelope_id for letter in (await talk.ask(List())).letters]


def status_of(answer: object) -> Status:
    assert isinstance(answer, Result)
    return answer.status


async def test_a_letter_under_a_delivery_key_waits_for_its_owner(lane: Lane, inn: Inn, alice: Guest) -> None:
    account = alice.account(inn).public
    await alice.allow(inn, KEY)
    answer = await deposit(lane.wire(), inn, an_offer(account, BLOB, KEY), BLOB)
    assert isinstance(answer, Result)
    until = NOW + LETTER_LIFE_MS
    assert answer.receipt is not None
    word = parse_deposit(answer.receipt, inn.peer_id)
    assert (OK, until, Deposited(account, envelope_id(BLOB), until)) == (answer.status, answer.until, word)
    async with alice.talk(inn) as talk:
        (letter,) = (await talk.ask(List())).letters
        assert (1, len(BLOB), NOW, KEY.public) == (letter.n, letter.size, letter.arrived, letter.key)
        assert BLOB == await talk.fetch(letter.envelope_id)
    assert [] == inn.wire.blamed


async def test_a_stranger_pays_a_stamp(lane: Lane, inn: Inn, alice: Guest) -> None:
    account = alice.account(inn).public
    offer = an_offer(account, BLOB)
    asked = await deposit(lane.wire(), inn, offer, BLOB, pays=False)
    assert isinstance(asked, Challenge)
    record = alice.owner.identity
    weeks = record.first_week + len(record.prekeys) - (WEEK - 5)
    assert (1, WEEK - 5, weeks, MAX_FIRST_CONTACT_BYTES) == (
        asked.price,
        asked.first_week,
        asked.weeks,
        asked.size,
    )
    assert [] == await waiting(alice, inn)
    assert OK == status_of(await deposit(lane.wire(), inn, offer, BLOB))
    assert [envelope_id(BLOB)] == await waiting(alice, inn)


async def test_a_stamp_is_for_one_peer_and_account_and_good_once(lane: Lane, inn: Inn, alice: Guest) -> None:
    bob = lane.guest("bob")
    account, bobs = alice.account(inn).public, await bob.settle(inn)
    wire, other = lane.wire(), lane.wire()
    offer = an_offer(account, BLOB)
    async with talking(wire, inn) as talk, talking(other, inn) as elsewhere:
        challenge = await talk.offer(offer, BLOB)
        assert isinstance(challenge, Challenge)
        paid = replace(offer, proof=pay(challenge))
        assert TIME == status_of(await elsewhere.offer(paid, BLOB))
        assert TIME == status_of(await talk.offer(replace(paid, account=bobs), BLOB))
        assert OK == status_of(await talk.offer(paid, BLOB))
        second = a_blob(2)
        again = replace(paid, envelope_id=envelope_id(second))
        assert TIME == status_of(await talk.offer(again, second))
    assert [] == inn.wire.blamed


async def test_a_stamp_that_was_not_worked_for(lane: Lane, inn: Inn, alice: Guest) -> None:
    wire, offer = lane.wire(), an_offer(alice.account(inn).public, BLOB)
    hard = await lane_with_price(lane, inn, 20)
    async with talking(wire, hard) as talk:
        challenge = await talk.offer(offer, BLOB)
        assert isinstance(challenge, Challenge)
        assert FAILED == status_of(
            await talk.offer(replace(offer, proof=Stamp(challenge.challenge, bytes(8))), BLOB)
        )
    assert [(wire.peer_id, "host 5.8.1")] == hard.wire.blamed


async def lane_with_price(lane: Lane, inn: Inn, price: int) -> Inn:
    """The same host, dearer."""
    await lane.close(inn)
    return await lane.open(price=price)


@pytest.mark.parametrize("key", [None, OTHER])
async def test_nothing_large_without_a_registered_key(
    lane: Lane, inn: Inn, alice: Guest, key: SigningKey | None
) -> None:
    """No proof, and a delivery key that was never registered (or is for another host, which is the same)."""
    await alice.allow(inn, KEY)
    large = a_blob(1, MAX_FIRST_CONTACT_BYTES + 1)
    answer = await deposit(lane.wire(), inn, an_offer(alice.account(inn).public, large, key), large)
    assert (TOO_LARGE if key is None else UNKNOWN_SENDER) == status_of(answer)
    assert ([], []) == (await waiting(alice, inn), inn.wire.blamed)


async def test_a_key_that_was_revoked_opens_nothing(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY)
    async with alice.talk(inn) as talk:
        await talk.ask(Put(Space.KEY, drop=(KEY.public,)))
    offer = an_offer(alice.account(inn).public, BLOB, KEY)
    assert UNKNOWN_SENDER == status_of(await deposit(lane.wire(), inn, offer, BLOB))


async def test_a_rule_ends(lane: Lane, inn: Inn, alice: Guest) -> None:
    rule = Item(KEY.public, NOW, KeyRule(0, 100_000, NOW + 1_000).encode())
    async with alice.talk(inn) as talk:
        await talk.ask(Put(Space.KEY, (rule,)))
    account = alice.account(inn).public
    assert OK == status_of(await deposit(lane.wire(), inn, an_offer(account, BLOB, KEY), BLOB))
    await lane.pass_time(1)
    second = a_blob(2)
    answer = await deposit(lane.wire(), inn, an_offer(account, second, KEY), second)
    assert UNKNOWN_SENDER == status_of(answer)


async def test_a_proof_that_does_not_hold(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY)
    account, wire = alice.account(inn).public, lane.wire()
    direct = prove_offer(KEY, None, envelope_id(BLOB))
    stolen = KeyProof(KEY.public, prove_offer(OTHER, account, envelope_id(BLOB)).signature)
    for proof in (direct, stolen, prove_offer(KEY, account, bytes(32))):
        answer = await deposit(wire, inn, an_offer(account, BLOB, proof=proof), BLOB)
        assert FAILED == status_of(answer)
    assert 3 * [(wire.peer_id, "host 5.8.1")] == inn.wire.blamed


async def test_nobody_lives_there(lane: Lane, inn: Inn, alice: Guest) -> None:
    wire = lane.wire()
    answer = await deposit(wire, inn, an_offer(bytes(32), BLOB, KEY), BLOB)
    assert WRONG_RECIPIENT == status_of(answer)
    assert [] == inn.wire.blamed
    assert MALFORMED == status_of(await deposit(wire, inn, an_offer(None, BLOB, KEY), BLOB))
    assert [(wire.peer_id, "host 5.6.0")] == inn.wire.blamed


async def test_a_prekey_that_its_owner_has_no_more(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY)
    record = alice.owner.identity
    last = record.first_week + len(record.prekeys) - 1
    found = {}
    for week in (WEEK - 6, WEEK - 5, last, last + 1):
        blob = a_blob(week)
        offer = an_offer(alice.account(inn).public, blob, KEY, week=week)
        answer = await deposit(lane.wire(), inn, offer, blob)
        assert isinstance(answer, Result)
        found[week] = answer.status, answer.identity
    gone = PREKEY_GONE, record.record
    assert {WEEK - 6: gone, WEEK - 5: (OK, None), last: (OK, None), last + 1: gone} == found


async def test_a_pause_between_two_letters(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY, interval=60_000)
    account = alice.account(inn).public

    async def send(number: int, **more: Any) -> tuple[Status, int | None]:
        blob = a_blob(number)
        answer = await deposit(lane.wire(), inn, an_offer(account, blob, KEY, **more), blob)
        assert isinstance(answer, Result)
        return answer.status, answer.until if answer.status != OK else None

    assert (OK, None) == await send(1)
    assert (TOO_OFTEN, NOW + 60_000) == await send(2)
    assert (OK, None) == await send(3, service=True)
    await lane.pass_time(60)
    assert (OK, None) == await send(2)


async def test_service_letters_of_a_day(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY)
    account, found = alice.account(inn).public, []
    for number in range(SERVICE_DAILY + 1):
        blob = a_blob(number)
        answer = await deposit(lane.wire(), inn, an_offer(account, blob, KEY, service=True), blob)
        assert isinstance(answer, Result)
        found.append((answer.status, answer.until))
    midnight = (NOW // DAY_MS + 1) * DAY_MS
    kept = (OK, NOW + LETTER_LIFE_MS)
    assert [kept] * SERVICE_DAILY + [(TOO_OFTEN, midnight)] == found
    await lane.pass_time((midnight - NOW) / 1000)
    blob = a_blob(99)
    assert OK == status_of(await deposit(lane.wire(), inn, an_offer(account, blob, KEY, service=True), blob))


async def test_a_share_is_what_waits_at_once(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY, share=2 * MIN_ENVELOPE)
    account = alice.account(inn).public

    async def send(number: int) -> Status:
        blob = a_blob(number)
        return status_of(await deposit(lane.wire(), inn, an_offer(account, blob, KEY), blob))

    assert [OK, OK, FULL] == [await send(number) for number in range(3)]
    for node in (0, 1):
        async with alice.talk(inn, node) as talk:
            await talk.ask(Acknowledge((envelope_id(a_blob(0)),)))
    assert [OK, FULL] == [await send(number) for number in (2, 3)]


async def test_no_share_is_more_than_a_tenth(lane: Lane) -> None:
    inn = await lane.open(limits=replace(ROOMY, account_size=1_000_000))
    alice = lane.guest("alice")
    await alice.settle(inn)
    await alice.allow(inn, KEY, share=1_000_000)
    blob = a_blob(1, 100_001)
    answer = await deposit(lane.wire(), inn, an_offer(alice.account(inn).public, blob, KEY), blob)
    assert FULL == status_of(answer)


async def test_an_account_that_is_full(lane: Lane) -> None:
    inn = await lane.open(limits=Limits(account_size=100_000, size=10**9))
    alice = lane.guest("alice")
    await alice.settle(inn)
    keys = [SigningKey.from_seed(bytes([n]) * 32) for n in range(11)]
    for key in keys:
        await alice.allow(inn, key)
    found = []
    for number, key in enumerate(keys):
        blob = a_blob(number, 9_000)
        offer = an_offer(alice.account(inn).public, blob, key)
        found.append(status_of(await deposit(lane.wire(), inn, offer, blob)))
    assert [OK] * 10 + [FULL] == found
    assert 10 == len(await waiting(alice, inn))


async def test_a_host_that_is_full(lane: Lane) -> None:
    inn = await lane.open(limits=Limits(account_size=100_000, size=2 * MIN_ENVELOPE + 1_000))
    alice = lane.guest("alice")
    await alice.settle(inn)
    await alice.allow(inn, KEY)
    found = []
    for number in range(3):
        blob = a_blob(number)
        offer = an_offer(alice.account(inn).public, blob, KEY)
        found.append(status_of(await deposit(lane.wire(), inn, offer, blob)))
    assert [OK, OK, FULL] == found


async def test_the_room_for_strangers_fills_and_gets_dearer(lane: Lane) -> None:
    inn = await lane.open(limits=Limits(account_size=10 * 3 * MIN_ENVELOPE, size=10**9))
    alice = lane.guest("alice")
    await alice.settle(inn)
    account, prices = alice.account(inn).public, []
    for number in range(4):
        blob, wire = a_blob(number), lane.wire()
        answer = await deposit(wire, inn, an_offer(account, blob), blob, pays=False)
        if number == 3:
            assert FULL == status_of(answer)
            return
        assert isinstance(answer, Challenge)
        prices.append(answer.price)
        async with talking(wire, inn) as talk:
            paid = an_offer(account, blob, proof=pay(answer))
            assert OK == status_of(await talk.offer(paid, blob))
        assert [1, 1, 5][: number + 1] == prices


async def test_an_envelope_that_is_another(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY)
    account, wire = alice.account(inn).public, lane.wire()
    for blob in (a_blob(2), BLOB + b"\0", BLOB[:-1]):
        assert MALFORMED == status_of(await deposit(wire, inn, an_offer(account, BLOB, KEY), blob))
    assert [] == await waiting(alice, inn)
    assert 3 * [(wire.peer_id, "host 5.6.0")] == inn.wire.blamed


async def test_the_largest_letter(lane: Lane) -> None:
    inn = await lane.open(limits=Limits())
    alice = lane.guest("alice")
    await alice.settle(inn)
    await alice.allow(inn, KEY, share=2_000_000)
    blob = a_blob(1, MAX_ENVELOPE)
    answer = await deposit(lane.wire(), inn, an_offer(alice.account(inn).public, blob, KEY), blob)
    assert OK == status_of(answer)
    async with alice.talk(inn) as talk:
        assert blob == await talk.fetch(envelope_id(blob))


async def test_what_was_taken_is_answered_alike_for_ever(lane: Lane, inn: Inn, alice: Guest) -> None:
    """Asked again, by anyone, after it was fetched, and after a restart."""
    await alice.allow(inn, KEY)
    account = alice.account(inn).public
    offer = an_offer(account, BLOB, KEY)
    first = await deposit(lane.wire(), inn, offer, BLOB)
    await lane.pass_time(60)
    assert first == await deposit(lane.wire(), inn, offer, BLOB)
    assert first == await deposit(lane.wire(), inn, replace(offer, proof=None), BLOB)
    assert [envelope_id(BLOB)] == await waiting(alice, inn)
    for node in (0, 1):
        async with alice.talk(inn, node) as talk:
            await talk.ask(Acknowledge((envelope_id(BLOB),)))
    await lane.close(inn)
    inn = await lane.open()
    assert first == await deposit(lane.wire(), inn, offer, BLOB)
    assert [] == await waiting(alice, inn)


async def test_two_streams_bring_the_same_envelope(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY)
    offer = an_offer(alice.account(inn).public, BLOB, KEY)
    async with a_channel(lane.wire(), inn) as one, a_channel(lane.wire(), inn) as two:
        for channel in (one, two):
            await channel.send(Deposit(offer.encode()).encode())
            assert GoAhead() == parse_answer(await channel.receive())
        answers = []
        for channel in (one, two):
            await channel.send(BLOB)
            answers.append(parse_answer(await channel.receive()))
    assert OK == status_of(answers[0])
    assert answers[0] == answers[1]
    assert [envelope_id(BLOB)] == await waiting(alice, inn)


async def test_a_host_that_doubts_its_clock_promises_nothing(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY)
    inn.doubts[0] = True
    offer = an_offer(alice.account(inn).public, BLOB, KEY)
    assert TIME == status_of(await deposit(lane.wire(), inn, offer, BLOB))
    inn.doubts[0] = False
    assert OK == status_of(await deposit(lane.wire(), inn, offer, BLOB))


async def test_a_sender_takes_a_letter_back(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY)
    account, secret, wire = alice.account(inn).public, b"s" * 32, lane.wire()
    offer = an_offer(account, BLOB, KEY, cancel=blake2b(secret))
    assert OK == status_of(await deposit(wire, inn, offer, BLOB))
    other = a_blob(2)
    assert OK == status_of(await deposit(wire, inn, an_offer(account, other, KEY), other))

    async def cancel(account: bytes, blob: bytes, secret: bytes) -> Status:
        async with talking(wire, inn) as talk:
            return await refusal(talk.ask(Cancel(account, envelope_id(blob), secret)))

    assert FAILED == await cancel(account, BLOB, b"t" * 32)
    assert FAILED == await cancel(account, other, bytes(32))  # it came without a secret
    assert WRONG_RECIPIENT == await cancel(bytes(32), BLOB, secret)
    assert 2 == len(await waiting(alice, inn))
    assert 2 * [(wire.peer_id, "host 5.8.1")] == inn.wire.blamed
    for _ in range(2):
        assert OK == await cancel(account, BLOB, secret)
        assert [envelope_id(other)] == await waiting(alice, inn)
    assert OK == await cancel(account, a_blob(3), secret)  # never came: nothing is left of it either


async def test_numbers_are_never_used_again(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY)
    account = alice.account(inn).public
    for number in range(3):
        blob = a_blob(number)
        await deposit(lane.wire(), inn, an_offer(account, blob, KEY), blob)
        for node in (0, 1):
            async with alice.talk(inn, node) as talk:
                listed = (await talk.ask(List())).letters
                assert [number + 1] == [letter.n for letter in listed]
                if node:
                    assert [] == list((await talk.ask(List(after=number + 1))).letters)
                await talk.ask(Acknowledge((envelope_id(blob),)))


async def used(talk: Talk) -> int:
    return (await talk.ask(Digest())).used


async def test_what_is_gone_is_charged_no_more(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY)
    account = alice.account(inn).public
    async with alice.talk(inn) as talk:
        before = await used(talk)
        await deposit(lane.wire(), inn, an_offer(account, BLOB, KEY), BLOB)
        await deposit(lane.wire(), inn, an_offer(account, a_blob(2)), a_blob(2))
        assert before + 2 * MIN_ENVELOPE == await used(talk)
        ids = (envelope_id(BLOB), envelope_id(a_blob(2)))
        await talk.ask(Acknowledge(ids))
        assert before + 2 * MIN_ENVELOPE == await used(talk)
        async with alice.talk(inn, 1) as other:
            await other.ask(Acknowledge(ids))
        assert before == await used(talk)
    status = inn.hosting.status()
    assert (1, 0, before, 2, 1) == tuple(
        status[name] for name in ("accounts", "letters", "used", "deposits", "strangers")
    )


async def test_a_node_waits_for_letters(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY)
    account, found = alice.account(inn).public, []

    async def wait(after: int, seconds: int) -> None:
        async with alice.talk(inn) as talk:
            last = (await talk.ask(Wait(after, seconds))).last
            found.append(((lane.now - NOW) / 1000, last))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, 0, 25)
        nursery.start_soon(wait, 1, 25)
        await lane.quiet()
        await lane.pass_time(10)
        assert [] == found
        await deposit(lane.wire(), inn, an_offer(account, BLOB, KEY), BLOB)
        await lane.quiet()
        assert [(10, 1)] == found
        await lane.pass_time(15)
    assert [(10, 1), (25, 1)] == found
    assert {} == inn.hosting._serving._letters._news  # nothing stays of who has waited
    await wait(0, 25)
    assert (25, 1) == found[-1]  # at once


async def test_what_is_not_here_is_not_fetched(inn: Inn, alice: Guest) -> None:
    async with alice.talk(inn) as talk:
        assert Status("4.4.1") == await refusal(talk.ask(Fetch(bytes(32))))
        await talk.ask(Acknowledge((bytes(32),)))


def test_offers_of_this_file_are_real() -> None:
    assert Offer.parse(an_offer(bytes(32), BLOB, KEY).encode()).proof_holds()
