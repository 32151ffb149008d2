"""What LevelDB and plyvel do that we rely on, or work around."""

from pathlib import Path
from typing import Any

import plyvel
import pytest

from node.storage.database import Database


def test_plyvel_still_leaves_out_a_lone_first_key_going_backwards(tmp_path: Path) -> None:
    """When this fails upstream has mended it, and `Database.iterate` may pass `start` again."""
    with plyvel.DB(str(tmp_path), create_if_missing=True) as database:
        database.put(b"a", b"")
        found = list(database.iterator(start=b"a", stop=b"b", reverse=True, include_value=False))
    assert found == []


@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("low", [b"", b"a", b"b", b"c", b"d"])
@pytest.mark.parametrize("high", [b"a", b"b", b"c", b"d", b"e"])
def test_a_range_has_its_first_key_and_not_its_last(
    tmp_path: Path, low: bytes, high: bytes, reverse: bool
) -> None:
    database = Database(tmp_path)
    database.write([(key, b"1") for key in (b"a", b"c", b"d")], sync=False)
    expected = sorted((key for key in (b"a", b"c", b"d") if low <= key < high), reverse=reverse)
    assert [key for key, _ in database.iterate(low, high, reverse=reverse)] == (
        expected if low < high else []
    )
    database.close()


def test_a_range_is_as_it_was_when_it_was_begun(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.write([(b"a", b"1"), (b"c", b"1")], sync=True)
    entries = database.iterate(b"a", b"z", reverse=False)
    assert next(entries) == (b"a", b"1")
    database.write([(b"b", b"2"), (b"c", None)], sync=True)
    assert list(entries) == [(b"c", b"1")]
    database.close()


@pytest.mark.parametrize("sync", [True, False])
def test_what_must_be_on_disk_is_synced(tmp_path: Path, sync: bool) -> None:
    """A kill can't show it, only a power cut could: so see that LevelDB is asked."""

    class Listener:
        def __init__(self, real: Any) -> None:
            self.real = real
            self.asked: list[object] = []

        def write_batch(self, **options: object) -> Any:
            self.asked.append(options)
            return self.real.write_batch(**options)

    database = Database(tmp_path)
    listener = Listener(database._db)
    database._db = listener
    database.write([(b"a", b"1")], sync=sync)
    assert listener.asked == [{"sync": sync}]
    listener.real.close()
