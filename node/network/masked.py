"""Masks: throwaway peer keys under which we come to other people's hosts (protocol §11), one for each host
and day, so that a host can't tell by whom its letters are left. What is said to a host is not known here.
"""

import logging
import secrets
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from node.network.addresses import PeerAddress, peer_id_text
from node.network.admission import Admission
from node.network.bitswap_session import Session
from node.network.channel import Channel
from node.network.errors import PeerUnreachable
from node.network.limits import MAX_FACES, MAX_MASKS, SWEEP
from node.network.mask import Mask
from node.network.muxer import Buffers
from node.runtime.clock import DAY_MS, Clock

log = logging.getLogger(__name__)


Locate = Callable[[bytes], Awaitable[PeerAddress | None]]


@dataclass(frozen=True, slots=True)
class Face:
    """Who we are to one host today, and what it did to us: were faults counted together, a host that breaks
    the rules towards a mask could see who else sends it away.
    """

    seed: bytes
    admission: Admission


class Masks:
    """Channels and sessions to hosts that do not learn who asks. `locate` finds a peer's addresses.

    Keys are in memory only. A mask ends MASK_IDLE after its last use.
    """

    def __init__(self, locate: Locate, buffers: Buffers, counters: Counter[str], clock: Clock) -> None:
        self._locate, self._buffers, self._counters, self._clock = locate, buffers, counters, clock
        self._day = 0
        self._faces: OrderedDict[bytes, Face] = OrderedDict()
        self._masks: OrderedDict[bytes, Mask] = OrderedDict()  # by the seed; the one used last is last
        self._nursery: trio.Nursery | None = None

    @asynccontextmanager
    async def channel(
        self, peer: PeerAddress, protocol_id: str, *, max_frame: int, deadline: float
    ) -> AsyncIterator[Channel]:
        """A channel to a host for one exchange, as the network's own. Raises PeerUnreachable."""
        async with (
            self._worn(peer) as (mask, located),
            mask.channels.channel(located, protocol_id, max_frame=max_frame, deadline=deadline) as channel,
        ):
            yield channel

    @asynccontextmanager
    async def session(self, peer: PeerAddress) -> AsyncIterator[Session]:
        """Ask a host for blocks, as Bitswap's own. Raises PeerUnreachable."""
        async with (
            self._worn(peer) as (mask, located),
            mask.bitswap.session(located) as session,
        ):
            yield session

    # For the network

    def start(self, nursery: trio.Nursery) -> None:
        """Run masks in tasks of `nursery`."""
        self._nursery = nursery
        nursery.start_soon(self._keep)

    async def stop(self) -> None:
        """Open no mask any more, and end all there are."""
        self._nursery = None
        self._faces.clear()
        masks = list(self._masks.values())
        for mask in masks:
            mask.end()
        for mask in masks:
            await mask.gone.wait()

    @asynccontextmanager
    async def _worn(self, peer: PeerAddress) -> AsyncIterator[tuple[Mask, PeerAddress]]:
        """Today's mask for a host, and where the host is."""
        located = await self._located(peer)
        mask = await self._mask(peer.peer_id)
        with mask.worn():
            await mask.begun.wait()
            if mask.ended:
                raise PeerUnreachable("the network is closed")
            yield mask, located

    async def _located(self, peer: PeerAddress) -> PeerAddress:
        mask = self._masks.get(self._face(peer.peer_id).seed)
        if peer.addrs or (mask is not None and not mask.ended and mask.is_connected(peer.peer_id)):
            return peer
        found = await self._locate(peer.peer_id)
        if found is None:
            raise PeerUnreachable(f"nobody knows where the node {peer_id_text(peer.peer_id)} is")
        return found

    async def _mask(self, peer_id: bytes) -> Mask:
        """Today's mask for a host. Where another has to end for it, that is waited for."""
        while True:
            face = self._face(peer_id)
            mask = self._masks.get(face.seed)
            if mask is not None and not mask.ended:
                self._masks.move_to_end(face.seed)
                return mask
            if mask is None and len(self._masks) < MAX_MASKS:
                return self._open(peer_id, face)
            leaving = mask or self._longest_idle()
            leaving.end()
            await leaving.gone.wait()

    def _open(self, peer_id: bytes, face: Face) -> Mask:
        if self._nursery is None:
            raise PeerUnreachable("the network is closed")
        mask = Mask(peer_id, face.seed, face.admission, self._buffers, self._clock)
        self._masks[face.seed] = mask
        self._counters["masks"] += 1
        self._nursery.start_soon(self._run, face.seed, mask)
        return mask

    async def _run(self, seed: bytes, mask: Mask) -> None:
        try:
            await mask.run()
        except Exception:  # upstream raises whatever its parts do; it ends this mask and nothing else
            log.exception("a connection to a host failed")
        finally:
            del self._masks[seed]
            mask.close()

    def _longest_idle(self) -> Mask:
        for mask in self._masks.values():
            if mask.idle:
                return mask
        raise PeerUnreachable(f"{MAX_MASKS} hosts are spoken to already")

    def _face(self, peer_id: bytes) -> Face:
        """Who we are to a host today."""
        self._turn()
        face = self._faces.get(peer_id)
        if face is None:
            face = self._faces[peer_id] = Face(secrets.token_bytes(32), Admission(counters=self._counters))
            if len(self._faces) > MAX_FACES:
                self._faces.popitem(last=False)
        self._faces.move_to_end(peer_id)
        return face

    def _turn(self) -> None:
        """Forget the keys of another day; masks that are worn keep theirs until they are put down."""
        today = self._clock.now() // DAY_MS
        if today != self._day:
            self._day = today
            self._faces.clear()

    async def _keep(self) -> None:
        while True:
            await trio.sleep(SWEEP)
            self._turn()
            for mask in list(self._masks.values()):
                await mask.channels.sweep()
