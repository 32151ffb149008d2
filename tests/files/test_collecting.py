import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import trio

from node.files.files import Files
from node.storage import Batch, StoreUnavailable, open_store
from protocol.stream import CHUNK_BYTES
from tests.kit.blocks import (
    NOW,
    Place,
    Times,
    a_place,
    damage,
    keep,
    made,
    out,
    peer,
)
from tests.kit.stores import KEY, Trouble

ROOT = Path(__file__).parents[2]
DATA = Random(8).randbytes(5 * CHUNK_BYTES)
FILE = made(DATA)


async def test_just_what_nobody_needs(place: Place, sender: Place) -> None:
    kept = await place.put(DATA, keep())
    sent = await place.put(DATA, out())
    gone = await place.put(DATA, keep(b"deleted"))
    wanted, unwanted = FILE.wanted(place), FILE.wanted(place, b"another author")
    await place.want(wanted)
    await place.want(unwanted, keep(b"deleted"))
    await place.files.fetch(unwanted, peer(FILE))
    await place.unpin(keep(b"deleted"))
    assert await place.files.collect() == gone.content.shape.total + FILE.total
    assert set(place.rows()) == {kept.content.name, sent.content.name, wanted.name}
    assert [await place.read(put) == DATA for put in (kept, sent)] == [True, True]
    assert await place.files.collect() == 0
    place.consistent()


async def test_a_part_of_nobody(place: Place) -> None:
    wanted = FILE.wanted(place)
    await place.want(wanted)
    with trio.CancelScope() as scope:
        await place.files.fetch(wanted, peer(FILE, before=lambda sent: sent == 3 and scope.cancel()))
    come = place.files.come(wanted.name)
    assert 0 < come < FILE.total
    await place.unpin(keep())
    assert await place.files.collect() == come
    assert (place.rows(), place.disk, place.files.status()["used"]) == ({}, [], 0)


@pytest.mark.parametrize("number", [0, 5, 6, None])
async def test_what_is_damaged_is_removed_as_well(place: Place, number: int | None) -> None:
    put = await place.put(DATA)
    path = place.file(put.content.name)
    if number is None:
        path.unlink()
    else:
        damage(path, put.content.shape[number].start)
    await place.unpin(out())
    assert await place.files.collect() == put.content.shape.total
    assert (place.rows(), place.disk, place.files.status()["used"]) == ({}, [], 0)


async def test_rounds_at_the_same_time_free_everything_once(place: Place) -> None:
    total = sum([(await place.put(DATA)).content.shape.total for _ in range(4)])
    await place.unpin(out())
    freed = []

    async def collect() -> None:
        freed.append(await place.files.collect())

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(collect)
    assert sorted(freed) == [0, 0, total]
    place.consistent()


async def _step_by_step(place: Place, at: int, act: object) -> bool:
    """Do something when a round is at that of its steps; whether it came to it."""
    task = trio.lowlevel.current_task()
    done = trio.Event()

    class Steps(trio.abc.Instrument):
        seen = 0

        def before_task_step(self, stepped: trio.lowlevel.Task) -> None:
            if stepped is task:
                self.seen += 1
                if self.seen == at:
                    done.set()

    steps = Steps()

    async def when_there() -> None:
        await done.wait()
        assert callable(act)
        await act()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(when_there)
        trio.lowlevel.add_instrument(steps)
        try:
            await place.files.collect()
        finally:
            trio.lowlevel.remove_instrument(steps)
        came = done.is_set()
        if not came:
            nursery.cancel_scope.cancel()
    return came


async def test_a_letter_that_comes_while_its_content_is_removed(place: Place) -> None:
    """Whatever the round is at: the content is there in the end, or is to be fetched and comes."""
    wanted, another = FILE.wanted(place), keep(b"another")
    outcomes = set()
    for at in range(1, 100):
        await place.want(wanted)
        await place.files.fetch(wanted, peer(FILE))
        await place.unpin(keep())

        async def letter_comes() -> None:
            await place.want(wanted, another)
            await place.files.fetch(wanted, peer(FILE))

        came = await _step_by_step(place, at, letter_comes)
        if not came:
            break
        outcomes.add(place.files.whole(wanted.name))
        assert await place.files.collect() == 0
        assert await place.read(wanted) == DATA
        place.consistent()
        await place.unpin(another)
    assert at > 3
    assert outcomes == {True}


