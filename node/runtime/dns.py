"""Looking names up in the DNS: one question for a name and type at a time, what was answered kept for a
while. How a server is asked is in nameserver.py; what a record means is its reader's business.
"""

import ipaddress
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dns.asyncbackend
import dns.exception
import dns.name
import dns.resolver
import trio

from node.runtime.errors import DnsLater
from node.runtime.nameserver import RESOLV_CONF, Servers, TooMuch

Mx = tuple[int, str]
"""A preference and a host."""

Record = bytes | str | Mx

DEADLINE_S: Final = 5.0
"""Seconds for one name, all servers and repeats together; waiting for a turn is not counted."""

QUESTIONS: Final = 32
"""Names that are being asked for at once: bounds sockets, and what a flood of letters costs the server."""

MAX_NAMES: Final = 4_000
"""Names and types that are kept, the one used longest ago goes first; a sender's domain needs some four."""

MAX_KEPT_BYTES: Final = 4 * 1024 * 1024
"""Of records in all names kept; a key's has 400."""

RECORD_BYTES: Final = 64
"""Bytes that a record counts for beside its text."""

MAX_RECORDS: Final = 64
"""Records at a name. Beyond it nothing there is meant for us."""

MIN_TTL_S: Final = 5.0
"""Seconds an answer is kept at least, so that those who waited for it get it."""

MAX_TTL_S: Final = 3_600.0
"""An hour at most: a key withdrawn is believed no longer."""

NEGATIVE_TTL_S: Final = (60.0, 300.0)
"""Seconds for which "no such name" is kept, at least and at most."""

HOLD_OFF_S: Final = 10.0
"""Seconds in which a name that could not be looked up is not asked for again."""

MAX_NAME: Final = 253
"""Characters of a name without its last dot (RFC 1035 §2.3.4)."""

_LABEL: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,63}"
"""What an address may have left of its @ too (RFC 5322 §3.2.3): SPF makes names of it (RFC 7208 §7)."""

_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Known:
    """An answer, or the fault in its place, until a moment of trio's clock."""

    until: float
    records: tuple[Record, ...] = ()
    fault: DnsLater | None = None

    @property
    def size(self) -> int:
        return sum(RECORD_BYTES + len(one[1] if isinstance(one, tuple) else one) for one in self.records)


_Question = tuple[str, str]
"""A name and a type."""


