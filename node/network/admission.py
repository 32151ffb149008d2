"""Who may connect, open streams and send bodies, by peer and by address block. Counting only: no
socket and no libp2p here.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol, TypeVar

import trio

from node.network.addresses import Scope, block_of, scope_of_ip
from node.network.errors import Busy
from node.network.limits import (
    FAULT_WINDOW,
    FAULTS_PER_BLOCK,
    FAULTS_PER_PEER,
    MAX_BODIES,
    MAX_BODIES_PER_BLOCK,
    MAX_BODIES_PER_SENDER,
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_PER_BLOCK,
    MAX_COUNTERS,
    MAX_HANDSHAKES,
    MAX_HANDSHAKES_PER_BLOCK,
    MAX_REMEMBERED,
    MAX_STREAMS,
    MAX_STREAMS_PER_BLOCK,
    MAX_STREAMS_PER_PEER,
    REFUSAL,
    RESERVED_BODIES,
)

T = TypeVar("T")


class Faults:
    """Faults of peers or blocks; who has too many is refused for a while."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._times: OrderedDict[bytes | str, deque[float]] = OrderedDict()
        self._refused: OrderedDict[bytes | str, float] = OrderedDict()

    def add(self, who: bytes | str, now: float) -> bool:
        """Count one fault; whether that was one too many."""
        times = self._times.setdefault(who, deque(maxlen=self._budget))
        self._times.move_to_end(who)
        times.append(now)
        if len(times) < self._budget or times[0] < now - FAULT_WINDOW:
            self._trim(self._times)
            return False
        del self._times[who]
        self._refused[who] = now + REFUSAL
        self._trim(self._refused)
        return True

    def refuses(self, who: bytes | str, now: float) -> bool:
        """Whether this peer or block was sent away and has not served its time."""
        until = self._refused.get(who)
        if until is not None and until <= now:
            del self._refused[who]
        return until is not None and until > now

    @staticmethod
    def _trim(table: OrderedDict[bytes | str, deque[float]] | OrderedDict[bytes | str, float]) -> None:
        while len(table) > MAX_REMEMBERED:
            table.popitem(last=False)


class Admission:
    """What each peer and block uses of our connections and streams.

    Loopback has no block limits: everyone there is on this machine. `max_connections` is for inbound ones,
    `counters` may be those of another.
    """

    def __init__(self, max_connections: int = MAX_CONNECTIONS, counters: Counter[str] | None = None) -> None:
        self.max_connections = max_connections
        self.counters: Counter[str] = Counter() if counters is None else counters
        self._peer_faults = Faults(FAULTS_PER_PEER)
        self._block_faults = Faults(FAULTS_PER_BLOCK)
        self._connections: Counter[str] = Counter()
        self._handshakes: Counter[str] = Counter()
        self._streams: Counter[bytes] = Counter()
        self._block_streams: Counter[str] = Counter()

    def blame(self, peer_id: bytes, host: str | None, fault: str) -> bool:
        """Count a fault; whether the peer is to be sent away."""
        name = f"fault:{fault}"
        # What a peer says may end up in a fault's name; it must not make the table grow for ever.
        known = name in self.counters or len(self.counters) < MAX_COUNTERS
        self.counters[name if known else "fault:other"] += 1
        now = trio.current_time()
        if host is not None:
            self.blame_host(host)
        return self._peer_faults.add(peer_id, now)

    def blame_host(self, host: str) -> None:
        """Count a fault of somebody who did not say who he is."""
        if scope_of_ip(host) is not Scope.LOOPBACK:
            self._block_faults.add(block_of(host), trio.current_time())

    def refuses(self, peer_id: bytes) -> bool:
        """Whether this peer was sent away lately."""
        return self._peer_faults.refuses(peer_id, trio.current_time())

    @contextmanager
    def connection(self, host: str) -> Iterator[None]:
        """An inbound connection from `host`, from accept to close. Raises Busy."""
        block, local = block_of(host), scope_of_ip(host) is Scope.LOOPBACK
        if self._block_faults.refuses(block, trio.current_time()):
            raise Busy("this address block was sent away")
        if self._connections.total() >= self.max_connections:
            raise Busy("too many connections")
        if not local and self._connections[block] >= MAX_CONNECTIONS_PER_BLOCK:
            raise Busy("too many connections from one address block")
        with _held(self._connections, block):
            yield

    @contextmanager
    def handshake(self, host: str) -> Iterator[None]:
        """The part of a connection before the peer has proved who it is. Raises Busy."""
        block = block_of(host)
        if self._handshakes.total() >= MAX_HANDSHAKES:
            raise Busy("too many handshakes at once")
        if self._handshakes[block] >= MAX_HANDSHAKES_PER_BLOCK:
            raise Busy("too many handshakes from one address block")
        with _held(self._handshakes, block):
            yield

    @contextmanager
    def stream(self, peer_id: bytes, host: str) -> Iterator[None]:
        """An inbound stream of a peer at `host`. Raises Busy."""
        block, local = block_of(host), scope_of_ip(host) is Scope.LOOPBACK
        if self._streams[peer_id] >= MAX_STREAMS_PER_PEER or self._streams.total() >= MAX_STREAMS:
            raise Busy("too many streams")
        if not local and self._block_streams[block] >= MAX_STREAMS_PER_BLOCK:
            raise Busy("too many streams from one address block")
        with _held(self._streams, peer_id), _held(self._block_streams, block):
            yield


class Sender(Protocol):
    """What a channel tells of its other end."""

    @property
    def remote_block(self) -> str: ...


class Bodies:
    """Letter bodies arriving at once (protocol §8): a total, a share for each block, and a reserve
    for accepted senders, of whom none gets it all.
    """

    def __init__(self) -> None:
        self._all = 0
        self._others: Counter[str] = Counter()
        self._accepted: Counter[str] = Counter()

    @asynccontextmanager
    async def slot(self, channel: Sender, accepted: str | None) -> AsyncIterator[None]:
        """Room for one body from this channel's peer; `accepted` is the sender whose delivery key let it in,
        if one did (its peer ids are as many as it likes). Raises Busy at once when there is none.
        """
        if self._all >= MAX_BODIES:
            raise Busy("too many letters are arriving")
        block = channel.remote_block
        if accepted is not None and self._accepted[accepted] >= MAX_BODIES_PER_SENDER:
            raise Busy("too many letters of this sender are arriving")
        if accepted is None and self._others.total() >= MAX_BODIES - RESERVED_BODIES:
            raise Busy("too many letters are arriving")
        if accepted is None and self._others[block] >= MAX_BODIES_PER_BLOCK:
            raise Busy("too many letters are arriving from one address block")
        self._all += 1
        try:
            with _held(self._others, block) if accepted is None else _held(self._accepted, accepted):
                yield
        finally:
            self._all -= 1


@contextmanager
def _held(counter: Counter[T], key: T) -> Iterator[None]:
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]
