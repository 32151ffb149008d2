"""Files that owners of accounts at us sent: kept without a key, served while somebody needs them, found whole
or not at all wherever a crash fell.
"""

import contextlib
import hashlib
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random

import pytest
import trio
from hypothesis import strategies as st

from node.files import ContentDamaged, ContentMissing, FilesFull, Pin, PinKind
from node.storage import Batch
from protocol.account import KeptFile
from protocol.stream import CHUNK_BYTES
from protocol.unixfs import DAG_PB, RAW, Shape
from tests.kit.blocks import NOW, Gone, Made, Place, Times, a_place, damage, made, out, peer
from tests.kit.hostile import examples
from tests.kit.houses import Fuse
from tests.kit.machines import PowerCut

DAY = 86_400_000
ALICE, BOB = bytes([1]) * 32, bytes([2]) * 32
DATA = Random(3).randbytes(6 * CHUNK_BYTES + 5)
FILE = made(DATA)


def kept(file: Made, until: int = NOW + DAY, **other: int) -> KeptFile:
    return KeptFile(file.cid, other.get("size", file.shape.size), until)


async def release(place: Place, account: bytes, cid: bytes) -> None:
    batch = Batch()
    place.files.hosted.release(batch, account, cid)
    await place.store.write(batch)


async def served(place: Place, file: Made) -> int:
    """Blocks of it that anybody may have; never others than those of the file."""
    found = [await place.files.blocks.read(cid) for cid in file.order]
    assert all(block in (None, file.blocks[cid]) for cid, block in zip(file.order, found, strict=True))
    sizes = [await place.files.blocks.size(cid) for cid in file.order]
    assert sizes == [block and len(block) for block in found]
    return sum(block is not None for block in found)


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2_000_000, 46_000_000])
async def test_kept_and_served_without_its_key(place: Place, size: int) -> None:
    file = made(Random(size).randbytes(size))
    one = peer(file, chance=Random(4))
    await place.files.hosted.keep(ALICE, kept(file), one)
    assert place.files.hosted.whole(ALICE, kept(file))
    assert sorted(one.asked) == sorted(file.order)
    assert await served(place, file) == file.count
    place.consistent()


async def test_a_recipient_fetches_it_from_there(place: Place, sender: Place) -> None:
    put = await sender.put(DATA)
    said = KeptFile(put.content.cid, put.content.size, NOW + DAY)
    await place.files.hosted.keep(ALICE, said, peer(sender.files))
    await sender.unpin(out())
    wanted = sender.wanted(put, b"another's")
    await sender.want(wanted)
    await sender.files.fetch(wanted, peer(place.files))
    assert await sender.read(wanted) == DATA


async def test_nothing_is_served_before_all_is_there(place: Place) -> None:
    for n in range(FILE.count):
        with pytest.raises(Gone):
            await place.files.hosted.keep(ALICE, kept(FILE), peer(FILE, most=min(n, 1), chance=Random(n)))
        assert not place.files.hosted.whole(ALICE, kept(FILE))
        assert await served(place, FILE) == 0
        place.consistent()


