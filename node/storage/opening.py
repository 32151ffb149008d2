"""Opening the store: whose it is, which release made it, and that it is closed again."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from node.storage.batch import dump, load
from node.storage.codec import Key
from node.storage.database import Database
from node.storage.errors import StoreError, StoreUnavailable
from node.storage.keys import DatabaseKey
from node.storage.schema import META, SCHEMA_VERSION
from node.storage.store import Store

_VERSION: Final[Key] = (b"schema",)


@asynccontextmanager
async def open_store(
    path: Path,
    key: DatabaseKey,
    *,
    reserve: int = 0,
    inline: bool = False,
    opener: Callable[[Path], Database] = Database,
) -> AsyncIterator[Store]:
    """The store in the directory `path`, made if there is none; `reserve` is limits.free_disk in bytes.
    With `inline` there is no writer thread (commands, virtual time). Raises StoreError.
    """
    database = await trio.to_thread.run_sync(opener, path)
    try:
        _check_version(path, key, database)
    except BaseException:
        database.close()
        raise
    store = Store(path, key, database, reserve=reserve, inline=inline, opener=opener)
    try:
        yield store
    finally:
        with trio.CancelScope(shield=True):  # who is cancelled has to let go of the database too
            await store.aclose()


def _check_version(path: Path, key: DatabaseKey, database: Database) -> None:
    where = META.encode(_VERSION)
    try:
        sealed = database.get(where)
        empty = not any(True for _ in database.iterate(b"", b"\xff", reverse=False))
        if sealed is None and empty:
            database.write([(where, key.seal_value(where, dump(SCHEMA_VERSION)))], sync=True)
            return
        version = None if sealed is None else load(key.open_value(where, sealed))
    except StoreUnavailable as error:
        if error.code != "store-damaged":
            raise StoreError(error.code, error.text, error.remedy) from error
        text = f"the database in {path} belongs to another key"
        raise StoreError(
            "store-key", text, "put the matching database.key back, or restore a backup"
        ) from error
    if not isinstance(version, int):
        raise StoreError("store-foreign", f"{path} is no database of this program", "choose another --home")
    if version > SCHEMA_VERSION:
        text = f"the database in {path} was made by a newer version of this program"
        raise StoreError("store-newer", text, "upgrade, or restore a backup made by this version")
