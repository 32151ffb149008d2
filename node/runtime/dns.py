"""Looking names up in the DNS: one question for a name at a time, what was answered kept for a while.
What a record means is its reader's business.
"""

import re
import struct
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.message
import dns.nameserver
import dns.rdtypes.txtbase
import dns.resolver
import trio

from node.runtime.errors import NodeError
from node.runtime.settings_mail import parse_nameserver

DEADLINE_S: Final = 5.0
"""Seconds for one name, all servers and repeats together; waiting for a turn is not counted."""

ATTEMPT_S: Final = 1.5
"""Seconds for one question to one server: three attempts fit into the deadline."""

QUESTIONS: Final = 32
"""Names that are being asked for at once: bounds sockets, and what a flood of letters costs the server."""

MAX_NAMES: Final = 2_000
"""Names that are kept, the one used longest ago goes first."""

MAX_KEPT_BYTES: Final = 4 * 1024 * 1024
"""Of records in all names kept; a key's has 400."""

MAX_RECORDS: Final = 64
"""Records at a name. Beyond it nothing there is meant for us."""

MAX_SECTIONS: Final = 128
"""Records in a whole answer over TCP: 4,000 small ones held the library for 0.1 s."""

PAYLOAD: Final = 1_232
"""Bytes of an answer over UDP (DNS flag day 2020); what is longer comes over TCP."""

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

RESOLV_CONF: Final = Path("/etc/resolv.conf")

_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*", re.ASCII)


class DnsLater(NodeError):  # noqa: N818 - what it is called everywhere
    """The name could not be looked up now; it says nothing about whether it is there."""


@dataclass(frozen=True, slots=True)
class _Known:
    """An answer, or the fault in its place, until a moment of trio's clock."""

    until: float
    records: tuple[bytes, ...] = ()
    fault: DnsLater | None = None

    @property
    def size(self) -> int:
        return sum(map(len, self.records))


class Resolver:
    """Asks the name servers of the settings, or the system's. Belongs to trio's thread."""

    def __init__(self, nameservers: Sequence[str] | None, resolv_conf: Path = RESOLV_CONF) -> None:
        """`nameservers` as `dns.nameservers` has them. The system's are read anew when they change."""
        servers = [_Server(*parse_nameserver(text)) for text in nameservers or ()]
        self._stub = _stub(servers) if servers else None
        self._resolv_conf = resolv_conf
        self._read: tuple[int, int, int] | None = None  # of which state of that file the stub is
        self._slots = trio.CapacityLimiter(QUESTIONS)
        self._asking: dict[str, trio.Event] = {}
        self._cache: OrderedDict[str, _Known] = OrderedDict()
        self._cached_bytes = 0

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """The TXT records at a name, the strings of each joined; none where there is no such name or
        record, or more than MAX_RECORDS. CNAMEs are followed, no search list is used. Raises DnsLater.
        """
        name = name.removesuffix(".").lower()
        if len(name) > MAX_NAME or not _NAME.fullmatch(name):
            return ()  # no such name can be
        while (known := self._known(name)) is None:
            if name in self._asking:
                await self._asking[name].wait()
            else:
                await self._ask(name)
        if known.fault is not None:
            raise DnsLater(*known.fault.args)
        return known.records

    def _known(self, name: str) -> _Known | None:
        known = self._cache.get(name)
        if known is None or known.until <= trio.current_time():
            return None
        self._cache.move_to_end(name)
        return known

    async def _ask(self, name: str) -> None:
        """So that it is known; who waits for it asks anew where we are cancelled."""
        answered = self._asking[name] = trio.Event()
        try:
            async with self._slots:
                self._keep(name, await self._answer(name))
        finally:
            del self._asking[name]
            answered.set()

    def _keep(self, name: str, known: _Known) -> None:
        if name in self._cache:
            self._cached_bytes -= self._cache.pop(name).size
        self._cache[name] = known
        self._cached_bytes += known.size
        while len(self._cache) > MAX_NAMES or self._cached_bytes > MAX_KEPT_BYTES:
            self._cached_bytes -= self._cache.popitem(last=False)[1].size

    async def _answer(self, name: str) -> _Known:
        try:
            with trio.move_on_after(DEADLINE_S):
                return await self._question(f"{name}.")
            reason = "no name server answered in time"
        except DnsLater as nobody:
            return _unknown(nobody)
        except dns.resolver.NoNameservers as error:
            causes = [cause for _, _, _, cause, _ in error.kwargs["errors"]]
            if any(isinstance(cause, _TooMuch) for cause in causes):
                return _known(0.0, ())
            reason = f"the name server failed ({_word(causes[-1])})" if causes else "no name server"
        except (dns.exception.DNSException, OSError) as error:
            reason = f"the look-up failed ({type(error).__name__})"
        return _unknown(DnsLater("dns-later", f"{name} could not be looked up: {reason}"))

    async def _question(self, name: str) -> _Known:
        stub = self._current()
        try:
            answer = await stub.resolve(
                name,
                "TXT",
                raise_on_no_answer=False,
                search=False,
                lifetime=DEADLINE_S,
                backend=dns.asyncbackend.get_backend("trio"),
            )
        except dns.resolver.NXDOMAIN as nothing:
            (response,) = nothing.kwargs["responses"].values()
            return _known(response.resolve_chaining().minimum_ttl, ())
        texts = [rdata for rdata in answer if isinstance(rdata, dns.rdtypes.txtbase.TXTBase)]
        if len(texts) > MAX_RECORDS:
            texts = []
        return _known(answer.chaining_result.minimum_ttl, tuple(b"".join(one.strings) for one in texts))

    def _current(self) -> dns.asyncresolver.Resolver:
        """What asks; of the system's settings as they are now: a laptop changes networks."""
        if self._stub is not None and self._read is None:
            return self._stub
        try:
            state = self._resolv_conf.stat()
            read = (state.st_mtime_ns, state.st_ino, state.st_size)
            if self._stub is None or read != self._read:
                self._stub, self._read = _system_stub(self._resolv_conf), read
        except (dns.exception.DNSException, OSError, ValueError):
            self._stub = self._read = None
            raise DnsLater(
                "dns-no-server",
                f"{self._resolv_conf} names no DNS server that can be used",
                "mailio config set dns.nameservers with the address of one",
            ) from None
        return self._stub


