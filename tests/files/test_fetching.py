import hashlib
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import trio
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from node.files import ContentDamaged, ContentMissing, FilesFull, Wanted
from node.files.fetching import AT_ONCE
from node.storage import Batch
from protocol.stream import CHUNK_BYTES, encrypt_chunk, padded_size, sealed_size
from protocol.unixfs import DAG_PB, LEAF_BYTES, RAW, Shape, raw_cid
from tests.kit.blocks import (
    AUTHOR,
    LETTER,
    Gone,
    Made,
    Peer,
    Place,
    a_place,
    damage,
    keep,
    made,
    peer,
    tree,
)
from tests.kit.hostile import examples

ROOT = Path(__file__).parents[2]
DATA = Random(5).randbytes(40 * CHUNK_BYTES + 77)
FILE = made(DATA)
NOT_THERE = (ContentMissing, "does not have this attachment any more")


async def fetched(place: Place, wanted: Wanted, one: Peer) -> None:
    """It is whole, it is right, and all of it is counted."""
    await place.files.fetch(wanted, one)
    assert place.files.whole(wanted.name)
    assert hashlib.blake2b(await place.read(wanted), digest_size=32).digest() == wanted.hash
    place.consistent()


async def not_fetched(
    place: Place, wanted: Wanted, one: Peer, fault: type[Exception], text: str = "."
) -> None:
    """It is refused so, and is not to be read."""
    with pytest.raises(fault, match=text):
        await place.files.fetch(wanted, one)
    assert not place.files.whole(wanted.name)
    with pytest.raises(ContentMissing):
        await place.read(wanted)
    place.consistent()


async def test_from_one_store_to_another(place: Place, sender: Place) -> None:
    for size in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3_000_000]:
        data = Random(size).randbytes(size)
        wanted = place.wanted(await sender.put(data))
        await place.want(wanted)
        one = peer(sender.files)
        await fetched(place, wanted, one)
        assert await place.read(wanted) == data
        assert len(one.asked) == wanted.content.shape.blocks
    assert (await place.files.stat())["files"] == 5


async def test_a_tree_of_two_levels_in_any_order(place: Place) -> None:
    data = Random(1).randbytes(46_000_000)
    file = made(data)
    wanted = file.wanted(place)
    assert wanted.content.shape.blocks == 180
    await place.want(wanted)
    one = peer(file, chance=Random(9))
    await fetched(place, wanted, one)
    assert sorted(one.asked) == sorted(file.order)


async def test_what_is_whole_is_not_asked_for_again(place: Place) -> None:
    await place.want(FILE.wanted(place))
    await fetched(place, FILE.wanted(place), peer(FILE))
    silent = peer({})
    await fetched(place, FILE.wanted(place), silent)
    assert silent.asked == []


async def test_it_is_resumed_wherever_it_was_cut(tmp_path: Path) -> None:
    """Whatever was kept is not asked for again, after a restart too."""
    file = made(DATA[: 9 * CHUNK_BYTES])
    for cut in range(file.count):
        async with a_place(tmp_path / str(cut)) as place:
            wanted = file.wanted(place)
            await place.want(wanted)
            first = peer(file, most=cut, chance=Random(cut))
            await not_fetched(place, wanted, first, Gone)
        async with a_place(tmp_path / str(cut)) as place:
            second = peer(file)
            await fetched(place, wanted, second)
            assert Counter(second.asked) == Counter(file.order) - Counter(first.sent)


async def test_cut_again_and_again_it_comes_in_the_end(place: Place) -> None:
    wanted = FILE.wanted(place)
    await place.want(wanted)
    sent: list[bytes] = []
    come = [0]
    while not place.files.whole(wanted.name):
        one = peer(FILE, most=3, chance=Random(len(sent)))
        try:
            await place.files.fetch(wanted, one)
        except Gone:
            come.append(place.files.come(wanted.name))
        sent += one.sent
    assert Counter(sent) == Counter(FILE.order)
    assert come == sorted(come)
    await fetched(place, wanted, peer({}))


