from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.names import KeyChanged, Names, Pin
from node.network import PeerAddress, parse_peer_id, peer_id_text
from node.storage import Batch, Store
from protocol.identity import IdentityRecord, build_identity
from protocol.link import ContactLink
from protocol.peers import Peer
from protocol.status import HELD_KEY
from tests.kit.owners import NOW, PEER_ID, owner
from tests.names.conftest import World

BOB = owner("bob")
DAY = 86_400_000
ELSEWHERE = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"


def record(created: int = NOW, *, price: int = 6, nodes: tuple[Peer, ...] = ()) -> IdentityRecord:
    return build_identity(BOB.secrets, BOB.chain, price=price, created=created, nodes=nodes)


def other_next(created: int = NOW) -> IdentityRecord:
    return build_identity(replace(BOB.secrets, next=bytes(32)), BOB.chain, price=6, created=created)


async def learn(store: Store, names: Names, what: IdentityRecord) -> bool:
    batch = Batch()
    changed = names.learn(batch, what)
    assert changed is not batch.is_empty
    await store.write(batch)
    return changed


async def test_the_first_record_pins_key_and_next(store: Store, names: Names) -> None:
    assert names.pinned(BOB.address) is None
    assert await learn(store, names, BOB.identity)
    pin = Pin(BOB.address, BOB.public, BOB.identity.next, BOB.identity, 0, ())
    assert names.pinned(BOB.address) == pin
    assert not await learn(store, names, BOB.identity)


async def test_only_a_newer_record_replaces_one(store: Store, names: Names) -> None:
    await learn(store, names, record(NOW))
    assert not await learn(store, names, record(NOW - DAY))
    assert names.cached(BOB.address, NOW) == record(NOW)
    assert await learn(store, names, record(NOW + 1))
    assert names.cached(BOB.address, NOW) == record(NOW + 1)


@pytest.mark.parametrize("turned", [False, True])
async def test_of_equal_seq_the_same_one_stays_in_any_order(store: Store, names: Names, turned: bool) -> None:
    both = sorted((record(price=6), record(price=7)), key=lambda one: one.price, reverse=turned)
    for one in both:
        await learn(store, names, one)
    wins = next(one for one in both if not any(other.replaces(one) for other in both))
    assert names.cached(BOB.address, NOW) == wins


async def test_another_next_is_refused_remembered_and_changes_nothing(store: Store, names: Names) -> None:
    await learn(store, names, BOB.identity)
    assert names.warnings() == []
    batch = Batch()
    with pytest.raises(KeyChanged) as fault:
        names.learn(batch, other_next(NOW + DAY))
    assert fault.value.status == HELD_KEY
    assert batch.is_empty
    assert names.cached(BOB.address, NOW) == BOB.identity
    (warning,) = names.warnings()
    assert (warning.code, BOB.address in warning.text, bool(warning.remedy)) == ("key-changed", True, True)


async def test_a_link_pins_the_key_and_the_record_adds_next(store: Store, names: Names) -> None:
    batch = Batch()
    names.learn_link(batch, ContactLink(BOB.address, BOB.public))
    await store.write(batch)
    assert names.pinned(BOB.address) == Pin(BOB.address, BOB.public)
    assert names.cached(BOB.address, NOW) is None
    assert await learn(store, names, BOB.identity)
    with pytest.raises(KeyChanged):
        names.learn(Batch(), other_next())


async def test_a_link_with_another_key_is_refused(store: Store, names: Names) -> None:
    # No two keys with one address are known; what was pinned decides even so.
    await learn(store, names, BOB.identity)
    with pytest.raises(KeyChanged):
        names.learn_link(Batch(), ContactLink(BOB.address, owner("eve").public))


async def test_links_add_to_where_an_owner_is_the_newest_first(store: Store, names: Names) -> None:
    hints = [f"/ip4/127.0.0.1/tcp/{port}/p2p/{ELSEWHERE}" for port in range(4101, 4112)]
    for some in (hints[:1], hints[1:4], hints[:1], hints[4:]):
        batch = Batch()
        names.learn_link(batch, ContactLink(BOB.address, BOB.public, tuple(some)))
        await store.write(batch)
    pin = names.pinned(BOB.address)
    assert pin is not None
    assert pin.hints == (*hints[4:11], hints[0])


async def test_nodes_are_those_of_the_record_and_of_the_links(store: Store, names: Names) -> None:
    assert names.nodes_of(BOB.address) == []
    await learn(store, names, record(nodes=(Peer(PEER_ID),)))
    assert names.nodes_of(BOB.address) == [PeerAddress(PEER_ID)]
    hints = (
        f"/ip4/127.0.0.1/tcp/4101/p2p/{peer_id_text(PEER_ID)}",
        f"/ip4/10.0.0.1/tcp/4101/p2p/{ELSEWHERE}",
        "/ip4/10.0.0.1/tcp/4101/p2p/nonsense",
    )
    batch = Batch()
    names.learn_link(batch, ContactLink(BOB.address, BOB.public, hints))
    await store.write(batch)
    assert names.nodes_of(BOB.address) == [
        PeerAddress(PEER_ID, ("/ip4/127.0.0.1/tcp/4101",)),
        PeerAddress(parse_peer_id(ELSEWHERE), ("/ip4/10.0.0.1/tcp/4101",)),
    ]


async def test_pins_outlive_the_room(store: Store, names: Names, world: World) -> None:
    await learn(store, names, BOB.identity)
    again = Names(store, world, world.ask, world, world.doubtful)
    assert again.pinned(BOB.address) == names.pinned(BOB.address)


@given(st.permutations([record(NOW - DAY), record(NOW), record(NOW, price=9), record(NOW + 5)]))
def test_the_newest_wins_in_any_order(order: list[IdentityRecord]) -> None:
    newest = order[0]
    for one in order[1:]:
        newest = one if one.replaces(newest) else newest
    assert newest == record(NOW + 5)
