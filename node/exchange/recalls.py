"""Takes back from hosts what its author has cancelled (protocol.md §6, *Sending*): until the host says that
it is gone, or would have dropped it anyway.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

import trio

from node.exchange.parcel import AtHost, Parcel
from node.hosts import HostRefused, Talk
from node.hosts.talk import DEADLINE, HOST
from node.network import Network, NetworkError, PeerAddress
from node.outbox import Outbox
from node.runtime.clock import Clock
from node.storage import Batch, Store, StoreUnavailable
from protocol.errors import RemoteProtocolError
from protocol.host import MAX_FRAME, Cancel
from protocol.letter import envelope_id

log = logging.getLogger(__name__)

AGAIN_S: Final = 60.0
"""Seconds until a host that was not reached is asked again; doubles up to LAST_S."""

LAST_S: Final = 4 * 3_600.0
"""Four hours, as for letters (§6)."""


class Recaller:
    """One task runs `run`."""

    def __init__(self, store: Store, outbox: Outbox, network: Network, clock: Clock) -> None:
        self._store = store
        self._book = outbox.recalls
        self._network = network
        self._clock = clock

    async def run(self) -> None:
        """Ask for ever."""
        pause = AGAIN_S
        while True:
            noted = self._book.noted
            try:
                left = await self._round()
            except StoreUnavailable as fault:
                log.warning("what was cancelled stays at its hosts for now: %s", fault.text)
                left = True
            with trio.move_on_after(pause if left else LAST_S) as rest:
                await noted.wait()
            pause = min(pause * 2, LAST_S) if rest.cancelled_caught and left else AGAIN_S

    async def _round(self) -> bool:
        """Ask once for everything; whether something is left to do."""
        for key, data in self._book.due():
            parcel = Parcel.decode(data)
            envelope = envelope_id(parcel.envelope()) if parcel.deposits else b""
            left = [at for at in parcel.deposits if not await self._gone(parcel, envelope, at)]
            after = replace(parcel, deposits=tuple(left)).encode() if left else None
            batch = Batch()
            self._book.change(batch, key, data, after)
            await self._store.write(batch, sync=False)
        return bool(self._book.due())

    async def _gone(self, parcel: Parcel, envelope: bytes, at: AtHost) -> bool:
        """Whether the host has dropped it, or never will do so for us."""
        if at.until <= self._clock.now():
            return True
        try:
            async with self._network.masked.channel(
                PeerAddress(at.host, at.addrs), HOST, max_frame=MAX_FRAME, deadline=DEADLINE
            ) as channel:
                await Talk(channel).ask(Cancel(at.account, envelope, parcel.secret))
        except HostRefused as refusal:
            return refusal.status.category == 5
        except (NetworkError, RemoteProtocolError) as fault:
            log.debug("a host was asked in vain to drop a letter: %s", fault)
            return False
        return True
