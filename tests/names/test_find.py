from collections.abc import Sequence
from dataclasses import replace

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from node.names import KeyChanged, Names, NotFoundYet
from node.names.find import FRESH_MS, RETRY_S
from node.storage import Batch, Store
from protocol.errors import RemoteProtocolError
from protocol.identity import IdentityRecord, build_identity
from protocol.peers import Peer
from protocol.status import NO_ANSWER
from tests.kit.hostile import damaged
from tests.kit.owners import NOW, PEER_ID, owner
from tests.names.conftest import World

BOB = owner("bob")
DAY = 86_400_000
LIFE = 90 * DAY
NODE = (Peer(PEER_ID),)


def record(created: int = NOW, nodes: Sequence[Peer] = NODE) -> IdentityRecord:
    return build_identity(BOB.secrets, BOB.chain, price=6, created=created, nodes=nodes)


async def learn(store: Store, names: Names, what: IdentityRecord) -> None:
    batch = Batch()
    names.learn(batch, what)
    await store.write(batch)


async def test_the_newest_of_several_in_the_dht_is_taken_and_pinned(names: Names, world: World) -> None:
    world.dht[BOB.address] = [record(n).record for n in (NOW - DAY, NOW, NOW - 2 * DAY)]
    assert await names.find(BOB.address, NOW) == record(NOW)
    assert names.cached(BOB.address, NOW) == record(NOW)
    pin = names.pinned(BOB.address)
    assert pin is not None
    assert (pin.next, pin.checked) == (record().next, NOW)


async def test_a_fresh_one_is_not_looked_up_again(names: Names, world: World) -> None:
    world.dht[BOB.address] = [record().record]
    for later in (0, FRESH_MS):
        await names.find(BOB.address, NOW + later)
    assert world.looked_up == [BOB.address]
    world.time = NOW + FRESH_MS + 1
    await names.find(BOB.address, world.time)
    assert world.looked_up == [BOB.address] * 2


async def test_fresh_asks_again_at_once(names: Names, world: World) -> None:
    world.dht[BOB.address] = [record().record]
    await names.find(BOB.address, NOW)
    world.dht[BOB.address] = [record(NOW + 1).record]
    assert await names.find(BOB.address, NOW) == record(NOW)
    assert await names.find(BOB.address, NOW, fresh=True) == record(NOW + 1)


async def test_the_owners_node_is_asked_before_the_dht(store: Store, names: Names, world: World) -> None:
    await learn(store, names, record(NOW - DAY))
    world.nodes[PEER_ID] = record().record
    assert await names.find(BOB.address, NOW) == record()
    assert (world.asked, world.looked_up) == ([PEER_ID], [])


@pytest.mark.parametrize(
    "answer", [b"", b"\x00", owner("eve").identity.record], ids=["empty", "rubbish", "another's"]
)
async def test_a_node_that_answers_wrongly_is_blamed(
    store: Store, names: Names, world: World, answer: bytes
) -> None:
    await learn(store, names, record(NOW - DAY))
    world.nodes[PEER_ID] = answer
    world.dht[BOB.address] = [answer, record().record]
    assert await names.find(BOB.address, NOW) == record()
    assert world.blamed == [PEER_ID]


@pytest.mark.parametrize("created", [NOW - LIFE - DAY, NOW + DAY], ids=["expired", "from the future"])
async def test_a_node_whose_times_do_not_fit_ours_is_not_blamed(
    store: Store, names: Names, world: World, created: int
) -> None:
    await learn(store, names, record(NOW - DAY))
    world.nodes[PEER_ID] = record(created).record
    world.dht[BOB.address] = [record().record]
    assert await names.find(BOB.address, NOW) == record()
    assert world.blamed == []


async def test_who_is_found_nowhere_is_later_and_never_no(names: Names, world: World) -> None:
    with pytest.raises(NotFoundYet) as fault:
        await names.find(BOB.address, NOW)
    assert (fault.value.status, fault.value.address) == (NO_ANSWER, BOB.address)
    world.dht[BOB.address] = [record().record]
    assert await names.find(BOB.address, NOW) == record()


