from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio

from node.files import Content, Files, Pin, PinKind
from node.storage import Batch, Store, StoreUnavailable, open_store
from node.storage.schema import BLOCK
from node.storage.store import PAGE
from protocol.stream import CHUNK_BYTES
from protocol.unixfs import raw_cid
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
from tests.kit.daemons import NoDaemon
from tests.kit.stores import KEY, Trouble

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


async def test_who_pins_what_it_finds_whole_keeps_it(place: Place) -> None:
    """At whatever step of a round; who finds it gone has it wanted, and its row stays for that."""
    wanted, another = FILE.wanted(place), keep(b"another")
    found = []
    for at in range(1, 100):
        await place.want(wanted)
        await place.files.fetch(wanted, peer(FILE))
        await place.unpin(keep())

        async def letter_comes() -> None:
            found.append(place.files.whole(wanted.name))
            await place.want(wanted, another)

        if not await _step_by_step(place, at, letter_comes):
            break
        assert place.files.whole(wanted.name) == found[-1]
        assert place.files.get(wanted.name) is not None
        place.consistent()
        await place.unpin(another)
        await place.files.collect()
        assert (place.rows(), place.disk) == ({}, [])
    assert set(found) == {True, False}
    assert found == sorted(found, reverse=True)


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
        place.files._ledger.unindex(batch, put.content, made(DATA, put.key).order[3:])
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
        files = Files(
            store, tmp_path / "files", quota=10**9, clock=times, doubtful=lambda: False, rpc=NoDaemon()
        )
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


class Touched(trio.abc.Instrument):
    """The most records that were read or changed between two checkpoints; a few µs each."""

    def __init__(self, store: Store) -> None:
        self.now = self.most = 0
        for name in ("get", "scan", "write"):
            setattr(store, name, self._counted(getattr(store, name)))

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **how: Any) -> Any:
            result = call(*args, **how)
            self.now += len(args[0].changes) if isinstance(args[0], Batch) else 1
            self.now += len(result) if isinstance(result, list) else 0
            return result

        return counted

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.most, self.now = max(self.most, self.now), 0


async def test_thousands_of_contents_hold_up_nothing_else(tmp_path: Path) -> None:
    """Whatever walks over all of them does it in steps."""
    count, pin = 3_000, Pin(PinKind.KEEP, b"")
    async with open_store(tmp_path / "database", KEY, inline=True) as store:
        files = Files(
            store, tmp_path / "files", quota=10**15, clock=Times(), doubtful=lambda: False, rpc=NoDaemon()
        )
        batch = Batch()
        for number in range(count):
            name = store.index("content", number.to_bytes(4, "big"))
            files._ledger.put(batch, Content(name, raw_cid(b""), 4_112, number % 4 > 0, indexed=False))
            files.pin(batch, name, keep(number.to_bytes(12, "big")), NOW + 1 + number % 2)
        await store.write(batch)
        touched = Touched(store)
        trio.lowlevel.add_instrument(touched)
        await files.start()
        stat = await files.stat()
        assert (stat["files"], stat["incomplete"], stat["used"]) == (2_250, 750, 2_250 * 4_112)
        assert (await files.collect(), await files.sweep()) == (0, 0)
        assert await files.release(pin) == count
        assert await files.collect() == 2_250 * 4_112
        assert (files.status()["used"], files.held(pin)) == (0, [])
        trio.lowlevel.remove_instrument(touched)
        assert PAGE <= touched.most <= 3 * PAGE


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


async def test_of_what_is_damaged_the_rows_that_are_known_go(place: Place) -> None:
    """Those of its leaves can't be known any more, and lead to nothing."""
    put = await place.put(bytes(2 * CHUNK_BYTES), out())
    shape = put.content.shape
    damage(place.file(put.content.name), shape[shape.root].start + 40)
    await place.unpin(out())
    assert shape.total == await place.files.collect()
    left: Any = place.store.walk(BLOCK)
    assert shape.leaves == len(list(left))
    assert await place.files.blocks.read(put.content.cid) is None
