"""What two and three owners do together, step by step (protocol.md §5, §6)."""

from dataclasses import replace
from email import message_from_bytes

import pytest

from node.consent import Rules
from node.exchange.wire import LETTER
from node.runtime.sections import LimitsConfig
from node.storage import Batch
from node.storage import schema as spaces
from protocol.handshake import State, Type
from protocol.offer import GoAhead, KeyProof, Offer, Result, Stamp, encode_answer, parse_answer
from tests.kit.houses import CHEAP, DAY_S, House, Street
from tests.kit.letters import whole

OFFER = 1_024
"""Bytes of the largest offer; envelopes have more."""

NAMES = {KeyProof: "key", Stamp: "stamp", type(None): "nothing"}


def offers(street: Street) -> list[str]:
    """How each offer so far proved itself."""
    asked = [data for data in street.wires.said(LETTER, asks=True) if len(data) <= OFFER]
    return [NAMES[type(Offer.parse(data).proof)] for data in asked]


def answers(street: Street) -> list[str]:
    """What was answered so far: the status, or the kind of answer."""
    said = [parse_answer(data) for data in street.wires.said(LETTER, asks=False)]
    return [x.status.code if isinstance(x, Result) else type(x).__name__ for x in said]


async def test_request_accept_letter_and_answer(street: Street, alice: House, bob: House) -> None:
    request = await alice.owner.handshakes.request(bob.address, "It's me.")
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(request)
    assert ["It's me."] == bob.folder("handshake")
    assert (State.REQUEST, State.ACCEPTED) == (bob.stands(alice), alice.stands(bob))

    await bob.owner.handshakes.accept(alice.address)
    await street.quiet()
    assert ["It's me."] == bob.folder()
    assert ["nothing", "stamp", "key"] == offers(street)

    await street.pass_time(1)
    letter = await alice.send(bob, "Tea?")
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(letter)
    answer = await bob.send(alice, "Yes")
    await street.quiet()
    assert [("delivered", "2.0.0")] == bob.state(answer)
    assert (["Tea?", "It's me."], ["Yes"]) == (bob.folder(), alice.folder())
    assert ["key", "key"] == offers(street)[3:]
    assert ([], []) == (alice.wire.blamed, bob.wire.blamed)


async def test_a_first_letter_waits_and_the_accept_carries_its_receipt(
    street: Street, alice: House, bob: House
) -> None:
    letter = await alice.send(bob, "Do you know me?")
    await street.quiet()
    assert (["Do you know me?"], []) == (bob.folder("handshake"), bob.folder())
    assert [("delivered", "2.0.0")] == alice.state(letter)
    status = parse_answer(street.wires.said(LETTER, asks=False)[-1])
    assert isinstance(status, Result)
    assert status.receipt is None
    await bob.owner.handshakes.accept(alice.address)
    (accept,) = bob.owner.outbox.list()
    assert 2 == len(accept.records)  # the handshake, and the receipt
    await street.quiet()
    assert (["Do you know me?"], []) == (bob.folder(), bob.folder("handshake"))
    assert [("delivered", "2.0.0")] == bob.state(accept)


async def test_an_answer_to_a_first_letter_needs_no_stamp(street: Street, alice: House, bob: House) -> None:
    await alice.send(bob, "Hello")
    await street.quiet()
    answer = await bob.send(alice, "Hello yourself")
    await street.quiet()
    assert [("delivered", "2.0.0")] == bob.state(answer)
    assert ["Hello yourself"] == alice.folder()
    assert ["nothing", "stamp", "key"] == offers(street)


async def test_by_invitation_without_a_stamp(street: Street, alice: House, bob: House) -> None:
    link = await bob.owner.handshakes.link()
    opened = await alice.owner.handshakes.open(link)
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(opened)
    assert (State.ACCEPTED, State.ACCEPTED) == (bob.stands(alice), alice.stands(bob))
    await alice.send(bob, "Thanks")
    await street.quiet()
    assert ["Thanks"] == bob.folder()
    assert {"key"} == set(offers(street))


async def test_an_invitation_lets_in_one_alone(street: Street, alice: House, bob: House, eve: House) -> None:
    link = await bob.owner.handshakes.link()
    await alice.owner.handshakes.open(link)
    await street.quiet()
    opened = await eve.owner.handshakes.open(link)
    await street.quiet()
    assert [("delivered", "2.0.0")] == eve.state(opened)  # as the request of a stranger
    assert (State.ACCEPTED, State.REQUEST) == (bob.stands(alice), bob.stands(eve))
    assert "4.8.9" in answers(street)
    assert [] == bob.wire.blamed


