"""The local database: LevelDB, one writer, encrypted at rest. What the records mean is their rooms'."""

from node.storage.batch import Batch
from node.storage.changes import Kind, note_change
from node.storage.errors import StoreUnavailable
from node.storage.keys import DatabaseKey, create_key, unlock
from node.storage.opening import open_store
from node.storage.schema import SCHEMA_VERSION, SPACES, Space
from node.storage.store import Disk, Store

__all__ = [
    "SCHEMA_VERSION",
    "SPACES",
    "Batch",
    "DatabaseKey",
    "Disk",
    "Kind",
    "Space",
    "Store",
    "StoreUnavailable",
    "create_key",
    "note_change",
    "open_store",
    "unlock",
]
