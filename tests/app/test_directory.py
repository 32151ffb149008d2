"""What the DHT's part at this node believes, keeps over a restart, and tells."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import node.app.directory
from node.app.directory import MAX_ADDRS, IdentityRules, StoredPeers, StoredRecords
from node.network import PeerAddress
from node.network.limits import MAX_RECORD
from node.network.records import Records, key_of
from node.runtime.clock import ClockWatch
from node.storage import Store, StoreUnavailable, open_store
from protocol.errors import RemoteProtocolError
from protocol.identity import build_identity
from protocol.keys import Secrets
from protocol.prekeys import Chain
from protocol.stamps import verify_birth
from protocol.status import MALFORMED, TIME
from tests.kit.owners import NOW, PEER_ID, owner
from tests.kit.stores import KEY, Trouble

ROOT = bytes(32)
SECRETS, CHAIN = Secrets.derive(ROOT), Chain.start(ROOT)
ADDRESS = SECRETS.address
BIRTH = bytes.fromhex("00000000000015a1")  # found by trying 5,537 nonces
UNPAID = bytes(8)
DAY = 86_400_000


def record(created: int = NOW, *, price: int = 6, birth: bytes | None = BIRTH) -> bytes:
    return build_identity(SECRETS, CHAIN, price=price, birth=birth, created=created).record


@dataclass
class Time:
    """A clock that stands still."""

    time: int = NOW

    def now(self) -> int:
        return self.time


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The nonces of all birth stamps that were tried."""
    nonces: list[bytes] = []

    def verify(public_key: bytes, nonce: bytes) -> bool:
        nonces.append(nonce)
        return verify_birth(public_key, nonce)

    monkeypatch.setattr(node.app.directory, "verify_birth", verify)
    return nonces


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def rules(clock: Time) -> IdentityRules:
    return IdentityRules(clock, ClockWatch(clock, NOW - DAY))


def records_of(store: Store, rules: IdentityRules, clock: Time) -> tuple[Records, StoredRecords]:
    stored = StoredRecords(store, rules)
    return Records(PEER_ID, rules, stored, clock), stored


# ---- what is believed


def test_a_record_stands_under_its_own_address_only(rules: IdentityRules) -> None:
    rules.validate(ADDRESS, record())
    for address, value in ((owner("eve").address, record()), (ADDRESS, b""), (ADDRESS, record()[:-1])):
        with pytest.raises(RemoteProtocolError) as refusal:
            rules.validate(address, value)
        assert refusal.value.status == MALFORMED


def test_a_birth_stamp_is_tried_once_and_must_hold(rules: IdentityRules, tried: list[bytes]) -> None:
    for price in (5, 6, 6):
        rules.validate(ADDRESS, record(price=price))
    assert tried == [BIRTH]
    for _ in range(2):
        with pytest.raises(RemoteProtocolError) as refusal:
            rules.validate(ADDRESS, record(birth=UNPAID))
        assert refusal.value.status == MALFORMED
    assert tried == [BIRTH, UNPAID, UNPAID]
    assert (rules.is_stamped(ADDRESS, record()), rules.is_stamped(ADDRESS, record(birth=None))) == (
        True,
        False,
    )


def test_a_stamp_of_one_key_is_none_of_another(rules: IdentityRules) -> None:
    eve = owner("eve")
    rules.validate(ADDRESS, record())
    stolen = build_identity(eve.secrets, eve.chain, price=6, birth=BIRTH, created=NOW)
    with pytest.raises(RemoteProtocolError):
        rules.validate(eve.address, stolen.record)


def test_stamps_remembered_are_bounded(
    rules: IdentityRules, tried: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.app.directory, "MAX_BIRTHS", 1)
    rules.validate(ADDRESS, record())
    other = build_identity(owner("eve").secrets, owner("eve").chain, price=6, birth=BIRTH, created=NOW)
    rules.trust(other.record)
    rules.validate(ADDRESS, record())
    assert tried == [BIRTH, BIRTH]


def test_times_are_judged_by_a_clock_that_is_to_be_believed(rules: IdentityRules, clock: Time) -> None:
    for now in (NOW - DAY, NOW + 90 * DAY):
        clock.time = now
        with pytest.raises(RemoteProtocolError) as refusal:
            rules.validate(ADDRESS, record())
        assert refusal.value.status == TIME
    clock.time = NOW - DAY - 1  # before the program was built: doubtful
    rules.validate(ADDRESS, record())