async def test_it_is_resumed_wherever_it_was_cut(tmp_path: Path) -> None:
    for cut in range(FILE.count):
        first, second = peer(FILE, most=cut, chance=Random(cut)), peer(FILE)
        async with a_place(tmp_path / str(cut)) as place:
            with pytest.raises(Gone):
                await place.files.hosted.keep(ALICE, kept(FILE), first)
        async with a_place(tmp_path / str(cut)) as place:
            await place.files.hosted.keep(ALICE, kept(FILE), second)
            assert await served(place, FILE) == FILE.count
            place.consistent()
        assert Counter(second.asked) == Counter(FILE.order) - Counter(first.sent)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: Times, after: bool
) -> None:
    """What a crash left is whole or goes on; and of what nobody needs then nothing is left."""
    monkeypatch.setattr("node.files.backend.INDEX_STEP", 3)
    writes = 0
    while await crashed(tmp_path / f"on {writes}", times, writes, after=after):
        async with a_place(tmp_path / f"on {writes}", times) as place:
            await place.files.sweep()
            for one in (peer(FILE), peer({})):
                await place.files.hosted.keep(ALICE, kept(FILE), one)
                assert place.files.hosted.whole(ALICE, kept(FILE))
                assert await served(place, FILE) == FILE.count
            place.consistent()
        assert await crashed(tmp_path / f"off {writes}", times, writes, after=after)
        async with a_place(tmp_path / f"off {writes}", times) as place:
            await release(place, ALICE, FILE.cid)
            await place.files.sweep()
            await place.files.collect()
            place.consistent()
            assert (place.rows(), place.disk) == ({}, [])
        writes += 1
    leaves = FILE.count - 1
    assert writes == 2 + 1 + -(-leaves // 3) + 1  # pinned; to be found; the root; leaves in threes; whole


async def crashed(path: Path, times: Times, write: int, *, after: bool) -> bool:
    """Whether the machine ended, at this write, before the keeping did."""
    fuse = Fuse()
    with contextlib.suppress(PowerCut):
        async with a_place(path, times, opener=fuse) as place:
            fuse.set(write, after=after)
            await place.files.hosted.keep(ALICE, kept(FILE), peer(FILE))
            return False
    return True


async def test_it_can_be_left_again_and_again(place: Place) -> None:
    rounds = 0
    while not place.files.hosted.whole(ALICE, kept(FILE)):
        with trio.CancelScope() as scope:
            one = peer(FILE, before=partial(_leave, scope))
            await place.files.hosted.keep(ALICE, kept(FILE), one)
        rounds += 1
        place.consistent()
    assert rounds > 2
    assert await served(place, FILE) == FILE.count


def _leave(scope: trio.CancelScope, sent: int) -> None:
    if sent == 2:
        scope.cancel()


@pytest.mark.parametrize("number", range(FILE.count))
async def test_a_block_that_its_owner_lacks(place: Place, number: int) -> None:
    for _ in range(2):
        one = peer(FILE, lacks=frozenset([FILE.order[number]]))
        with pytest.raises(ContentMissing):
            await place.files.hosted.keep(ALICE, kept(FILE), one)
    assert await served(place, FILE) == 0
    await place.files.hosted.keep(ALICE, kept(FILE), peer(FILE))
    assert await served(place, FILE) == FILE.count


SIZES = st.integers(1, 2**53 - 1) | st.integers(1, 3 * FILE.shape.size)


async def test_a_size_that_is_not_the_files(place: Place) -> None:
    """No blocks fit it, whether there were room for it or not; and the right one is not in its way."""
    for size in examples(SIZES.filter(lambda size: size != FILE.shape.size)):
        fault = FilesFull if Shape(size).total > 10**9 else ContentDamaged
        with pytest.raises((fault, ContentDamaged)):
            await place.files.hosted.keep(ALICE, kept(FILE, size=size), peer(FILE))
        assert not place.files.hosted.whole(ALICE, kept(FILE, size=size))
    await place.files.hosted.keep(BOB, kept(FILE), peer(FILE))
    assert not place.files.hosted.whole(ALICE, kept(FILE))
    assert await served(place, FILE) == FILE.count
    await place.files.collect()
    place.consistent()


@pytest.mark.parametrize("cid", [RAW + FILE.cid[4:], b"\x01\x71\x12\x20" + FILE.cid[4:], bytes(36)])
async def test_a_cid_of_another_form(place: Place, cid: bytes) -> None:
    with pytest.raises(ContentDamaged):
        await place.files.hosted.keep(ALICE, KeptFile(cid, FILE.shape.size, NOW + DAY), peer({}))
    place.consistent()


async def test_nodes_that_do_not_belong_there(place: Place) -> None:
    root = FILE.blocks[FILE.cid]
    for start, new in examples(st.tuples(st.integers(0, len(root)), st.binary(max_size=9))):
        node = root[:start] + new + root[start + len(new) :]
        if node == root:
            continue
        cid = DAG_PB + hashlib.sha256(node).digest()
        fault = (ContentMissing, ContentDamaged) if len(node) == len(root) else ContentDamaged
        said = KeptFile(cid, FILE.shape.size, NOW + DAY)
        with pytest.raises(fault):
            await place.files.hosted.keep(ALICE, said, peer({**FILE.blocks, cid: node}))
        assert await place.files.blocks.read(cid) is None
    place.consistent()


async def test_torn_blocks_are_fetched_again(place: Place) -> None:
    with pytest.raises(Gone):
        await place.files.hosted.keep(ALICE, kept(FILE), peer(FILE, most=FILE.count - 1))
    (part,) = place.disk
    damage(part, FILE.shape[FILE.shape.root].start + 3)
    one = peer(FILE)
    await place.files.hosted.keep(ALICE, kept(FILE), one)
    assert len(one.sent) == 2
    assert await served(place, FILE) == FILE.count


async def test_only_while_an_account_needs_it(place: Place) -> None:
    other = made(DATA[:CHUNK_BYTES])
    await place.files.hosted.keep(ALICE, kept(FILE), peer(FILE))
    await place.files.hosted.keep(ALICE, kept(other), peer(other))
    silent = peer({})
    await place.files.hosted.keep(BOB, kept(FILE), silent)
    assert (silent.asked, len(place.disk)) == ([], 2)  # it is here once
    await release(place, ALICE, FILE.cid)
    assert [place.files.hosted.whole(who, kept(FILE)) for who in (ALICE, BOB)] == [False, True]
    await place.files.collect()
    assert await served(place, FILE) == FILE.count
    await release(place, BOB, FILE.cid)
    assert await served(place, FILE) == 0
    assert await place.files.collect() == FILE.total
    assert await served(place, other) == other.count
    place.consistent()


async def test_until_its_time_and_no_longer(place: Place, times: Times) -> None:
    await place.files.hosted.keep(ALICE, kept(FILE, NOW + DAY), peer(FILE))
    assert not place.files.hosted.whole(ALICE, kept(FILE, NOW + 2 * DAY))
    await place.files.hosted.keep(ALICE, kept(FILE, NOW + 2 * DAY), peer({}))
    assert place.files.hosted.whole(ALICE, kept(FILE, NOW + 2 * DAY))
    times.ms = NOW + 2 * DAY - 1
    await place.files.collect()
    assert await served(place, FILE) == FILE.count
    times.ms, times.doubtful = NOW + 2 * DAY, True
    await place.files.collect()
    assert await served(place, FILE) == FILE.count
    times.doubtful = False
    assert await served(place, FILE) == 0
    assert await place.files.collect() == FILE.total
    assert (place.files.hosted.whole(ALICE, kept(FILE)), place.rows()) == (False, {})


async def test_what_is_released_while_it_comes_goes(place: Place) -> None:
    one = peer(FILE, silent=frozenset([FILE.cid]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(place.files.hosted.keep, ALICE, kept(FILE), one)
        await one.stalled.wait()
        nursery.start_soon(place.files.hosted.keep, BOB, kept(FILE), peer({}))
        await release(place, ALICE, FILE.cid)
        nursery.cancel_scope.cancel()
    await release(place, BOB, FILE.cid)
    await place.files.collect()
    assert (place.rows(), place.disk) == ({}, [])


async def test_room_is_asked_for_before_anything_comes(tmp_path: Path) -> None:
    async with a_place(tmp_path, quota=FILE.total - 1) as place:
        one = peer(FILE)
        with pytest.raises(FilesFull):
            await place.files.hosted.keep(ALICE, kept(FILE), one)
        assert one.asked == []
        assert place.files.status()["used"] == 0


async def test_what_we_send_is_not_touched_by_who_names_it(place: Place) -> None:
    """An account knows the CID of a file of ours, has it kept, and lets it go."""
    put = await place.put(DATA)
    file = made(DATA, put.key)
    said = KeptFile(put.content.cid, put.content.size, NOW + DAY)
    with pytest.raises(ContentMissing):
        await place.files.hosted.keep(BOB, said, peer({}))
    assert await served(place, file) == file.count
    await place.files.hosted.keep(BOB, said, peer(file))
    await release(place, BOB, file.cid)
    await place.files.collect()
    assert await served(place, file) == file.count
    place.consistent()


async def test_what_we_serve_no_more_is_not_served_for_being_named(place: Place) -> None:
    """Its recipient was revoked and has an account at us: without the bytes it gets none."""
    put = await place.put(DATA)
    file = made(DATA, put.key)
    await place.pin(put.content.name, Pin(PinKind.KEEP, b"a copy in sent"))
    await place.unpin(out())
    said = KeptFile(put.content.cid, put.content.size, NOW + DAY)
    with pytest.raises(ContentMissing):
        await place.files.hosted.keep(BOB, said, peer(place.files))
    assert not place.files.hosted.whole(BOB, said)
    assert await served(place, file) == 0


async def test_who_holds_nothing_has_nothing(place: Place) -> None:
    await release(place, ALICE, FILE.cid)
    assert not place.files.hosted.whole(ALICE, kept(FILE))
