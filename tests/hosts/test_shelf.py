"""What is to be at a host and what is there, compared: the same end from whatever beginning."""

from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from node.hosts.planning import Planner
from node.hosts.shelf import Row, Shelf
from node.hosts.syncing import Syncer, _side_by_side
from node.storage import Batch, Store, open_store
from node.storage.database import Database
from protocol.account import Entry, Item, KeptFile, Space, replaces
from protocol.errors import RemoteProtocolError
from protocol.held import digest
from protocol.host import MAX_IDS, Answer, Digest, Get, Page, Put
from protocol.kdf import blake2b
from tests.kit.stores import KEY

IDS = st.binary(min_size=32, max_size=32).map(lambda seed: bytes([seed[0] % 5]) * 32)
ITEMS = st.dictionaries(IDS, st.tuples(st.integers(1, 3), st.sampled_from([b"a", b"b", b"c"])), max_size=5)

Items = dict[bytes, tuple[int, bytes]]


class FakeHost:
    """A host's one space, which does what protocol.host says; `talk` is spoken to."""

    def __init__(self, items: Items) -> None:
        self.items = {i: Item(i, seq, data) for i, (seq, data) in items.items()}

    async def ask(self, request: object) -> Answer:
        await trio.lowlevel.checkpoint()
        match request:
            case Digest():
                entries = [i.entry for i in self.items.values()]
                return Answer(digests={Space.VAULT: digest((e.id, e.seq, e.hash) for e in entries)})
            case Page(_, after):
                found = [self.items[i].entry for i in sorted(self.items) if after is None or i > after]
                return Answer(entries=tuple(found[:2]), more=len(found) > 2)
            case Get(_, ids):
                return Answer(items=tuple(self.items[i] for i in ids if i in self.items))
            case Put(_, items, drop):
                for item in drop:
                    self.items.pop(item, None)
                for one in items:
                    old = self.items.get(one.id)
                    if old is None or replaces(one.entry, old.entry):
                        self.items[one.id] = one
                return Answer()
        raise AssertionError(request)


class FakePages:
    """A vault without pages of ours at hosts that win."""

    def __init__(self, items: Items) -> None:
        self._items = items

    def changed(self) -> None:
        pass

    async def items(self) -> AsyncGenerator[Item, None]:
        for i, (seq, data) in self._items.items():
            yield Item(i, seq, data)

    async def newer(self, page: Item) -> bool:
        return False


async def shelf_of(store: Store, ours: Items, settled: Iterable[bytes]) -> tuple[Shelf, Syncer, Planner]:
    secrets: Any = None
    consent: Any = None
    planner = Planner(store, secrets, consent, FakePages(ours), None)
    shelf, batch, settled = Shelf(store, b"host"), Batch(), set(settled)
    for i, (seq, data) in ours.items():
        shelf.put(batch, Row(Space.VAULT, i, seq, blake2b(data), placed=i in settled))
    await store.write(batch)

    async def nobody(handshake: object) -> None:
        raise AssertionError("nothing is newer")

    return shelf, Syncer(store, planner, shelf, nobody), planner


