"""What a letter's files are that lie outside of it: a range or two of each is read here and looked at in the
worker. What is inside a message is looked at where that is read (parse.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from itertools import islice
from typing import Final

from node.files import ContentDamaged, ContentMissing, Files
from node.kinds import Looked, Sort, Want
from node.letters.reader import Reader
from node.letters.saving import Stored

MAX_LOOKED: Final = 100
"""Files of one letter that are looked at, as many as it is written with; of others it is only known what the
sender says.
"""

TOGETHER: Final = 16
"""Files that one job looks at: 2 ms, or 0.9 s where all are made to take long."""

MAX_UNDONE: Final = 30_000_000
"""Bytes of a file with a transfer encoding: all of it is read to know its size."""

MAX_REMEMBERED: Final = 4_096
"""Contents of which it is remembered what they are, 300 bytes each."""


class Looker:
    """Belongs to trio's thread. A content never changes, so what was found of it is remembered."""

    def __init__(self, reader: Reader, files: Files) -> None:
        self._reader = reader
        self._files = files
        self._known: dict[tuple[bytes, str], Sort] = {}

    async def sorts(self, whole: Sequence[Stored]) -> Sequence[Sort | None]:
        """What each of these contents is, all of which are here; None where that can't be seen. Raises
        WorkerError when no worker can be had.
        """
        new = list(islice((one for one in whole if _key(one) not in self._known), MAX_LOOKED))
        for start in range(0, len(new), TOGETHER):
            await self._look(new[start : start + TOGETHER])
        found = [self._known.get(_key(one)) for one in whole]
        for old in list(islice(self._known, max(0, len(self._known) - MAX_REMEMBERED))):
            del self._known[old]
        return found

    async def _look(self, batch: Sequence[Stored]) -> None:
        """Look at them together, and again at those of which more is to be seen."""
        sizes = [await self._size(one) for one in batch]
        left: list[tuple[Stored, Looked]] = [
            (one, (size, ())) for one, size in zip(batch, sizes, strict=True) if size is not None
        ]
        while left:
            answers = await self._reader.sorts([looked for _, looked in left])
            before, left = left, []
            for (one, (size, pieces)), answer in zip(before, answers, strict=True):
                if isinstance(answer, Sort):
                    self._known[_key(one)] = answer
                elif answer is not None and (data := await self._range(one, answer)) is not None:
                    left.append((one, (size, (*pieces, (answer.start, data)))))

    async def _size(self, one: Stored) -> int | None:
        if one.encoding and one.ref.size > MAX_UNDONE:
            return None
        try:
            return await one.size(self._files)
        except (ContentMissing, ContentDamaged):
            return None

    async def _range(self, one: Stored, want: Want) -> bytes | None:
        try:
            async with aclosing(one.read(self._files, want.start, want.stop)) as source:
                return b"".join([piece async for piece in source])
        except (ContentMissing, ContentDamaged):
            return None


def _key(one: Stored) -> tuple[bytes, str]:
    return one.name, one.encoding
