"""Where owners are by their own word in letters: the newest holds, whatever the order."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.names import Names
from node.names.nodes import SentNodes
from node.network import PeerAddress, peer_id_text
from node.storage import Batch, Store
from node.storage.codec import Key
from node.storage.schema import Space
from protocol.errors import RemoteProtocolError
from protocol.identity import build_identity
from protocol.link import ContactLink
from protocol.nodes import build_nodes
from protocol.peers import Peer
from protocol.record import MAX_AHEAD_MS
from protocol.status import MALFORMED, TIME
from tests.kit.hostile import damaged
from tests.kit.owners import NOW, PEER_ID, owner
from tests.kit.stores import KEY
from tests.names.conftest import World

BOB, EVE = owner("bob"), owner("eve")
OTHER, THIRD = (b"\x00\x24\x08\x01\x12\x20" + bytes([n]) * 32 for n in (7, 8))
PUBLIC = "/ip4/8.8.8.8/tcp/4101"


class Empty:
    """A store in which nothing is."""

    index = staticmethod(KEY.index)

    def get(self, space: Space, key: Key) -> None:
        return None


def sent_nodes() -> SentNodes:
    store: Any = Empty()
    return SentNodes(store, lambda: False)


def nodes(seq: int = NOW, *peers: Peer) -> bytes:
    return build_nodes(BOB.key, peers, seq).record


async def learn(store: Store, names: Names, *records: bytes, now: int = NOW) -> bool:
    batch = Batch()
    changed = names.learn_nodes(batch, records, BOB.identity, now)
    assert changed is not batch.is_empty
    await store.write(batch)
    return changed


async def pin(store: Store, names: Names, *public: Peer, hints: Sequence[str] = ()) -> None:
    batch = Batch()
    names.learn(batch, build_identity(BOB.secrets, BOB.chain, price=6, created=NOW, nodes=public))
    await store.write(batch)
    batch = Batch()
    names.learn_link(batch, ContactLink(BOB.address, BOB.public, tuple(hints)))
    await store.write(batch)


async def test_the_record_s_nodes_come_first_then_those_told_then_those_of_links(
    store: Store, names: Names
) -> None:
    three = (PEER_ID, OTHER, THIRD)
    hints = [f"/ip4/10.0.0.{n}/tcp/1/p2p/{peer_id_text(one)}" for n, one in enumerate(three)]
    await pin(store, names, Peer(PEER_ID), hints=hints)
    await learn(store, names, nodes(NOW, Peer(OTHER, (PUBLIC,)), Peer(PEER_ID)))
    assert names.nodes_of(BOB.address) == [
        PeerAddress(PEER_ID, ("/ip4/10.0.0.0/tcp/1",)),
        PeerAddress(OTHER, (PUBLIC, "/ip4/10.0.0.1/tcp/1")),
        PeerAddress(THIRD, ("/ip4/10.0.0.2/tcp/1",)),
    ]


async def test_a_node_without_an_address_is_for_the_network_to_find(store: Store, names: Names) -> None:
    await pin(store, names)
    await learn(store, names, nodes(NOW, Peer(OTHER)))
    assert names.nodes_of(BOB.address) == [PeerAddress(OTHER)]


async def test_nodes_outlive_the_room(store: Store, names: Names, world: World) -> None:
    await pin(store, names)
    await learn(store, names, nodes(NOW, Peer(OTHER)))
    again = Names(store, world, world.ask, world, world.doubtful)
    assert again.nodes_of(BOB.address) == [PeerAddress(OTHER)]
    assert not await learn(store, again, nodes(NOW, Peer(OTHER)))


async def test_only_newer_nodes_replace_what_is_known(store: Store, names: Names) -> None:
    await pin(store, names)
    assert await learn(store, names, nodes(NOW, Peer(OTHER)))
    assert not await learn(store, names, nodes(NOW - 1, Peer(THIRD)))
    assert names.nodes_of(BOB.address) == [PeerAddress(OTHER)]
    assert await learn(store, names, nodes(NOW + 1, Peer(THIRD)))
    assert names.nodes_of(BOB.address) == [PeerAddress(THIRD)]
    assert await learn(store, names, nodes(NOW + 2))
    assert names.nodes_of(BOB.address) == []


@given(st.permutations([(NOW - 1, OTHER), (NOW, PEER_ID), (NOW + 2, OTHER), (NOW + 3, THIRD)]))
def test_of_several_in_one_letter_the_newest_wins_in_any_order(order: list[tuple[int, bytes]]) -> None:
    seen = Batch()
    learned = sent_nodes().learn(seen, [nodes(s, Peer(p)) for s, p in order], BOB.identity, NOW)
    assert learned
    expected = Batch()
    sent_nodes().learn(expected, [nodes(NOW + 3, Peer(THIRD))], BOB.identity, NOW)
    assert expected.changes[:1] == seen.changes[:1]  # a note for hosts stands behind it


async def test_nodes_of_another_owner_are_refused(store: Store, names: Names) -> None:
    with pytest.raises(RemoteProtocolError) as refusal:
        await learn(store, names, build_nodes(EVE.key, [Peer(OTHER)], NOW).record)
    assert refusal.value.status == MALFORMED


async def test_nodes_from_the_future_are_refused_by_a_clock_that_is_right(
    store: Store, names: Names, world: World
) -> None:
    ahead = nodes(NOW + MAX_AHEAD_MS + 1, Peer(OTHER))
    with pytest.raises(RemoteProtocolError) as refusal:
        await learn(store, names, ahead)
    assert refusal.value.status == TIME
    world.doubt = True
    assert await learn(store, names, ahead)


@given(st.lists(st.one_of(st.binary(max_size=300), damaged(nodes(NOW, Peer(OTHER, (PUBLIC,))))), max_size=3))
def test_any_bytes_are_nodes_or_refused(records: list[bytes]) -> None:
    batch = Batch()
    try:
        changed = sent_nodes().learn(batch, records, BOB.identity, NOW)
    except RemoteProtocolError:
        return
    assert changed is not batch.is_empty
