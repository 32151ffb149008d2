"""Connections to mail servers that rest between two letters. Lives in the bridge's asyncio thread."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from node.smtp.answer import Answer, WayFault
from node.smtp.server import Mail, Server
from node.smtp.transport import Session

REST_S: Final = 10.0
"""Seconds that a connection is kept for the next letter: long enough for a burst, and no server minds."""


@dataclass(frozen=True, slots=True)
class Talked:
    """What came of a transaction for each recipient, at which server, and the size that it offers (bytes)."""

    answers: tuple[Answer, ...]
    host: str
    size: int | None


class Pool:
    """All methods run in the asyncio thread. A connection is of use for just its server, rule and user."""

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        self._resting: dict[Session, tuple[Server, asyncio.Task[None]]] = {}
        self._closed = False

    async def rests(self, servers: Collection[Server]) -> bool:
        """Whether a connection to one of these rests here."""
        return any(of in servers for of, _ in self._resting.values())

    async def reuse(self, servers: Collection[Server], mail: Mail) -> Talked | None:
        """Send it on a connection that rests here; None where there is none, or it was lost before the
        letter was. Raises WayFault where the letter may have arrived.
        """
        while (found := self._take(servers)) is not None:
            session, server = found
            try:
                await session.reset()
                return await self._send(session, server, mail)
            except WayFault as fault:
                session.drop()
                if fault.sent:
                    raise
            except BaseException:
                session.drop()
                raise
        return None

    async def open(
        self, sock: socket.socket, server: Server, tls: ssl.SSLContext, mail: Mail | None, plain: bool
    ) -> Talked:
        """A new connection over this connected socket, and the letter over it, if there is one yet: else it
        rests at once. `plain`: without TLS. Raises WayFault.
        """
        session = await Session.open(sock, server, self._hostname, tls, plain=plain)
        if mail is not None:
            return await self._send(session, server, mail)
        self._lay_down(session, server)
        return Talked((), server.host, session.size)

    async def close(self) -> None:
        """End all that rests; nothing rests from here on."""
        self._closed = True
        keepers = [keeper for _, keeper in self._resting.values()]
        for keeper in keepers:
            keeper.cancel()
        if keepers:
            await asyncio.wait(keepers)

    async def _send(self, session: Session, server: Server, mail: Mail) -> Talked:
        answers = await session.send(mail)
        self._lay_down(session, server)
        return Talked(answers, server.host, session.size)

    def _lay_down(self, session: Session, server: Server) -> None:
        if session.is_open and not self._closed:
            keeper = asyncio.create_task(self._rest(session))
            self._resting[session] = server, keeper
            keeper.add_done_callback(lambda _: self._end(session))
        else:
            session.drop()

    def _take(self, servers: Collection[Server]) -> tuple[Session, Server] | None:
        found = next(((one, of) for one, (of, _) in self._resting.items() if of in servers), None)
        if found is not None:
            _, keeper = self._resting.pop(found[0])
            keeper.cancel()
        return found

    async def _rest(self, session: Session) -> None:
        """Ends it politely after a while. Who takes it, and who closes, cancels this."""
        await asyncio.sleep(REST_S)
        del self._resting[session]
        await session.quit()

    def _end(self, session: Session) -> None:
        if self._resting.pop(session, None) is not None:
            session.drop()
