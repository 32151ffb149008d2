"""Pictures of letters in small, made when somebody asks for one. They are kept in memory only: nothing of
them is on the disk, and what is erased is gone.
"""

from __future__ import annotations

from typing import Final

import trio

from node.kinds import FORMATS, MAX_BYTES, small_picture
from node.letters.errors import NoThumbnail
from node.letters.saving import Saved
from node.letters.showing import Shower
from node.runtime.worker import Worker, WorkerError

DEADLINE_S: Final = 5.0
"""Seconds for one: the largest that is taken needs one here, and some on the slowest machine we know."""

MAX_KEPT: Final = 2_000_000
"""Bytes of those that are kept: some 250."""

MAX_KNOWN: Final = 1_024
"""How many are kept, those counted of which there is none."""

_START: Final = "worker-start"
"""Fault of a worker that says nothing about a picture."""


class Thumbnails:
    """Belongs to trio's thread. One is made at a time, in a worker that nothing else waits for."""

    def __init__(self, viewer: Worker, shower: Shower) -> None:
        self._viewer = viewer
        self._shower = shower
        self._one = trio.Lock()
        self._kept: dict[tuple[bytes, int], bytes | None] = {}  # oldest first; None where there is none

    async def get(self, letter: bytes, n: int) -> bytes:
        """That of attachment `n`. Raises NoThumbnail, NoSuchLetter, ContentMissing, ContentDamaged,
        RemoteProtocolError, WorkerError.
        """
        key = letter, n
        if key not in self._kept:
            async with self._one:
                if key not in self._kept:  # by whom this one waited for
                    self._keep(key, await self._made(letter, n))
        if (made := self._kept[key]) is None:
            text = "of this file there is no picture in small"
            raise NoThumbnail("no-thumbnail", text, "get the file itself")
        return made

    def forget(self, letter: bytes) -> None:
        """It is erased."""
        for key in [key for key in self._kept if key[0] == letter]:
            del self._kept[key]

    async def _made(self, letter: bytes, n: int) -> bytes | None:
        saved = await self._shower.save(letter, n)
        if not pictured(saved):
            await saved.source.aclose()
            return None
        try:
            return await self._viewer.run_on(saved.source, small_picture, deadline=DEADLINE_S)
        except WorkerError as error:
            if error.code == _START:
                raise
            return None  # it took the worker down, or too long

    def _keep(self, key: tuple[bytes, int], made: bytes | None) -> None:
        self._kept[key] = made
        size = sum(len(one or b"") for one in self._kept.values())
        while len(self._kept) > MAX_KNOWN or size > MAX_KEPT:
            size -= len(self._kept.pop(next(iter(self._kept))) or b"")


def pictured(saved: Saved) -> bool:
    """Whether there may be one."""
    return saved.sort is not None and saved.sort.media_type in FORMATS and saved.size <= MAX_BYTES


def unasked() -> NoThumbnail:
    """What to raise of a letter by somebody who is not accepted."""
    text = "its sender is not accepted, so it is not looked at unasked"
    return NoThumbnail("stranger", text, "ask for it with anyway=true")
