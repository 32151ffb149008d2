"""The way out to the recipients' own mail servers (RFC 5321 §5): a lane for each domain, and how it stands.

Which servers those are is exchangers.py's; what a domain demands of a connection (MTA-STS) policies.py's.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import trio

from node.outbox import DIRECT, Recipient
from node.runtime.clock import Clock
from node.runtime.rooms import Check, Warning_
from node.smtp.answer import NoWay, Way, WayFault
from node.smtp.dialing import dial_one_of
from node.smtp.exchangers import Exchanger
from node.smtp.outlet import Lines
from node.smtp.pool import Talked
from node.smtp.server import Mail, Server, Tls
from protocol.mtasts import Policy

PORT: Final = 25

AT_ONE: Final = 2
"""Letters on their way to one domain at once: no slow one may take all places, and none minds so few."""

MAX_FAULTS: Final = 100
"""Destinations whose fault is remembered, the newest."""

SHOWN: Final = 20
"""Of them in `status`."""

BLOCKED: Final = 3
"""Destinations in a row, of which none can be reached, until it may be the way out that is closed."""


class Routes(Protocol):
    """Who takes a domain's mail (exchangers)."""

    async def of(self, domain: str) -> tuple[Exchanger, ...]:
        """Those to try, at least one. Raises NoWay, WayFault."""
        ...


class PolicyBook(Protocol):
    """What domains demand (policies)."""

    async def of(self, domain: str) -> Policy | None:
        """None for nothing."""
        ...


@dataclass(frozen=True, slots=True)
class _Fault:
    """Of one destination: since when it is so, Unix ms."""

    fault: WayFault
    since: int


