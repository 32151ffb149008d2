"""What files are that lie outside of a letter: a range or two of each is read, once; that may go wrong."""

import quopri
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from node.files import Files, in_pieces
from node.kinds import Looked, Sort
from node.kinds.finding import find_whole
from node.letters import looking
from node.letters.looking import MAX_LOOKED, TOGETHER, Looker
from node.letters.reader import Reader
from node.letters.saving import Stored
from node.runtime.worker import Worker, WorkerError, WorkerTimeout
from protocol.place import Place
from protocol.stream import ContentRef
from protocol.unixfs import reference_of
from tests.kit.samples import listing, samples, zipped


class Counted(Reader):
    """Counts jobs and the bytes that go to them."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self.jobs: list[int] = []
        self.bytes = 0

    async def sorts(self, files: Sequence[Looked]) -> Any:
        self.jobs.append(len(files))
        self.bytes += sum(len(data) for _, pieces in files for _, data in pieces)
        return await super().sorts(files)


class Shelf:
    """Contents in a store, and who looks at them."""

    def __init__(self, files: Files, workspace: Any, reader: Counted) -> None:
        self.files, self.reader = files, reader
        self._workspace = workspace
        self.looker = Looker(reader, files)

    async def put(self, data: bytes, encoding: str = "") -> Stored:
        put = await self._workspace.put(b"bob", in_pieces(data), len(data))
        reference = reference_of(put.content.cid)
        ref = ContentRef("a", "a/b", len(data), put.hash, reference, Place(0), key=put.key)
        return Stored(put.content.name, ref, encoding)

    async def sort(self, data: bytes, encoding: str = "") -> Sort | None:
        (found,) = await self.looker.sorts([await self.put(data, encoding)])
        return found


@pytest.fixture
async def shelf(files: Files, worker: Worker) -> AsyncIterator[Shelf]:
    async with files.workspace() as workspace:
        yield Shelf(files, workspace, Counted(worker))


async def test_each_is_found_to_be_what_it_is(shelf: Shelf) -> None:
    stored = [await shelf.put(data) for data in samples().values()]
    assert [find_whole(data) for data in samples().values()] == await shelf.looker.sorts(stored)
    rounds = len(shelf.reader.jobs)
    assert rounds <= 3 * (len(stored) // TOGETHER + 1)
    assert max(shelf.reader.jobs) == TOGETHER
    assert [find_whole(data) for data in samples().values()] == await shelf.looker.sorts(stored)
    assert rounds == len(shelf.reader.jobs)  # they are remembered


async def test_of_a_large_file_little_is_read(shelf: Shelf) -> None:
    names = [f"{n}.txt" for n in range(500)]
    large = zipped(["big", *names, "a.exe"], content=random.Random(1).randbytes(9_000).hex())
    assert len(large) > 4_000_000
    assert Sort("application/zip", "archive", inside="a.exe") == await shelf.sort(large)
    assert shelf.reader.bytes < 500_000
    assert Sort("application/zip", "archive") == await shelf.sort(listing(100_000, b"a.exe"))


async def test_a_transfer_encoding_is_undone(shelf: Shelf) -> None:
    document = samples()["a.docx"]
    encoded = quopri.encodestring(document)
    assert find_whole(document) == await shelf.sort(encoded, "quoted-printable")
    assert Sort("text/plain", "text", "", "utf-8") == await shelf.sort(b"=41=42" * 20_000, "quoted-printable")


async def test_one_content_under_two_encodings_is_two_files(shelf: Shelf) -> None:
    stored = await shelf.put(b"JVBERi0xLjcKAA==")
    other = Stored(stored.name, stored.ref, "base64")
    found = await shelf.looker.sorts([stored, other])
    assert ["text/plain", "application/pdf"] == [one.media_type for one in found if one]


async def test_what_would_have_to_be_read_whole_is_not(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MAX_UNDONE", 99)
    assert await shelf.sort(b"a" * 100, "quoted-printable") is None
    assert await shelf.sort(b"a" * 100) is not None


async def test_a_letter_of_many_files_is_not_looked_at_for_ever(shelf: Shelf) -> None:
    stored = [await shelf.put(b"%PDF-" + str(n).encode()) for n in range(MAX_LOOKED + 5)]
    found = await shelf.looker.sorts(stored)
    assert ["application/pdf"] * MAX_LOOKED + [None] * 5 == [one and one.media_type for one in found]


async def test_what_the_disk_has_lost_is_not_known(shelf: Shelf) -> None:
    good, gone = await shelf.put(samples()["a.png"]), await shelf.put(bytes(700_000))
    for path in shelf.files._disk.path(gone.name).parent.rglob("*"):
        if path.is_file() and path.stat().st_size > 600_000:
            path.write_bytes(b"")
    found = await shelf.looker.sorts([gone, good, Stored(b"nobody" * 3, good.ref, "")])
    assert [None, "image/png", None] == [one and one.media_type for one in found]


@pytest.mark.parametrize("code", ["worker-died", "worker-memory"])
async def test_what_the_worker_can_t_bear_is_not_known(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise WorkerError(code, "x")

    stored = await shelf.put(b"x")
    with monkeypatch.context() as patched:
        patched.setattr(shelf.reader._worker, "run", fails)
        assert [None] == await shelf.looker.sorts([stored])
    assert ["text/plain"] == [one and one.media_type for one in await shelf.looker.sorts([stored])]


async def test_a_worker_that_can_t_be_had_is_said(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise WorkerError("worker-start", "x")

    async def late(*_: object, **__: object) -> None:
        raise WorkerTimeout("worker-deadline", "x")

    stored = await shelf.put(b"x")
    monkeypatch.setattr(shelf.reader._worker, "run", late)
    assert [None] == await shelf.looker.sorts([stored])
    monkeypatch.setattr(shelf.reader._worker, "run", fails)
    with pytest.raises(WorkerError):
        await shelf.looker.sorts([stored])


async def test_what_is_remembered_is_bounded(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "MAX_REMEMBERED", 3)
    stored = [await shelf.put(f"text {n}".encode()) for n in range(5)]
    assert all(await shelf.looker.sorts(stored))
    assert [one.name for one in stored[2:]] == [name for name, _ in shelf.looker._known]
