import gc
from contextlib import aclosing
from pathlib import Path
from random import Random

import pytest
import trio
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from node.files import ContentDamaged, ContentMissing
from node.files.threads import STEP
from protocol.stream import CHUNK_BYTES
from tests.kit.blocks import LETTER, Place, a_place, damage, keep, made, out
from tests.kit.hostile import examples

SIZE = STEP + 3 * CHUNK_BYTES + 1_000
DATA = Random(3).randbytes(SIZE)
EDGES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, STEP - 1, STEP, STEP + 1, SIZE - 1, SIZE]


async def test_any_range(place: Place) -> None:
    put = await place.put(DATA)
    for start in EDGES:
        for stop in EDGES:
            assert await place.read(put, start, stop) == DATA[start:stop]
    assert await place.read(put, 7, SIZE + 10**9) == DATA[7:]
    assert await place.read(put, SIZE + 1) == b""
    assert await place.read(put) == DATA


async def test_any_range_at_all(place: Place) -> None:
    put = await place.put(DATA)
    for start, stop in examples(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE))):
        assert await place.read(put, start, stop) == DATA[start:stop]


async def test_a_range_costs_only_its_leaves(place: Place) -> None:
    """The rest of the file may be gone."""
    put = await place.put(DATA)
    path = place.file(put.content.name)
    block = put.content.shape[3]
    kept = path.read_bytes()[block.start : block.start + block.size]
    with path.open("r+b") as file:
        file.truncate(0)
        file.seek(block.start)
        file.write(kept)
    assert await place.read(put, 3 * CHUNK_BYTES, 4 * CHUNK_BYTES) == DATA[3 * CHUNK_BYTES : 4 * CHUNK_BYTES]
    with pytest.raises(ContentDamaged):
        await place.read(put, 3 * CHUNK_BYTES, 4 * CHUNK_BYTES + 1)


async def test_what_is_not_here_can_not_be_read(place: Place) -> None:
    wanted = made(b"elsewhere").wanted(place)
    with pytest.raises(ContentMissing):
        await place.read(wanted)
    await place.want(wanted)
    with pytest.raises(ContentMissing):
        await place.read(wanted)


async def test_another_key_or_size_opens_nothing(place: Place) -> None:
    put = await place.put(DATA)
    name = put.content.name
    for key, size in [(bytes(32), SIZE), (put.key, SIZE * 2), (put.key, 0)]:
        pieces = place.files.read(name, key, size)
        async with aclosing(pieces):
            with pytest.raises(ContentDamaged):
                await anext(pieces)


@pytest.mark.parametrize("leaf", [0, 1, 15, 16, 19])
async def test_damage_is_met_where_it_is_and_nothing_of_it_shown(place: Place, leaf: int) -> None:
    put = await place.put(DATA)
    damage(place.file(put.content.name), put.content.shape[leaf].start)
    got = bytearray()

    async def read() -> None:
        pieces = place.files.read(put.content.name, put.key, put.size)
        async with aclosing(pieces):
            async for piece in pieces:
                got.extend(piece)

    with pytest.raises(ContentDamaged):
        await read()
    assert got == DATA[: leaf // 16 * STEP]


async def test_a_file_that_is_gone_from_the_disk(place: Place) -> None:
    put = await place.put(DATA)
    place.file(put.content.name).unlink()
    with pytest.raises(ContentDamaged, match="gone from the disk"):
        await place.read(put)


async def test_what_is_being_read_is_not_removed(place: Place) -> None:
    put = await place.put(DATA)
    pieces = place.files.read(put.content.name, put.key, put.size)
    async with aclosing(pieces):
        got = await anext(pieces)
        await place.unpin(out())
        assert await place.files.collect() == 0
        got += b"".join([piece async for piece in pieces])
    assert got == DATA
    assert await place.files.collect() == put.content.shape.total


async def test_a_reader_that_is_cancelled_lets_go(place: Place) -> None:
    put = await place.put(DATA)
    await place.unpin(out())
    with trio.CancelScope() as scope:
        pieces = place.files.read(put.content.name, put.key, put.size)
        async with aclosing(pieces):
            await anext(pieces)
            scope.cancel()
            await anext(pieces)
    assert scope.cancelled_caught
    assert await place.files.collect() == put.content.shape.total
    place.consistent()


async def test_a_reader_that_is_dropped_lets_go(place: Place) -> None:
    """Trio closes what is left lying when it is found; it warns of it."""
    put = await place.put(DATA)
    await place.unpin(out())
    pieces = place.files.read(put.content.name, put.key, put.size)
    await anext(pieces)
    with pytest.warns(ResourceWarning, match="garbage collected"):  # noqa: PT031 - here it is dropped
        del pieces
        gc.collect()
        await wait_all_tasks_blocked()
    assert await place.files.collect() == put.content.shape.total
    place.consistent()


async def test_a_pin_that_is_kept_is_read_after_it_was_opened_again(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        put = await place.put(DATA, keep(LETTER))
    async with a_place(tmp_path) as again:
        assert await again.files.collect() == 0
        assert await again.read(put) == DATA
        again.consistent()
