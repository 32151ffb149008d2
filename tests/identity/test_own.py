from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.identity import Identity, Profile, load, node_of
from node.identity.own import MAX_WEEKS
from node.runtime.clock import DAY_MS
from node.runtime.errors import NodeError, UsageError
from node.runtime.home import Home
from node.storage import Batch, Store
from protocol.identity import Capabilities, IdentityRecord
from protocol.keys import words_of
from protocol.link import ContactLink
from protocol.nodes import NodesRecord
from protocol.peers import Peer
from protocol.prekeys import FIRST_WEEK, WEEK_MS, Chain, week_of
from tests.identity.conftest import ROOT
from tests.kit.owners import NOW, PEER_ID
from tests.kit.stores import KEY

TODAY = NOW // DAY_MS * DAY_MS
PUBLIC = "/ip4/8.8.8.8/tcp/4101"
PRIVATE = "/ip4/192.168.1.5/tcp/4101"
LOOPBACK = "/ip4/127.0.0.1/tcp/4101"


class Addresses:
    """Where our node is, as the test says."""

    def __init__(self, *addrs: str) -> None:
        self.addrs = addrs

    def nodes(self) -> Sequence[Peer]:
        return (Peer(PEER_ID, self.addrs),)


async def save(identity: Identity, store: Store) -> bool:
    batch = Batch()
    identity.save(batch)
    await store.write(batch)
    return not batch.is_empty


async def test_the_record_says_who_we_are(identity: Identity, store: Store) -> None:
    identity.attach(store, Profile(Addresses(PUBLIC).nodes, capabilities=Capabilities(5, 6), price=9))
    record = IdentityRecord.parse(identity.record(NOW).record, NOW)
    assert record == identity.record(NOW)
    assert (record.address, record.public_key) == (identity.address, identity.public_key)
    assert (record.pair_key, record.next) == (identity.secrets.pair_public, identity.secrets.next)
    assert (record.capabilities, record.price, record.birth) == (Capabilities(5, 6), 9, None)
    assert record.nodes == (Peer(PEER_ID, (PUBLIC,)),)
    assert (record.created, record.seq, record.expires) == (NOW, NOW, NOW + 90 * DAY_MS)
    weeks = range(week_of(NOW), week_of(NOW + 90 * DAY_MS) + 1)
    assert (record.first_week, record.prekeys) == (
        weeks[0],
        tuple(Chain.start(ROOT).public(week) for week in weeks),
    )


async def test_private_addresses_are_never_published(identity: Identity, store: Store) -> None:
    identity.attach(store, Profile(Addresses(LOOPBACK, PUBLIC, PRIVATE, "/ip6/::1/tcp/1", "nonsense").nodes))
    assert identity.record(NOW).nodes == (Peer(PEER_ID, (PUBLIC,)),)
    addresses = Addresses(LOOPBACK, PRIVATE)
    identity.attach(store, Profile(addresses.nodes))
    before = identity.record(NOW)
    assert before.nodes == (Peer(PEER_ID, ()),)
    addresses.addrs = (LOOPBACK,)
    assert identity.record(NOW + 1) is before


async def test_the_same_day_gives_the_same_bytes_on_every_node(
    identity: Identity, home: Home, store: Store
) -> None:
    profile = Profile(Addresses(PUBLIC).nodes)
    identity.attach(store, profile)
    first = identity.record(TODAY)
    await save(identity, store)
    again = load(home, KEY)
    again.attach(store, profile)
    for later in (0, 1, DAY_MS - 1):
        assert identity.record(TODAY + later).record == first.record
        assert again.record(TODAY + later).record == first.record
    assert not await save(again, store)


async def test_a_new_day_renews_it(identity: Identity, store: Store) -> None:
    identity.attach(store, Profile())
    first, second = identity.record(NOW), identity.record(TODAY + DAY_MS)
    assert (first.created, second.created) == (NOW, TODAY + DAY_MS)
    assert second.replaces(first)
    assert identity.record(TODAY + 2 * DAY_MS - 1) == second