async def test_too_large_for_a_first_letter_waits_behind_a_request(
    street: Street, alice: House, bob: House
) -> None:
    letter = await alice.send(bob, "A long story", "word " * 20_000)
    await street.quiet()
    assert [("held", "4.8.9")] == alice.state(letter)
    assert State.REQUEST == bob.stands(alice)
    assert [] == bob.mail()
    await bob.owner.handshakes.accept(alice.address)
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["A long story"] == bob.folder()


async def test_many_recipients_make_a_short_letter_too_large(
    street: Street, alice: House, bob: House
) -> None:
    others = tuple(f"0x{n:040x}" for n in range(250))
    letter = await alice.send(bob, "To all", cc=others)
    await street.quiet()
    found = alice.owner.outbox.get(letter.id)
    assert found is not None
    assert ("held", "handshake") == (found.deliveries[0].state, found.deliveries[0].cause)
    assert "5.2.3" not in answers(street)


async def test_a_revoked_sender_is_refused_before_the_body(
    street: Street, friends: tuple[House, House]
) -> None:
    alice, bob = friends
    bob.wire.awake = False  # the notice of it must not reach alice
    alice.wire.awake = False
    await bob.owner.handshakes.revoke(alice.address)
    await street.quiet()
    bob.wire.awake = True
    before = len(street.wires.frames)
    letter = await alice.send(bob, "Are you there?")
    await street.quiet()
    assert [("refused", "5.8.2")] == alice.state(letter)
    letters = [f for f in street.wires.frames[before:] if f.protocol == LETTER]
    assert [True, False] == [f.asks for f in letters]
    assert encode_answer(GoAhead()) not in [f.data for f in letters]
    (notice,) = alice.folder()
    assert "Are you there?" in notice
    assert {"refusedBeforeBody": 1, "refusedAfterBody": 0}.items() <= bob.receiver.counts().items()
    assert [] == bob.wire.blamed