async def test_a_valid_record_serves_while_nothing_newer_is_found(
    store: Store, names: Names, world: World, autojump_clock: trio.testing.MockClock
) -> None:
    await learn(store, names, record(NOW - DAY))
    assert await names.find(BOB.address, NOW) == record(NOW - DAY)
    assert await names.find(BOB.address, NOW) == record(NOW - DAY)
    assert world.looked_up == [BOB.address]
    await trio.sleep(RETRY_S)
    assert await names.find(BOB.address, NOW, fresh=True) == record(NOW - DAY)
    assert world.looked_up == [BOB.address] * 2
    world.time = NOW + LIFE
    with pytest.raises(NotFoundYet):
        await names.find(BOB.address, world.time)


async def test_a_record_below_the_highest_seen_is_never_taken(
    store: Store, names: Names, world: World
) -> None:
    await learn(store, names, record(NOW))
    world.dht[BOB.address] = [record(NOW - DAY).record]
    assert await names.find(BOB.address, NOW) == record(NOW)
    assert names.cached(BOB.address, NOW) == record(NOW)


async def test_with_a_doubtful_clock_nothing_runs_out(store: Store, names: Names, world: World) -> None:
    await learn(store, names, record())
    world.time = NOW + 2 * LIFE
    assert names.cached(BOB.address, world.time) is None
    world.doubt = True
    assert names.cached(BOB.address, world.time) == record()
    world.dht[BOB.address] = [record(NOW + 1).record]
    assert await names.find(BOB.address, world.time) == record(NOW + 1)


async def test_other_keys_hold_the_letter_until_the_owner_decides(
    store: Store, names: Names, world: World
) -> None:
    await learn(store, names, record())
    changed = build_identity(replace(BOB.secrets, next=bytes(32)), BOB.chain, price=6, created=NOW + 1)
    world.dht[BOB.address] = [changed.record]
    with pytest.raises(KeyChanged):
        await names.find(BOB.address, NOW)
    assert names.cached(BOB.address, NOW) == record()
    assert [warning.code for warning in names.warnings()] == ["key-changed"]
    world.dht[BOB.address] = [changed.record, record(NOW + 2).record]
    assert await names.find(BOB.address, NOW, fresh=True) == record(NOW + 2)


async def test_those_who_ask_together_share_one_look_up(names: Names, world: World) -> None:
    world.dht[BOB.address] = [record().record]
    gate = trio.Event()
    world.gate = gate.wait
    found: list[IdentityRecord] = []

    async def find() -> None:
        found.append(await names.find(BOB.address, NOW))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(find)
        await wait_all_tasks_blocked()
        gate.set()
    assert found == [record()] * 5
    assert world.looked_up == [BOB.address]


async def test_when_the_one_who_looks_gives_up_another_goes_on(names: Names, world: World) -> None:
    world.dht[BOB.address] = [record().record]
    gate = trio.Event()
    world.gate = gate.wait
    found: list[IdentityRecord] = []
    first = trio.CancelScope()

    async def give_up() -> None:
        with first:
            await names.find(BOB.address, NOW)

    async def find() -> None:
        found.append(await names.find(BOB.address, NOW))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(give_up)
        await wait_all_tasks_blocked()
        nursery.start_soon(find)
        await wait_all_tasks_blocked()
        first.cancel()
        await wait_all_tasks_blocked()
        gate.set()
    assert found == [record()]
    assert world.looked_up == [BOB.address] * 2


async def test_a_slow_node_does_not_keep_from_a_quick_one(
    store: Store, world: World, autojump_clock: trio.testing.MockClock
) -> None:
    quick = b"\x12\x20" + bytes(32)

    async def ask(peer: object, address: str) -> tuple[bytes | None, int]:
        if peer.peer_id != quick:  # type: ignore[attr-defined]
            await trio.sleep_forever()
        return record().record, NOW

    names = Names(store, world, ask, world, world.doubtful)
    await learn(store, names, record(NOW - DAY, (Peer(PEER_ID), Peer(quick))))
    began = trio.current_time()
    assert await names.find(BOB.address, NOW) == record()
    assert trio.current_time() == began


async def test_whatever_is_answered_is_the_owners_record_or_refused(names: Names) -> None:
    judge = names._finder._judge

    @given(st.binary(max_size=200) | damaged(BOB.identity.record))
    def holds(answer: bytes) -> None:
        try:
            found = judge(BOB.address, answer)
        except RemoteProtocolError:
            return
        assert (found.address, found.record) == (BOB.address, answer)

    holds()