class Resolver:
    """Asks the name servers of the settings, or the system's. Belongs to trio's thread.

    What all look-ups have in common: the records at a name; none where there is no such name or record, or
    more than MAX_RECORDS. CNAMEs are followed, no search list is used. They raise DnsLater. Hosts among the
    answers are in lower case, without the last dot.
    """

    def __init__(self, nameservers: Sequence[str] | None, resolv_conf: Path = RESOLV_CONF) -> None:
        """`nameservers` as `dns.nameservers` has them. The system's are read anew when they change."""
        self._servers = Servers(nameservers, resolv_conf)
        self._slots = trio.CapacityLimiter(QUESTIONS)
        self._asking: dict[_Question, trio.Event] = {}
        self._cache: OrderedDict[_Question, _Known] = OrderedDict()
        self._cached_bytes = 0

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """The strings of each record are joined."""
        return await self._records(name, "TXT")

    async def mx(self, name: str) -> tuple[Mx, ...]:
        """As (preference, host), the most preferred first; a null MX (RFC 7505) is ((0, "."),)."""
        return tuple(sorted(await self._records(name, "MX")))

    async def a(self, name: str) -> tuple[str, ...]:
        """IPv4 addresses as text."""
        return await self._records(name, "A")

    async def aaaa(self, name: str) -> tuple[str, ...]:
        """IPv6 addresses as text, in their short form."""
        return await self._records(name, "AAAA")

    async def ptr(self, ip: str) -> tuple[str, ...]:
        """The names that an address claims for itself; none for what is no address."""
        try:
            name = ipaddress.ip_address(ip).reverse_pointer
        except ValueError:
            return ()
        return await self._records(name, "PTR")

    async def _records(self, name: str, kind: str) -> tuple[Any, ...]:
        name = name.removesuffix(".").lower()
        if len(name) > MAX_NAME or not _NAME.fullmatch(name):
            return ()  # no such name can be
        question = name, kind
        while (known := self._known(question)) is None:
            if question in self._asking:
                await self._asking[question].wait()
            else:
                await self._ask(question)
        if known.fault is not None:
            raise DnsLater(*known.fault.args)
        return known.records

    def _known(self, question: _Question) -> _Known | None:
        known = self._cache.get(question)
        if known is None or known.until <= trio.current_time():
            return None
        self._cache.move_to_end(question)
        return known

    async def _ask(self, question: _Question) -> None:
        """So that it is known; who waits for it asks anew where we are cancelled."""
        answered = self._asking[question] = trio.Event()
        try:
            async with self._slots:
                self._keep(question, await self._answer(question))
        finally:
            del self._asking[question]
            answered.set()

    def _keep(self, question: _Question, known: _Known) -> None:
        if question in self._cache:
            self._cached_bytes -= self._cache.pop(question).size
        self._cache[question] = known
        self._cached_bytes += known.size
        while len(self._cache) > MAX_NAMES or self._cached_bytes > MAX_KEPT_BYTES:
            self._cached_bytes -= self._cache.popitem(last=False)[1].size

    async def _answer(self, question: _Question) -> _Known:
        try:
            with trio.move_on_after(DEADLINE_S):
                return await self._put(*question)
            reason = "no name server answered in time"
        except DnsLater as nobody:
            return _unknown(nobody)
        except dns.resolver.NoNameservers as error:
            causes = [cause for _, _, _, cause, _ in error.kwargs["errors"]]
            if any(isinstance(cause, TooMuch) for cause in causes):
                return _known(0.0, ())
            reason = f"the name server failed ({_word(causes[-1])})" if causes else "no name server"
        except (dns.exception.DNSException, OSError) as error:
            reason = f"the look-up failed ({type(error).__name__})"
        return _unknown(DnsLater("dns-later", f"{question[0]} could not be looked up: {reason}"))

    async def _put(self, name: str, kind: str) -> _Known:
        """The question, to a server."""
        stub = self._servers.stub()
        if stub is None:
            raise DnsLater(
                "dns-no-server",
                f"{self._servers.file} names no DNS server that can be used",
                "mailio config set dns.nameservers with the address of one",
            )
        try:
            answer = await stub.resolve(
                f"{name}.",
                kind,
                raise_on_no_answer=False,
                search=False,
                lifetime=DEADLINE_S,
                backend=dns.asyncbackend.get_backend("trio"),
            )
        except dns.resolver.NXDOMAIN as nothing:
            (response,) = nothing.kwargs["responses"].values()
            return _known(response.resolve_chaining().minimum_ttl, ())
        records = tuple(map(_READ[kind], answer))
        return _known(answer.chaining_result.minimum_ttl, records if len(records) <= MAX_RECORDS else ())


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


_READ: Final[Mapping[str, Callable[[Any], Record]]] = {
    "TXT": lambda record: b"".join(record.strings),
    "MX": lambda record: (record.preference, _host(record.exchange)),
    "A": lambda record: str(record.address),
    "AAAA": lambda record: str(record.address),
    "PTR": lambda record: _host(record.target),
}
"""What is kept of a record of each type."""


def _known(ttl: float, records: tuple[Record, ...]) -> _Known:
    least, most = (MIN_TTL_S, MAX_TTL_S) if records else NEGATIVE_TTL_S
    return _Known(trio.current_time() + min(max(ttl, least), most), records)


def _unknown(fault: DnsLater) -> _Known:
    return _Known(trio.current_time() + HOLD_OFF_S, fault=fault)


def _word(cause: object) -> str:
    return cause if isinstance(cause, str) else type(cause).__name__
