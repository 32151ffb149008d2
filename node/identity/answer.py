"""`/mailio/identity/1`: answering who an owner is, whose an e-mail hash is and what time it is, and asking
others (protocol §8). Which records are kept, and what is believed of an answer, is decided elsewhere.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final, Protocol

import trio

from node.runtime.clock import Clock
from node.runtime.errors import NodeError
from node.runtime.rates import Rate
from protocol.errors import RemoteProtocolError
from protocol.exchange_identity import MAX_FRAME_BYTES, PROTOCOL_ID, IdentityAnswer, IdentityRequest
from protocol.status import BUSY, NO_ANSWER, OK

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


HASHES: Final = 60
"""E-mail hashes that one peer may ask about in HASHES_S: a letter to all of a club goes within the hour."""

HASHES_OF_BLOCK: Final = 180
"""The same from one /24 or /48, for peer ids are free: a list of likely names takes days to try."""

HASHES_S: Final = 3_600.0


class Channel(Protocol):
    """Framed messages with one peer."""

    @property
    def peer_id(self) -> bytes: ...

    @property
    def remote_block(self) -> str: ...

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


class Domain(Protocol):
    """What a domain's node knows of the addresses there."""

    def answer(self, email_hash: str, nonce: bytes) -> bytes | None:
        """The signed answer, None where there is none to give now."""
        ...


class _Guesses:
    """Counts questions about e-mail hashes: who may ask without end learns every address."""

    def __init__(self) -> None:
        self._peers = Rate(HASHES, HASHES_S)
        self._blocks = Rate(HASHES_OF_BLOCK, HASHES_S)

    def allow(self, channel: Channel) -> bool:
        now = trio.current_time()
        return self._peers.take(channel.peer_id, now) and self._blocks.take(channel.remote_block, now)


def serve_identity(
    network: Streams, lookup: Callable[[str], bytes | None], clock: Clock, domain: Domain | None = None
) -> None:
    """Answer with what `lookup` has for an address (our own record, or what our part of the DHT holds), with
    what `domain` says of an e-mail hash, and with our time. A bootstrap node does this too.

    A malformed request raises RemoteProtocolError out of the handler: network counts it.
    """
    guesses = _Guesses()

    def answer(channel: Channel, request: IdentityRequest) -> IdentityAnswer:
        if request.address is not None:
            record = lookup(request.address)
        elif request.email_hash is None or request.nonce is None or domain is None:
            record = None  # "not here" is never "no" (§4)
        elif not guesses.allow(channel):
            return IdentityAnswer(clock.now(), BUSY)
        else:
            record = domain.answer(request.email_hash, request.nonce)
        return IdentityAnswer(clock.now(), NO_ANSWER if record is None else OK, record)

    async def handle(channel: Channel) -> None:
        while True:
            request = IdentityRequest.parse(await channel.receive())
            await channel.send(answer(channel, request).encode())

    network.serve(PROTOCOL_ID, handle, max_frame=MAX_FRAME_BYTES, deadline=DEADLINE)


async def ask_identity(network: Streams, peer: "PeerAddress", address: str) -> tuple[bytes | None, int]:
    """Ask one peer for the record of an address: the record as it was sent, unchecked, and the peer's time
    (Unix ms). Raises NodeError when it can't be reached, RemoteProtocolError for a malformed answer.
    """
    return await _ask(network, peer, IdentityRequest(address=address))


async def ask_binding(network: Streams, peer: "PeerAddress", email_hash: str, nonce: bytes) -> bytes | None:
    """Ask one peer whose an e-mail hash is: the record as it was sent, unchecked, None where it has no answer
    now. Raises the same.
    """
    record, _ = await _ask(network, peer, IdentityRequest(email_hash=email_hash, nonce=nonce))
    return record


async def _ask(network: Streams, peer: "PeerAddress", request: IdentityRequest) -> tuple[bytes | None, int]:
    async with network.channel(peer, PROTOCOL_ID, max_frame=MAX_FRAME_BYTES, deadline=DEADLINE) as channel:
        await channel.send(request.encode())
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