async def test_a_round_that_is_cancelled_is_finished_by_the_next(place: Place) -> None:
    for at in range(1, 100):
        puts = [await place.put(DATA) for _ in range(2)]
        await place.unpin(out())
        came = True
        with trio.CancelScope() as scope:

            async def cancel(scope: trio.CancelScope = scope) -> None:
                await trio.lowlevel.checkpoint()
                scope.cancel()

            came = await _step_by_step(place, at, cancel)
        assert [place.files.whole(put.content.name) for put in puts].count(True) <= 2
        await place.files.collect()
        assert (place.rows(), place.disk, place.files.status()["used"]) == ({}, [], 0)
        place.consistent()
        if not came:
            break
    assert at > 10


# ---- cut where it hurts: what is there after each step of a round, or of a put, is put in order


async def test_a_name_without_rows(tmp_path: Path) -> None:
    """A crash after a content was named and before it was known: swept."""
    async with a_place(tmp_path) as place:
        put = await place.put(DATA)
        kept = place.file(put.content.name).read_bytes()
        await place.unpin(out())
        await place.files.collect()
        path = place.file(put.content.name)
        path.write_bytes(kept)
        place.file(b"\xab" * 16).parent.mkdir()
        place.file(b"\xab" * 16, ".part").write_bytes(b"x")
        (place.path / "files" / "new" / "half").write_bytes(b"y")
    async with a_place(tmp_path) as place:
        assert await place.files.sweep() == 2
        assert place.disk == []
        place.consistent()


async def test_known_and_not_all_of_it_indexed(tmp_path: Path) -> None:
    """A crash while its blocks were written down: a content of nobody, and no row of a block stays."""
    async with a_place(tmp_path) as place:
        put = await place.put(DATA)
        batch = Batch()
        place.files._ledger.unindex(batch, made(DATA, put.key).order[3:])
        await place.store.write(batch)
        await place.unpin(out())
    async with a_place(tmp_path) as place:
        assert await place.files.collect() == put.content.shape.total
        assert await place.files.sweep() == 0
        place.consistent()


async def test_fetched_and_named_and_not_known_as_whole(tmp_path: Path) -> None:
    """A crash after the last block: nothing is fetched twice."""
    async with a_place(tmp_path) as place:
        wanted = FILE.wanted(place)
        await place.want(wanted)
        with trio.CancelScope() as scope:
            await place.files.fetch(wanted, peer(FILE, before=lambda sent: sent == 6 and scope.cancel()))
        await place.files.fetch(wanted, peer(FILE))
        batch = Batch()
        place.files._ledger.put(batch, wanted.content)
        await place.store.write(batch)
    async with a_place(tmp_path) as place:
        assert not place.files.whole(wanted.name)
        assert place.files.come(wanted.name) >= FILE.total
        assert await place.files.sweep() == 0
        one = peer({})
        await place.files.fetch(wanted, one)
        assert one.asked == []
        assert await place.read(wanted) == DATA
        place.consistent()


@pytest.mark.parametrize("gone", [False, True])
async def test_hidden_and_not_removed(tmp_path: Path, gone: bool) -> None:
    """A crash in the middle of a round: the next takes the rest, be its file gone or not."""
    async with a_place(tmp_path) as place:
        put = await place.put(DATA)
        await place.unpin(out())
        removing = place.files._collector
        async with place.files._work.turn(put.content.name):
            hidden = await removing._hide([put.content.name])
            assert [content.name for content in hidden] == [put.content.name]
            await removing._unindex(hidden)
        if gone:
            place.file(put.content.name).unlink()
    async with a_place(tmp_path) as place:
        assert not place.files.whole(put.content.name)
        assert await place.files.blocks.read(put.content.cid) is None
        await place.files.collect()
        assert (place.rows(), place.disk, place.files.status()["used"]) == ({}, [], 0)
        place.consistent()


