"""What holds wherever contents lie: embedded, or at an IPFS daemon. And the way from one to the other."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio

from node.files import ContentDamaged, ContentMissing, KuboAway
from node.files.moving import Moved
from node.runtime.errors import NodeError
from node.storage import StoreUnavailable
from node.storage.schema import DAEMON_PIN
from protocol.account import KeptFile
from protocol.stream import CHUNK_BYTES
from tests.kit.blocks import NOW, Gone, Place, Times, a_place, keep, made, out, peer
from tests.kit.daemons import MemoryDaemon, RealDaemon
from tests.kit.jsipfs import needs_jsipfs

DATA = Random(31).randbytes(3 * CHUNK_BYTES + 17)
SIZES = [0, 1, 4_097, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 18 * CHUNK_BYTES]


@dataclass
class Kept:
    """A place whose new contents go to one of the two; `daemon` is the other."""

    kind: str
    path: Path
    daemon: Any = field(default_factory=MemoryDaemon)
    times: Times = field(default_factory=Times)

    def open(self, kind: str = "", **how: Any) -> Any:
        kubo = (kind or self.kind) != "embedded"
        return a_place(self.path, self.times, rpc=self.daemon, kubo=kubo, **how)


@pytest.fixture(params=["embedded", "kubo", pytest.param("js-ipfs", marks=needs_jsipfs)])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    kept = Kept(request.param, tmp_path / "here")
    if kept.kind == "js-ipfs":
        kept.daemon = RealDaemon(request.getfixturevalue("daemon").api)
        kept.daemon.clear()
    return kept


@pytest.fixture
async def here(kept: Kept) -> AsyncIterator[Place]:
    async with kept.open() as place:
        yield place


def right(place: Place, daemon: Any) -> None:
    """Every content is in the place that its row names and in no other, and the daemon keeps nothing else."""
    place.consistent()
    there = {row.cid for row in place.rows().values() if row.daemon}
    assert daemon.pins == there
    rows: Any = place.store.walk(DAEMON_PIN)
    assert {row["cid"] for _, row in rows} == there


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_comes_back(here: Place, kept: Kept, size: int) -> None:
    data = Random(size).randbytes(size)
    put = await here.put(data)
    assert made(data, put.key).cid == put.content.cid
    assert data == await here.read(put)
    for start, stop in ((0, 1), (size // 2, size), (max(0, size - 3), size + 10)):
        assert data[start:stop] == await here.read(put, start, stop)
    right(here, kept.daemon)


async def test_it_is_there_after_a_restart(kept: Kept) -> None:
    async with kept.open() as place:
        put = await place.put(DATA)
    async with kept.open() as place:
        assert DATA == await place.read(put)
        right(place, kept.daemon)


async def test_others_get_every_block(here: Place, kept: Kept) -> None:
    put = await here.put(DATA, out())
    file = made(DATA, put.key)
    for cid, block in file.blocks.items():
        assert len(block) == await here.files.blocks.size(cid)
        assert block == await here.files.blocks.read(cid)


async def test_a_file_is_fetched_and_goes_when_nobody_needs_it(here: Place, kept: Kept) -> None:
    file = made(DATA)
    wanted = file.wanted(here)
    await here.want(wanted)
    with pytest.raises(Gone):
        await here.files.fetch(wanted, peer(file, most=2))
    with pytest.raises(ContentMissing):
        await here.read(wanted)
    await here.files.fetch(wanted, peer(file))
    assert DATA == await here.read(wanted)
    right(here, kept.daemon)
    await here.unpin(keep())
    assert file.total == await here.files.collect()
    assert {} == here.rows()
    right(here, kept.daemon)


async def test_what_is_kept_for_others(here: Place, kept: Kept) -> None:
    file = made(DATA)
    one = KeptFile(file.cid, file.shape.size, NOW + 1_000)
    await here.files.hosted.keep(b"account", one, peer(file))
    assert here.files.hosted.whole(b"account", one)
    for cid, block in file.blocks.items():
        assert block == await here.files.blocks.read(cid)
    kept.times.ms += 1_000
    assert file.total == await here.files.collect()
    right(here, kept.daemon)


async def test_one_file_for_two(here: Place, kept: Kept) -> None:
    """By the same CID, for different scopes: it goes with the last."""
    file = made(DATA)
    ours, theirs = file.wanted(here), file.wanted(here, b"0x" + b"b" * 40)
    for n, wanted in enumerate((ours, theirs)):
        await here.want(wanted, keep(b"letter %d...." % n))
        await here.files.fetch(wanted, peer(file))
    await here.unpin(keep(b"letter 0...."))
    await here.files.collect()
    kept.daemon.collect()
    assert DATA == await here.read(theirs)
    right(here, kept.daemon)
    await here.unpin(keep(b"letter 1...."))
    await here.files.collect()
    right(here, kept.daemon)


async def test_what_the_place_has_lost_is_told_and_fetched_again(here: Place, kept: Kept) -> None:
    file = made(DATA)
    wanted = file.wanted(here)
    await here.want(wanted)
    await here.files.fetch(wanted, peer(file))
    if kept.kind != "embedded":
        kept.daemon.lose(file.cid)
    else:
        here.file(wanted.name).write_bytes(b"")
    with pytest.raises(ContentDamaged):
        await here.read(wanted)
    await here.files.fetch(wanted, peer(file))
    assert DATA == await here.read(wanted)
    right(here, kept.daemon)


@pytest.mark.parametrize("work", ["put", "fetch"])
async def test_cut_off_at_any_moment(tmp_path: Path, work: str) -> None:
    """At every question to the daemon: after a sweep nothing is left of what was not kept, and what was kept
    is there.
    """
    file, writes = made(DATA), 0
    while True:
        kept = Kept("kubo", tmp_path / str(writes))
        left = writes

        def crash(_: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KuboAway("memory", "does what a test wants")

        async with kept.open() as place:
            kept.daemon.before = crash
            try:
                if work == "put":
                    await place.put(DATA, keep())
                else:
                    await place.want(file.wanted(place))
                    await place.files.fetch(file.wanted(place), peer(file))
                done = True
            except KuboAway:
                done = False
        kept.daemon.before = lambda _: None
        async with kept.open() as place:
            for _ in range(2):
                await place.files.sweep()
            await place.files.collect()
            right(place, kept.daemon)
            if work == "fetch":
                await place.files.fetch(file.wanted(place), peer(file))
                assert DATA == await place.read(file.wanted(place))
        if done:
            break
        writes += 1
    assert writes > 5


# ---- at a daemon alone


async def test_what_somebody_else_had_pinned_stays_pinned(tmp_path: Path) -> None:
    kept, file = Kept("kubo", tmp_path / "here"), made(DATA)
    kept.daemon.add(b"".join(file.blocks[cid] for cid in file.order[: file.shape.leaves]))
    kept.daemon.pins.add(file.cid)
    async with kept.open() as place:
        for n in range(2):
            wanted = file.wanted(place, b"0x" + b"ab"[n : n + 1] * 40)
            await place.want(wanted, keep(b"letter %d...." % n))
            await place.files.fetch(wanted, peer(file))
        for n in range(2):
            await place.unpin(keep(b"letter %d...." % n))
            await place.files.collect()
        assert {} == place.rows()
        assert {file.cid} == kept.daemon.pins
        assert 0 == kept.daemon.asked["unpin"]


async def test_while_the_daemon_is_away(tmp_path: Path) -> None:
    """Nothing is taken for lost: not by who reads, not by who fetches from us, not by who collects."""
    kept = Kept("kubo", tmp_path / "here")
    async with kept.open() as place:
        put = await place.put(DATA, out())
        kept.daemon.away = True
        with pytest.raises(KuboAway):
            await place.read(put)
        with pytest.raises(StoreUnavailable):
            await place.files.blocks.read(put.content.cid)
        with pytest.raises(KuboAway):
            await place.put(b"another")
        await place.unpin(out())
        assert 0 == await place.files.collect()
        assert 0 == await place.files.sweep()
        kept.daemon.away = False
        assert made(DATA, put.key).total == await place.files.collect()
        right(place, kept.daemon)


async def killed_while_it_pins(kept: Kept) -> None:
    def crash(what: str) -> None:
        if what == "pin":
            raise NodeError("killed", "here")

    async with kept.open() as place:
        kept.daemon.before = crash
        with pytest.raises(NodeError, match="here"):
            await place.put(DATA)
    kept.daemon.before = lambda _: None


async def test_a_crash_between_pin_and_row_leaves_no_pin(tmp_path: Path) -> None:
    kept = Kept("kubo", tmp_path / "here")

    await killed_while_it_pins(kept)
    kept.daemon.pins.update(kept.daemon.files)  # it was pinned, and nobody heard the answer
    async with kept.open() as place:
        assert 1 == await place.files.sweep()
        right(place, kept.daemon)


async def test_a_pin_that_is_made_after_the_crash_is_taken_back_too(tmp_path: Path) -> None:
    """The daemon answers what it was asked, though nobody is there to hear it."""
    kept = Kept("kubo", tmp_path / "here")

    await killed_while_it_pins(kept)
    async with kept.open() as place:
        assert 0 == await place.files.sweep()
        kept.daemon.pins.update(kept.daemon.files)
        assert 1 == await place.files.sweep()
        right(place, kept.daemon)


# ---- from one to the other


def nobody(moved: Moved) -> None:
    """Hears how far it is, and says nothing."""


@pytest.fixture(params=[("embedded", "kubo"), ("kubo", "embedded")], ids="->".join)
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


async def test_everything_moves_and_nothing_is_left_behind(tmp_path: Path, way: tuple[str, str]) -> None:
    kept, files = Kept(way[0], tmp_path / "here"), []
    async with kept.open() as place:
        for size in SIZES:
            data = Random(size).randbytes(size)
            files.append((data, await place.put(data, out(), keep())))
        lost = made(DATA)
        await place.want(lost.wanted(place))
        with pytest.raises(Gone):
            await place.files.fetch(lost.wanted(place), peer(lost, most=1))
    async with kept.open(way[1]) as place:
        elsewhere = await place.files.elsewhere()
        assert len(SIZES) == elsewhere.files
        told: list[int] = []

        def tell(moved: Moved) -> None:
            told.append(moved.come)

        moved = await place.files.move(tell)
        assert (len(SIZES), elsewhere.size, 0, 0) == (moved.moved, moved.come, moved.busy, moved.damaged)
        assert told == sorted(told)
        for data, put in files:
            assert data == await place.read(put)
            for cid, block in made(data, put.key).blocks.items():
                assert block == await place.files.blocks.read(cid)
        assert 0 == (await place.files.elsewhere()).files
        assert {way[1] == "kubo"} == {row.daemon for row in place.rows().values() if row.whole}
        right(place, kept.daemon)
        assert 0 == await place.files.sweep()


async def test_a_move_goes_on_where_it_was_cut_off(tmp_path: Path, way: tuple[str, str]) -> None:
    kept, files = Kept(way[0], tmp_path / "here"), []
    async with kept.open() as place:
        for n in range(3):
            data = Random(n).randbytes(n * CHUNK_BYTES + 5)
            files.append((data, await place.put(data, keep())))
    for most in range(40):
        left = most

        def crash(_: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KuboAway("memory", "does what a test wants")

        kept.daemon.before = crash
        async with kept.open(way[1]) as place:
            try:
                moved = await place.files.move(nobody)
            except KuboAway:
                moved = None
            kept.daemon.before = lambda _: None
            for data, put in files:
                assert data == await place.read(put)
        async with kept.open(way[1]) as place:
            for _ in range(2):
                await place.files.sweep()
            right(place, kept.daemon)
        if moved is not None:
            break
    else:
        raise AssertionError("it never came to an end")


async def test_what_is_in_use_is_left_for_the_next_time(tmp_path: Path, way: tuple[str, str]) -> None:
    kept = Kept(way[0], tmp_path / "here")
    async with kept.open() as place:
        put = await place.put(DATA, keep())
    async with kept.open(way[1]) as place:
        pieces = place.files.read(put.content.name, put.key, put.size)
        first = await anext(pieces)
        moved = await place.files.move(nobody)
        assert (0, 1) == (moved.moved, moved.busy)
        rest = b"".join([piece async for piece in pieces])
        assert DATA == first + rest
        moved = await place.files.move(nobody)
        assert (1, 0) == (moved.moved, moved.busy)


async def test_what_is_damaged_stays_and_is_counted(tmp_path: Path) -> None:
    kept = Kept("embedded", tmp_path / "here")
    async with kept.open() as place:
        bad, good = await place.put(DATA, keep()), await place.put(b"good", keep())
        with place.file(bad.content.name).open("r+b") as file:
            file.truncate(CHUNK_BYTES)
    async with kept.open("kubo") as place:
        moved = await place.files.move(nobody)
        assert (1, 1) == (moved.moved, moved.damaged)
        assert b"good" == await place.read(good)
        rows = place.rows()
        assert not rows[bad.content.name].daemon


async def test_a_block_is_served_while_its_file_moves(tmp_path: Path, way: tuple[str, str]) -> None:
    kept = Kept(way[0], tmp_path / "here")
    async with kept.open() as place:
        put = await place.put(DATA, out())
    file = made(DATA, put.key)
    async with kept.open(way[1]) as place, trio.open_nursery() as nursery:
        served = 0

        async def ask() -> None:
            nonlocal served
            while True:
                for cid, block in file.blocks.items():
                    assert block == await place.files.blocks.read(cid)
                    served += 1

        nursery.start_soon(ask)
        while not served:
            await trio.lowlevel.checkpoint()
        await place.files.move(nobody)
        for _ in range(50):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
