import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from node.runtime.errors import NodeError
from node.runtime.home import write_private
from node.storage import Batch, DatabaseKey, Store, StoreUnavailable, open_store
from node.storage.batch import dump
from node.storage.database import Database
from node.storage.schema import META, SCHEMA_VERSION
from protocol.cbor import Value
from protocol.status import DISK_FULL
from tests.kit.stores import KEY, PLAY, Trouble

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "database"


@pytest.fixture
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture
async def store(path: Path, trouble: Trouble) -> AsyncIterator[Store]:
    async with open_store(path, KEY, opener=trouble) as store:
        yield store


def content(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.iterdir())


def put(number: int, value: object = None, *, name: bytes = b"x") -> Batch:
    batch = Batch()
    batch.put(PLAY, (name, number), {"value": number} if value is None else str(value))
    return batch


async def test_values_come_back_as_they_were(store: Store) -> None:
    value: dict[str, Value] = {
        "text": "ä",
        "bytes": b"\x00",
        "list": [1, 2**53, -1, True, None, 0.5],
        "map": {"a": {}},
    }
    batch = Batch()
    assert batch.is_empty
    batch.put(PLAY, (b"x", 1), value)
    value["text"] = "changed since"
    await store.write(batch)
    assert store.get(PLAY, (b"x", 1)) == {**value, "text": "ä"}
    assert store.get(PLAY, (b"x", 2)) is None


async def test_nothing_readable_is_on_disk(store: Store, path: Path) -> None:
    await store.write(put(1, "a secret worth finding " * 100))
    on_disk = content(path)
    assert b"secret worth" not in on_disk


async def test_a_value_can_not_be_moved_to_another_key(path: Path) -> None:
    async with open_store(path, KEY) as store:
        await store.write(put(1))
    database = Database(path)
    sealed = database.get(PLAY.encode((b"x", 1)))
    database.write([(PLAY.encode((b"x", 2)), sealed)], sync=True)
    database.close()
    async with open_store(path, KEY) as store:
        with pytest.raises(StoreUnavailable, match="damaged"):
            store.get(PLAY, (b"x", 2))
        with pytest.raises(StoreUnavailable, match="damaged"):
            store.scan(PLAY, limit=9)
        assert store.get(PLAY, (b"x", 1)) == {"value": 1}


async def test_a_write_is_seen_before_it_is_done(store: Store) -> None:
    """A read-modify-write without an await in between is atomic, among any number of tasks."""

    async def count() -> None:
        for _ in range(20):
            seen = store.get(PLAY, (b"n", 0)) or 0
            assert isinstance(seen, int)
            batch = Batch()
            batch.put(PLAY, (b"n", 0), seen + 1)
            await store.write(batch)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(count)
    assert store.get(PLAY, (b"n", 0)) == 200


async def test_a_cancelled_caller_does_not_stop_a_submitted_write(store: Store, trouble: Trouble) -> None:
    trouble.hold()
    async with trio.open_nursery() as nursery:
        finished = trio.Event()

        async def write() -> None:
            try:
                await store.write(put(1))
            finally:
                finished.set()

        nursery.start_soon(write)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
        assert not finished.is_set()
        trouble.release()
    assert store.get(PLAY, (b"x", 1)) == {"value": 1}
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.write(put(2))
    assert scope.cancelled_caught
    assert store.get(PLAY, (b"x", 2)) is None


async def test_a_barrier_waits_for_what_reads_already_show(store: Store, trouble: Trouble) -> None:
    await store.barrier()
    trouble.hold()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.write, put(1))
        await wait_all_tasks_blocked()
        assert store.get(PLAY, (b"x", 1)) == {"value": 1}
        with trio.move_on_after(0) as scope:
            await store.barrier()
        assert scope.cancelled_caught
        trouble.release()
        await store.barrier()


