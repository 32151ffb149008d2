"""Staying in the network: first peers, peers of earlier runs, and the housekeeping that keeps tables,
pools and records fresh.
"""

import logging
import random
from typing import Protocol

import trio

from node.network.addresses import PeerAddress, parse_peer
from node.network.channels import Channels
from node.network.connections import Connections
from node.network.errors import NetworkError
from node.network.kad import PROTOCOL, Kademlia
from node.network.limits import JOIN_DIALS, JOIN_FIRST, JOIN_LAST, MAX_BOOK, REFRESH, SWEEP
from node.network.settings import NetworkSettings, PeerBook
from node.runtime.errors import NodeError

log = logging.getLogger(__name__)


class Joined(Protocol):
    """What of the network this module needs."""

    peer_id: bytes
    settings: NetworkSettings
    kad: Kademlia

    async def reach(self, peer: PeerAddress) -> None:
        """Be connected to a peer. Raises NetworkError."""
        ...


class Joiner:
    """The two tasks that keep a node in the network."""

    def __init__(self, network: Joined, connections: Connections, channels: Channels, book: PeerBook) -> None:
        self._network, self._connections, self._channels, self._book = network, connections, channels, book
        self._alone = trio.Event()

    def left(self) -> None:
        """A peer went; perhaps it was the last."""
        if not self._connections.all():
            self._alone.set()

    async def stay_joined(self) -> None:
        """Dial first peers and old acquaintances, and again with growing pauses while nobody of
        them is there.
        """
        pause = JOIN_FIRST
        while True:
            self._alone = trio.Event()
            if await self._join():
                pause = JOIN_FIRST
                await self._note_good()
                await self._alone.wait()
            else:
                await trio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - spreads the load only
                pause = min(2 * pause, JOIN_LAST)

    async def maintain(self) -> None:
        """Housekeeping until cancelled."""
        next_refresh = trio.current_time() + REFRESH
        while True:
            await trio.sleep(SWEEP)
            await self._channels.sweep()
            if trio.current_time() >= next_refresh:
                next_refresh = trio.current_time() + REFRESH
                await self._network.kad.records.sweep()
                await self._network.kad.closest(self._network.peer_id)
                await self._note_good()

    async def _join(self) -> bool:
        """Whether anybody is connected after dialling everyone we may know."""
        known = self._remembered()
        random.shuffle(known)
        peers = [parse_peer(text) for text in self._network.settings.bootstrap] + known[:JOIN_DIALS]
        async with trio.open_nursery() as nursery:
            for peer in peers:
                if peer.peer_id != self._network.peer_id:
                    nursery.start_soon(self._try, peer)
        if not self._connections.all():
            return not peers  # without anyone to dial there is nothing to repeat
        await self._network.kad.closest(self._network.peer_id)
        return True

    async def _try(self, peer: PeerAddress) -> None:
        try:
            await self._network.reach(peer)
        except NetworkError as error:
            log.debug("join: %s", error)

    def _remembered(self) -> list[PeerAddress]:
        try:
            return list(self._book.items())
        except NodeError as error:
            log.warning("peers of earlier runs can't be read: %s", error)
            return []

    async def _note_good(self) -> None:
        """Remember the servers that are connected now, if the book can be written: a full disk must not
        end the node.
        """
        try:
            await self._write_book()
        except NodeError as error:
            log.warning("good peers are not remembered: %s", error)

    async def _write_book(self) -> None:
        """Note who is new or elsewhere; the book stays small."""
        book = {peer.peer_id: peer for peer in self._book.items()}
        for remote in self._connections.all():
            identity = remote.identity
            if identity is None or not identity.addrs or PROTOCOL not in identity.protocols:
                continue
            peer = PeerAddress(remote.peer_id, identity.addrs)
            if book.get(peer.peer_id) != peer:
                await self._book.remember(peer)
                book[peer.peer_id] = peer
        for peer_id in list(book)[: max(0, len(book) - MAX_BOOK)]:
            await self._book.forget(peer_id)