def test_repair_ends_with_ours_from_whatever_a_host_has(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two rounds do, whichever items lie there, older, newer, other at one seq, unknown."""

    @given(ours=ITEMS, theirs=ITEMS, settled=st.sets(IDS))
    def check(ours: Items, theirs: Items, settled: set[bytes]) -> None:
        trio.run(_check, tmp_path_factory.mktemp("shelf"), ours, theirs, settled)

    check()


async def _check(path: Path, ours: Items, theirs: Items, settled: set[bytes]) -> None:
    async with open_store(path / "db", KEY, reserve=0, inline=True, opener=Database) as store:
        shelf, syncer, _ = await shelf_of(store, ours, settled)
        talk: Any = FakeHost(theirs)
        place: Any = None
        await shelf.load()
        for _ in range(2):
            await syncer.repair(talk, Space.VAULT)
            await syncer.push(talk, place)
        assert ours == {i.id: (i.seq, i.data) for i in talk.items.values()}
        assert 0 == shelf.missing
        assert [] == await syncer.differing(await syncer.digests(talk))


async def test_files_that_we_do_not_know_stay_until_they_end_and_what_is_none_goes(tmp_path: Path) -> None:
    file = KeptFile(bytes(36), 1_000, 5_000)
    theirs = {file.id: (7, file.encode()), bytes(32): (7, file.encode()), b"x" * 32: (7, b"no file")}
    async with open_store(tmp_path / "db", KEY, reserve=0, inline=True, opener=Database) as store:
        shelf, syncer, planner = await shelf_of(store, {}, ())
        talk: Any = FakeHost(theirs)
        place: Any = None
        await syncer.repair(talk, Space.FILE)
        await planner.files([shelf])
        await planner.expire(shelf, file.until - 1)
        await syncer.push(talk, place)
        assert [file.id] == list(talk.items)
        assert digest([(file.id, 7, blake2b(file.encode()))]) == await shelf.digest(Space.FILE)
        assert (frozenset(), 0) == (shelf.coming, shelf.missing)
        await planner.expire(shelf, file.until)
        await syncer.push(talk, place)
        assert {} == talk.items
        assert [] == list(shelf.rows(Space.FILE))


async def test_a_file_that_we_do_not_know_and_a_host_has_lost_is_forgotten(tmp_path: Path) -> None:
    file = KeptFile(bytes(36), 1_000, 5_000)
    async with open_store(tmp_path / "db", KEY, reserve=0, inline=True, opener=Database) as store:
        shelf, syncer, _ = await shelf_of(store, {}, ())
        talk: Any = FakeHost({file.id: (7, file.encode())})
        await syncer.repair(talk, Space.FILE)
        assert 1 == len(list(shelf.rows(Space.FILE)))
        talk.items.clear()
        await syncer.repair(talk, Space.FILE)
        assert [] == list(shelf.rows(Space.FILE))


@given(rows=st.sets(IDS), entries=st.sets(IDS))
def test_two_ways_in_order_meet_at_each_id_once(rows: set[bytes], entries: set[bytes]) -> None:
    async def main() -> list[tuple[Row | None, Entry | None]]:
        async def those() -> AsyncGenerator[Entry, None]:
            for i in sorted(entries):
                yield Entry(i, 1, bytes(32))

        ours = (Row(Space.VAULT, i) for i in sorted(rows))
        return [pair async for pair in _side_by_side(ours, those())]

    found = trio.run(main)
    ids = [one.id for row, entry in found if (one := row or entry) is not None]
    assert sorted(rows | entries) == ids
    assert rows == {row.id for row, _ in found if row is not None}
    assert entries == {entry.id for _, entry in found if entry is not None}


@pytest.mark.parametrize(
    "answers",
    [
        [Answer(entries=(Entry(bytes(32), 1, bytes(32)), Entry(bytes(32), 1, bytes(32))))],
        [Answer(entries=(Entry(bytes([1]) * 32, 1, bytes(32)), Entry(bytes(32), 1, bytes(32))))],
        [Answer(more=True)],
    ],
    ids=["twice", "backwards", "empty and more"],
)
async def test_pages_that_can_not_be_are_refused(tmp_path: Path, answers: list[Answer]) -> None:
    class Liar(FakeHost):
        async def ask(self, request: object) -> Answer:
            return answers.pop(0)

    async with open_store(tmp_path / "db", KEY, reserve=0, inline=True, opener=Database) as store:
        _, syncer, _ = await shelf_of(store, {}, ())
        talk: Any = Liar({})
        with pytest.raises(RemoteProtocolError):
            await syncer.repair(talk, Space.VAULT)


async def test_a_host_that_names_no_end_of_items_costs_bounded_memory_and_is_left(tmp_path: Path) -> None:
    dropped: list[int] = []

    class Endless(FakeHost):
        at = 0

        async def ask(self, request: object) -> Answer:
            await trio.lowlevel.checkpoint()
            if isinstance(request, Put):
                dropped.append(len(request.drop))
                return Answer()
            ids = range(self.at, self.at + MAX_IDS)
            self.at += MAX_IDS
            return Answer(entries=tuple(Entry(n.to_bytes(32, "big"), 1, bytes(32)) for n in ids), more=True)

    async with open_store(tmp_path / "db", KEY, reserve=0, inline=True, opener=Database) as store:
        _, syncer, _ = await shelf_of(store, {}, ())
        talk: Any = Endless({})
        with pytest.raises(RemoteProtocolError, match="more than an account holds"):
            await syncer.repair(talk, Space.VAULT)
        assert {MAX_IDS} == set(dropped)
