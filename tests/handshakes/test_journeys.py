"""Pre-approval from one house to the other: protocol.md §5, *They travel as letters*."""

import pytest
import trio.testing

from node.consent import Rules
from node.handshakes.errors import HandshakeError, WhoError
from node.names import NotFoundYet
from node.runtime.errors import NodeError
from protocol.handshake import State, Type
from protocol.link import ContactLink
from tests.handshakes.conftest import House
from tests.kit.owners import NOW

settle = trio.testing.wait_all_tasks_blocked


async def test_request_accept_and_a_key_both_ways(alice: House, bob: House) -> None:
    await alice.handshakes.request(bob.address, "May I write?\nAlice")
    await settle()
    (row,) = bob.handshakes.list()
    assert ("request", 1, "May I write? Alice", "accepted") == tuple(
        row[name] for name in ("status", "waiting", "note", "theirs")
    )
    assert ["May I write? Alice"] == bob.folder("handshake")
    accepted = await bob.handshakes.accept(str(row["handshakeId"])[:10])
    await settle()
    assert ("accepted", 0, None) == tuple(accepted[name] for name in ("status", "waiting", "expires"))
    assert ["May I write? Alice"] == bob.folder("inbox")
    assert [
        ("alice", "bob", "request", "stamp", "2.0.0"),
        ("bob", "alice", "accept", "key", "2.0.0"),
    ] == alice.post.log
    assert (State.ACCEPTED, State.ACCEPTED) == (alice.state(bob), bob.state(alice))
    for one, other in ((alice, bob), (bob, alice)):
        assert one.party.consent.delivery_key(other.address, other.party.peer_id) is not None


async def test_receipt_of_a_waiting_letter_rides_in_the_accept(alice: House, bob: House) -> None:
    await alice.handshakes.request(bob.address, "hello")
    await settle()
    await bob.handshakes.accept(alice.address)
    (letter,) = [x for x in bob.outbox.list() if x.kind == "accept"]
    assert "delivered" != letter.deliveries[0].state
    assert len(letter.records) == 2


async def test_revocation_is_told_and_holds(alice: House, bob: House) -> None:
    await alice.handshakes.request(bob.address)
    await settle()
    await bob.handshakes.accept(alice.address)
    await settle()
    row = await bob.handshakes.revoke(alice.address)
    await settle()
    assert "revoked" == row["status"]
    assert ("bob", "alice", "revocation", "key", "2.0.0") == alice.post.log[-1]
    assert "revoked" == alice.handshakes.list()[0]["theirs"]
    # What alice asks now goes under the last grant, which the revocation repeats: refused before its body.
    await alice.handshakes.request(bob.address, "please")
    await settle()
    assert ("alice", "bob", "request", "key", "5.8.2") == alice.post.log[-1]
    assert [] == bob.folder("handshake")


async def test_who_was_never_accepted_is_told_nothing(alice: House, bob: House) -> None:
    await alice.handshakes.request(bob.address)
    await settle()
    await bob.handshakes.revoke(alice.address)
    await settle()
    assert ["request"] == [entry[2] for entry in alice.post.log]
    assert [] == bob.outbox.list()


async def test_invitation_needs_no_stamp_and_is_answered(alice: House, bob: House, eve: House) -> None:
    link = await alice.handshakes.link()
    await bob.handshakes.open(link)
    await settle()
    assert [
        ("bob", "alice", "request", "key", "2.0.0"),
        ("alice", "bob", "accept", "key", "2.0.0"),
    ] == alice.post.log
    assert (State.ACCEPTED, State.ACCEPTED) == (alice.state(bob), bob.state(alice))
    assert "personal" == alice.handshakes.list()[0]["level"]
    # The same link in other hands is worth no more than a stamp.
    await eve.handshakes.open(link)
    await settle()
    assert ("eve", "alice", "request", "key, then stamp", "2.0.0") == alice.post.log[-1]
    assert State.REQUEST is alice.state(eve)


async def test_same_person_may_use_an_invitation_again_but_is_told_once(alice: House, bob: House) -> None:
    link = await alice.handshakes.link()
    alice.post.asleep.add("bob")  # so that bob does not learn that he is accepted
    for _ in range(2):
        await bob.handshakes.open(link)
        await settle()
    assert [("bob", "alice", "request", "key", "2.0.0")] * 2 == alice.post.log
    assert ["accept"] == [x.kind for x in alice.outbox.list()]


async def test_revoked_person_gains_nothing_by_an_invitation(alice: House, bob: House) -> None:
    link = await alice.handshakes.link()
    await alice.handshakes.revoke(bob.address)
    await bob.handshakes.open(link)
    await settle()
    assert ("bob", "alice", "request", "key", "5.8.2") == alice.post.log[-1]
    assert State.REVOKED is alice.state(bob)


