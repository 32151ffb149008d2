"""The routing table and the records that a server holds: no network, a virtual clock."""

import secrets

import pytest
from trio.testing import MockClock

from node.network import MemoryRecords, PeerAddress
from node.network import records as records_module
from node.network.kad_table import Table, point
from node.network.limits import RECORD_LIFE_MS, K
from node.network.records import Records, address_in, key_of
from node.runtime.clock import TrioClock
from node.runtime.errors import NodeError
from protocol.errors import RemoteProtocolError
from tests.kit.network import AnyValue

OWN = b"\x00\x02me"


def address(number: int) -> str:
    return f"0x{number:040x}"


def some_peer() -> PeerAddress:
    return PeerAddress(secrets.token_bytes(38), ("/ip4/10.0.0.1/tcp/1",))


def test_a_mailio_key_is_within_what_libp2p_looks_up() -> None:
    key = key_of(address(1))
    assert (len(key), address_in(key)) == (50, address(1))


@pytest.mark.parametrize(
    "key", [b"", b"/pk/abc", b"/mailio/0x12", key_of(address(1)) + b"0", b"/mailio/" + b"x" * 42]
)
def test_a_key_outside_our_namespace_is_refused(key: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        address_in(key)


def test_closest_is_by_xor_of_hashes() -> None:
    table, peers = Table(OWN), [some_peer() for _ in range(15)]
    for peer in peers:
        assert table.add(peer)
    expected = sorted(peers, key=lambda peer: point(peer.peer_id) ^ point(b"key"))
    assert table.closest(b"key", 5) == expected[:5]


def test_a_flood_of_new_identities_moves_nobody_out() -> None:
    table, early = Table(OWN), [some_peer() for _ in range(10)]
    for peer in early:
        table.add(peer)
    for _ in range(2_000):
        table.add(some_peer())
    assert all(peer.peer_id in table for peer in early)
    assert len(table) < 20 * K


def test_the_table_does_not_hold_us_nor_who_has_no_address() -> None:
    table = Table(OWN)
    assert not table.add(PeerAddress(OWN, ("/ip4/10.0.0.1/tcp/1",)))
    assert not table.add(PeerAddress(b"\x00\x02xx"))
    assert len(table) == 0


def test_newer_addresses_replace_older_ones() -> None:
    table, peer = Table(OWN), some_peer()
    newer = PeerAddress(peer.peer_id, ("/ip4/10.0.0.2/tcp/2",))
    table.add(peer)
    table.add(newer)
    assert table.get(peer.peer_id) == newer
    table.remove(peer.peer_id)
    assert list(table) == []


async def held(store: MemoryRecords | None = None) -> Records:
    records = Records(OWN, AnyValue(), store or MemoryRecords(), TrioClock(1_000_000))
    await records.load()
    return records


async def test_a_better_value_replaces_and_a_worse_one_does_not() -> None:
    records, key = await held(), key_of(address(1))
    assert await records.put(key, b"2:b")
    assert not await records.put(key, b"1:a")
    assert await records.put(key, b"3:c")
    assert records.get(key) == b"3:c"


async def test_a_value_put_again_lives_on(mock_clock: MockClock) -> None:
    records, key = await held(), key_of(address(1))
    await records.put(key, b"1:a")
    mock_clock.jump(RECORD_LIFE_MS / 1000 - 10)
    assert await records.put(key, b"1:a")
    mock_clock.jump(20)
    assert records.get(key) == b"1:a"


async def test_a_value_that_nobody_puts_again_is_dropped(mock_clock: MockClock) -> None:
    store = MemoryRecords()
    records, key = await held(store), key_of(address(1))
    await records.put(key, b"1:a")
    mock_clock.jump(RECORD_LIFE_MS / 1000)
    assert records.get(key) is None
    await records.sweep()
    assert (len(records), list(store.items())) == (0, [])


async def test_a_forged_value_is_refused() -> None:
    records = await held()
    with pytest.raises(RemoteProtocolError):
        await records.put(key_of(address(1)), b"1:!")
    assert len(records) == 0


async def test_values_survive_a_restart_and_forged_ones_do_not() -> None:
    store = MemoryRecords()
    await (await held(store)).put(key_of(address(1)), b"1:a")
    await store.put(key_of(address(2)), (1_000_000).to_bytes(8, "big") + b"1:!")
    await store.put(b"junk", b"x")
    again = await held(store)
    assert again.get(key_of(address(1))) == b"1:a"
    assert [key for key, _ in store.items()] == [key_of(address(1))]


async def test_nothing_runs_out_by_a_clock_in_doubt(mock_clock: MockClock) -> None:
    doubt = [True]
    clock = TrioClock(1_000_000)
    records, key = Records(OWN, AnyValue(), MemoryRecords(), clock, lambda: doubt[0]), key_of(address(1))
    await records.put(key, b"1:a")
    mock_clock.jump(2 * RECORD_LIFE_MS / 1000)
    await records.sweep()
    assert records.get(key) == b"1:a"
    doubt[0] = False
    assert records.get(key) is None
    await records.sweep()
    assert len(records) == 0


async def test_a_store_that_takes_nothing_ends_nothing(mock_clock: MockClock) -> None:
    class Full(MemoryRecords):
        async def put(self, key: bytes, value: bytes) -> None:
            raise NodeError("disk-full", "the disk is full")

        async def delete(self, key: bytes) -> None:
            raise NodeError("disk-full", "the disk is full")

    records, key = await held(Full()), key_of(address(1))
    assert await records.put(key, b"1:a")
    assert records.get(key) == b"1:a"
    mock_clock.jump(RECORD_LIFE_MS / 1000)
    await records.sweep()
    assert len(records) == 0


async def test_unstamped_values_go_first_then_the_farthest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "MAX_RECORDS", 4)
    records = await held()
    keys = sorted((key_of(address(n)) for n in range(7)), key=lambda key: point(key) ^ point(OWN))
    far_stamped, near, others = keys[6], keys[0], keys[1:5]
    assert await records.put(far_stamped, b"1:*")
    for key in others[:3]:
        assert await records.put(key, b"1:a")
    assert await records.put(near, b"1:a")  # pushes the farthest unstamped out, though it came later
    assert [records.get(key) is not None for key in (far_stamped, near, *others[:3])] == [
        True,
        True,
        True,
        True,
        False,
    ]
    assert not await records.put(keys[5], b"1:a")  # itself the worst


async def test_what_is_held_is_bounded_in_bytes_whatever_the_size_of_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(records_module, "MAX_RECORD_BYTES", 40_000)
    store = MemoryRecords()
    records, stamped = await held(store), key_of(address(100))
    assert await records.put(stamped, b"1:*" + bytes(7_000))
    for seq in range(3):
        for number in range(30):
            await records.put(key_of(address(number)), b"%d:" % seq + bytes(8_000))
            assert sum(len(value) for _, value in records._held.values()) == records._bytes <= 40_000
    assert len(records) == len(list(store.items())) == 5
    assert records.get(stamped) is not None
    monkeypatch.setattr(records_module, "MAX_RECORD_BYTES", 20_000)
    assert len(await held(store)) == 2