class DirectOutlet:
    """`verified` is the context for domains with a policy, by default as the system trusts; `port` is 25 but
    for tests.
    """

    def __init__(
        self,
        lines: Lines,
        routes: Routes,
        policies: PolicyBook,
        clock: Clock,
        *,
        has_name: bool = True,
        verified: ssl.SSLContext | None = None,
        port: int = PORT,
    ) -> None:
        self._lines = lines
        self._routes = routes
        self._policies = policies
        self._clock = clock
        self._has_name = has_name
        self._verified = verified
        self._whoever = _unverified()
        self._port = port
        self._turns: dict[str, trio.CapacityLimiter] = {}
        self._faults: OrderedDict[str, _Fault] = OrderedDict()
        self._unreached: set[str] = set()  # destinations since the last that was
        self._reached = ""  # the last that was

    def lane(self, recipient: Recipient) -> str:
        return DIRECT + recipient.address.rpartition("@")[2]

    @asynccontextmanager
    async def turn(self, lane: str) -> AsyncIterator[None]:
        limiter = self._turns.setdefault(lane, trio.CapacityLimiter(AT_ONE))
        try:
            async with limiter:
                yield
        finally:
            if not limiter.borrowed_tokens and not limiter.statistics().tasks_waiting:
                self._turns.pop(lane, None)

    async def reach(self, lane: str, sender: str) -> None:
        """Nothing is held here: a letter whose connection was taken by another makes one itself."""
        ways = await self._ways(lane)
        if not await self._lines.rest(_servers(ways)):
            await self._open(ways, None)

    async def transact(self, lane: str, mail: Mail) -> Talked:
        ways = await self._ways(lane)
        talked = await self._lines.reuse(_servers(ways), mail)
        return talked or await self._open(ways, mail)

    async def aclose(self) -> None:
        await self._lines.aclose()

    # ---- where to

    async def _ways(self, lane: str) -> list[tuple[Exchanger, Server]]:
        """The servers to try. Raises NoWay, WayFault."""
        domain = lane.removeprefix(DIRECT)
        exchangers = await self._routes.of(domain)
        policy = await self._policies.of(domain)
        if policy is None or policy.mode != "enforce":
            return [(one, self._server(one, Tls.UNVERIFIED)) for one in exchangers]
        # RFC 8461 §5: only to servers that the policy names, with their certificate verified.
        fitting = [one for one in exchangers if policy.matches(one.host)]
        if not fitting:
            raise WayFault(Way.POLICY, host=exchangers[0].host)
        return [(one, self._server(one, Tls.MUST)) for one in fitting]

    def _server(self, exchanger: Exchanger, rule: Tls) -> Server:
        return Server(exchanger.host, self._port, rule, stranger=True)

    async def _open(self, ways: Sequence[tuple[Exchanger, Server]], mail: Mail | None) -> Talked:
        """At the first server that can be had. Raises NoWay, WayFault (of the first that failed)."""
        first: WayFault | None = None
        for exchanger, server in ways:
            try:
                return await self._at(exchanger, server, mail)
            except WayFault as fault:
                fault.host = server.host
                if fault.sent:  # it may have arrived
                    raise
                first = first or fault
                if fault.way is Way.OURSELVES:  # RFC 5321 §5.1: those that follow are no better
                    break
        assert first is not None
        if first.way is Way.OURSELVES:
            raise NoWay("5.4.6", f"{first.host}, which is to take this mail, is this node itself")
        raise first

    async def _at(self, exchanger: Exchanger, server: Server, mail: Mail | None) -> Talked:
        context = await self._context() if server.tls is Tls.MUST else self._whoever
        sock = await dial_one_of(exchanger.addresses, server.port)
        try:
            return await self._lines.open(sock, server, context, mail)
        except WayFault as fault:
            if server.tls is not Tls.UNVERIFIED or fault.way is not Way.TLS or fault.sent:
                raise
        # Nobody demands TLS here, and in the clear is how it would go if it were not offered (RFC 7435 §4).
        sock = await dial_one_of(exchanger.addresses, server.port)
        return await self._lines.open(sock, server, context, mail, plain=True)

    async def _context(self) -> ssl.SSLContext:
        if self._verified is None:  # reading who is trusted takes some 20 ms
            self._verified = await trio.to_thread.run_sync(ssl.create_default_context)
        return self._verified

    # ---- how it stands

    def worked(self, lane: str) -> None:
        self._faults.pop(lane, None)
        self._unreached.clear()
        self._reached = lane.removeprefix(DIRECT)

    def failed(self, lane: str, fault: WayFault) -> tuple[str, bool]:
        before = self._faults.pop(lane, None)
        same = before is not None and before.fault.way is fault.way
        since = before.since if before is not None and same else self._clock.now()
        self._faults[lane] = _Fault(fault, since)
        if len(self._faults) > MAX_FAULTS:
            self._faults.popitem(last=False)
        if fault.way is Way.UNREACHABLE and len(self._unreached) < BLOCKED:
            self._unreached.add(lane)
        elif fault.way not in (Way.UNREACHABLE, Way.NAMES):
            self._unreached.clear()  # somebody answered
        return self._words(lane, fault), not same

    async def checks(self) -> Sequence[Check]:
        """What letters have met since the start: nobody is asked only to see whether he answers."""
        if warnings := self.warnings():
            return [Check("port-25-out", "fail", one.text, one.remedy) for one in warnings]
        if not self._reached:
            text = f"whether port {self._port} is open from here shows with the first letter: nobody is asked"
            return [Check("port-25-out", "skip", text, "mailio send SOMEBODY@example.org")]
        return [Check("port-25-out", "ok", f"the mail server of {self._reached} was reached since the start")]

    def warnings(self) -> list[Warning_]:
        found = []
        if len(self._unreached) >= BLOCKED:
            text = f"no mail server can be reached on port {self._port}: many providers close it"
            remedy = "ask your provider to open it, or set smtp.smarthost and smtp.direct to false"
            found.append(Warning_("direct-blocked", text, remedy))
        if not self._has_name:
            text = "this node delivers mail itself and has no name of its own, which few mail servers accept"
            remedy = "mailio config set smtp.domains example.org"
            found.append(Warning_("direct-no-name", text, remedy))
        return found

    def status(self) -> dict[str, Any]:
        """For `status --json`, under smtp: each destination that letters wait for, the newest first."""
        newest = list(reversed(self._faults.items()))[:SHOWN]
        faults = [
            {"domain": lane.removeprefix(DIRECT), "text": self._words(lane, one.fault), "since": one.since}
            for lane, one in newest
        ]
        blocked = len(self._unreached) >= BLOCKED
        return {"direct": {"state": "fault" if blocked else "ok", "faults": faults}}

    def _words(self, lane: str, fault: WayFault) -> str:
        return fault.words(lane.removeprefix(DIRECT), self._port)


def _servers(ways: Sequence[tuple[Exchanger, Server]]) -> frozenset[Server]:
    return frozenset(server for _, server in ways)


def _unverified() -> ssl.SSLContext:
    """Against who only listens: whoever else could read a certificate too (RFC 7435)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