async def test_a_link_is_tried_at_once_by_all_that_waits(alice: House, bob: House) -> None:
    alice.post.asleep.add("alice")
    await bob.handshakes.request(alice.address)
    await settle()
    alice.post.asleep.clear()
    await bob.handshakes.request(await alice.handshakes.link(one_time=False))
    await settle()
    assert ["delivered"] * 2 == [d.state for letter in bob.outbox.list() for d in letter.deliveries]


async def test_link_without_invitation_locates_and_pins_only(alice: House, bob: House) -> None:
    link = await alice.handshakes.link(one_time=False)
    assert ContactLink.parse(link).invitation is None
    await bob.handshakes.open(link)
    await settle()
    assert ("bob", "alice", "request", "stamp", "2.0.0") == alice.post.log[-1]
    pin = bob.names.pinned(alice.address)
    assert pin is not None
    assert pin.public_key == alice.party.owner.public


async def test_acceptance_wakes_what_waits(alice: House, bob: House) -> None:
    alice.post.asleep.add("bob")
    await alice.handshakes.request(bob.address)
    await settle()
    assert [] == alice.post.log
    alice.post.asleep.clear()
    await bob.party.write(lambda batch: bob.names.learn(batch, alice.party.record))
    await bob.handshakes.accept(alice.address)
    await settle()
    # Bob's accept came first and woke the request, which now goes by key.
    assert [
        ("bob", "alice", "accept", "stamp", "2.0.0"),
        ("alice", "bob", "request", "key", "2.0.0"),
    ] == alice.post.log


async def test_new_rules_are_told_again(alice: House, bob: House) -> None:
    await alice.handshakes.request(bob.address)
    await settle()
    await bob.handshakes.accept(alice.address)
    row = await bob.handshakes.accept(alice.address, Rules(type=Type.SIGNUP, every_minutes=60, until=NOW + 1))
    await settle()
    assert ("signup", 60, NOW + 1) == (row["type"], row["every"], row["expires"])
    assert ["accept", "accept"] == [entry[2] for entry in alice.post.log[1:]]


async def test_held_letter_asks_once_in_five_days(alice: House, bob: House) -> None:
    for _ in range(2):
        await alice.handshakes.ask(bob.address)
    await settle()
    assert 1 == len(alice.post.log)
    alice.party.clock.time += 5 * 86_400_000
    await alice.handshakes.ask(bob.address)
    await settle()
    assert 2 == len(alice.post.log)


async def test_who_can_be_meant(alice: House, bob: House) -> None:
    await alice.party.write(lambda batch: alice.names.add(batch, "Bob", [bob.address]))
    await alice.handshakes.revoke("bob")
    handshake_id = str(alice.handshakes.list()[0]["handshakeId"])
    for text in (bob.address, f"did:mailio:{bob.address}", f"{bob.address}@mailio.alt", handshake_id):
        assert "Bob" == (await alice.handshakes.revoke(text))["who"]


@pytest.mark.parametrize(
    ("text", "fault", "code"),
    [
        ("nobody", NodeError, "unknown-recipient"),
        ("abcdef", NodeError, "unknown-recipient"),
        ("mailio:0x12", NodeError, "recipient"),
        ("", NodeError, "recipient"),
    ],
)
async def test_who_can_not_be_meant(alice: House, text: str, fault: type[NodeError], code: str) -> None:
    for act in (alice.handshakes.request, alice.handshakes.accept, alice.handshakes.revoke):
        with pytest.raises(fault) as refusal:
            await act(text)
        assert refusal.value.code == code
    assert [] == alice.handshakes.list()


async def test_acts_that_can_not_be(alice: House, bob: House) -> None:
    with pytest.raises(WhoError, match="your own"):
        await alice.handshakes.accept(alice.address)
    with pytest.raises(NotFoundYet):
        await alice.handshakes.accept(bob.address)
    with pytest.raises(WhoError, match="2048"):
        await alice.handshakes.request(bob.address, "x" * 2_049)
    with pytest.raises(WhoError, match="type"):
        await alice.handshakes.accept(bob.address, Rules(every_minutes=5))
    with pytest.raises(WhoError, match="end"):
        await alice.handshakes.accept(bob.address, Rules(until=NOW))
    await alice.handshakes.revoke(bob.address)
    with pytest.raises(HandshakeError, match="revoked"):
        await alice.handshakes.request(bob.address)
    assert [] == alice.outbox.list()


async def test_what_has_run_out_goes(alice: House, bob: House) -> None:
    await alice.handshakes.request(bob.address)
    await settle()
    bob.party.clock.time = NOW + 61 * 86_400_000
    await bob.handshakes.expire()
    assert [] == list(bob.party.consent.list())
    assert [] == bob.handshakes.list()
