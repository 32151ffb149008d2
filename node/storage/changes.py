"""Notes of what hosts must be told of: left in the batch of the change itself, so that no crash forgets one.
Who writes to hosts is node.hosts, which removes them.
"""

import secrets
from enum import IntEnum
from typing import Final

from node.storage.batch import Batch
from node.storage.schema import CHANGED

MARK_BYTES: Final = 8  # tells two notes of one thing apart: the later must not go with the earlier


class Kind(IntEnum):
    """What has changed. Numbers in the store, never used again for something else."""

    OURS = 0
    INVITATION = 1
    THEIRS = 2
    CONTACT = 3
    PIN = 4
    NODES = 5
    PAGE = 6


def note_change(batch: Batch, kind: Kind, place: bytes, name: str) -> None:
    """`name` says what it was to whoever reads the note; `place` is its key, under which one note stands."""
    batch.put(CHANGED, (kind, place), {"name": name, "mark": secrets.token_bytes(MARK_BYTES)})
