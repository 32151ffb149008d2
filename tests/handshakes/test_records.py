"""What rides in letters: hostile records, and acts that the disk does not take."""

from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from node.runtime.worker import open_worker
from node.storage import Batch, StoreUnavailable
from protocol.errors import RemoteProtocolError
from protocol.handshake import Sender, State, Terms, accept
from protocol.nodes import build_nodes
from protocol.peers import Peer
from protocol.receipt import Receipt, sign_receipt
from protocol.record import sign_record
from protocol.status import MALFORMED, OK
from tests.handshakes.conftest import House, Post, build
from tests.kit.gates import open_party
from tests.kit.hostile import damaged
from tests.kit.owners import GRANT, NOW, PEER_ID, owner
from tests.kit.stores import Trouble

ALICE, BOB, EVE = owner("alice"), owner("bob"), owner("eve")
ACCEPTED = accept(
    BOB.key, Sender(address=ALICE.address), Terms(), previous=None, fresh_grant=GRANT, now=NOW
).record
NODES = build_nodes(BOB.key, [Peer(PEER_ID)], NOW).record
RECEIPT = sign_receipt(Receipt(bytes(32), bytes(32), OK, (), NOW), BOB.key)


async def take(records: list[bytes], path: Path) -> Batch:
    """What Alice's house makes of records in a letter of Bob's."""
    async with open_worker() as worker, open_party("alice", path) as party:
        house = build(party, "alice", worker, Post(), path)
        batch = Batch()
        house.handshakes.take_records(batch, BOB.identity, records, NOW)
        return batch


@given(
    st.lists(
        st.one_of(st.binary(max_size=300), damaged(ACCEPTED), damaged(RECEIPT), damaged(NODES)), max_size=4
    )
)
def test_records_are_taken_or_refused(records: list[bytes]) -> None:
    from tempfile import TemporaryDirectory

    async def one() -> None:
        with TemporaryDirectory() as path:
            try:
                await take(records, Path(path))
            except RemoteProtocolError:
                return

    trio.run(one)


async def test_record_of_another_author_is_refused(tmp_path: Path) -> None:
    others = sign_receipt(Receipt(bytes(32), bytes(32), OK, (), NOW), EVE.key)
    nodes = build_nodes(EVE.key, [Peer(PEER_ID)], NOW).record
    for record in (others, nodes, b"", ACCEPTED[:-1], NODES[:-1]):
        with pytest.raises(RemoteProtocolError) as refusal:
            await take([record], tmp_path)
        assert refusal.value.status == MALFORMED


async def test_unknown_kinds_and_unknown_letters_are_passed_over(tmp_path: Path) -> None:
    unknown = sign_record("surprise/7", {}, BOB.key).encode()
    assert (await take([unknown, RECEIPT], tmp_path)).is_empty


async def test_where_the_author_is_now_wakes_what_waits_for_it(alice: House) -> None:
    alice.post.asleep.add("bob")
    await alice.party.write(lambda batch: alice.names.learn(batch, BOB.identity))
    await alice.handshakes.accept(BOB.address)
    await trio.testing.wait_all_tasks_blocked()
    alice.post.asleep.clear()
    assert accepts_tried(alice) == 0
    batch = Batch()
    effects = alice.handshakes.take_records(batch, BOB.identity, [NODES], NOW)
    await alice.party.store.write(batch)
    for effect in effects:
        effect()
    await trio.testing.wait_all_tasks_blocked()
    assert accepts_tried(alice) == 1
    assert [node.peer_id for node in alice.names.nodes_of(BOB.address)] == [PEER_ID]
    again = Batch()
    assert alice.handshakes.take_records(again, BOB.identity, [NODES], NOW) == ()
    assert again.is_empty


async def test_a_reminder_that_the_disk_did_not_take_is_due_again_and_one_sent_is_not(alice: House) -> None:
    await alice.party.write(lambda batch: alice.names.learn(batch, BOB.identity))
    await alice.handshakes.accept(BOB.address)
    assert alice.handshakes.remind(Batch(), BOB.address, NOW) != ()
    batch = Batch()
    effects = alice.handshakes.remind(batch, BOB.address, NOW)
    await alice.party.store.write(batch)
    for effect in effects:
        effect()
    assert len(effects) > 0
    assert alice.handshakes.remind(Batch(), BOB.address, NOW) == ()


def accepts_tried(house: House) -> int:
    return sum(kind == "accept" for _, _, kind, _, _ in house.post.log)


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


async def test_act_that_the_disk_does_not_take_has_not_happened(tmp_path: Path, trouble: Trouble) -> None:
    async with open_worker() as worker, open_party("alice", tmp_path, opener=trouble) as party:
        house = build(party, "alice", worker, Post(), tmp_path)
        await party.write(lambda batch: house.names.learn(batch, BOB.identity))
        before = snapshot(house)
        trouble.full = True
        for act in (house.handshakes.accept, house.handshakes.revoke, house.handshakes.request):
            with pytest.raises(StoreUnavailable):
                await act(BOB.address)
            assert before == snapshot(house)
        trouble.full = False
        await house.handshakes.accept(BOB.address)
        assert State.ACCEPTED is party.consent.state(BOB.address, NOW)
        assert ["accept"] == [letter.kind for letter in house.outbox.list()]


def snapshot(house: House) -> tuple[object, ...]:
    consent = house.party.consent
    return (
        consent.ours(BOB.address),
        consent.theirs(BOB.address),
        house.outbox.list(),
        house.handshakes.list(),
    )