def test_the_newest_is_selected_and_the_last_among_equals(rules: IdentityRules) -> None:
    old, new, newest = record(NOW - DAY), record(NOW), record(NOW + 1)
    assert rules.select(ADDRESS, [old]) == 0
    assert rules.select(ADDRESS, [newest, old, new]) == 0
    assert rules.select(ADDRESS, [old, newest, new]) == 1
    assert rules.select(ADDRESS, [old, newest, new, newest, old]) == 3
    tied = [record(price=6), record(price=7)]
    wins = tied[rules.select(ADDRESS, tied)]
    assert wins == tied[::-1][rules.select(ADDRESS, tied[::-1])]


# ---- what is kept


async def test_what_was_put_is_there_after_a_restart_and_its_stamp_is_trusted(
    store: Store, rules: IdentityRules, clock: Time, tried: list[bytes]
) -> None:
    records, _ = records_of(store, rules, clock)
    assert await records.put(key_of(ADDRESS), record())
    assert tried == [BIRTH]
    after = IdentityRules(clock, ClockWatch(clock, NOW - DAY))
    again, _ = records_of(store, after, clock)
    assert await again.load() == 1
    assert again.get(key_of(ADDRESS)) == record()
    assert tried == [BIRTH]


async def test_a_record_put_again_lives_longer(store: Store, rules: IdentityRules, clock: Time) -> None:
    records, _ = records_of(store, rules, clock)
    for _ in range(3):
        assert await records.put(key_of(ADDRESS), record())
        clock.time += DAY // 2
    again, _ = records_of(store, rules, clock)
    assert await again.load() == 1


async def test_what_nobody_takes_any_more_does_not_hinder_the_start(
    store: Store, rules: IdentityRules, clock: Time
) -> None:
    records, stored = records_of(store, rules, clock)
    await records.put(key_of(ADDRESS), record())
    eve = owner("eve").address
    await stored.put(key_of(eve), bytes(8) + b"of a release long gone")
    again, stored = records_of(store, rules, clock)
    assert await again.load() == 1
    assert [key for key, _ in stored.items()] == [key_of(ADDRESS)]


async def test_dropped_is_gone(store: Store, rules: IdentityRules, clock: Time) -> None:
    records, stored = records_of(store, rules, clock)
    await records.put(key_of(ADDRESS), record())
    await records.drop(key_of(ADDRESS))
    assert list(stored.items()) == []


async def test_a_value_over_the_limit_is_not_read(store: Store, rules: IdentityRules, clock: Time) -> None:
    records, stored = records_of(store, rules, clock)
    with pytest.raises(RemoteProtocolError, match="8 KiB"):
        await records.put(key_of(ADDRESS), bytes(MAX_RECORD + 1))
    assert list(stored.items()) == []


# ---- what is told


async def test_each_put_is_told_with_its_address(store: Store, rules: IdentityRules, clock: Time) -> None:
    records, stored = records_of(store, rules, clock)
    told: list[str] = []
    stored.on_put(told.append)
    await records.put(key_of(ADDRESS), record())
    await records.put(key_of(ADDRESS), record())
    assert told == [ADDRESS, ADDRESS]
    with pytest.raises(RemoteProtocolError):
        await records.put(key_of(ADDRESS), record(birth=UNPAID))
    assert not await records.put(key_of(ADDRESS), record(NOW - DAY))
    await records.load()
    assert told == [ADDRESS, ADDRESS]


async def test_a_put_that_the_disk_did_not_take_is_held_and_not_told(
    tmp_path: Path, rules: IdentityRules, clock: Time
) -> None:
    trouble, told = Trouble(), list[str]()
    async with open_store(tmp_path / "broken", KEY, inline=True, opener=trouble) as store:
        records, stored = records_of(store, rules, clock)
        stored.on_put(told.append)
        trouble.full = True
        with pytest.raises(StoreUnavailable):
            await stored.put(key_of(ADDRESS), bytes(8) + record())
        assert await records.put(key_of(ADDRESS), record())
        assert (records.get(key_of(ADDRESS)), told) == (record(), [])


# ---- peers of earlier runs


async def test_peers_outlive_a_restart_and_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = [
        PeerAddress(PEER_ID[:-1] + bytes([n]), tuple(f"/ip4/192.0.2.{n}/tcp/{p}" for p in range(1, 20)))
        for n in range(4)
    ]
    book = StoredPeers(store)
    for peer in peers:
        await book.remember(peer)
    kept = {replace(peer, addrs=peer.addrs[:MAX_ADDRS]) for peer in peers}
    assert set(StoredPeers(store).items()) == kept
    await book.forget(peers[0].peer_id)
    assert len(list(StoredPeers(store).items())) == 3
    monkeypatch.setattr(node.app.directory, "MAX_PEERS", 2)
    assert len(list(StoredPeers(store).items())) == 2
