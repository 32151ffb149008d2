"""Asking one peer for blocks: what is outstanding, what has come, and when to give up. Which bytes a
block's CID stands for was checked before it gets here.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio

from node.network.bitswap_wire import encode_cancels, encode_wants
from node.network.errors import PeerUnreachable
from node.network.limits import MAX_WANTS, STALLED
from protocol.errors import LocalProtocolError
from protocol.unixfs import CID_BYTES, DAG_PB, RAW

Send = Callable[[bytes], Awaitable[None]]


class Session:
    """Blocks from one peer, in whatever order they come. One task receives.

    `send` takes a message to the peer or raises PeerUnreachable; `arriving` is when bytes of a message
    that is not complete yet last came from it; `over` is told what this session wants no longer, and says
    of which of that the peer is to be told.
    """

    def __init__(
        self, send: Send, arriving: Callable[[], float], over: Callable[[Sequence[bytes]], Sequence[bytes]]
    ) -> None:
        self._send, self._arriving, self._over = send, arriving, over
        self._wanted: dict[bytes, None] = {}
        self._answers: deque[tuple[bytes, bytes | None]] = deque()
        self._news = trio.Event()
        self._gone = False
        self._since = self._answered = trio.current_time()

    @property
    def outstanding(self) -> frozenset[bytes]:
        """What was asked for and not answered."""
        return frozenset(self._wanted)

    @property
    def heard(self) -> float:
        """When something last came, an answer or bytes of one; when it began, if nothing did."""
        return max(self._answered, self._arriving())

    async def want(self, cids: Sequence[bytes]) -> None:
        """Ask for these blocks; what is outstanding already is not asked for twice. At most MAX_WANTS may
        be outstanding or not received. Raises PeerUnreachable.
        """
        new = [cid for cid in dict.fromkeys(cids) if cid not in self._wanted]
        if len(self._wanted) + len(self._answers) + len(new) > MAX_WANTS:
            raise LocalProtocolError(f"more than {MAX_WANTS} blocks are wanted at once")
        if not all(len(cid) == CID_BYTES and cid.startswith((RAW, DAG_PB)) for cid in new):
            raise LocalProtocolError("a CID that is none of ours")
        self._stand()
        self._wanted.update(dict.fromkeys(new))
        self._since = trio.current_time()
        if new:
            self._wake()
            await self._send(encode_wants(new))

    async def receive(self) -> tuple[bytes, bytes | None]:
        """The next answer: a CID and its block, or None where the peer says that it has it not. Raises
        PeerUnreachable when nothing of what is outstanding came for STALLED seconds, or the peer went.
        """
        begun = trio.current_time()
        while not self._answers:
            self._stand()
            until = max(begun, self._since, self._arriving()) + STALLED if self._wanted else math.inf
            if until <= trio.current_time():
                raise PeerUnreachable("the node stopped sending what it was asked for")
            with trio.move_on_at(until):
                await self._news.wait()
        answer = self._answers.popleft()
        await trio.lowlevel.checkpoint()
        return answer

    def deliver(self, cid: bytes, block: bytes | None) -> bool:
        """Take an answer if it was asked for; whether it was."""
        if cid not in self._wanted:
            return False
        del self._wanted[cid]
        self._answers.append((cid, block))
        self._since = self._answered = trio.current_time()
        self._wake()
        return True

    def end(self) -> None:
        """The peer went: nothing more will come."""
        self._gone = True
        self._wake()

    async def drop(self, cids: Iterable[bytes]) -> None:
        """These are wanted no longer; one that is on its way comes for nothing. Raises PeerUnreachable."""
        gone = [cid for cid in cids if cid in self._wanted]
        for cid in gone:
            del self._wanted[cid]
        over = self._over(gone) if gone else ()
        if over and not self._gone:
            await self._send(encode_cancels(over))

    def _stand(self) -> None:
        if self._gone:
            raise PeerUnreachable("the node ended the connection")

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()
