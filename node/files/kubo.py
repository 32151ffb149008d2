"""An IPFS daemon of the owner's own, by its RPC API: a file is added to it, read from it, pinned. How a call
goes is kubo_call.py's; here is how long it may take, how many there are at once, and that whoever waits for
one may be cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from node.files.errors import KuboAway
from node.files.kubo_line import Daemon, Line
from node.files.kubo_words import Health
from node.runtime.errors import NodeError
from node.runtime.settings_files import parse_kubo_api

if TYPE_CHECKING:
    from node.files.kubo_call import Talk

T = TypeVar("T")

PATIENCE_S: Final = 30.0
"""Seconds for an answer, whatever its size: a disk that spins up, or a daemon that collects garbage, takes
some.
"""

SLOWEST: Final = 100_000
"""Bytes a second: what goes more slowly than that is taken for hanging."""

CALLS: Final = 8
"""Calls at once, each in a thread; who is cancelled leaves his until its connection has ended."""

ADDS: Final = 4
"""Files that are added at once, besides: each has a thread for as long as it comes."""

IDLE_S: Final = 2.0
"""Seconds for which a connection is kept for the next call; js-ipfs ends one after five. A new one costs
twice what a block does.
"""

_ADD_S: Final = 86_400.0
"""Seconds after which the thread of an adding gives up by itself: its caller has done so long before."""


class Kubo:
    """One IPFS daemon, by its RPC API; its calls have threads of their own. All of them raise KuboAway where
    it does not do what it should, and KuboLacks for what it does not have: nothing is looked for in the
    network. Belongs to trio's thread.
    """

    def __init__(
        self, api: str, secret: Callable[[], str] = lambda: "", *, patience_s: float = PATIENCE_S
    ) -> None:
        """`api` is its multiaddr (`files.kubo_api`); raises ValueError if it is none. `secret` gives what the
        daemon wants to hear, as its own settings have it, "" for nothing, for each call and in any thread.
        Nothing is dialled.
        """
        self._daemon = Daemon(parse_kubo_api(api), secret)
        self._patience_s = patience_s
        self._calls = trio.CapacityLimiter(CALLS)
        self._adds = trio.CapacityLimiter(ADDS)
        self._idle: list[tuple[float, Talk]] = []

    @property
    def api(self) -> str:
        """Where it is, for a person."""
        return self._daemon.api.text

    @asynccontextmanager
    async def adding(self) -> AsyncIterator[Adding]:
        """A file that is being added. Whoever leaves it without `finish` breaks the request off, and nothing
        of the file is believed to be there.
        """
        raised: Exception | None = None
        async with trio.open_nursery() as nursery:
            adding = Adding(self._daemon, self._seconds)
            await nursery.start(adding.run, self._adds)
            try:
                yield adding
            except Exception as error:  # noqa: BLE001 - it goes on below, as it is and not in the nursery's group
                raised = error
            finally:
                nursery.cancel_scope.cancel()
        if raised is not None:
            raise raised

    async def read(self, cid: bytes, start: int, length: int) -> bytes:
        """`length` bytes from `start` on of the file with this root, never fewer. The daemon is not asked
        for none.
        """
        return await self._call(lambda talk: talk.read(cid, start, length), length) if length else b""

    async def block(self, cid: bytes) -> bytes:
        """One block, at most MAX_BLOCK_BYTES. Raises ContentDamaged if it is not what its CID says."""
        return await self._call(lambda talk: talk.block(cid))

    async def pin(self, cid: bytes, size: int = 0) -> None:
        """Keep the file with this root; `size` are its bytes, by which its time is measured. Without the root
        it fails at once; for a block below it Kubo asks the network until the time is over.
        """
        await self._call(lambda talk: talk.pin(cid), size)

    async def unpin(self, cid: bytes) -> None:
        """Keep it no more; if it was not kept, nothing happens."""
        await self._call(lambda talk: talk.unpin(cid))

    async def pinned(self, cid: bytes) -> bool:
        """Whether it is kept by a recursive pin of its own."""
        return await self._call(lambda talk: talk.pinned(cid))

    async def health(self) -> Health:
        """What the daemon says of itself."""
        return await self._call(lambda talk: talk.health())

    def _seconds(self, size: int) -> float:
        return self._patience_s + size / SLOWEST

    async def _call(self, ask: Callable[[Talk], T], size: int = 0) -> T:
        """What `ask` gets in a thread; its time begins when there is one for it."""
        seconds, old = self._seconds(size), self._take()
        line = old.line if old else Line()
        with trio.CancelScope() as scope:

            def work() -> tuple[Talk, T]:
                from node.files.kubo_call import Talk

                talk = old or Talk(self._daemon, line)
                talk.wait(seconds)
                trio.from_thread.run_sync(begin)
                try:
                    return talk, ask(talk)
                except BaseException:
                    talk.close()
                    raise

            def begin() -> None:
                scope.deadline = trio.current_time() + seconds

            try:
                talk, found = await trio.to_thread.run_sync(work, limiter=self._calls, abandon_on_cancel=True)
            except BaseException:
                line.cut()
                raise
            self._idle.append((trio.current_time(), talk))
            return found
        raise _late(self._daemon)

    def _take(self) -> Talk | None:
        """A talk that goes on, if there is one that was not silent for long."""
        oldest = trio.current_time() - IDLE_S
        while self._idle:
            since, talk = self._idle.pop()
            if since >= oldest:
                return talk
            talk.close()
        return None


class Adding:
    """A file on its way to the daemon. One task writes."""

    def __init__(self, daemon: Daemon, seconds: Callable[[int], float]) -> None:
        self._daemon = daemon
        self._seconds = seconds
        self._line = Line()
        self._pieces, self._received = trio.open_memory_channel[bytes](0)
        self._written = 0
        self._ended = trio.Event()
        self._outcome: bytes | NodeError | None = None

    async def write(self, data: bytes) -> None:
        """Go on with these bytes; waits until those before are on their way."""
        if data:
            with trio.move_on_after(self._seconds(len(data))):
                try:
                    await self._pieces.send(data)
                except trio.BrokenResourceError:
                    await self._ended.wait()
                    raise self._fault() from None
                self._written += len(data)
                return
            raise _late(self._daemon)

    async def finish(self) -> bytes:
        """The CID of what was written. The daemon has all of it, and has not pinned it."""
        await self._pieces.aclose()
        with trio.move_on_after(self._seconds(self._written)):
            await self._ended.wait()
            if isinstance(self._outcome, bytes):
                return self._outcome
            raise self._fault()
        raise _late(self._daemon)

    async def run(
        self, limiter: trio.CapacityLimiter, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Send what is written. Raises nothing: `write` and `finish` do."""

        def work() -> bytes:
            from node.files.kubo_call import Talk

            talk = Talk(self._daemon, self._line)
            try:
                talk.wait(_ADD_S)
                trio.from_thread.run_sync(task_status.started)
                return talk.add(self._sent())
            finally:
                talk.close()

        try:
            self._outcome = await trio.to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=True)
        except NodeError as error:
            self._outcome = error
        finally:
            self._line.cut()
            self._received.close()
            self._ended.set()

    def _sent(self) -> Iterator[bytes]:
        """In the thread: the pieces up to the end. Raises where there is none, so that what came is not taken
        for a file.
        """
        while (piece := trio.from_thread.run(self._next)) is not None:
            yield piece

    async def _next(self) -> bytes | None:
        try:
            return await self._received.receive()
        except trio.EndOfChannel:
            return None

    def _fault(self) -> NodeError:
        if isinstance(self._outcome, NodeError):
            return self._outcome
        return KuboAway(self._daemon.api.text, "did not wait for the end of a file")


def _late(daemon: Daemon) -> KuboAway:
    return KuboAway(daemon.api.text, "does not answer in time")
