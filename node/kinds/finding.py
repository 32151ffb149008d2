"""What a file is, from its bytes alone. Hostile input: run it in the worker process; it imports little. It
raises nothing, whatever it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from node.kinds.compound import compound, is_compound
from node.kinds.programs import program
from node.kinds.sample import HEAD, MAX_ASKED, Looked, Missing, Piece, Sample
from node.kinds.signatures import by_signature
from node.kinds.sort import COMPOUND, ZIP, Sort, Want
from node.kinds.texts import text
from node.kinds.zips import is_zip, zipped

MAX_ROUNDS: Final = 6
"""Times that a file is read of: its head, its end, an archive's list of names and what leads to that."""

MOST_LOOKED: Final = HEAD + MAX_ASKED
"""Bytes of a file that decide how long it is looked at."""

_END: Final = 66_560
"""Bytes of a file's end that are asked for at once: an archive's list of names is behind a comment of up to
65,535 bytes.
"""


def find(size: int, pieces: Sequence[Piece]) -> Sort | Want:
    """What a file of `size` bytes is of which these pieces are at hand; or which bytes are needed to tell."""
    sample = Sample(size, pieces)
    try:
        return _sort(sample)
    except Missing as missing:
        start, stop = missing.start, missing.stop
        if stop > size - _END:  # what is in the end is asked for bit by bit
            start, stop = min(start, max(0, size - _END)), size
        if stop - start <= MAX_ASKED and len(pieces) < MAX_ROUNDS:
            return Want(start, stop)
        return unread(sample.head)


def find_whole(data: bytes) -> Sort:
    """The same of a file that is at hand."""
    found = find(len(data), ((0, data),))
    assert isinstance(found, Sort)
    return found


def find_all(files: Sequence[Looked]) -> list[Sort | Want]:
    """`find` for each of them."""
    return [find(size, pieces) for size, pieces in files]


def first(size: int) -> Want:
    """What is needed of a file of `size` bytes to begin with."""
    return Want(0, min(size, HEAD))


def unread(head: bytes) -> Sort:
    """What is known of a file that begins so and of which more can't be had."""
    if is_zip(head):
        return Sort(ZIP, "archive")
    if is_compound(head):
        return Sort(COMPOUND, "document", macros=True)
    return program(head) or text(head, whole=False) or by_signature(head) or Sort()


def _sort(sample: Sample) -> Sort:
    if sample.size == 0:
        return Sort(kind="empty")
    head = sample.head
    if (found := program(head)) is not None:
        return found
    if (found := text(head, whole=sample.size <= len(head))) is not None:
        return found
    if is_zip(head):
        return zipped(sample)
    return compound(sample) or by_signature(head) or Sort()
