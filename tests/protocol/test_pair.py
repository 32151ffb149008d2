"""Pair secrets: the same at both ends, another in each direction."""

import pytest

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.pair import Pair, invitation_delivery_key
from tests.kit.owners import GRANT, PEER_ID, owner

ALICE, BOB, EVE = owner("alice"), owner("bob"), owner("eve")


def test_both_ends_derive_the_same() -> None:
    assert ALICE.lets(BOB) == BOB.may_use(ALICE)
    assert BOB.lets(ALICE) == ALICE.may_use(BOB)


def test_each_direction_pair_grant_and_node_has_its_own() -> None:
    there, back, other = ALICE.lets(BOB), BOB.lets(ALICE), ALICE.lets(EVE)
    tags = {there.tag, back.tag, other.tag}
    keys = {there.box_key, back.box_key, other.box_key}
    delivery = {
        there.delivery_key(GRANT, PEER_ID).public,
        there.delivery_key(bytes(16), PEER_ID).public,
        there.delivery_key(GRANT, PEER_ID[:-1] + b"\0").public,
        back.delivery_key(GRANT, PEER_ID).public,
    }
    assert (3, 3, 4) == (len(tags), len(keys), len(delivery))
    assert not tags & keys


def test_an_invitation_is_bound_to_its_owner() -> None:
    one = invitation_delivery_key(bytes(32), ALICE.address)
    assert one == invitation_delivery_key(bytes(32), ALICE.address)
    assert one != invitation_delivery_key(bytes(32), BOB.address)


@pytest.mark.parametrize("low", [bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"])
def test_a_key_of_low_order_is_refused(low: bytes) -> None:
    mine = ALICE.secrets
    with pytest.raises(RemoteProtocolError):
        Pair.derive(mine.pair_key, low, mine.pair_public, low, ALICE.address, EVE.address)


def test_a_key_of_neither_end_is_our_mistake() -> None:
    alice, bob = ALICE.secrets, BOB.secrets
    with pytest.raises(LocalProtocolError):
        Pair.derive(alice.pair_key, EVE.secrets.pair_public, alice.pair_public, bob.pair_public, "0x0", "0x1")


def test_secrets_of_the_wrong_size_are_our_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        ALICE.lets(BOB).delivery_key(bytes(15), PEER_ID)
    with pytest.raises(LocalProtocolError):
        invitation_delivery_key(bytes(31), ALICE.address)
