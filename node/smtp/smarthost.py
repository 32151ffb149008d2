"""The way out through the one mail server of the settings, and how that way stands."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import trio

from node.outbox import SMARTHOST, Recipient
from node.runtime.clock import Clock
from node.runtime.rooms import Check, Warning_
from node.runtime.settings_mail import Smarthost
from node.smtp.answer import SAYINGS, Way, WayFault
from node.smtp.dialing import dial_name
from node.smtp.outlet import Lines
from node.smtp.pool import Talked
from node.smtp.server import Mail, Server, Tls

AT_ONCE: Final = 4
"""Letters on their way at once: few servers take more connections."""


class SmarthostOutlet:
    """`password` is asked for at each connection. `tls` verifies the server, by default as the system.
    `remedy` says what sets server and password anew, "" where the settings do. `own` gives the server and the
    password that letters of a sender take in its place, None where they take no other.
    """

    def __init__(
        self,
        lines: Lines,
        smarthost: Callable[[], Smarthost | None],
        password: Callable[[], str],
        clock: Clock,
        *,
        tls: ssl.SSLContext | None = None,
        remedy: Callable[[], str] = str,
        own: Callable[[str], tuple[Smarthost, str] | None] = lambda sender: None,
    ) -> None:
        self._lines = lines
        self._smarthost = smarthost
        self._password = password
        self._clock = clock
        self._tls = tls
        self._remedy = remedy
        self._own = own
        self._turns = trio.CapacityLimiter(AT_ONCE)
        self._stand: tuple[Smarthost, WayFault | None] | None = None
        self.since = 0
        """When the way began to stand as it does, Unix ms; 0 before the first attempt."""

    def lane(self, recipient: Recipient) -> str:
        return SMARTHOST

    def turn(self, lane: str) -> AbstractAsyncContextManager[object]:
        return self._turns

    async def reach(self, lane: str, sender: str) -> None:
        server = self._server_of(sender)
        with _about(server):
            if not await self._lines.rest((server,)):
                await self._open(server, None)

    async def transact(self, lane: str, mail: Mail) -> Talked:
        server = self._server_of(mail.sender)
        with _about(server):
            talked = await self._lines.reuse((server,), mail)
            return talked or await self._open(server, mail)

    async def aclose(self) -> None:
        await self._lines.aclose()

    def worked(self, lane: str) -> None:
        if (smarthost := self._smarthost()) is not None:
            self._stands(smarthost, None)

    def failed(self, lane: str, fault: WayFault) -> tuple[str, bool]:
        before = self.fault
        if (smarthost := self._smarthost()) is not None:
            self._stands(smarthost, fault)
        told = self._warning(fault, smarthost)
        detail = f"{told.text}; {told.remedy}" if told.remedy else told.text
        return detail, before is None or before.code != told.code

    # ---- how the way stands

    async def checks(self) -> Sequence[Check]:
        """Connect, encrypt and log in anew, and send nothing."""
        smarthost = self._smarthost()
        if smarthost is None:
            text, remedy = SAYINGS[Way.NONE]
            return [Check("smarthost", "skip", text, remedy)]
        try:
            await self._open(self._server(), None)
        except WayFault as fault:
            told = self._warning(fault, smarthost)
            return [Check("smarthost", "fail", told.text, told.remedy)]
        login = f", and lets {smarthost.user} in" if smarthost.user else ""
        return [Check("smarthost", "ok", f"{smarthost.place} answers{login}; nothing was sent")]

    @property
    def fault(self) -> Warning_ | None:
        """What is wrong with the way, if the last attempt failed."""
        smarthost = self._smarthost()
        if self._stand is None or self._stand[0] != smarthost or self._stand[1] is None:
            return None
        return self._warning(self._stand[1], smarthost)

    def warnings(self) -> list[Warning_]:
        return [self.fault] if self.fault else []

    def status(self) -> dict[str, Any]:
        """For `status --json`, under smtp."""
        smarthost = self._smarthost()
        if smarthost is None:
            return {"smarthost": {"state": "none", "host": "", "text": "no smarthost is set"}}
        if fault := self.fault:
            return {"smarthost": {"state": "fault", "host": smarthost.place, "text": fault.text}}
        worked = self._stand == (smarthost, None)
        return {"smarthost": {"state": "ok" if worked else "unknown", "host": smarthost.place, "text": ""}}

    def _warning(self, fault: WayFault, smarthost: Smarthost | None) -> Warning_:
        """What is wrong in plain words, with the way out."""
        host, port = (smarthost.host, smarthost.port) if smarthost else ("", 0)
        remedy = SAYINGS[fault.way][1]
        if "smtp.smarthost" in remedy:
            remedy = self._remedy() or remedy
        return Warning_(f"smarthost-{fault.way.value}", fault.words(host, port), remedy)

    # ----

    def _server(self) -> Server:
        smarthost = self._smarthost()
        if smarthost is None:
            raise WayFault(Way.NONE)
        return _server(smarthost, self._password() if smarthost.user else "")

    def _server_of(self, sender: str) -> Server:
        own = self._own(sender)
        return _server(*own) if own else self._server()

    async def _open(self, server: Server, mail: Mail | None) -> Talked:
        sock = await dial_name(server.host, server.port)
        return await self._lines.open(sock, server, await self._context(), mail)

    def _stands(self, smarthost: Smarthost, fault: WayFault | None) -> None:
        before = self._stand and (self._stand[0], self._stand[1] and self._stand[1].way)
        if before != (smarthost, fault and fault.way):
            self.since = self._clock.now()
        self._stand = smarthost, fault

    async def _context(self) -> ssl.SSLContext:
        if self._tls is None:  # reading who is trusted takes some 20 ms
            self._tls = await trio.to_thread.run_sync(ssl.create_default_context)
        return self._tls


@contextlib.contextmanager
def _about(server: Server) -> Iterator[None]:
    """Faults name the server that they are about."""
    try:
        yield
    except WayFault as fault:
        fault.host = server.host
        raise


def _server(smarthost: Smarthost, password: str) -> Server:
    rule = Tls.AT_ONCE if smarthost.implicit_tls else Tls.MAY if smarthost.is_local else Tls.MUST
    return Server(smarthost.host, smarthost.port, rule, smarthost.user, password)
