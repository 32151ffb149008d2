"""A name server as dnspython asks it, bounded before the library looks at an answer, and which ones there
are. What is asked, and what is kept of it, is in dns.py.
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import dns.asyncresolver
import dns.exception
import dns.message
import dns.nameserver
import trio

from node.runtime.settings_mail import parse_nameserver

ATTEMPT_S: Final = 1.5
"""Seconds for one question to one server: three attempts fit into the deadline of a name."""

MAX_SECTIONS: Final = 128
"""Records in a whole answer over TCP: 4,000 small ones held the library for 0.1 s."""

PAYLOAD: Final = 1_232
"""Bytes of an answer over UDP (DNS flag day 2020); what is longer comes over TCP."""

RESOLV_CONF: Final = Path("/etc/resolv.conf")


class BadAnswer(dns.exception.FormError):
    """Not an answer to what was asked."""


class TooMuch(dns.exception.FormError):
    """An answer with more records than anyone means for us."""


class NameServer(dns.nameserver.Do53Nameserver):
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
                raise TooMuch
            response = dns.message.from_wire(data)
            if not request.is_response(response):
                raise BadAnswer
            return response
        raise TimeoutError

    async def _over_tcp(self, question: bytes) -> bytes:
        """At most 64 KiB, as their length has two bytes (RFC 1035 §4.2.2)."""
        async with await trio.open_tcp_stream(self.address, self.port) as stream:
            await stream.send_all(struct.pack(">H", len(question)) + question)
            data = await _exactly(stream, int.from_bytes(await _exactly(stream, 2)))
        if len(data) < 12:
            raise BadAnswer
        return data


class Servers:
    """The name servers of the settings, or the system's, read anew when those change: a laptop changes
    networks.
    """

    def __init__(self, nameservers: Sequence[str] | None, resolv_conf: Path = RESOLV_CONF) -> None:
        """`nameservers` as `dns.nameservers` has them."""
        servers = [NameServer(*parse_nameserver(text)) for text in nameservers or ()]
        self._stub = _stub(servers) if servers else None
        self._resolv_conf = resolv_conf
        self._read: tuple[int, int, int] | None = None  # of which state of that file the stub is

    @property
    def file(self) -> Path:
        """Where the system names its own."""
        return self._resolv_conf

    def stub(self) -> dns.asyncresolver.Resolver | None:
        """What asks them now; None where the system names none that can be used."""
        if self._stub is not None and self._read is None:
            return self._stub
        try:
            state = self._resolv_conf.stat()
            read = (state.st_mtime_ns, state.st_ino, state.st_size)
            if self._stub is None or read != self._read:
                self._stub, self._read = _system_stub(self._resolv_conf), read
        except (dns.exception.DNSException, OSError, ValueError):
            self._stub = self._read = None
        return self._stub


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
    return _stub([NameServer(str(server)) for server in read.nameservers])
