"""Fetches the files that accounts keep here, while a node of their owner is connected: soon after it has said
that they are wanted, and when it comes again. Where their blocks lie is the Keeper's.
"""

from __future__ import annotations

import logging
from typing import Final

import trio

from node.hosting.items import Items
from node.hosting.ports import Keeper, Network
from node.network import PeerAddress, PeerUnreachable
from node.runtime.errors import NodeError
from protocol.account import KeptFile
from protocol.errors import RemoteProtocolError

log = logging.getLogger(__name__)

MAX_WAITING: Final = 256
"""Accounts whose files wait to be looked at; whoever is left out comes again with its next digest."""

AT_ONCE: Final = 4
"""Accounts served at once: one peer that sends slowly holds up its own files only."""

TURN_S: Final = 600.0
"""Seconds for one account before others have their turn."""


class Gatherer:
    """`soon` says whose files to look at, `run` fetches them."""

    def __init__(self, items: Items, files: Keeper | None, network: Network) -> None:
        self._items = items
        self._files = files
        self._network = network
        self._waiting: dict[bytes, bytes] = {}
        self._at_work: set[bytes] = set()
        self._idle = trio.lowlevel.ParkingLot()

    def soon(self, account: bytes, peer_id: bytes) -> None:
        """This peer has what the account wants kept, and is connected."""
        if self._files is not None and (account in self._waiting or len(self._waiting) < MAX_WAITING):
            self._waiting[account] = peer_id
            self._idle.unpark()

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(self._work)

    async def _work(self) -> None:
        while True:
            account = next((one for one in self._waiting if one not in self._at_work), None)
            if account is None:
                await self._idle.park()
                continue
            peer_id = self._waiting.pop(account)
            self._at_work.add(account)
            try:
                with trio.move_on_after(TURN_S):
                    await self._gather(account, peer_id)
            except (NodeError, RemoteProtocolError) as fault:
                log.debug("files of an account did not come: %s", fault)
            finally:
                self._at_work.discard(account)
                self._idle.unpark()

    async def _gather(self, account: bytes, peer_id: bytes) -> None:
        """Fetch what is missing. Raises NodeError, RemoteProtocolError."""
        assert self._files is not None
        for file in self._items.files(account):
            await trio.lowlevel.checkpoint()
            if not self._files.whole(account, file):
                await self._fetch(self._files, account, peer_id, file)

    async def _fetch(self, files: Keeper, account: bytes, peer_id: bytes, file: KeptFile) -> None:
        async with self._network.bitswap.session(PeerAddress(peer_id)) as session:
            if self._items.file(account, file.id) != file:
                return  # its owner wants it no more, and what is not wanted must not be pinned
            try:
                await files.keep(account, file, session)
            except PeerUnreachable:
                raise
            except (NodeError, RemoteProtocolError) as fault:  # the others may come
                log.debug("a file of an account is not kept: %s", fault)