async def test_progress_is_what_is_here(place: Place) -> None:
    wanted = FILE.wanted(place)
    await place.want(wanted)
    seen = []
    one = peer(FILE, before=lambda _: seen.append(place.files.come(wanted.name)))
    await fetched(place, wanted, one)
    sizes = [len(FILE.blocks[cid]) for cid in one.sent]
    assert seen == [sum(sizes[:count]) for count in range(len(sizes))]
    assert place.files.come(wanted.name) == 0


async def test_torn_blocks_of_a_part_are_fetched_again(tmp_path: Path) -> None:
    wanted_shape = FILE.shape
    torn = [wanted_shape.root, 0, 17]
    async with a_place(tmp_path) as place:
        wanted = FILE.wanted(place)
        await place.want(wanted)
        await not_fetched(place, wanted, peer(FILE, silent=frozenset([FILE.order[40]]), most=41), Gone)
        for number in torn:
            damage(place.file(wanted.name, ".part"), wanted_shape[number].start + 3)
    async with a_place(tmp_path) as place:
        one = peer(FILE)
        await fetched(place, wanted, one)
        assert sorted(one.asked) == sorted(FILE.order[number] for number in [*torn, 40])


@pytest.mark.parametrize("cut", [0, 1, LEAF_BYTES * 7 + 5])
async def test_a_part_that_the_disk_cut_short(place: Place, cut: int) -> None:
    wanted = FILE.wanted(place)
    await place.want(wanted)
    await not_fetched(place, wanted, peer(FILE, most=30), Gone)
    with place.file(wanted.name, ".part").open("r+b") as file:
        file.truncate(cut)
    await fetched(place, wanted, peer(FILE))


async def test_a_part_whose_file_is_gone(place: Place) -> None:
    wanted = FILE.wanted(place)
    await place.want(wanted)
    await not_fetched(place, wanted, peer(FILE, most=30), Gone)
    place.file(wanted.name, ".part").unlink()
    await fetched(place, wanted, peer(FILE))


@pytest.mark.parametrize("number", [0, 20, 40, 41])
async def test_a_missing_block_is_said_and_nothing_is_cut_short(place: Place, number: int) -> None:
    wanted = FILE.wanted(place)
    await place.want(wanted)
    for _ in range(2):
        await not_fetched(place, wanted, peer(FILE, lacks=frozenset([FILE.order[number]])), *NOT_THERE)
    await fetched(place, wanted, peer(FILE))


async def test_an_answer_that_nobody_asked_for_changes_nothing(place: Place) -> None:
    wanted = FILE.wanted(place)
    await place.want(wanted)
    one = peer(FILE)
    honest, answers = one.receive, iter([(raw_cid(b"spam"), b"spam"), (FILE.order[3], None)])

    async def receive() -> tuple[bytes, bytes | None]:
        return next(answers, None) or await honest()

    one.receive = receive  # type: ignore[method-assign]
    await fetched(place, wanted, one)