async def test_a_revoked_sender_that_was_told(street: Street, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await bob.owner.handshakes.revoke(alice.address)
    await street.quiet()
    letter = await alice.send(bob, "Please")
    await street.quiet()
    assert [("refused", "5.8.2")] == alice.state(letter)
    assert [] == bob.mail()


async def test_a_key_that_is_not_known_becomes_a_first_letter(
    street: Street, friends: tuple[House, House]
) -> None:
    alice, bob = friends
    await street.close(bob)
    await street.pass_time(1)  # of two records of one moment the one with the lower hash would win
    bob = await street.open("bob", folder="recovered")  # from the words: nothing is known there
    short = await alice.send(bob, "Short")
    long = await alice.send(bob, "Long", "word " * 6_000)
    await street.pass_time(3_600)
    assert "4.8.9" in answers(street)
    assert [("delivered", "2.0.0")] == alice.state(short)
    assert ["Short"] == bob.folder("handshake")
    assert [("held", "4.8.9")] == alice.state(long)
    await street.pass_time(1)
    await bob.owner.handshakes.accept(alice.address)
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(long)
    assert ["Long", "Short"] == bob.folder()


async def test_too_often_waits_until_it_is_time(street: Street, alice: House, bob: House) -> None:
    await alice.owner.handshakes.request(bob.address)
    await street.quiet()
    await bob.owner.handshakes.accept(alice.address, Rules(type=Type.SIGNUP, every_minutes=60))
    await street.quiet()
    first = await alice.send(bob, "First")
    await street.quiet()
    second = await alice.send(bob, "Second")
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(first)
    assert [("queued", "4.8.10")] == alice.state(second)
    found = alice.owner.outbox.get(second.id)
    assert found is not None
    assert 3_600_000 >= found.deliveries[0].next - street.wires.clock.now() > 3_590_000
    await street.pass_time(3_540, 60)
    assert ["First"] == bob.folder()
    await street.pass_time(120, 60)
    assert [("delivered", "2.0.0")] == alice.state(second)
    assert ["Second", "First"] == bob.folder()


async def test_a_letter_over_the_recipients_limit(street: Street, alice: House) -> None:
    bob = await street.open("bob", limits=replace(CHEAP, letter_size=16_384))
    await street.befriend(alice, bob)
    letter = await alice.send(bob, "Large", "word " * 6_000)
    await street.quiet()
    assert [("refused", "5.2.3")] == alice.state(letter)
    assert encode_answer(GoAhead()) != street.wires.said(LETTER, asks=False)[-1]
    small = await alice.send(bob, "Small")
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(small)


async def test_service_letters_have_an_allowance(street: Street, friends: tuple[House, House]) -> None:
    alice, bob = friends
    for n in range(1, 26):
        await bob.owner.handshakes.accept(alice.address, Rules(until=street.wires.clock.now() + n * 10**9))
        await street.quiet()
    waiting = [x for x in bob.owner.outbox.list() if not x.ended]
    assert [("queued", "4.8.10")] == [(x.deliveries[0].state, x.deliveries[0].code) for x in waiting][:1]
    ordinary = await bob.send(alice, "Not counted with them")
    await street.quiet()
    assert [("delivered", "2.0.0")] == bob.state(ordinary)
    await street.pass_time(DAY_S)
    assert [] == [x for x in bob.owner.outbox.list() if not x.ended]


async def test_a_letter_to_oneself(street: Street, alice: House) -> None:
    letter = await alice.send(alice, "Milk")
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert (["Milk"], ["Milk"]) == (alice.folder(), alice.folder("sent"))
    assert [] == street.wires.frames


async def test_bcc_appears_in_no_copy(street: Street, friends: tuple[House, House], eve: House) -> None:
    alice, bob = friends
    await street.befriend(alice, eve)
    letter = await alice.send(bob, "Secret", bcc=(eve.address,))
    await street.quiet()
    assert [("delivered", "2.0.0")] * 2 == alice.state(letter)
    raws = []
    for house, folder in ((bob, "inbox"), (eve, "inbox"), (alice, "sent")):
        (row,) = house.owner.mailbox.list(folder)
        raws.append(await whole(house.owner.mailbox, bytes.fromhex(row["id"])))
    assert raws[0] == raws[1] == raws[2]
    assert message_from_bytes(raws[0])["Bcc"] is None
    assert eve.address.encode() not in raws[0]


async def test_a_long_absence_and_back(street: Street, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await street.close(bob)
    letter = await alice.send(bob, "Sleeping?")
    await street.pass_time(3 * DAY_S)
    assert [("queued", "4.4.1")] == alice.state(letter)
    bob = await street.open("bob")
    alice.owner.outbox.wake(bob.address)
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["Sleeping?"] == bob.folder()


async def test_given_up_after_five_days(street: Street, friends: tuple[House, House]) -> None:
    alice, bob = friends
    await street.close(bob)
    letter = await alice.send(bob, "Anyone?")
    await street.pass_time(6 * DAY_S)
    assert [("failed", "4.4.1")] == alice.state(letter)
    (notice,) = alice.folder()
    assert "Anyone?" in notice


@pytest.mark.parametrize("limit", [1, 12])
async def test_the_price_is_the_operators(street: Street, limit: int) -> None:
    bob = await street.open("bob", limits=LimitsConfig(price=limit, free_disk=0))
    assert limit == bob.owner.consent.price
    assert limit == bob.record.price


async def test_a_letter_to_an_invitation_uses_it(street: Street, alice: House, bob: House) -> None:
    link = await bob.owner.handshakes.link()
    letter = await alice.send(link, "Here I am", "long " * 1_000)
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["Here I am"] == bob.folder()
    assert {"key"} == set(offers(street))
    assert link not in {d.recipient.to for d in letter.deliveries}


async def test_who_lost_the_handshake_gets_it_again(street: Street, alice: House, bob: House) -> None:
    await street.befriend(alice, bob)
    batch = Batch()
    for key, _ in alice.owner.ground.store.walk(spaces.THEIRS):  # as after a recovery from the words
        batch.delete(spaces.THEIRS, key)
    await alice.owner.ground.store.write(batch)
    large = await alice.send(bob, "Large", "long " * 1_000)
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(large)
    assert ["Large"] == bob.folder()
    reminders = [x for x in bob.owner.outbox.list() if x.kind == "accept"]
    assert len(reminders) == 2  # the acceptance, and once more
    await alice.send(bob, "Small")
    await street.quiet()
    assert ["Small", "Large"] == bob.folder()
    assert len([x for x in bob.owner.outbox.list() if x.kind == "accept"]) == 2


async def test_a_refusal_is_told_in_the_inbox(street: Street, alice: House, bob: House) -> None:
    await street.befriend(alice, bob)
    await bob.owner.handshakes.revoke(alice.address)
    await street.quiet()
    await alice.send(bob, "Still friends?")
    await street.quiet()
    (notice,) = alice.owner.mailbox.list()
    assert ("Not delivered: Still friends?", 0) == (notice["subject"], notice["attachments"])
    text = (await alice.owner.mailbox.read(alice.owner.mailbox.find_id(str(notice["id"]))))["text"]
    assert "5.8.2" in text
    assert "the recipient has revoked this sender" in text