async def test_a_change_makes_a_new_one_at_once_and_is_told(identity: Identity, store: Store) -> None:
    addresses, told = Addresses(PUBLIC), list[int]()
    identity.attach(store, Profile(addresses.nodes))
    identity.on_change(lambda: told.append(1))
    first = identity.record(NOW)
    assert len(told) == 1
    addresses.addrs = ("/ip4/9.9.9.9/tcp/1",)
    identity.content_changed(NOW)
    assert len(told) == 2
    second = identity.record(NOW)
    assert (second.created, second.nodes[0].addrs) == (NOW + 1, addresses.addrs)
    assert second.replaces(first)
    identity.content_changed(NOW + 5)
    assert len(told) == 2


async def test_nodes_for_accepted_senders_travel_apart(identity: Identity, store: Store) -> None:
    identity.attach(store, Profile(told_nodes=Addresses(PUBLIC, PRIVATE, LOOPBACK).nodes))
    data = identity.nodes_record(NOW)
    assert data is not None
    record = NodesRecord.parse(data, NOW)
    assert (record.address, record.nodes, record.seq) == (
        identity.address,
        (Peer(PEER_ID, (PUBLIC,)),),
        NOW,
    )
    assert identity.record(NOW).nodes == ()


async def test_nodes_that_everyone_may_know_need_no_record_apart(identity: Identity, store: Store) -> None:
    identity.attach(store, Profile(Addresses(PUBLIC).nodes))
    assert identity.nodes_record(NOW) is None


async def test_a_nodes_record_is_new_only_when_the_nodes_are(
    identity: Identity, home: Home, store: Store
) -> None:
    addresses = Addresses(PUBLIC)
    profile = Profile(told_nodes=addresses.nodes)
    identity.attach(store, profile)
    first = identity.nodes_record(NOW)
    assert await save(identity, store)
    again = load(home, KEY)
    again.attach(store, profile)
    assert again.nodes_record(NOW + 2 * DAY_MS) == identity.nodes_record(NOW + DAY_MS) == first
    assert not await save(again, store)
    addresses.addrs = ("/ip4/9.9.9.9/tcp/1",)
    changed = again.nodes_record(NOW - DAY_MS)  # the clock was set back: the newer one must win even so
    assert first is not None
    assert changed is not None
    assert NodesRecord.parse(changed, NOW).seq == NOW + 1
    assert NodesRecord.parse(changed, NOW).replaces(NodesRecord.parse(first, NOW))


async def test_nodes_dated_by_a_clock_that_ran_ahead_are_dated_anew(identity: Identity, store: Store) -> None:
    identity.attach(store, Profile(told_nodes=Addresses(PUBLIC).nodes))
    identity.nodes_record(NOW + DAY_MS)
    identity.mend_time(NOW)
    data = identity.nodes_record(NOW)
    assert data is not None
    assert NodesRecord.parse(data, NOW).seq == NOW


async def test_order_of_addresses_is_no_change(identity: Identity, store: Store) -> None:
    many = tuple(f"/ip4/8.8.8.8/tcp/{port}" for port in range(4101, 4112))
    addresses = Addresses(*many)
    identity.attach(store, Profile(addresses.nodes))
    first = identity.record(NOW)
    assert len(first.nodes[0].addrs) == 8
    addresses.addrs = (*reversed(many), many[0])
    assert identity.record(NOW + 1) == first


async def test_a_change_dated_far_ahead_is_mended(identity: Identity, store: Store) -> None:
    identity.attach(store, Profile())
    assert identity.record(NOW + 365 * DAY_MS).created == NOW + 365 * DAY_MS
    assert identity.record(NOW).created == NOW + 365 * DAY_MS
    identity.mend_time(NOW)
    assert identity.record(NOW).created == NOW
    before = identity.record(NOW)
    identity.mend_time(NOW - 60_000)
    assert identity.record(NOW) == before


async def test_a_clock_before_our_keys_is_said(identity: Identity, store: Store) -> None:
    identity.attach(store, Profile())
    with pytest.raises(NodeError, match="can't be made") as fault:
        identity.record(NOW - 365 * DAY_MS)
    assert fault.value.remedy


