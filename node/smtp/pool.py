"""Connections to the mail server that rest between two letters. Lives in the bridge's asyncio thread."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from node.runtime.settings_mail import Smarthost
from node.smtp.answer import Answer, WayFault
from node.smtp.transport import Mail, Session

REST_S: Final = 10.0
"""Seconds that a connection is kept for the next letter: long enough for a burst, and no server minds."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where a connection leads, and as whom."""

    smarthost: Smarthost
    password: str

    def __repr__(self) -> str:
        return f"Account({self.smarthost!r})"


class Pool:
    """All methods run in the asyncio thread. A connection is of use for one account only."""

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        self._resting: dict[Session, tuple[Account, asyncio.Task[None]]] = {}
        self._closed = False

    async def reuse(self, account: Account, mail: Mail) -> tuple[Answer, ...] | None:
        """Send it on a connection that rests here; None where there is none, or it was lost before the
        letter was. Raises WayFault where the letter may have arrived.
        """
        while (session := self._take(account)) is not None:
            try:
                await session.reset()
                return await self._send(session, account, mail)
            except WayFault as fault:
                session.drop()
                if fault.sent:
                    raise
            except BaseException:
                session.drop()
                raise
        return None

    async def fresh(
        self, sock: socket.socket, account: Account, tls: ssl.SSLContext, mail: Mail
    ) -> tuple[Answer, ...]:
        """Send it on a new connection over this connected socket. Raises WayFault."""
        where, password = account.smarthost, account.password
        session = await Session.open(sock, where, password, self._hostname, tls)
        return await self._send(session, account, mail)

    async def close(self) -> None:
        """End all that rests; nothing rests from here on."""
        self._closed = True
        keepers = [keeper for _, keeper in self._resting.values()]
        for keeper in keepers:
            keeper.cancel()
        if keepers:
            await asyncio.wait(keepers)

    async def _send(self, session: Session, account: Account, mail: Mail) -> tuple[Answer, ...]:
        answers = await session.send(mail)
        if session.is_open and not self._closed:
            keeper = asyncio.create_task(self._rest(session))
            self._resting[session] = account, keeper
            keeper.add_done_callback(lambda _: self._end(session))
        else:
            session.drop()
        return answers

    def _take(self, account: Account) -> Session | None:
        found = next((one for one, (of, _) in self._resting.items() if of == account), None)
        if found is not None:
            _, keeper = self._resting.pop(found)
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