class _BadAnswer(dns.exception.FormError):
    """Not an answer to what was asked."""


class _TooMuch(dns.exception.FormError):
    """An answer with more records than anyone means for us."""


class _Server(dns.nameserver.Do53Nameserver):
    """A name server whose answers over TCP are counted before the library looks at them."""

    async def async_query(  # type: ignore[override]  # dnspython passes the rest by name, as here
        self,
        request: dns.message.QueryMessage,
        timeout: float,
        source: str | None,
        source_port: int,
        max_size: bool,
        backend: Any,
        **options: Any,
    ) -> dns.message.Message:
        if not max_size:
            return await super().async_query(
                request, timeout, source, source_port, max_size, backend, **options
            )
        with trio.move_on_after(timeout):
            data = await self._over_tcp(request.to_wire())
            if sum(struct.unpack_from(">4H", data, 4)) > MAX_SECTIONS:
                raise _TooMuch
            response = dns.message.from_wire(data)
            if not request.is_response(response):
                raise _BadAnswer
            return response
        raise TimeoutError

    async def _over_tcp(self, question: bytes) -> bytes:
        """At most 64 KiB, as their length has two bytes (RFC 1035 §4.2.2)."""
        async with await trio.open_tcp_stream(self.address, self.port) as stream:
            await stream.send_all(struct.pack(">H", len(question)) + question)
            data = await _exactly(stream, int.from_bytes(await _exactly(stream, 2)))
        if len(data) < 12:
            raise _BadAnswer
        return data


async def _exactly(stream: trio.SocketStream, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        try:
            more = await stream.receive_some(count - len(data))
        except trio.BrokenResourceError:
            more = b""
        if not more:
            raise EOFError
        data += more
    return bytes(data)


def _stub(servers: Sequence[dns.nameserver.Nameserver]) -> dns.asyncresolver.Resolver:
    stub = dns.asyncresolver.Resolver(configure=False)
    stub.nameservers = list(servers)
    stub.timeout = ATTEMPT_S
    stub.use_edns(0, 0, PAYLOAD)
    return stub


def _system_stub(resolv_conf: Path) -> dns.asyncresolver.Resolver:
    read = dns.asyncresolver.Resolver(configure=False)
    read.read_resolv_conf(str(resolv_conf))
    return _stub([_Server(str(server)) for server in read.nameservers])


def _known(ttl: float, records: tuple[bytes, ...]) -> _Known:
    least, most = (MIN_TTL_S, MAX_TTL_S) if records else NEGATIVE_TTL_S
    return _Known(trio.current_time() + min(max(ttl, least), most), records)


def _unknown(fault: DnsLater) -> _Known:
    return _Known(trio.current_time() + HOLD_OFF_S, fault=fault)


def _word(cause: object) -> str:
    return cause if isinstance(cause, str) else type(cause).__name__
