"""Handshakes with people who write ordinary mail: one act, one batch, and nothing goes out by SMTP."""

from pathlib import Path

import pytest
import trio

from node.consent import Rules
from node.handshakes.errors import HandshakeError, WhoError
from node.letters import Arrival, Reduced
from node.letters.parse import summarize
from node.runtime.errors import NodeError
from node.runtime.events import Event, Subscription
from node.runtime.worker import open_worker
from node.storage import Batch, StoreUnavailable
from protocol import status as codes
from protocol.email import email_hash
from protocol.folder import HANDSHAKE
from protocol.handshake import State, Type, parse_handshake
from protocol.kdf import blake2b
from tests.handshakes.conftest import House, Post, build
from tests.kit.gates import open_party
from tests.kit.owners import NOW, owner
from tests.kit.stores import Trouble

SAM, SAM2, TIM = "sam@example.org", "sam@work.example", "tim@example.org"
OWN = "alice@home.example"
WAIT_S = 5.0


async def mail(house: House, author: str, subject: str, *, proven: bool = True) -> None:
    """A stranger's mail has come by SMTP."""
    raw = f"From: {author}\r\nSubject: {subject}\r\n\r\nhello\r\n".encode()
    arrival = Arrival(
        message=Reduced(raw),
        summary=summarize(raw),
        folder=HANDSHAKE,
        author=author if proven else None,
        letter_id=blake2b(raw),
        envelope_id=None,
        status=codes.OK,
        created=NOW,
        arrived=NOW,
        expires=NOW + 1,
    )
    batch = Batch()
    if proven:
        house.party.consent.mail_requested(batch, author, subject, NOW)
    house.mailbox.take_in(batch, arrival)
    await house.party.store.write(batch)


async def add(house: House, name: str, *who: str) -> None:
    await house.party.write(lambda batch: house.names.add(batch, name, who))


def standing(house: House) -> dict[object, object]:
    """What `handshake list` says of everyone."""
    return {row["address"]: row["status"] for row in house.handshakes.list()}


def row_of(house: House) -> dict[str, object]:
    (row,) = house.handshakes.list()
    return row


async def heard(events: Subscription) -> Event:
    """The next event about a handshake."""
    with trio.fail_after(WAIT_S):
        while (told := await events.receive()).name != "handshake":
            pass
    return told


async def wrote(house: House, *emails: str) -> int:
    """The owner writes to these; how much changed."""
    hashes = await house.handshakes.hashes(emails)
    batch, now = Batch(), house.party.clock.now()
    effects = house.handshakes.wrote_to(batch, hashes, now)
    await house.party.store.write(batch)
    for effect in effects:
        effect()
    return len(effects)


async def test_stranger_is_accepted_and_nobody_is_told(alice: House) -> None:
    await mail(alice, SAM, "An offer")
    await mail(alice, SAM, "Forged", proven=False)
    asks = row_of(alice)
    assert ("", SAM, SAM, "request", 1, "none", "An offer") == tuple(
        asks[name] for name in ("handshakeId", "who", "address", "status", "waiting", "theirs", "note")
    )
    async with alice.events.subscribe() as events:
        row = await alice.handshakes.accept("Sam@EXAMPLE.org")
        told = await heard(events)
    assert row == row_of(alice) | {"addresses": [SAM]}
    assert (SAM, "accepted", 0, None, "personal") == tuple(
        row[name] for name in ("who", "status", "waiting", "expires", "level")
    )
    expected = {"handshakeId": row["handshakeId"], "address": SAM, "status": "accepted"}
    assert Event("handshake", expected) == told
    assert (["An offer"], ["Forged"]) == (alice.folder("inbox"), alice.folder("handshake"))
    assert ([], []) == (alice.outbox.list(), alice.post.log)


async def test_what_is_signed_of_a_person_is_the_hash_alone(alice: House) -> None:
    await alice.handshakes.accept(SAM, Rules(type=Type.SERVER, every_minutes=60))
    await alice.handshakes.revoke(SAM)
    entry = alice.party.consent.ours(SAM)
    assert entry is not None
    handshake = parse_handshake(entry.record)
    assert (State.REVOKED, None, email_hash(SAM), Type.SERVER) == (
        handshake.status,
        handshake.sender.address,
        handshake.sender.email_hash,
        handshake.terms.type,
    )
    assert SAM.encode() not in entry.record
    assert handshake.handshake_id == row_of(alice)["handshakeId"]


async def test_unknown_person_can_be_revoked_and_named_by_the_handshake(alice: House) -> None:
    row = await alice.handshakes.revoke(SAM)
    assert ("revoked", SAM) == (row["status"], row["who"])
    assert State.REVOKED is alice.party.consent.judge_mail([], [SAM], NOW).state
    by_id = await alice.handshakes.accept(str(row["handshakeId"])[:12])
    assert ("accepted", SAM) == (by_id["status"], by_id["address"])


