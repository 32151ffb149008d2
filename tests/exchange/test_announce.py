"""Owners whose nodes only those they have accepted are told of (protocol.md §3, `announce = contacts`)."""

import pytest

from node.network import PeerAddress
from protocol.identity import IdentityRecord
from tests.kit.houses import House, Street


@pytest.fixture
async def shy(street: Street) -> House:
    """Someone who announces their nodes to contacts only."""
    return await street.open("shy", announce="contacts")


def published(house: House) -> IdentityRecord:
    return house.owner.identity.record(house.ground.clock.now())


async def test_the_published_record_names_no_node(shy: House, alice: House) -> None:
    assert published(shy).nodes == ()
    assert [node.peer_id for node in published(alice).nodes] == [alice.owner.peer_id]


async def test_whom_one_writes_to_can_answer(street: Street, shy: House, alice: House) -> None:
    await shy.send(alice, "Hello")
    await street.quiet()
    assert alice.owner.names.nodes_of(shy.address) == [PeerAddress(shy.owner.peer_id)]
    answer = await alice.send(shy, "Hello yourself")
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(answer)
    assert ["Hello yourself"] == shy.folder()


async def test_a_stranger_finds_no_node_until_it_is_accepted(
    street: Street, shy: House, alice: House
) -> None:
    letter = await alice.send(shy, "Are you there?")
    await street.quiet()
    assert [("queued", "4.4.1")] == alice.state(letter)
    assert alice.owner.names.nodes_of(shy.address) == []
    # Accepted on another way than by a letter of hers, she is told, and what waited goes at once.
    await shy.owner.handshakes.accept(alice.address)
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["Are you there?"] == shy.folder()


async def test_a_revoked_one_is_told_no_more(street: Street, shy: House, alice: House) -> None:
    await street.befriend(shy, alice)
    before = alice.owner.names.nodes_of(shy.address)
    assert before == [PeerAddress(shy.owner.peer_id)]
    shy.wire.addrs = ["/ip4/8.8.8.8/tcp/4101"]
    await shy.owner.handshakes.revoke(alice.address)
    await street.quiet()
    assert alice.owner.names.nodes_of(shy.address) == before


async def test_an_accepted_one_hears_of_new_addresses_with_the_next_letter(
    street: Street, shy: House, alice: House
) -> None:
    await street.befriend(shy, alice)
    shy.wire.addrs = ["/ip4/8.8.8.8/tcp/4101"]
    await shy.send(alice, "I have moved")
    await street.quiet()
    moved = PeerAddress(shy.owner.peer_id, ("/ip4/8.8.8.8/tcp/4101",))
    assert alice.owner.names.nodes_of(shy.address) == [moved]
    await street.close(shy)
    shy = await street.open("shy", announce="contacts")
    await shy.send(alice, "And back")
    await street.quiet()
    assert alice.owner.names.nodes_of(shy.address) == [PeerAddress(shy.owner.peer_id)]
