import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from node.files import FilesFull, Put, in_pieces
from node.files.putting import gathered
from node.files.threads import STEP
from protocol.errors import LocalProtocolError
from protocol.stream import CHUNK_BYTES
from tests.kit.blocks import AUTHOR, Place, a_place, made, out

LEAF = CHUNK_BYTES
SIZES = [0, 1, 4095, 4096, 4097, LEAF - 1, LEAF, LEAF + 1, 2 * LEAF, STEP - 1, STEP, STEP + 1]


async def whole_round(place: Place, data: bytes) -> None:
    put = await place.put(data)
    assert await place.read(put) == data
    expected = made(data, put.key)
    assert put.hash == expected.hash
    assert put.content.cid == expected.cid
    assert put.content.size == sum(map(len, expected.blocks.values())) - sum(
        len(expected.blocks[cid]) for cid in expected.order[put.content.shape.leaves :]
    )
    lying = place.file(put.content.name).read_bytes()
    assert lying == b"".join(expected.blocks[cid] for cid in expected.order)


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_comes_back_and_is_on_ipfs_what_the_protocol_says(place: Place, size: int) -> None:
    await whole_round(place, Random(size).randbytes(size))
    place.consistent()


@pytest.mark.parametrize("size, leaves, blocks", [(43 << 20, 173, 174), ((43 << 20) + 1, 177, 180)])
async def test_where_the_tree_grows_a_level(place: Place, size: int, leaves: int, blocks: int) -> None:
    """Padding leaves no sizes of 174 and 175 leaves: it goes over both."""
    data = Random(size).randbytes(size)
    put = await place.put(data)
    assert (put.content.shape.leaves, put.content.shape.blocks) == (leaves, blocks)
    assert put.content.cid == made(data, put.key).cid
    assert await place.read(put, size - 10) == data[-10:]
    place.consistent()


@settings(max_examples=15)
@given(st.integers(0, 3 * LEAF), st.integers(0, 2**32), st.lists(st.integers(1, 300_000), max_size=12))
async def test_whatever_its_size_and_its_pieces(size: int, seed: int, lengths: list[int]) -> None:
    data = Random(seed).randbytes(size)

    async def pieces() -> AsyncIterator[bytes]:
        start = 0
        for length in [*lengths, size + 1]:
            yield data[start : start + length]
            start += length

    with tempfile.TemporaryDirectory() as directory:
        async with a_place(Path(directory)) as place, place.files.workspace() as workspace:
            put = await workspace.put(AUTHOR, pieces(), size)
            assert put.content.cid == made(data, put.key).cid
            assert await place.read(put) == data


@given(st.lists(st.sampled_from([0, 1, STEP - 1, STEP, STEP + 1, 3 * STEP]), max_size=4))
@settings(max_examples=20)
async def test_pieces_are_made_worth_a_threads_while(lengths: list[int]) -> None:
    data = [bytes([number]) * length for number, length in enumerate(lengths)]

    async def pieces() -> AsyncIterator[bytes]:
        for piece in data:
            yield piece

    got = [piece async for piece in gathered(pieces())]
    assert b"".join(got) == b"".join(data)
    assert [len(piece) for piece in got[:-1]] == [STEP] * (len(got) - 1)
    assert not got or 0 < len(got[-1]) <= STEP


@pytest.mark.parametrize("given_size, said", [(5, 4), (4, 5), (0, 1), (STEP + 1, STEP), (2 * STEP, 3 * STEP)])
async def test_a_source_of_another_size_leaves_nothing(place: Place, given_size: int, said: int) -> None:
    async with place.files.workspace() as workspace:
        with pytest.raises(LocalProtocolError, match=f"a file of {said} bytes"):
            await workspace.put(AUTHOR, in_pieces(bytes(given_size)), said)
        assert workspace.names == []
    assert place.disk == []
    assert place.rows() == {}
    assert place.files.status()["used"] == 0


async def test_a_source_that_fails_is_closed_and_leaves_nothing(place: Place) -> None:
    closed = trio.Event()

    async def broken() -> AsyncIterator[bytes]:
        try:
            yield bytes(STEP)
            raise ZeroDivisionError
        finally:
            closed.set()

    async with place.files.workspace() as workspace:
        with pytest.raises(ZeroDivisionError):
            await workspace.put(AUTHOR, broken(), 2 * STEP)
    assert closed.is_set()
    assert place.disk == []
    assert place.files.status()["used"] == 0


async def test_cancelled_in_the_middle_it_leaves_nothing(place: Place) -> None:
    closed = trio.Event()

    async def slow() -> AsyncIterator[bytes]:
        try:
            yield bytes(STEP)
            yield bytes(STEP)
            await trio.sleep_forever()
        finally:
            closed.set()

    async def put() -> None:
        async with place.files.workspace() as workspace:
            await workspace.put(AUTHOR, slow(), 3 * STEP)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(put)
        while not place.disk or place.disk[0].stat().st_size < STEP:
            await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        assert int(str(place.files.status()["used"])) > 3 * STEP
        nursery.cancel_scope.cancel()
    assert closed.is_set()
    assert place.disk == []
    assert place.rows() == {}
    assert place.files.status()["used"] == 0


