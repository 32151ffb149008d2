"""Expires what has run out and removes what nobody needs, a little at a time: every ten minutes, and soon
after something was erased.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import trio

from node.app.ground import Ground
from node.app.owner import Owner
from node.storage import Batch, StoreUnavailable

log = logging.getLogger(__name__)

EVERY_S: Final = 600.0
"""Seconds between two rounds; requests and letters live for days."""

SOON_S: Final = 1.0
"""Seconds after a hint: who erases one letter often erases more."""


class Tidier:
    """One task runs `run`. `roomier` is called when there is more room for attachments than before."""

    def __init__(self, ground: Ground, owner: Owner, roomier: Callable[[], None]) -> None:
        self._ground = ground
        self._owner = owner
        self._roomier = roomier
        self._hint = trio.Event()

    def soon(self) -> None:
        """Something was erased."""
        self._hint.set()

    async def run(self) -> None:
        """Tidy up, for ever."""
        while True:
            try:
                await self._round()
            except StoreUnavailable as fault:
                log.warning("what has run out stays for now: %s", fault)
            with trio.move_on_after(EVERY_S):
                await self._hint.wait()
                await trio.sleep(SOON_S)
            self._hint = trio.Event()

    async def _round(self) -> None:
        owner = self._owner
        for act in (owner.mailbox.expire, owner.mailbox.trim, owner.uploads.expire):
            await self._exhaust(act)
        if await owner.files.collect():
            self._roomier()
        await owner.files.sweep()

    async def _exhaust(self, act: Callable[[Batch, int], int]) -> None:
        """Never while the clock is doubtful (protocol §3)."""
        while not self._ground.doubtful():
            batch = Batch()
            done = act(batch, self._ground.clock.now())
            if batch.is_empty and not done:
                return
            await self._ground.store.write(batch, sync=False)
