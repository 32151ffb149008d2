"""`/mailio/identity/1`: answering who an owner is and what time it is, and asking others (protocol §8).
Which records are kept, and what is believed of an answer, is decided elsewhere.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final, Protocol

import trio

from node.runtime.clock import Clock
from node.runtime.errors import NodeError
from protocol.errors import RemoteProtocolError
from protocol.exchange_identity import MAX_FRAME_BYTES, PROTOCOL_ID, IdentityAnswer, IdentityRequest
from protocol.status import NO_ANSWER, OK

if TYPE_CHECKING:
    from node.network.addresses import PeerAddress

DEADLINE: Final = 10.0
"""Seconds for a question or an answer (protocol §8)."""

ASK_AGAIN_S: Final = 3_600.0
"""Seconds after which a peer that connects again is asked for its time again."""

MAX_ASKED: Final = 256
"""Peers remembered as asked lately; more than a node is connected to."""

ASKERS: Final = 3
"""Peers asked for their time at once."""

NOBODY: Final = "0x" + "00" * 20
"""An address that no key has: asked for when only the time is wanted. Our own would say whose node asks."""

MAX_WAITING: Final = 32
"""Peers that wait to be asked for their time; enough for the median, whatever a crowd does."""


class Channel(Protocol):
    """Framed messages with one peer."""

    async def send(self, data: bytes) -> None: ...

    async def receive(self) -> bytes: ...


class Streams(Protocol):
    """The part of the network that is used here."""

    def serve(
        self,
        protocol_id: str,
        handler: Callable[[Channel], Awaitable[None]],
        *,
        max_frame: int,
        deadline: float,
    ) -> None: ...

    def channel(
        self, peer: "PeerAddress", protocol_id: str, *, max_frame: int, deadline: float
    ) -> AbstractAsyncContextManager[Channel]: ...

    def blame(self, peer_id: bytes, fault: str) -> None: ...


class Watch(Protocol):
    """Who compares our clock with others'."""

    def told(self, peer_id: bytes, their_ms: int) -> None: ...


def serve_identity(network: Streams, lookup: Callable[[str], bytes | None], clock: Clock) -> None:
    """Answer with what `lookup` has for an address (our own record, or what our part of the DHT holds),
    and with our time. A bootstrap node does this too.

    A malformed request raises RemoteProtocolError out of the handler: network counts it.
    """

    async def handle(channel: Channel) -> None:
        while True:
            request = IdentityRequest.parse(await channel.receive())
            # An e-mail hash is answered by a domain's node only; "not here" is never "no" (§4).
            record = None if request.address is None else lookup(request.address)
            status = NO_ANSWER if record is None else OK
            await channel.send(IdentityAnswer(clock.now(), status, record).encode())

    network.serve(PROTOCOL_ID, handle, max_frame=MAX_FRAME_BYTES, deadline=DEADLINE)


async def ask_identity(network: Streams, peer: "PeerAddress", address: str) -> tuple[bytes | None, int]:
    """Ask one peer for the record of an address: the record as it was sent, unchecked, and the peer's time
    (Unix ms). Raises NodeError when it can't be reached, RemoteProtocolError for a malformed answer.
    """
    async with network.channel(peer, PROTOCOL_ID, max_frame=MAX_FRAME_BYTES, deadline=DEADLINE) as channel:
        await channel.send(IdentityRequest(address=address).encode())
        answer = IdentityAnswer.parse(await channel.receive())
    return (answer.record if answer.status.category == OK.category else None), answer.time


class PeerClocks:
    """Asks each peer that connects for its time, for the doubtful clock of protocol §3."""

    def __init__(self, network: Streams, watch: Watch) -> None:
        self._network = network
        self._watch = watch
        self._asked: OrderedDict[bytes, float] = OrderedDict()
        self._send, self._receive = trio.open_memory_channel[bytes](MAX_WAITING)

    def connected(self, peer_id: bytes) -> None:
        """Ask this peer soon, unless it was asked within the hour or too many wait already."""
        before = self._asked.get(peer_id)
        if before is not None and trio.current_time() - before < ASK_AGAIN_S:
            return
        try:
            self._send.send_nowait(peer_id)
        except trio.WouldBlock:
            return
        self._asked[peer_id] = trio.current_time()
        self._asked.move_to_end(peer_id)
        while len(self._asked) > MAX_ASKED:
            self._asked.popitem(last=False)

    async def run(self) -> None:
        """Ask those who connected, until cancelled; a few at once, since one may keep us waiting."""
        async with trio.open_nursery() as nursery:
            for _ in range(ASKERS):
                nursery.start_soon(self._ask_in_turn)

    async def _ask_in_turn(self) -> None:
        # Loading libp2p takes a second, which commands on a closed store have no use for.
        from node.network.addresses import PeerAddress

        async for peer_id in self._receive.clone():
            try:
                _, their_time = await ask_identity(self._network, PeerAddress(peer_id), NOBODY)
            except NodeError:
                self._asked.pop(peer_id, None)
            except RemoteProtocolError:
                self._network.blame(peer_id, "identity")
            else:
                self._watch.told(peer_id, their_time)