async def test_links_go_forty_days_after_their_week(identity: Identity, home: Home) -> None:
    first = identity.first_week
    ends = (first + 1) * WEEK_MS + 40 * DAY_MS
    assert not await identity.destroy_links(ends - 1)
    assert identity.prekey_private(first) == Chain.start(ROOT).private(first)
    assert await identity.destroy_links(ends)
    assert identity.prekey_private(first) is None
    assert identity.prekey_private(first + 1) == Chain.start(ROOT).private(first + 1)
    assert load(home, KEY).first_week == identity.first_week == first + 1
    assert await identity.destroy_links(ends + 100 * WEEK_MS)
    assert identity.first_week == first + 101


async def test_any_week_has_a_key_or_none(identity: Identity) -> None:
    @given(st.integers(0, 2**53) | st.integers(FIRST_WEEK, FIRST_WEEK + 1_000))
    def holds(week: int) -> None:
        has = identity.first_week <= week <= identity.first_week + MAX_WEEKS
        assert (identity.prekey_private(week) is not None) == has

    holds()


async def test_weeks_taken_reach_to_the_end_of_the_record(identity: Identity, store: Store) -> None:
    identity.attach(store, Profile())
    first, count = identity.weeks(NOW)
    assert (first, first + count - 1) == (identity.first_week, week_of(identity.record(NOW).expires))


async def test_the_words_are_known_again_and_not_kept(identity: Identity, home: Home, store: Store) -> None:
    identity.attach(store, Profile())
    assert [warning.code for warning in identity.warnings()] == ["words-unconfirmed"]
    words = words_of(ROOT)
    assert identity.matches([word.upper() for word in words])
    assert not identity.matches(words_of(bytes(32)))
    for wrong in (words[:-1], ("nonsense", *words[1:]), (words[1], words[0], *words[2:])):
        with pytest.raises(UsageError):
            identity.matches(wrong)
    batch = Batch()
    identity.confirm(batch)
    await store.write(batch)
    again = load(home, KEY)
    again.attach(store, Profile())
    assert again.confirmed
    assert again.warnings() == []


async def test_a_birth_stamp_becomes_part_of_the_record(identity: Identity, home: Home, store: Store) -> None:
    identity.attach(store, Profile())
    identity.record(NOW)
    for tried, nonce in ((8, None), (16, bytes(8))):
        batch = Batch()
        identity.birth_progress(batch, tried, nonce, NOW + 1)
        await store.write(batch)
    again = load(home, KEY)
    again.attach(store, Profile())
    assert (again.birth, again.birth_tried) == (bytes(8), 16)
    assert again.record(NOW + 2) == identity.record(NOW + 2)
    assert (identity.record(NOW + 2).birth, identity.record(NOW + 2).created) == (bytes(8), NOW + 1)


def test_the_link_names_public_addresses_first_and_as_many_as_fit(identity: Identity) -> None:
    private = [f"{LOOPBACK}{n}/p2p/12D3" for n in range(8)]
    link = ContactLink.parse(identity.link([*private, f"{PUBLIC}/p2p/12D3"], bytes(32)))
    expected = ContactLink(
        identity.address, identity.public_key, (f"{PUBLIC}/p2p/12D3", *private[:7]), bytes(32)
    )
    assert link == expected


def test_a_node_is_named_without_its_peer_id() -> None:
    circuit = f"{PUBLIC}/p2p/12D3relay/p2p-circuit"
    assert node_of(PEER_ID, [f"{PUBLIC}/p2p/12D3", PUBLIC, circuit]) == Peer(
        PEER_ID, (PUBLIC, PUBLIC, circuit)
    )


def test_printing_an_identity_shows_no_secret(identity: Identity) -> None:
    shown = repr(identity) + repr(identity.secrets) + repr(identity.signing_key)
    assert identity.secrets.identity_seed.hex() not in shown
    assert repr(identity.secrets.identity_seed) not in shown
