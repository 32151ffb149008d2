"""Kademlia as libp2p speaks it, on a protocol of our own: look-ups, puts and our answers to others.
It asks through a callable and knows no stream; values are judged in records.py.

Upstream's KadDHT (0.8.1) is not used: it waits without a deadline on any of twelve streams, answers
a get from its own copy, does not say where it stored, keeps suspended peers and clients in its
tables and every address that anyone tells it.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from node.network.addresses import PeerAddress
from node.network.errors import NetworkError
from node.network.kad_table import Table, point
from node.network.kad_wire import FIND_NODE, GET_VALUE, PING, PUT_VALUE, Answer, Question
from node.network.limits import (
    ALPHA,
    ANSWERS,
    GRACE,
    LOOKUP_TIMEOUT,
    MAX_RECORDS_PER_PEER,
    MAX_REMEMBERED,
    RECORDS_WINDOW,
    SUSPECT_FOR,
    K,
)
from node.network.records import Records, address_in, key_of
from protocol.errors import RemoteProtocolError
from protocol.status import FAILED

log = logging.getLogger(__name__)

PROTOCOL: Final = "/mailio/kad/1.0.0"

Ask = Callable[[PeerAddress, Question], Awaitable[Answer]]
Known = Callable[[bytes], PeerAddress | None]
Blame = Callable[[bytes, str], None]


class Kademlia:
    """One node of the DHT. `ask` puts a question to a peer, raising NetworkError or
    RemoteProtocolError; `known` gives what is known of a connected peer; `blame` counts a fault of one.
    """

    def __init__(self, own_id: bytes, records: Records, ask: Ask, known: Known, blame: Blame) -> None:
        self.table = Table(own_id)
        self.records = records
        self.ask = ask
        self.blame = blame
        self._known = known
        self._suspects: OrderedDict[bytes, float] = OrderedDict()
        self._puts: OrderedDict[bytes, deque[float]] = OrderedDict()

    async def put(self, address: str, value: bytes) -> int:
        """Store a value at the K closest servers; how many took it. Raises RemoteProtocolError when
        it is not valid.
        """
        self.records.check(address, value)
        key = key_of(address)
        closest = await self.closest(key)
        taken = 0

        async def put_at(peer: PeerAddress, limit: trio.CapacityLimiter) -> None:
            nonlocal taken
            async with limit:
                answer = await self.try_ask(peer, Question(PUT_VALUE, key, value))
            taken += answer is not None and answer.value == value

        limit = trio.CapacityLimiter(2 * ALPHA)
        async with trio.open_nursery() as nursery:
            for peer in closest:
                nursery.start_soon(put_at, peer, limit)
        return taken

    async def get(self, address: str) -> list[bytes]:
        """Valid values under an address from several servers, each once; ours only beside theirs."""
        key = key_of(address)
        lookup = Lookup(self, Question(GET_VALUE, key))
        await lookup.run()
        own = self.records.get(key)
        return list(dict.fromkeys([*lookup.values, *([own] if own is not None else [])]))

    async def find_peer(self, peer_id: bytes) -> PeerAddress | None:
        """Where a peer may be reached, as servers close to it say."""
        lookup = Lookup(self, Question(FIND_NODE, peer_id), wanted=peer_id)
        await lookup.run()
        return lookup.found

    async def closest(self, key: bytes) -> list[PeerAddress]:
        """The K closest servers that answer, closest first."""
        lookup = Lookup(self, Question(FIND_NODE, key))
        await lookup.run()
        return lookup.answered()

    async def handle(self, question: Question, peer_id: bytes) -> Answer:
        """Our answer to a peer. Raises RemoteProtocolError for what no honest peer sends."""
        if question.type == PING:
            return Answer(PING, b"")
        if not question.key:
            raise RemoteProtocolError("a Kademlia question without a key")
        closer = [peer for peer in self.table.closest(question.key) if peer.peer_id != peer_id]
        if question.type == FIND_NODE:
            # Others put into their tables whom we name, themselves too (js-libp2p 3, which looks for itself).
            target = self._known(question.key) if question.key != peer_id else None
            rest = [peer for peer in closer if peer.peer_id != question.key]
            return Answer(FIND_NODE, question.key, closer=tuple(([target] if target else []) + rest)[:K])
        if question.type == GET_VALUE:
            address_in(question.key)
            return Answer(GET_VALUE, question.key, self.records.get(question.key) or b"", tuple(closer))
        if question.type == PUT_VALUE:
            return await self._take(question, peer_id)
        raise RemoteProtocolError("a Kademlia question that we do not answer")

    def is_server(self, peer: PeerAddress, *, server: bool) -> None:
        """A peer said whether it is a server. Clients do not belong in the table."""
        self._suspects.pop(peer.peer_id, None)
        if server:
            self.table.add(peer)
        else:
            self.table.remove(peer.peer_id)

    async def try_ask(self, peer: PeerAddress, question: Question) -> Answer | None:
        """Ask; None, and out of the table, where there is no good answer."""
        try:
            answer = await self.ask(peer, question)
        except (NetworkError, RemoteProtocolError) as error:
            log.debug("no answer: %s", error)
            self.table.remove(peer.peer_id)
            self._suspects[peer.peer_id] = trio.current_time() + SUSPECT_FOR
            if len(self._suspects) > MAX_REMEMBERED:
                self._suspects.popitem(last=False)
            return None
        self._suspects.pop(peer.peer_id, None)
        self.table.add(peer)
        return answer

    def is_suspect(self, peer_id: bytes) -> bool:
        """Whether this peer did not answer lately."""
        return self._suspects.get(peer_id, 0.0) > trio.current_time()

    async def _take(self, question: Question, peer_id: bytes) -> Answer:
        """A record that is put at us. Where we hold a better one, that is the answer."""
        address_in(question.key)
        now = trio.current_time()
        times = self._puts.setdefault(peer_id, deque(maxlen=MAX_RECORDS_PER_PEER))
        self._puts.move_to_end(peer_id)
        if len(self._puts) > MAX_REMEMBERED:
            self._puts.popitem(last=False)
        if len(times) == MAX_RECORDS_PER_PEER and times[0] > now - RECORDS_WINDOW:
            return Answer(PUT_VALUE, question.key)
        times.append(now)
        await self.records.put(question.key, question.value)
        return Answer(PUT_VALUE, question.key, self.records.get(question.key) or b"")


class Lookup:
    """One walk towards a key: ALPHA questions in flight, the closest peers first, until the K
    closest have answered or there is enough. Suspended peers cost QUERY_TIMEOUT of one place in
    ALPHA, and GRACE once something was found.
    """

    def __init__(self, kad: Kademlia, question: Question, wanted: bytes | None = None) -> None:
        self.values: list[bytes] = []
        self.found: PeerAddress | None = None
        self._kad, self._question, self._wanted = kad, question, wanted
        self._target = point(question.key)
        self._peers: dict[bytes, PeerAddress] = {}
        self._asked: set[bytes] = set()
        self._good: set[bytes] = set()
        self._failed: set[bytes] = set()
        self._changed = trio.Event()
        self._scope = trio.CancelScope()
        for peer in kad.table.closest(question.key):
            self._learn(peer)

    async def run(self) -> None:
        """Walk."""
        self._scope.deadline = trio.current_time() + LOOKUP_TIMEOUT
        with self._scope:
            async with trio.open_nursery() as nursery:
                for _ in range(ALPHA):
                    nursery.start_soon(self._walk)

    def answered(self) -> list[PeerAddress]:
        """The K closest that answered, closest first."""
        return [self._peers[peer_id] for peer_id in self._by_distance() if peer_id in self._good][:K]

    async def _walk(self) -> None:
        while True:
            peer = self._next()
            if peer is not None:
                await self._visit(peer)
            elif self._asked == self._good | self._failed:
                self._wake()
                return
            else:
                await self._changed.wait()

    async def _visit(self, peer: PeerAddress) -> None:
        self._asked.add(peer.peer_id)
        answer = await self._kad.try_ask(peer, self._question)
        if answer is None:
            self._failed.add(peer.peer_id)
        else:
            self._good.add(peer.peer_id)
            self._read(peer, answer)
        self._wake()

    def _read(self, asked: PeerAddress, answer: Answer) -> None:
        for peer in answer.closer:
            if peer.peer_id == self._wanted and peer.addrs:
                self.found = peer
                self._scope.cancel()
            self._learn(peer)
        if not answer.value or self._question.type != GET_VALUE:
            return
        try:
            self._kad.records.check(address_in(self._question.key), answer.value)
        except RemoteProtocolError as error:
            log.debug("a value that is not valid: %s", error)
            if error.status.category == FAILED.category:  # one that has run out is nobody's fault
                self._kad.blame(asked.peer_id, f"kad {error.status}")
            return
        self.values.append(answer.value)
        if len(self.values) >= ANSWERS:
            self._scope.cancel()
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + GRACE)

    def _learn(self, peer: PeerAddress) -> None:
        known = peer.peer_id in self._peers or peer.peer_id == self._kad.table.own_id
        if peer.addrs and not known and not self._kad.is_suspect(peer.peer_id):
            self._peers[peer.peer_id] = peer

    def _next(self) -> PeerAddress | None:
        """The closest peer not asked yet, if it is among the K closest that did not fail."""
        near = [peer_id for peer_id in self._by_distance() if peer_id not in self._failed][:K]
        return next((self._peers[peer_id] for peer_id in near if peer_id not in self._asked), None)

    def _by_distance(self) -> list[bytes]:
        return sorted(self._peers, key=lambda peer_id: point(peer_id) ^ self._target)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
