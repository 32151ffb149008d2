"""A disk is lost, and the pages of the vault are there (protocol.md §3): what comes back, and what stays."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.consent import Ours, Rules
from node.consent.rules import accepted, recovered, revoked
from node.runtime.clock import DAY_MS
from node.storage import Batch
from protocol.account import Item
from protocol.cbor import encode
from protocol.errors import RemoteProtocolError
from protocol.handshake import Level, Sender, State, revoke
from protocol.held import parse_held, seal_held
from protocol.keys import SigningKey
from protocol.nodes import build_nodes
from protocol.pair import GRANT_BYTES
from protocol.peers import Peer
from protocol.vault import Entry, Page
from tests.kit.gates import counterpart
from tests.kit.keeper import Keeper, of, open_keeper
from tests.kit.owners import NOW, PEER_ID, owner

ACCOUNT = SigningKey.from_seed(owner("alice").secrets.account_seed(PEER_ID))
EMAIL = "dave@example.org"


@pytest.fixture
async def alice(tmp_path: Path) -> AsyncIterator[Keeper]:
    async with open_keeper("alice", tmp_path / "old") as keeper:
        yield keeper


@pytest.fixture
async def again(tmp_path: Path) -> AsyncIterator[Keeper]:
    """The same owner with a new disk."""
    async with open_keeper("alice", tmp_path / "new") as keeper:
        yield keeper


async def give(old: Keeper, new: Keeper) -> Counter[str]:
    return await new.vault.take_in([(old.keys.open(item), item) for item in await old.items()])


async def full(alice: Keeper) -> None:
    """Everything that there may be in a vault."""
    consent, names = alice.party.consent, alice.names
    bob, carol, frank = owner("bob"), owner("carol"), owner("frank")
    told = build_nodes(bob.key, [Peer(PEER_ID, ("/ip4/203.0.113.1/tcp/1",))], NOW).record
    theirs = alice.handshake_of("bob")
    await alice.do(
        *(alice.learn(name) for name in ("bob", "carol", "frank")),
        alice.accept(of("bob")),
        alice.accept_mail(EMAIL),
        lambda batch: consent.learn(batch, [theirs], bob.identity, NOW),
        lambda batch: names.learn_nodes(batch, [told], bob.identity, NOW),
        lambda batch: consent.revoke(batch, carol.address, NOW),
        lambda batch: consent.way_back(batch, frank.identity, NOW),
        lambda batch: names.add(batch, "Bob", [bob.address, "bob@example.org"]),
        lambda batch: names.add(batch, "Dave", [EMAIL]),
    )


async def test_everything_is_as_it_was(alice: Keeper, again: Keeper) -> None:
    await full(alice)
    restored = await give(alice, again)
    assert {"ours/1": 4, "theirs/1": 1, "owner/1": 3, "contact/1": 2} == restored
    assert await alice.entries() == await again.entries()
    old, new = alice.party.consent, again.party.consent
    bob = owner("bob")
    assert {e.address: e for e in old.list()} == {e.address: e for e in new.list()}
    assert alice.names.contacts() == again.names.contacts()
    assert "Bob" == again.names.name_of(bob.address)
    assert "Dave" == again.names.resolve(EMAIL).name
    key = old.delivery_key(bob.address, PEER_ID)
    assert key is not None
    assert key == new.delivery_key(bob.address, PEER_ID)
    expected = [State.ACCEPTED, State.ACCEPTED, State.REVOKED, State.ACCEPTED]
    who = [bob.address, EMAIL, owner("carol").address, owner("frank").address]
    assert expected == [new.state(one, NOW) for one in who]
    assert [PEER_ID] == [peer.peer_id for peer in again.names.nodes_of(bob.address)]


async def test_delivery_keys_are_known_again(alice: Keeper, again: Keeper) -> None:
    await full(alice)
    await give(alice, again)
    bob, grant = owner("bob"), alice.party.consent.ours(owner("bob").address)
    assert grant is not None
    key = owner("alice").lets(bob).delivery_key(grant.grant, again.party.peer_id).public
    verdict = again.party.consent.judge_key(key, 1_000, False, NOW)
    assert (bob.address, State.ACCEPTED) == (verdict.address, verdict.state)


async def test_what_was_pinned_holds_against_what_is_seen_first_now(alice: Keeper, again: Keeper) -> None:
    await alice.do(alice.learn("bob"), alice.accept(of("bob")))
    await give(alice, again)
    pin = again.names.pinned(owner("bob").address)
    assert pin is not None
    identity = owner("bob").identity
    assert (identity.public_key, identity.next, None) == (pin.public_key, pin.next, pin.record)


async def test_the_pages_go_on_where_they_were(alice: Keeper, again: Keeper) -> None:
    await full(alice)
    await give(alice, again)
    assert 0 == await again.vault.renew()
    assert await alice.items() == await again.items()
    again.party.clock.time = NOW - 1_000  # even with a clock that is behind
    await again.do(lambda batch: again.names.add(batch, "Grace", ["grace@example.org"]))
    assert [item.seq + 1 for item in await alice.items()] == [item.seq for item in await again.items()]


async def test_taking_in_twice_is_as_once(alice: Keeper, again: Keeper) -> None:
    await full(alice)
    await give(alice, again)
    assert Counter() == await give(alice, again)
    assert await alice.entries() == await again.entries()


async def test_what_is_newer_here_stays(alice: Keeper, again: Keeper) -> None:
    await full(alice)
    bob, carol = owner("bob"), owner("carol")
    consent = again.party.consent
    await again.do(
        again.learn("bob"),
        lambda batch: consent.revoke(batch, bob.address, NOW + 5_000),
        lambda batch: again.names.add(batch, "Bob", ["another@example.org"]),
    )
    restored = await give(alice, again)
    assert {"ours/1": 3, "theirs/1": 1, "owner/1": 3, "contact/1": 1} == restored
    assert [State.REVOKED, State.REVOKED] == [consent.state(a, NOW) for a in (bob.address, carol.address)]
    assert ("another@example.org",) == again.names.contact("Bob").emails


async def test_an_entry_that_can_not_be_read_costs_nothing_else(alice: Keeper, again: Keeper) -> None:
    await full(alice)
    bob = owner("bob").address.encode()
    wrong = [
        Entry("ours/1", b"1", b"\xff"),
        Entry("ours/1", b"2", encode({"state": "bogus"})),
        Entry("theirs/1", b"3", encode(7)),
        Entry("owner/1", bob, encode({"publicKey": owner("eve").public, "hints": []})),
        Entry("contact/1", b"short", encode({"name": "x", "emails": [], "created": 0})),
        Entry("later/9", b"4", encode({})),
    ]
    entries = [e for e in await alice.entries() if (e.kind, e.name) != ("owner/1", bob)]
    page = Page(0, 1, NOW, tuple(sorted([*entries, *wrong], key=lambda e: e.key)))
    await again.vault.take_in([(page, Item(again.keys.page_id(0), NOW, again.keys.seal(page).data))])
    kept = await again.entries()
    assert sorted(wrong + entries, key=lambda e: e.key) == kept  # the page as the host has it
    await again.vault.renew()
    assert entries == await again.entries()


# ---- handshakes that a host has and the vault not yet


async def test_a_newer_handshake_of_a_host_wins(alice: Keeper, again: Keeper) -> None:
    bob = owner("bob")
    await alice.do(alice.learn("bob"), alice.accept(of("bob")))
    await give(alice, again)
    await alice.do(lambda batch: alice.party.consent.revoke(batch, bob.address, NOW + 1))
    after = alice.party.consent.ours(bob.address)
    assert after is not None
    assert after.handshake is not None
    keeping = again.party.consent.keeping
    pair = owner("alice").lets(bob)
    assert [(pair.tag, bob.address, NOW)] == list(keeping.tags())
    held = parse_held(seal_held(after.handshake, pair, ACCOUNT))
    await again.do(lambda batch: keeping.restore_held(batch, bob.address, held))
    assert after == again.party.consent.ours(bob.address)


async def test_an_older_or_forged_one_does_not(alice: Keeper) -> None:
    bob, eve = owner("bob"), owner("eve")
    keeping, pair = alice.party.consent.keeping, owner("alice").lets(bob)
    await alice.do(alice.learn("bob"), alice.accept(of("bob")))
    before = alice.party.consent.ours(bob.address)
    assert before is not None
    assert before.handshake is not None
    same = parse_held(seal_held(before.handshake, pair, ACCOUNT))
    await alice.do(lambda batch: keeping.restore_held(batch, bob.address, same))
    # Bob has the pair secret too, and may seal what he likes.
    forged = revoke(bob.key, before.sender, previous=None, now=NOW + 9)
    about_eve = revoke(owner("alice").key, counterpart_sender("eve"), previous=None, now=NOW + 9)
    for handshake in (forged, about_eve):
        held = parse_held(seal_held(handshake, pair, ACCOUNT))
        with pytest.raises(RemoteProtocolError):
            keeping.restore_held(Batch(), bob.address, held)
    await alice.do(lambda batch: keeping.restore_held(batch, eve.address, same))
    assert before == alice.party.consent.ours(bob.address)
    assert alice.party.consent.ours(eve.address) is None


def counterpart_sender(name: str) -> Sender:
    return Ours(owner(name).address).sender


@given(st.lists(st.sampled_from(["accept", "automatic", "revoke"]), min_size=1, max_size=6))
def test_what_follows_from_the_handshake_is_what_was(acts: list[str]) -> None:
    key, who = owner("alice").key, counterpart(owner("bob").identity)
    entry = Ours(who.address)
    for n, act in enumerate(["accept", *acts]):
        before, now = entry, NOW + n * DAY_MS
        if act == "revoke":
            entry = revoked(entry, key, now)
        else:
            automatic = act == "automatic"
            level = Level.NONE if automatic else Level.PERSONAL
            terms = Rules(until=now + 90 * DAY_MS).terms(level)
            entry = accepted(entry, who, terms, key, bytes([n] * GRANT_BYTES), now, automatic=automatic)
        if n:
            handshake = entry.handshake
            assert handshake is not None
            assert entry == recovered(before, handshake)
