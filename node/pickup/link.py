"""A session used from trio: each question waits in a thread, and who is cancelled ends the connection, so
that nothing waits on.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Self, TypeVar

import trio

from node.pickup.session import Refusal, Session
from node.pickup.trouble import Trouble, Way
from node.runtime import dialing
from node.runtime.settings_mail import MailServer

T = TypeVar("T")

PATIENCE_S: Final = 60.0
"""Seconds for a whole answer without letters."""

KEEPALIVE: Final = {"TCP_KEEPIDLE": 120, "TCP_KEEPINTVL": 30, "TCP_KEEPCNT": 4}
"""Seconds and tries: a laptop that slept hears within four minutes that its connection is gone."""

Dial = Callable[[str, int], Awaitable[socket.socket]]
"""A connected socket that is nobody's. Raises Trouble."""


async def dial(host: str, port: int) -> socket.socket:
    """To any of its addresses, within dialing.CONNECT_S. Raises Trouble."""
    try:
        return await dialing.dial(host, port)
    except socket.gaierror as fault:
        raise Trouble(Way.NO_HOST) from fault
    except OSError as fault:
        raise Trouble(Way.UNREACHABLE) from fault


class Link:
    """Opened by `open`. One user at a time."""

    def __init__(self, handle: socket.socket, limiter: trio.CapacityLimiter) -> None:
        self._handle = handle
        self._limiter = limiter
        self.session: Session

    @classmethod
    async def open(
        cls,
        server: MailServer,
        password: str,
        dial: Dial,
        limiter: trio.CapacityLimiter,
        patience: float = PATIENCE_S,
    ) -> Self:
        """Connect and log in. Raises Trouble."""
        sock = await dial(server.host, server.port)
        sock.settimeout(dialing.CONNECT_S)
        _keep_alive(sock)
        link = cls(sock.dup(), limiter)  # what the session makes of the socket, this end stays ours
        try:
            link.session = await link.ask(Session.open, sock, server, password, patience)
        except BaseException:
            sock.close()
            link._handle.close()
            raise
        return link

    async def ask(self, call: Callable[..., T], *args: object) -> T:
        """`call(*args)` in a thread. Raises Trouble, Refusal. When cancelled the connection is ended, which
        ends the call, and that is waited for.
        """
        answer: T | None = None
        fault: Exception | None = None
        over = False

        async def watch() -> None:
            try:
                await trio.sleep_forever()
            finally:
                if not over:
                    self._abort()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            try:
                answer = await trio.to_thread.run_sync(call, *args, limiter=self._limiter)
            except Exception as error:  # noqa: BLE001 - it goes on below, as it is and not in the nursery's group
                fault = error
            over = True
            nursery.cancel_scope.cancel()
        if fault is not None:
            raise fault
        return answer  # type: ignore[return-value]  # None only where T is None

    async def must(self, call: Callable[..., T], *args: object) -> T:
        """The same where the server's no is no answer. Raises Trouble."""
        try:
            return await self.ask(call, *args)
        except Refusal as no:
            raise Trouble(Way.REFUSED, str(no)) from no

    async def readable(self) -> None:
        """Wait until the server says something."""
        await trio.lowlevel.wait_readable(self._handle)

    def drop(self) -> None:
        """End it at once."""
        self._abort()
        self.session.socket.close()
        self._handle.close()

    def _abort(self) -> None:
        with suppress(OSError):
            self._handle.shutdown(socket.SHUT_RDWR)


def _keep_alive(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if (option := getattr(socket, name, None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