async def test_a_peer_that_stalls_can_be_left(place: Place) -> None:
    wanted = FILE.wanted(place)
    await place.want(wanted)
    silent = peer(FILE, silent=frozenset(FILE.order[:4]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(place.files.fetch, wanted, silent)
        await silent.stalled.wait()
        assert len(silent.sent) == FILE.count - 4
        nursery.cancel_scope.cancel()
    assert place.files.come(wanted.name) == sum(len(FILE.blocks[cid]) for cid in silent.sent)
    place.consistent()
    other = peer(FILE)
    await fetched(place, wanted, other)
    assert sorted(other.asked) == sorted(FILE.order[:4])


# ---- letters that lie


def lies(place: Place) -> dict[str, Wanted]:
    wanted = FILE.wanted(place)
    leaf = RAW + wanted.cid[len(RAW) :]
    return {
        "another hash": replace(wanted, hash=bytes(32)),
        "another key": replace(wanted, key=bytes(32)),
        "a byte less": replace(wanted, size=wanted.size - 1),
        "a byte more": replace(wanted, size=wanted.size + 1),
        "much less": replace(wanted, size=1_000),
        "nothing": replace(wanted, size=0),
        "a level more": replace(wanted, size=50_000_000),
        "as large as can be": replace(wanted, size=2**53 - 1),
        "a leaf as the root": replace(wanted, cid=leaf, name=place.files.name(AUTHOR, leaf)),
    }


async def test_a_letter_that_lies(place: Place) -> None:
    """It is met, it stays met whoever is asked, and nothing is whole or left lying after it is deleted."""
    for lie in lies(place).values():
        await place.want(lie)
        for _ in range(2):
            await not_fetched(place, lie, peer(FILE), ContentDamaged)
        await place.unpin(keep())
        await place.files.collect()
        assert place.rows() == {}
        assert place.disk == []
        place.consistent()


async def test_a_letter_that_lies_spoils_nothing_of_one_that_does_not(place: Place) -> None:
    wanted = FILE.wanted(place)
    await place.want(wanted)
    await fetched(place, wanted, peer(FILE))
    for lie in lies(place).values():
        with pytest.raises(ContentDamaged):
            await place.files.fetch(lie, peer({}))
    assert await place.read(wanted) == DATA
    place.consistent()


def one_leaf(leaf: bytes, size: int) -> Made:
    return Made(raw_cid(leaf), bytes(32), bytes(32), size, {raw_cid(leaf): leaf}, [raw_cid(leaf)])


@pytest.mark.parametrize("length", [0, 1, 4_111, 4_113, LEAF_BYTES])
async def test_a_leaf_of_another_length_is_not_written(place: Place, length: int) -> None:
    file = one_leaf(bytes(length), 100)
    wanted = file.wanted(place)
    await place.want(wanted)
    await not_fetched(place, wanted, peer(file), ContentDamaged, "another form")
    assert [path.stat().st_size for path in place.disk] == [4_112]


async def test_leaves_of_other_lengths_in_a_tree_spoil_no_neighbours(place: Place) -> None:
    sealed = sealed_size(padded_size(600_000))
    for lengths in [(LEAF_BYTES, LEAF_BYTES + 1, 1), (LEAF_BYTES, LEAF_BYTES - 1, 100), (9, 9, 9)]:
        leaves = [bytes([number]) * length for number, length in enumerate(lengths)]
        file = tree(leaves, sealed, bytes(32), bytes(32), 600_000)
        wanted = file.wanted(place)
        await place.want(wanted)
        await not_fetched(place, wanted, peer(file), ContentDamaged, "another form")


async def test_nodes_that_fit_their_cid_and_not_their_place(place: Place) -> None:
    """The letter's author made them, not the peer: no other node has better ones, so it is damaged."""
    wanted = FILE.wanted(place)
    root = FILE.blocks[FILE.cid]
    for node in examples(
        st.builds(_spoiled, st.just(root), st.integers(0, len(root)), st.binary(max_size=9))
    ):
        cid = DAG_PB + hashlib.sha256(node).digest()
        bad = replace(wanted, cid=cid, name=place.files.name(AUTHOR, cid))
        await place.want(bad)
        fault = (ContentMissing, ContentDamaged) if len(node) == len(root) else ContentDamaged
        with pytest.raises(fault):
            await place.files.fetch(bad, peer({**FILE.blocks, cid: node}))
    place.consistent()


def _spoiled(root: bytes, start: int, new: bytes) -> bytes:
    spoiled = root[:start] + new + root[start + len(new) :]
    return spoiled if spoiled != root else root + b"\x00"


async def test_a_wide_tree_of_equal_blocks(place: Place) -> None:
    """Each comes a few at a time, and what is asked for at once stays bounded."""
    size = 60 * CHUNK_BYTES
    shape = Shape(sealed_size(padded_size(size)))
    leaves = [bytes(shape[number].size) for number in range(shape.leaves)]
    file = tree(leaves, shape.size, bytes(32), bytes(32), size)
    wanted = file.wanted(place)
    await place.want(wanted)
    one = peer(file)
    await not_fetched(place, wanted, one, ContentDamaged)
    assert len(one.asked) <= 3 + shape.leaves // (AT_ONCE - 1)
    assert place.files.come(wanted.name) == shape.total
    again = peer({})
    await not_fetched(place, wanted, again, ContentDamaged)
    assert again.asked == []


# ---- at the same time


async def test_two_fetches_of_one_content_take_turns(place: Place) -> None:
    wanted = FILE.wanted(place)
    await place.want(wanted)
    peers = [peer(FILE) for _ in range(4)]
    async with trio.open_nursery() as nursery:
        for one in peers:
            nursery.start_soon(place.files.fetch, wanted, one)
    assert sorted(len(one.asked) for one in peers) == [0, 0, 0, FILE.count]
    await fetched(place, wanted, peer({}))


async def test_the_next_goes_on_where_the_one_before_was_cut(place: Place) -> None:
    wanted = FILE.wanted(place)
    await place.want(wanted)
    first, second = peer(FILE, most=20), peer(FILE)

    async def cut() -> None:
        with pytest.raises(Gone):
            await place.files.fetch(wanted, first)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cut)
        await wait_all_tasks_blocked()
        nursery.start_soon(place.files.fetch, wanted, second)
    assert Counter(first.sent) + Counter(second.asked) == Counter(FILE.order)
    await fetched(place, wanted, peer({}))


async def test_many_contents_at_once(place: Place) -> None:
    files = [made(Random(number).randbytes(number * 200_000), bytes([number]) * 32) for number in range(8)]
    async with trio.open_nursery() as nursery:
        for file in files:
            await place.want(file.wanted(place))
            nursery.start_soon(place.files.fetch, file.wanted(place), peer(file))
    for number, file in enumerate(files):
        assert await place.read(file.wanted(place)) == Random(number).randbytes(number * 200_000)
    place.consistent()


async def test_what_is_fetched_is_not_collected(place: Place) -> None:
    """Though its letter was deleted meanwhile: it goes after."""
    wanted = FILE.wanted(place)
    await place.want(wanted)
    silent = peer(FILE, silent=frozenset(FILE.order[:1]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(place.files.fetch, wanted, silent)
        await silent.stalled.wait()
        await place.unpin(keep())
        assert await place.files.collect() == 0
        assert await place.files.sweep() == 0
        assert place.files.come(wanted.name) > 0
        nursery.cancel_scope.cancel()
    assert await place.files.collect() > 0
    place.consistent()
    assert place.rows() == {}


async def test_a_content_that_was_removed_since_it_was_wanted_is_wanted_anew(place: Place) -> None:
    """The batch of a letter may rest on a row that a round takes before it is written."""
    wanted = FILE.wanted(place)
    await place.want(wanted)
    batch = Batch()
    place.files.want(batch, wanted)
    place.files.pin(batch, wanted.name, keep(b"another"), 2**52)
    await place.unpin(keep())
    await place.files.collect()
    await place.store.write(batch)
    assert place.files.get(wanted.name) is None
    await fetched(place, wanted, peer(FILE))
    assert await place.files.collect() == 0


# ---- what the disk lost


@pytest.mark.parametrize("number", [0, 13, 40, None])
async def test_what_the_disk_lost_of_a_whole_content_is_fetched_again(
    place: Place, number: int | None
) -> None:
    wanted = FILE.wanted(place)
    await place.want(wanted)
    await fetched(place, wanted, peer(FILE))
    if number is None:
        place.file(wanted.name).unlink()
    else:
        damage(place.file(wanted.name), FILE.shape[number].start)
    one = peer(FILE)
    await fetched(place, wanted, one)
    assert sorted(one.asked) == sorted(FILE.order if number is None else [FILE.order[number]])


# ---- room


async def test_a_letter_with_more_than_fits_waits_until_there_is_room(tmp_path: Path) -> None:
    async with a_place(tmp_path, quota=FILE.total + 10_000) as place:
        old = await place.put(bytes(20_000), keep(b"an old one"))
        wanted = FILE.wanted(place)
        await place.want(wanted)
        assert place.files.status()["used"] == old.content.shape.total
        one = peer(FILE)
        await not_fetched(place, wanted, one, FilesFull, "there is no room for this one")
        assert one.asked == []
        assert [path.name.endswith(".part") for path in place.disk] == [False]
        await place.unpin(keep(b"an old one"))
        await place.files.collect()
        await fetched(place, wanted, peer(FILE))


async def test_who_sends_nothing_fills_nothing(tmp_path: Path) -> None:
    async with a_place(tmp_path, quota=2 * FILE.total - 1) as place:
        wanted = FILE.wanted(place)
        await place.want(wanted)
        for _ in range(3):
            await not_fetched(place, wanted, peer(FILE, most=0), Gone)
        assert place.files.status()["used"] == 0
        silent = peer(FILE, silent=frozenset([FILE.cid]))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(place.files.fetch, wanted, silent)
            await silent.stalled.wait()
            assert place.files.status()["used"] == FILE.total
            other = replace(wanted, name=place.files.name(b"another author", wanted.cid))
            with pytest.raises(FilesFull):
                await place.files.fetch(other, peer(FILE))
            nursery.cancel_scope.cancel()
        await fetched(place, other, peer(FILE))


FULL = """
import json, resource, sys, trio
from pathlib import Path
from random import Random
from node.files import FilesFull
from protocol.stream import CHUNK_BYTES
from tests.kit.blocks import a_place, made, peer

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main():
    data = Random(5).randbytes(20 * CHUNK_BYTES)
    file = made(data)
    async with a_place(Path(sys.argv[1])) as place:
        wanted = file.wanted(place)
        await place.want(wanted)
        first = peer(file, before=lambda sent: sent == 9 and limit(8 * CHUNK_BYTES))
        try:
            await place.files.fetch(wanted, first)
        except FilesFull as full:
            told = [full.code, full.text, str(full.status)]
        come = place.files.come(wanted.name)
        try:
            await place.put(data)
        except FilesFull as full:
            told += [full.code, len(place.disk)]
        place.consistent()
        limit(resource.RLIM_INFINITY)
        second = peer(file)
        await place.files.fetch(wanted, second)
        assert await place.read(wanted) == data
        place.consistent()
    kept = sum(len(block) for cid, block in file.blocks.items() if cid not in second.asked)
    print(json.dumps([told, kept == come, 0 < kept < file.total]))

trio.run(main)
"""


def test_a_disk_that_is_full_in_the_middle(tmp_path: Path) -> None:
    """A real limit of the operating system, so in a process of its own; it is resumed when there is room."""
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    text = "the disk is full: no attachment is kept"
    assert json.loads(ended.stdout) == [["disk-full", text, "4.3.1", "disk-full", 1], True, True]


async def test_nothing_comes_of_a_file_that_was_never_sealed(place: Place) -> None:
    """A chunk under the right key with the wrong number does not pass for its neighbour."""
    padded = padded_size(2 * CHUNK_BYTES)
    data = bytes(padded)
    sizes = [min(CHUNK_BYTES, padded - start) for start in range(0, padded, CHUNK_BYTES)]
    leaves = [encrypt_chunk(bytes(32), number, padded, bytes(size)) for number, size in enumerate(sizes)]
    leaves[0], leaves[1] = leaves[1], leaves[0]
    digest = hashlib.blake2b(data[: 2 * CHUNK_BYTES], digest_size=32).digest()
    file = tree(leaves, sealed_size(padded), bytes(32), digest, 2 * CHUNK_BYTES)
    wanted = file.wanted(place)
    await place.want(wanted, keep(LETTER))
    await not_fetched(place, wanted, peer(file), ContentDamaged)
