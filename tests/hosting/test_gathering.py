"""Files that an owner keeps at a host: fetched while a node of the owner's is there, kept until their end."""

import hashlib
from dataclasses import replace

import pytest

from node.hosting.items import OVERHEAD
from node.hosting.purging import EVERY_S
from protocol.account import Item, KeptFile, Space
from protocol.host import Digest, Page, Put
from protocol.status import FULL, MALFORMED
from protocol.unixfs import raw_cid
from tests.kit.hosting import ROOMY, Cellar, Guest, Inn, Lane, Shelf, an_item
from tests.kit.owners import NOW
from tests.kit.wires import BITSWAP, Act, Frame

BLOCK = b"sealed" * 100
CID = raw_cid(BLOCK)
HOUR_MS = 3_600_000
KEPT = KeptFile(CID, len(BLOCK), NOW + HOUR_MS)


def item(kept: KeptFile = KEPT, seq: int = NOW) -> Item:
    return Item(kept.id, seq, kept.encode())


@pytest.fixture
def cellar() -> Cellar:
    return Cellar()


@pytest.fixture
async def inn(lane: Lane, cellar: Cellar) -> Inn:
    return await lane.open(files=cellar)


@pytest.fixture
async def alice(lane: Lane, inn: Inn) -> Guest:
    alice = lane.guest("alice")
    alice.wires[0].bitswap.serve(Shelf({CID: BLOCK}))
    await alice.settle(inn)
    return alice


async def put(guest: Guest, inn: Inn, *items: Item, drop: tuple[bytes, ...] = ()) -> dict[bytes, object]:
    async with guest.talk(inn) as talk:
        return dict((await talk.ask(Put(Space.FILE, items, drop))).refused)


async def whole(guest: Guest, inn: Inn) -> list[bool]:
    async with guest.talk(inn) as talk:
        return [entry.whole for entry in (await talk.ask(Page(Space.FILE))).entries]


async def test_a_file_is_fetched_soon_after_it_was_put(
    lane: Lane, inn: Inn, alice: Guest, cellar: Cellar
) -> None:
    assert {} == await put(alice, inn, item())
    await lane.quiet()
    assert ({CID: BLOCK}, [True]) == (cellar.blocks, await whole(alice, inn))
    assert {(alice.account(inn).public, CID): KEPT.until} == cellar.until
    async with alice.talk(inn) as talk:
        await talk.ask(Digest())
    await lane.quiet()
    assert 1 == cellar.asked  # what is whole is not asked for again


async def test_a_file_that_did_not_come_is_fetched_when_its_owner_comes_again(
    lane: Lane, inn: Inn, alice: Guest, cellar: Cellar
) -> None:
    async def lose(frame: Frame) -> Act:
        return Act.LOSE if frame.protocol == BITSWAP else Act.PASS

    async def let(frame: Frame) -> Act:
        return Act.PASS

    lane.wires.judge = lose
    await put(alice, inn, item())
    await lane.quiet()
    assert {} == cellar.blocks
    lane.wires.judge = let
    assert [False] == await whole(alice, inn)  # to ask, its node has proven the account
    await lane.quiet()
    assert [True] == await whole(alice, inn)


async def test_a_file_that_its_owner_has_no_more_does_not_hold_up_the_others(
    lane: Lane, inn: Inn, alice: Guest, cellar: Cellar
) -> None:
    lost = [KeptFile(b"\x01\x55\x12\x20" + hashlib.sha256(bytes([n])).digest(), 5, NOW + 1) for n in range(9)]
    await put(alice, inn, *(item(kept) for kept in lost), item())
    await lane.quiet()
    assert [CID] == list(cellar.blocks)


async def test_a_longer_time_is_heard_of(lane: Lane, inn: Inn, alice: Guest, cellar: Cellar) -> None:
    await put(alice, inn, item())
    await lane.quiet()
    longer = replace(KEPT, until=NOW + 2 * HOUR_MS)
    await put(alice, inn, item(longer, NOW + 1))
    await lane.quiet()
    assert [longer.until] == list(cellar.until.values())
    await lane.pass_time(HOUR_MS / 1000 + EVERY_S)
    assert [True] == await whole(alice, inn)
    await lane.pass_time(HOUR_MS / 1000)
    assert ([], {}) == (await whole(alice, inn), cellar.until)
    async with alice.talk(inn) as talk:
        assert 0 == (await talk.ask(Digest())).used


async def test_a_doubtful_clock_lets_no_file_go(lane: Lane, inn: Inn, alice: Guest, cellar: Cellar) -> None:
    await put(alice, inn, item())
    await lane.quiet()
    inn.doubts[0] = True
    await lane.pass_time(2 * HOUR_MS / 1000)
    assert [True] == await whole(alice, inn)


async def test_a_file_that_is_dropped_is_released(lane: Lane, inn: Inn, alice: Guest, cellar: Cellar) -> None:
    await put(alice, inn, item())
    await lane.quiet()
    await put(alice, inn, drop=(KEPT.id,))
    assert ({}, []) == (cellar.until, await whole(alice, inn))


async def test_a_file_counts_as_soon_as_it_is_wanted(lane: Lane, inn: Inn, alice: Guest) -> None:
    large = replace(KEPT, size=ROOMY.account_size)
    assert {large.id: FULL} == await put(alice, inn, item(large))
    assert {} == await put(alice, inn, item())
    async with alice.talk(inn) as talk:
        assert 256 + len(item().data) + KEPT.size == (await talk.ask(Digest())).used


async def test_files_leave_a_quarter_of_the_account_to_letters_and_handshakes(
    lane: Lane, inn: Inn, alice: Guest
) -> None:
    most = ROOMY.account_size - ROOMY.account_size // 4 - OVERHEAD - 200
    large, other = replace(KEPT, size=most), replace(KEPT, cid=CID[:-1] + b"\1", size=10_000)
    assert {} == await put(alice, inn, item(large))
    assert {other.id: FULL} == await put(alice, inn, item(other))
    async with alice.talk(inn) as talk:
        assert {} == (await talk.ask(Put(Space.VAULT, (an_item(1, data=bytes(10_000)),)))).refused


async def test_an_item_is_named_by_its_file(inn: Inn, alice: Guest) -> None:
    other = replace(item(), id=bytes(32))
    nonsense = replace(item(), id=b"n" * 32, data=b"?")
    assert {other.id: MALFORMED, nonsense.id: MALFORMED} == await put(alice, inn, other, nonsense)
