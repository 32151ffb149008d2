"""What other owners let us do: their records are believed only as protocol.md §3 and §5 say."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.consent import Rules
from node.storage import Batch
from protocol import status as codes
from protocol.errors import RemoteProtocolError
from protocol.handshake import Handshake, Sender, State, Terms, accept, parse_handshake, revoke
from tests.kit.gates import Party, counterpart, open_party
from tests.kit.hostile import damaged
from tests.kit.owners import GRANT, NOW, owner

ALICE, BOB, EVE = owner("alice"), owner("bob"), owner("eve")
ABOUT_BOB = Sender(address=BOB.address)


def accepts(
    previous: Handshake | None = None, now: int = NOW, grant: bytes = GRANT, expires: int | None = None
) -> Handshake:
    return accept(ALICE.key, ABOUT_BOB, Terms(expires=expires), previous=previous, fresh_grant=grant, now=now)


@pytest.fixture
async def bob(tmp_path: Path) -> AsyncIterator[Party]:
    async with open_party("bob", tmp_path) as party:
        yield party


async def learn(bob: Party, *records: bytes) -> bool:
    changed: list[bool] = []
    await bob.write(lambda batch: changed.append(bob.consent.learn(batch, records, ALICE.identity, NOW)))
    return changed[0]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_newest_record_counts_in_whatever_order_they_come(bob: Party, order: tuple[int, ...]) -> None:
    first = accepts()
    second = revoke(ALICE.key, ABOUT_BOB, previous=first, now=NOW)
    third = accepts(second, grant=bytes(16))
    records = [h.record for h in (first, second, third)]
    for number in order:
        await learn(bob, records[number])
    theirs = bob.consent.theirs(ALICE.address)
    assert theirs is not None
    assert third.record == theirs.record
    key = bob.consent.delivery_key(ALICE.address, b"node")
    assert key == BOB.may_use(ALICE).delivery_key(bytes(16), b"node")


async def test_several_records_in_one_letter(bob: Party) -> None:
    first = accepts()
    second = revoke(ALICE.key, ABOUT_BOB, previous=first, now=NOW)
    assert await learn(bob, second.record, first.record)
    assert not await learn(bob, second.record, first.record)
    key = bob.consent.delivery_key(ALICE.address, b"node")
    assert key == BOB.may_use(ALICE).delivery_key(first.grant or b"", b"node")
    assert not bob.consent.accepted_by(ALICE.address)


async def test_equal_seq_is_decided_alike_everywhere(bob: Party) -> None:
    one, two = accepts(grant=bytes(16)), accepts(grant=bytes([1] * 16))
    assert one.seq == two.seq
    await learn(bob, one.record)
    await learn(bob, two.record)
    await learn(bob, one.record)
    theirs = bob.consent.theirs(ALICE.address)
    assert theirs is not None
    assert max(one, two, key=_rank).record == theirs.record


def _rank(handshake: Handshake) -> bytes:
    from protocol.kdf import blake2b

    return bytes(255 - b for b in blake2b(handshake.payload))


async def test_foreign_records_are_refused(bob: Party) -> None:
    others = accept(
        ALICE.key, Sender(address=EVE.address), Terms(), previous=None, fresh_grant=GRANT, now=NOW
    )
    forged = accept(EVE.key, ABOUT_BOB, Terms(), previous=None, fresh_grant=GRANT, now=NOW)
    for record in (others.record, forged.record):
        with pytest.raises(RemoteProtocolError) as refusal:
            await learn(bob, record)
        assert refusal.value.status == codes.MALFORMED


async def test_record_from_the_future_is_for_later(bob: Party) -> None:
    with pytest.raises(RemoteProtocolError) as refusal:
        await learn(bob, accepts(now=NOW + 600_001).record)
    assert refusal.value.status == codes.TIME


async def test_acceptance_that_ran_out_proves_nothing(bob: Party) -> None:
    await learn(bob, accepts(expires=NOW + 1_000).record)
    assert bob.consent.accepted_by(ALICE.address)
    bob.clock.time = NOW + 1_000
    assert not bob.consent.accepted_by(ALICE.address)
    assert bob.consent.delivery_key(ALICE.address, b"node") is None
    bob.clock.doubtful = True
    assert bob.consent.delivery_key(ALICE.address, b"node") is not None


async def test_handshake_takes_the_place_of_an_invitation(bob: Party) -> None:
    await bob.write(lambda batch: bob.consent.learn_invitation(batch, ALICE.address, bytes(range(32))))
    invited = bob.consent.delivery_key(ALICE.address, b"node")
    await learn(bob, accepts().record)
    accepted = bob.consent.delivery_key(ALICE.address, b"node")
    await learn(bob, revoke(ALICE.key, ABOUT_BOB, previous=accepts(), now=NOW + 1).record)
    await bob.write(lambda batch: bob.consent.learn_invitation(batch, ALICE.address, bytes(range(32))))
    revoked = bob.consent.delivery_key(ALICE.address, b"node")
    assert invited is not None
    assert accepted is not None
    assert invited != accepted
    assert revoked == accepted  # no invitation takes the place of a revocation


async def test_own_side_is_untouched_by_what_they_say(bob: Party) -> None:
    await bob.write(lambda batch: bob.consent.accept(batch, counterpart(ALICE.identity), Rules(), NOW))
    await learn(bob, revoke(ALICE.key, ABOUT_BOB, previous=None, now=NOW).record)
    assert bob.consent.state(ALICE.address, NOW) is State.ACCEPTED


VALID = accepts().record


@given(damaged(VALID))
def test_damaged_records_are_refused_or_the_same(data: bytes) -> None:
    try:
        found = parse_handshake(data, NOW)
    except RemoteProtocolError:
        return
    assert found.owner_address == ALICE.address


@given(st.binary(max_size=2_000))
async def test_rubbish_is_refused(data: bytes) -> None:
    """Whole: through the room itself, on a store that must stay as it was."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as path:
        async with open_party("bob", Path(path)) as bob:
            batch = Batch()
            with pytest.raises(RemoteProtocolError):
                bob.consent.learn(batch, [data], ALICE.identity, NOW)
            assert batch.is_empty