async def test_a_barrier_tells_when_what_was_read_is_gone(store: Store, trouble: Trouble) -> None:
    trouble.full = True
    trouble.hold()

    async def write() -> None:
        with pytest.raises(StoreUnavailable):
            await store.write(put(1))

    async def promise() -> None:
        assert store.get(PLAY, (b"x", 1)) == {"value": 1}
        with pytest.raises(StoreUnavailable):
            await store.barrier()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await wait_all_tasks_blocked()
        nursery.start_soon(promise)
        await wait_all_tasks_blocked()
        trouble.release()


async def test_parts_are_missing_from_a_key(store: Store) -> None:
    with pytest.raises(ValueError, match="has 2 parts"):
        store.get(PLAY, (b"x",))
    with pytest.raises(ValueError, match="has 2 parts"):
        Batch().delete(PLAY, (b"x",))


async def test_a_failed_write_takes_those_behind_it_along(store: Store, trouble: Trouble) -> None:
    """They may rest on reads of what was lost."""
    await store.write(put(0))
    trouble.full = True
    outcomes: list[str] = []

    async def try_to_write(number: int) -> None:
        with pytest.raises(StoreUnavailable) as error:
            await store.write(put(number))
        outcomes.append(error.value.status.code)

    trouble.hold()
    async with trio.open_nursery() as nursery:
        for number in range(1, 9):
            nursery.start_soon(try_to_write, number)
        await wait_all_tasks_blocked()
        assert len(store.scan(PLAY, limit=99)) == 9
        trouble.release()
    assert outcomes == ["4.3.1"] * 8
    assert [key[1] for key, _ in store.scan(PLAY, limit=99)] == [0]
    assert store.fault == "the disk is full: no mail is taken"


async def test_nothing_is_opened_again_while_failing_writes_are_under_way(
    store: Store, trouble: Trouble
) -> None:
    """They would then be carried out, on top of what was lost."""

    async def fail() -> None:
        with pytest.raises(StoreUnavailable):
            await store.write(put(1))

    trouble.hold()
    trouble.full = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)
        await wait_all_tasks_blocked()
        trouble.release()
        while store.fault is None:  # without giving way, so that the report can't come in between
            pass
        trouble.full = False
        with pytest.raises(StoreUnavailable):
            await store.write(put(2))
        assert trouble.opened == 1
    await store.write(put(2))
    assert trouble.opened == 2
    assert [key[1] for key, _ in store.scan(PLAY, limit=9)] == [2]


async def test_a_fault_that_nobody_foresaw_is_a_fault_of_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_self: DatabaseKey, _key: bytes, _data: bytes) -> bytes:
        raise MemoryError("none left")

    with monkeypatch.context() as patch:
        patch.setattr(DatabaseKey, "seal_value", fail)
        with pytest.raises(StoreUnavailable, match="none left"):
            await store.write(put(1))
    assert "writer failed" in caplog.text
    await store.write(put(1))
    assert store.get(PLAY, (b"x", 1)) == {"value": 1}


async def test_a_group_is_synced_if_one_of_its_writes_is(store: Store, trouble: Trouble) -> None:
    trouble.synced.clear()
    trouble.hold()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(store.write, put(1), sync=False))
        while not trouble.synced:  # on its way; the next two wait and become a group
            await trio.lowlevel.checkpoint()
        nursery.start_soon(partial(store.write, put(2), sync=False))
        nursery.start_soon(partial(store.write, put(3), sync=True))
        await wait_all_tasks_blocked()
        trouble.release()
    assert trouble.synced == [False, True]


async def test_it_works_again_when_room_is_back(store: Store, trouble: Trouble) -> None:
    trouble.full = True
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.write(put(1))
    trouble.full = False
    await store.write(put(1))
    assert (store.fault, store.get(PLAY, (b"x", 1))) == (None, {"value": 1})


async def test_a_database_that_can_not_be_opened_again_is_said_and_tried_again(
    store: Store, trouble: Trouble
) -> None:
    await store.write(put(0))
    trouble.full = trouble.gone = True
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.write(put(1))
    with pytest.raises(StoreUnavailable, match="gone"):
        store.get(PLAY, (b"x", 0))
    trouble.full = trouble.gone = False
    assert (store.get(PLAY, (b"x", 0)), store.fault) == ({"value": 0}, None)