async def test_a_store_that_takes_nothing_loses_nothing(tmp_path: Path) -> None:
    trouble, times = Trouble(), Times()
    async with open_store(tmp_path / "database", KEY, opener=trouble, inline=True) as store:
        files = Files(store, tmp_path / "files", quota=10**9, clock=times, doubtful=lambda: False)
        await files.start()
        place = Place(tmp_path, store, files, times)
        kept = await place.put(DATA, keep())
        gone = await place.put(DATA)
        await place.unpin(out())
        trouble.full = True
        with pytest.raises(StoreUnavailable):
            await place.put(DATA)
        with pytest.raises(StoreUnavailable):
            await files.collect()
        trouble.full = False
        assert await place.read(kept) == DATA
        assert await files.collect() == gone.content.shape.total
        assert await files.sweep() == 0
        place.consistent()
        assert set(place.rows()) == {kept.content.name}


async def test_strangers_in_the_directory_are_left_alone(place: Place) -> None:
    put = await place.put(DATA)
    strangers = [place.path / "files" / "README", place.path / "files" / "ab" / "not hex"]
    for path in strangers:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    assert await place.files.sweep() == 0
    assert [path.read_text() for path in strangers] == ["mine", "mine"]
    assert await place.read(put) == DATA


# ---- many contents: no step of trio's thread is long

STEPS = """
import json, sys, time, trio
from pathlib import Path
from node.files import FOR_EVER, Content, Pin, PinKind
from node.files.files import Files
from node.storage import Batch, open_store
from tests.kit.blocks import Times, made
from tests.kit.stores import KEY

class Longest(trio.abc.Instrument):
    began = most = 0.0
    def before_task_step(self, task):
        self.began = time.thread_time()
    def after_task_step(self, task):
        if self.began:
            self.most = max(self.most, time.thread_time() - self.began)

async def longest(work):
    watch = Longest()
    trio.lowlevel.add_instrument(watch)
    await trio.lowlevel.checkpoint()
    result = await work()
    trio.lowlevel.remove_instrument(watch)
    return watch.most, result

async def main():
    path, count = Path(sys.argv[1]), int(sys.argv[2])
    async with open_store(path / "database", KEY) as store:
        files = Files(store, path / "files", quota=10**15, clock=Times(), doubtful=lambda: False)
        ledger = files._ledger
        for start in range(0, count, 500):
            batch = Batch()
            for number in range(start, start + 500):
                name = store.index("content", number.to_bytes(4, "big"))
                whole = number % 4 > 0
                ledger.put(batch, Content(name, b"\\x01\\x55\\x12\\x20" + bytes(32), 4_112, whole, False))
                ledger.pin(batch, name, Pin(PinKind.KEEP, number.to_bytes(12, "big")), FOR_EVER)
            await store.write(batch, sync=False)
        found = {}
        found["start"] = await longest(files.start)
        found["stat"] = await longest(files.stat)
        found["nothing"] = await longest(files.collect)
        found["sweep"] = await longest(files.sweep)
        found["release"] = await longest(lambda: files.release(Pin(PinKind.KEEP, b"")))
        found["all"] = await longest(files.collect)
        assert files.status()["used"] == 0
    print(json.dumps(found))

trio.run(main)
"""


def test_ten_thousand_contents_hold_up_nothing_else(tmp_path: Path) -> None:
    """Measured by the thread's own processor time, in a process of its own."""
    command = [sys.executable, "-c", STEPS, str(tmp_path), "10000"]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(ended.stdout)
    assert {name: result for name, (_, result) in found.items() if name != "stat"} == {
        "start": None,
        "nothing": 0,
        "sweep": 0,
        "release": 10_000,
        "all": 7_500 * 4_112,
    }
    assert (found["stat"][1]["files"], found["stat"][1]["incomplete"]) == (7_500, 2_500)
    assert {name: most for name, (most, _) in found.items() if most > 0.05} == {}


async def test_a_large_content_is_forgotten_in_steps(tmp_path: Path) -> None:
    """More blocks than are forgotten in one batch."""
    async with a_place(tmp_path, Times(NOW)) as place:
        put = await place.put(bytes(600 * CHUNK_BYTES))
        assert put.content.shape.blocks > 600
        place.consistent()
        await place.unpin(out())
        assert await place.files.collect() == put.content.shape.total
        assert (place.rows(), place.disk) == ({}, [])
        place.consistent()