async def test_name_of_a_contact_means_all_of_its_addresses(alice: House) -> None:
    await add(alice, "Sam", SAM, SAM2)
    for number, email in enumerate((SAM, SAM2, TIM)):
        await mail(alice, email, f"letter {number}")
    row = await alice.handshakes.accept("sam")
    assert ("Sam", SAM) == (row["who"], row["address"])
    assert {SAM: "accepted", SAM2: "accepted", TIM: "request"} == standing(alice)
    assert {"letter 0", "letter 1"} == set(alice.folder("inbox"))
    assert ["letter 2"] == alice.folder("handshake")
    assert {"Sam", TIM} == {row["who"] for row in alice.handshakes.list()}
    await alice.handshakes.revoke("Sam")
    assert {SAM: "revoked", SAM2: "revoked", TIM: "request"} == standing(alice)


async def test_address_that_is_typed_means_itself(alice: House, bob: House) -> None:
    await add(alice, "Bob", bob.address, SAM)
    row = await alice.handshakes.revoke(SAM)
    assert ("Bob", SAM) == (row["who"], row["address"])
    assert {SAM: "revoked"} == standing(alice)
    await alice.handshakes.revoke("Bob")
    assert {SAM: "revoked", bob.address: "revoked"} == standing(alice)
    await alice.handshakes.accept(SAM)
    await alice.handshakes.revoke(f"{bob.address}@mailio.alt")
    assert {SAM: "accepted", bob.address: "revoked"} == standing(alice)


async def test_nobody_asks_by_mail(alice: House) -> None:
    await add(alice, "Sam", SAM, SAM2)
    for act in (alice.handshakes.request, alice.handshakes.open):
        for text in (SAM, "Sam"):
            with pytest.raises(HandshakeError, match="ordinary mail") as refusal:
                await act(text)
            assert refusal.value.remedy == f"just write to them: mailio send {SAM}"
    assert ([], []) == (alice.outbox.list(), alice.handshakes.list())


async def test_own_addresses_are_nobody_else(alice: House) -> None:
    await add(alice, "Me too", SAM, OWN)
    for act in (alice.handshakes.accept, alice.handshakes.revoke):
        for text in (OWN, "Alice@HOME.example", "Me too"):
            with pytest.raises(WhoError, match="your own"):
                await act(text)
    assert {} == await alice.handshakes.hashes([OWN])
    assert () == alice.handshakes.wrote_to(Batch(), {OWN: email_hash(OWN)}, NOW)
    assert [] == alice.handshakes.list()


async def test_rules_and_the_clock_bind_here_too(alice: House) -> None:
    await mail(alice, SAM, "An offer")
    with pytest.raises(WhoError, match="type"):
        await alice.handshakes.accept(SAM, Rules(every_minutes=5))
    with pytest.raises(WhoError, match="end"):
        await alice.handshakes.accept(SAM, Rules(until=NOW))
    alice.party.clock.doubtful = True
    with pytest.raises(NodeError, match="clock"):
        await alice.handshakes.accept(SAM)
    assert ({SAM: "request"}, ["An offer"]) == (standing(alice), alice.folder("handshake"))
    await alice.handshakes.revoke(SAM)
    assert {SAM: "revoked"} == standing(alice)


async def test_writing_to_someone_lets_their_mail_in(alice: House) -> None:
    await mail(alice, SAM, "Earlier")
    await mail(alice, TIM, "Never")
    await alice.handshakes.revoke(TIM)
    async with alice.events.subscribe() as events:
        assert 1 == await wrote(alice, SAM, TIM, OWN)
        told = await heard(events)
    assert (SAM, "accepted") == (told.data["address"], told.data["status"])
    assert {SAM: "accepted", TIM: "revoked"} == standing(alice)
    assert (["Earlier"], ["Never"]) == (alice.folder("inbox"), alice.folder("handshake"))
    assert 0 == await wrote(alice, SAM)
    alice.party.clock.time += 60 * 86_400_000
    assert 1 == await wrote(alice, SAM)
    assert (True, NOW + 150 * 86_400_000) == tuple(
        alice.handshakes.list()[0][name] for name in ("automatic", "expires")
    )


async def test_act_that_the_disk_does_not_take_has_not_happened(tmp_path: Path) -> None:
    trouble = Trouble()
    async with open_worker() as worker, open_party("alice", tmp_path, opener=trouble) as party:
        house = build(party, "alice", worker, Post(), tmp_path)
        await add(house, "Sam", SAM, SAM2)
        await mail(house, SAM, "An offer")
        before = house.handshakes.list()
        trouble.full = True
        for act in (house.handshakes.accept, house.handshakes.revoke):
            with pytest.raises(StoreUnavailable):
                await act("Sam")
            assert (before, ["An offer"]) == (house.handshakes.list(), house.folder("handshake"))
        trouble.full = False
        await house.handshakes.accept("Sam")
        assert {SAM: "accepted", SAM2: "accepted"} == standing(house)


async def test_mailio_owners_and_mail_stand_in_one_list(alice: House, bob: House) -> None:
    await alice.handshakes.revoke(bob.address)
    await mail(alice, SAM, "An offer")
    await alice.party.write(
        lambda batch: alice.party.consent.request_arrived(batch, owner("eve").identity, "Eve", NOW + 1)
    )
    assert [owner("eve").address, SAM, bob.address] == [row["address"] for row in alice.handshakes.list()]
