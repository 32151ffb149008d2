"""Whoever has an account stays findable while asleep: its record goes into the DHT (protocol.md §3)."""

from node.hosting.publishing import CALM_S, EVERY_S
from protocol.identity import IDENTITY_LIFE_MS
from tests.kit.hosting import Inn, Lane
from tests.kit.owners import owner

NAMES = ("bob", "eve", "frank", "heidi")
"""Their places in the round are far apart."""

ADDRESSES = sorted(owner(name).address for name in NAMES)


async def settle(lane: Lane, inn: Inn) -> None:
    for name in NAMES:
        await lane.guest(name).settle(inn)


async def test_every_record_is_put_every_six_hours_and_not_all_at_once(lane: Lane, inn: Inn) -> None:
    await settle(lane, inn)
    await lane.quiet()
    assert [] == inn.wire.put
    await lane.pass_time(CALM_S)
    for _ in range(7):
        await lane.pass_time(EVERY_S / len(NAMES))
    assert ADDRESSES == sorted(inn.wire.put[:4])
    assert inn.wire.put[:4] == inn.wire.put[4:]
    assert 8 == len(inn.wire.put)
    assert [owner("bob").identity.record] == lane.wires.records[owner("bob").address]


async def test_nothing_is_published_by_a_doubtful_clock(lane: Lane, inn: Inn) -> None:
    await settle(lane, inn)
    inn.doubts[0] = True
    for _ in range(5):
        await lane.pass_time(EVERY_S)
    assert [] == inn.wire.put
    inn.doubts[0] = False
    await lane.pass_time(EVERY_S)
    assert 1 == len(inn.wire.put)


async def test_what_is_past_its_end_is_not_published(lane: Lane, inn: Inn) -> None:
    await settle(lane, inn)
    await lane.pass_time(IDENTITY_LIFE_MS / 1000)
    for _ in range(5):
        await lane.pass_time(EVERY_S)
    assert [] == inn.wire.put


async def test_a_host_that_starts_often_leaves_nobody_out(lane: Lane) -> None:
    inn = await lane.open()
    await settle(lane, inn)
    found = set()
    for _ in range(100):
        await lane.close(inn)
        inn = await lane.open()
        await lane.quiet()
        found.update(inn.wire.put)
        if len(found) == len(NAMES):
            break
    assert ADDRESSES == sorted(found)