async def test_mail_is_refused_before_the_disk_is_full(path: Path) -> None:
    async with open_store(path, KEY, reserve=1 << 62) as store:
        assert store.fault is not None
        assert "are free on the disk" in store.fault
        with pytest.raises(StoreUnavailable) as error:
            store.require_room()
        assert error.value.status == DISK_FULL
    async with open_store(path, KEY, reserve=1) as store:
        assert store.fault is None
        store.require_room(1000)
        with pytest.raises(StoreUnavailable):
            store.require_room(1 << 62)


async def test_below_the_emergency_floor_only_deletions_pass(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(path, KEY, reserve=1 << 30) as store:
        await store.write(put(1))
        monkeypatch.setattr(Store, "free", 1000)
        with pytest.raises(StoreUnavailable) as error:
            await store.write(put(2))
        assert error.value.status == DISK_FULL
        batch = Batch()
        batch.delete(PLAY, (b"x", 1))
        await store.write(batch)
        assert store.scan(PLAY, limit=9) == []


async def test_a_store_that_is_closed_says_so(path: Path) -> None:
    async with open_store(path, KEY) as store:
        await store.write(put(1))
    with pytest.raises(StoreUnavailable, match="not open"):
        store.get(PLAY, (b"x", 1))
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.write(put(2))


async def test_what_is_queued_at_the_end_is_written(path: Path, trouble: Trouble) -> None:
    async with trio.open_nursery() as nursery:
        async with open_store(path, KEY, opener=trouble) as store:
            trouble.hold()
            for number in range(20):
                nursery.start_soon(store.write, put(number))
            await wait_all_tasks_blocked()
            trouble.release()
    async with open_store(path, KEY) as store:
        assert len(store.scan(PLAY, limit=99)) == 20


async def test_virtual_time_stands_still_during_an_inline_write(
    path: Path, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 3600)
        began = trio.current_time()
        async with open_store(path, KEY, inline=True) as store:
            opened = trio.current_time()
            await store.write(put(1))
            assert trio.current_time() == opened >= began
        nursery.cancel_scope.cancel()


async def refusal(path: Path, key: DatabaseKey = KEY) -> str:
    with pytest.raises(NodeError) as error:
        async with open_store(path, key):
            raise AssertionError("it must not open")
    assert error.value.remedy
    return error.value.code


async def test_the_wrong_key_is_noticed(path: Path) -> None:
    async with open_store(path, KEY):
        pass
    assert await refusal(path, DatabaseKey.derive(b"\x01" * 32)) == "store-key"


async def test_a_newer_store_is_refused(path: Path) -> None:
    where = META.encode((b"schema",))
    database = Database(path)
    database.write([(where, KEY.seal_value(where, dump(SCHEMA_VERSION + 1)))], sync=True)
    database.close()
    assert await refusal(path) == "store-newer"


async def test_another_programs_database_is_refused(path: Path) -> None:
    database = Database(path)
    database.write([(b"key", b"value")], sync=True)
    database.close()
    assert await refusal(path) == "store-foreign"


async def test_a_second_opener_is_told_that_the_node_runs(path: Path) -> None:
    async with open_store(path, KEY):
        assert await refusal(path) == "store-locked"


async def test_a_second_process_is_told_that_the_node_runs(path: Path) -> None:
    async with open_store(path, KEY):
        program = (
            "import sys; from pathlib import Path; from node.storage.database import Database;"
            "Database(Path(sys.argv[1]))"
        )
        result = await trio.run_process(
            [sys.executable, "-c", program, str(path)], cwd=ROOT, check=False, capture_stderr=True
        )
    assert result.stderr.decode().splitlines()[-1] == (
        f"node.storage.errors.StoreError: another process uses {path.parent} "
        "(the node runs already; stop it, or choose another --home)"
    )


def damage(path: Path, harm: str) -> None:
    for file in path.iterdir():
        if harm == "table" and file.suffix == ".ldb":
            file.unlink()
        elif file.name.startswith(harm):
            file.write_bytes(b"rubbish")


@pytest.mark.parametrize("harm", ["CURRENT", "MANIFEST", "table"])
async def test_a_damaged_database_is_refused_with_the_way_out(path: Path, harm: str) -> None:
    async with open_store(path, KEY) as store:
        await store.write(put(1))
    async with open_store(path, KEY):  # the log becomes a table
        pass
    damage(path, harm)
    assert await refusal(path) == "store-corrupt"


async def test_a_file_in_the_way(tmp_path: Path) -> None:
    write_private(tmp_path / "database", b"")
    assert await refusal(tmp_path / "database") == "store-corrupt"


async def test_how_much_it_takes(store: Store) -> None:
    await store.write(put(1, os.urandom(50_000).hex()))
    disk = store.disk()
    assert disk.used > 100_000
    assert disk.free == store.free > 0


# What follows runs in processes of their own, which are killed or limited.

WRITER = """
import json, sys, trio
from pathlib import Path
from node.storage import Batch, open_store
from tests.kit.stores import KEY, PLAY

async def write(store, task):
    number = 0
    while True:
        batch = Batch()
        for part in range(3):
            batch.put(PLAY, (b"%d.%d" % (task, part), number), bytes(1000))
        await store.write(batch)
        print(json.dumps([task, number]), flush=True)
        number += 1

async def main():
    async with open_store(Path(sys.argv[1]), KEY) as store, trio.open_nursery() as nursery:
        for task in range(4):
            nursery.start_soon(write, store, task)

trio.run(main)
"""


def written_until_killed(path: Path) -> list[tuple[int, int]]:
    """What the writer acknowledged: (task, number)."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(200)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    return [(task, number) for task, number in (json.loads(line) for line in lines if line.endswith("\n"))]


async def stored_numbers(path: Path, task: int) -> list[list[int]]:
    async with open_store(path, KEY) as store:
        prefixes = [(b"%d.%d" % (task, part),) for part in range(3)]
        return [[int(key[1]) for key, _ in store.scan(PLAY, prefix, limit=100_000)] for prefix in prefixes]


def test_kill_loses_nothing_acknowledged_and_tears_no_batch(path: Path) -> None:
    for _ in range(3):
        acknowledged = written_until_killed(path)
        assert len(acknowledged) >= 200
        for task in range(4):
            first, second, third = trio.run(stored_numbers, path, task)
            assert first == second == third
            assert {number for by, number in acknowledged if by == task} <= set(first)


FILLER = """
import resource, sys, trio
from pathlib import Path
from node.storage import Batch, StoreUnavailable, open_store
from tests.kit.stores import KEY, PLAY

def batch(number):
    batch = Batch()
    batch.put(PLAY, (b"x", number), bytes(20_000))
    return batch

async def main():
    async with open_store(Path(sys.argv[1]), KEY) as store:
        for number in range(5):
            await store.write(batch(number))
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
        while True:
            number += 1
            try:
                await store.write(batch(number))
            except StoreUnavailable as error:
                print(error.status, store.fault)
                break
        for _ in range(3):
            try:
                await store.write(batch(number))
            except StoreUnavailable as error:
                print(error.status, store.fault)
        assert len(store.scan(PLAY, limit=10_000)) == number, "reading goes on"
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        for more in range(10):
            await store.write(batch(number + more))
        print(number + more, store.fault)

trio.run(main)
"""


@pytest.mark.parametrize("limit", [1_000_000, 3_333_333])
async def test_a_full_disk_refuses_mail_and_loses_none(path: Path, limit: int) -> None:
    """Files can't grow beyond a limit, as if the disk were full; then the limit goes."""
    result = await trio.run_process(
        [sys.executable, "-c", FILLER, str(path), str(limit)], cwd=ROOT, capture_stdout=True
    )
    *refusals, last = result.stdout.decode().splitlines()
    assert refusals == ["4.3.1 the disk is full: no mail is taken"] * 4
    number, fault = last.split(" ", 1)
    assert fault == "None"
    async with open_store(path, KEY) as store:
        assert [key[1] for key, _ in store.scan(PLAY, limit=10_000)] == list(range(int(number) + 1))
