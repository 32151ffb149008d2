"""What the ways out of this node have in common: their small interface, and the connections that they share.

Which server is asked is decided in smarthost.py and direct.py.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from node.outbox import Recipient
from node.runtime.bridge import BridgeClosed
from node.runtime.rooms import Check, Warning_
from node.smtp.answer import Way, WayFault
from node.smtp.pool import Pool, Talked
from node.smtp.server import Mail, Server

log = logging.getLogger(__name__)

T = TypeVar("T")


class Outlet(Protocol):
    """One way for ordinary mail to leave. A lane has one destination."""

    def lane(self, recipient: Recipient) -> str:
        """The lane that this recipient is in."""
        ...

    def turn(self, lane: str) -> AbstractAsyncContextManager[object]:
        """Waits until a letter for this lane may go: bounds the connections to one destination."""
        ...

    async def reach(self, lane: str, sender: str) -> None:
        """Make sure that there is a connection for letters of this sender, before one takes its place in
        memory. Raises WayFault, NoWay.
        """
        ...

    async def transact(self, lane: str, mail: Mail) -> Talked:
        """One transaction. Raises WayFault, NoWay."""
        ...

    def worked(self, lane: str) -> None:
        """A server took or refused a letter: the way is good."""
        ...

    def failed(self, lane: str, fault: WayFault) -> tuple[str, bool]:
        """What to tell of this fault in plain words, and whether it is news."""
        ...

    def warnings(self) -> list[Warning_]:
        """What the owner should know."""
        ...

    def status(self) -> dict[str, Any]:
        """How the way stands, for `status --json`."""
        ...

    async def checks(self) -> Sequence[Check]:
        """Look whether letters can leave; none does."""
        ...

    async def aclose(self) -> None:
        """End the connections that rest."""
        ...


class Runner(Protocol):
    """The way into the asyncio thread (runtime.bridge)."""

    async def run(self, call: Callable[..., Awaitable[T]], *args: object) -> T:
        """`await call(*args)` there; cancelling the caller cancels it."""
        ...


class Lines:
    """The pool of connections, from trio. Everything raises WayFault."""

    def __init__(self, bridge: Runner, hostname: str) -> None:
        """`hostname` is how we greet."""
        self._bridge = bridge
        self._pool = Pool(hostname)

    async def rest(self, servers: Collection[Server]) -> bool:
        """Whether a connection to one of these is there."""
        return await self._run(self._pool.rests, servers)

    async def reuse(self, servers: Collection[Server], mail: Mail) -> Talked | None:
        """Over a connection that rests; None where none does."""
        return await self._run(self._pool.reuse, servers, mail)

    async def open(
        self,
        sock: socket.socket,
        server: Server,
        tls: ssl.SSLContext,
        mail: Mail | None,
        *,
        plain: bool = False,
    ) -> Talked:
        """Over a new connection on this socket, which is closed if that does not come about."""
        try:
            return await self._run(self._pool.open, sock, server, tls, mail, plain)
        except BaseException:
            sock.close()
            raise

    async def aclose(self) -> None:
        """End what rests."""
        try:
            await self._bridge.run(self._pool.close)
        except BridgeClosed:
            log.debug("the thread has ended them already")

    async def _run(self, call: Callable[..., Awaitable[T]], *args: object) -> T:
        try:
            return await self._bridge.run(call, *args)
        except BridgeClosed:
            raise WayFault(Way.LOST, "this node is shutting down") from None