async def test_cancelled_at_any_point_it_leaves_nothing_that_stays(place: Place) -> None:
    """Checkpoint by checkpoint: what is not given back at once is taken by the next round."""
    data = bytes(3 * LEAF)
    for stop in range(1, 200):
        with trio.CancelScope() as scope:
            await _cancelling(place, data, scope, stop)
        if not scope.cancelled_caught:
            break
        await place.files.collect()
        place.consistent()
        assert place.rows() == {}
        assert place.disk == []
    else:
        pytest.fail("it never came to its end")
    assert stop > 5


async def _cancelling(place: Place, data: bytes, scope: trio.CancelScope, stop: int) -> None:
    task = trio.lowlevel.current_task()

    class Count(trio.abc.Instrument):
        seen = 0

        def before_task_step(self, stepped: trio.lowlevel.Task) -> None:
            if stepped is task:
                self.seen += 1
                if self.seen == stop:
                    scope.cancel()

    count = Count()
    trio.lowlevel.add_instrument(count)
    try:
        await place.put(data)
    finally:
        trio.lowlevel.remove_instrument(count)


async def test_a_key_is_fresh_each_time(place: Place) -> None:
    first, second = await place.put(b"the same"), await place.put(b"the same")
    assert first.key != second.key
    assert first.content.cid != second.content.cid
    assert (first.hash, first.size) == (second.hash, second.size)
    place.consistent()


async def put_once(path: Path, data: bytes) -> Put:
    async with a_place(path) as place:
        return await place.put(data)


def test_nothing_on_disk_tells_what_it_is(tmp_path: Path) -> None:
    put = trio.run(put_once, tmp_path, b"a secret that is worth finding " * 20_000)
    cid, key = put.content.cid, put.key
    secrets = [b"worth finding", key, key.hex().encode(), cid[4:], cid[4:].hex().encode(), put.hash]
    for path in tmp_path.rglob("*"):
        found = path.read_bytes() if path.is_file() else b""
        assert not [secret for secret in secrets if secret in found or secret in os.fsencode(path)]


async def test_what_does_not_fit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    read = []

    async def untouched() -> AsyncIterator[bytes]:
        read.append(True)
        yield b""

    async with a_place(tmp_path, quota=10_000) as place:
        async with place.files.workspace() as workspace:
            with pytest.raises(FilesFull) as full:
                await workspace.put(AUTHOR, untouched(), 20_000)
        assert full.value.code == "files-quota"
        assert str(full.value.status) == "4.2.2"
        assert "may take 10 kB" in full.value.text
        assert (read, place.disk) == ([], [])
        assert (await place.put(bytes(4_000))).size == 4_000


async def test_a_warning_from_nine_tenths_on(tmp_path: Path) -> None:
    async with a_place(tmp_path, quota=41_120) as place:
        for count in range(1, 11):
            await place.put(b"")
            warnings = place.files.status()["warnings"]
            assert bool(warnings) == (count >= 9)
            assert [check.state for check in await place.files.checks()] == ["warn" if warnings else "ok"]
        assert "100 % of what they may" in str(warnings)
        stat = await place.files.stat()
        assert (41_120, 41_120, 10, 0) == tuple(stat[n] for n in ("used", "quota", "files", "incomplete"))


async def test_a_quota_that_was_lowered(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        put = await place.put(b"x")
    async with a_place(tmp_path, quota=0) as place:
        assert place.files.status()["warnings"]
        assert await place.read(put) == b"x"
        with pytest.raises(FilesFull):
            await place.put(b"y")


async def test_what_nobody_pins_goes_when_its_workspace_is_left(place: Place) -> None:
    async with place.files.workspace() as workspace:
        put = await workspace.put(AUTHOR, in_pieces(b"draft"), 5)
        assert await place.files.collect() == 0
        assert await place.read(put) == b"draft"
    assert await place.files.collect() == put.content.shape.total
    place.consistent()
    assert place.rows() == {}


async def test_several_at_once(place: Place) -> None:
    files = [Random(number).randbytes(number * 300_000) for number in range(6)]
    async with place.files.workspace() as workspace:
        puts: dict[int, object] = {}

        async def put(number: int) -> None:
            data = files[number]
            puts[number] = await workspace.put(AUTHOR, in_pieces(data), len(data))
            await place.pin(workspace.names[-1], out())

        async with trio.open_nursery() as inner:
            for number in range(6):
                inner.start_soon(put, number)
    assert len(puts) == 6
    place.consistent()
