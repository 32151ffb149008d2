"""A DNS server on loopback, UDP and TCP on one port, that answers from a table and misbehaves by name.

async with open_names() as names:
names.txt("sel._domainkey.example.org", key.txt)
resolver = Resolver([names.address])
"""

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import trio

MAX_DATAGRAM: Final = 65_535
STRING: Final = 255  # bytes of one character-string of a TXT record (RFC 1035 §3.3.14)
CHAIN: Final = 40  # CNAMEs that are followed: more than any client bears


class Fault(Enum):
    """What happens to questions for a name, instead of its answer."""

    SILENCE = "no answer at all"
    SERVFAIL = "the server's failure"
    REFUSED = "the server refuses"
    NXDOMAIN = "no such name"
    TRUNCATED = "over UDP only its beginning; whole over TCP"
    CUT = "truncated, and over TCP the connection ends in the middle"
    OVERSIZED = "truncated, and over TCP 60 KB of small records"
    WRONG_ID = "somebody else's answer"
    OTHER_QUESTION = "the answer to another question"
    BROKEN = "truncated, and over TCP a record of the type asked for that is no such record"
    GARBAGE = "bytes that are no message, under the right id"


_CUT: Final = (Fault.TRUNCATED, Fault.CUT, Fault.OVERSIZED, Fault.BROKEN)


@dataclass
class Names:
    """The table and what was asked. Times to live in seconds."""

    address: str = ""  # as dns.nameservers takes it
    ttl: int = 300
    negative_ttl: int = 120
    faults: dict[str, Fault] = field(default_factory=dict)
    questions: list[tuple[str, str, str]] = field(default_factory=list)  # name, type, "udp" or "tcp"
    _records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _waiting: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)

    def add(self, name: str, kind: str, text: str) -> None:
        """One more record, as a zone file has it: `add("example.org", "MX", "10 mail.example.org.")`."""
        self._records.setdefault((_lower(name), kind.upper()), []).append(text)

    def txt(self, name: str, *values: str | bytes) -> None:
        """One TXT record for each value, cut into strings of 255 bytes."""
        for value in values:
            data = value.encode() if isinstance(value, str) else value
            strings = [data[at : at + STRING] for at in range(0, len(data), STRING)] or [b""]
            self.strings(name, *strings)

    def strings(self, name: str, *strings: bytes) -> None:
        """One TXT record of just these strings."""
        self.add(name, "TXT", " ".join(f'"{_escaped(string)}"' for string in strings))

    def fault(self, name: str, fault: Fault | None) -> None:
        """From now on; None ends it."""
        if fault is None:
            self.faults.pop(_lower(name), None)
        else:
            self.faults[_lower(name)] = fault

    def forget(self, name: str) -> None:
        """Takes all records of a name away."""
        for key in [key for key in self._records if key[0] == _lower(name)]:
            del self._records[key]

    def asked(self, name: str) -> int:
        """How often, of whatever type and over whatever transport."""
        return sum(1 for asked, _, _ in self.questions if asked == _lower(name))

    async def wait_asked(self, name: str, times: int = 1) -> None:
        """Until it was asked for so often."""
        while self.asked(name) < times:
            await self._waiting.park()

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        """What is sent back; None is silence."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        question = query.question[0]
        name = _lower(question.name.to_text())
        self.questions.append((name, dns.rdatatype.to_text(question.rdtype), transport))
        self._waiting.unpark_all()
        return self._answer(query, name, self.faults.get(name), transport)

    def _answer(
        self, query: dns.message.Message, name: str, fault: Fault | None, transport: str
    ) -> bytes | None:
        if fault is Fault.SILENCE:
            return None
        if fault is Fault.GARBAGE:
            return struct.pack(">H", query.id) + b"\x81\x80" + b"\xff" * 30
        if fault is Fault.BROKEN and transport == "tcp":
            return _broken(query)
        if fault is Fault.OVERSIZED and transport == "tcp":
            return _oversized(query)
        response = self._table(query)
        if fault in (Fault.SERVFAIL, Fault.REFUSED, Fault.NXDOMAIN):
            response.answer.clear()
            response.set_rcode(dns.rcode.from_text(fault.name))
        if fault is Fault.WRONG_ID:
            response.id ^= 1
        if fault is Fault.OTHER_QUESTION:
            response.question = [dns.rrset.RRset(dns.name.from_text("other.example."), *_TXT_IN)]
        data = response.to_wire(max_size=MAX_DATAGRAM)
        cut = fault in _CUT or len(data) > max(query.payload, 512)
        if transport == "udp" and cut:
            response.answer.clear()
            response.flags |= dns.flags.TC
            data = response.to_wire()
        return data

    def _table(self, query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True)
        question = query.question[0]
        kind, name = dns.rdatatype.to_text(question.rdtype), question.name
        for _ in range(CHAIN):
            found = self._records.get((_lower(name.to_text()), kind))
            alias = self._records.get((_lower(name.to_text()), "CNAME"))
            if found:
                response.answer.append(self._rrset(name, kind, found))
            if found or not alias:
                break
            response.answer.append(self._rrset(name, "CNAME", alias))
            name = dns.name.from_text(alias[0])
        if not response.answer or not found:
            soa = f"ns.{_lower(name.to_text())}. root.localhost. 1 3600 600 86400 {self.negative_ttl}"
            response.authority.append(
                dns.rrset.from_text(name.to_text(), self.negative_ttl, "IN", "SOA", soa)
            )
            if all(_lower(name.to_text()) != known for known, _ in self._records):
                response.set_rcode(dns.rcode.NXDOMAIN)
        return response

    def _rrset(self, name: dns.name.Name, kind: str, texts: list[str]) -> dns.rrset.RRset:
        return dns.rrset.from_text(name.to_text(), self.ttl, "IN", kind, *texts)


_TXT_IN: Final = (dns.rdataclass.IN, dns.rdatatype.TXT)


@asynccontextmanager
async def open_names() -> AsyncIterator[Names]:
    """Serves until the block is left."""
    names = Names()
    udp, listener = await _bind()
    with udp:
        names.address = "{}:{}".format(*udp.getsockname()[:2])
        async with listener, trio.open_nursery() as nursery:
            nursery.start_soon(_serve_udp, names, udp)
            nursery.start_soon(_serve_tcp, names, listener)
            yield names
            nursery.cancel_scope.cancel()


async def _bind() -> tuple[trio.socket.SocketType, trio.SocketListener]:
    """Both on one free port."""
    while True:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        udp = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
        try:
            await udp.bind(listener.socket.getsockname())
        except OSError:
            udp.close()
            await listener.aclose()
        else:
            return udp, listener


async def _serve_udp(names: Names, udp: trio.socket.SocketType) -> None:
    while True:
        wire, client = await udp.recvfrom(MAX_DATAGRAM)
        data = names.answer(wire, "udp")
        if data is not None:
            await udp.sendto(data, client)


async def _serve_tcp(names: Names, listener: trio.SocketListener) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):  # the client has left
            await _serve_stream(names, stream)

    await trio.serve_listeners(serve, [listener])


async def _serve_stream(names: Names, stream: trio.SocketStream) -> None:
    async with stream:
        while head := await _exactly(stream, 2):
            wire = await _exactly(stream, int.from_bytes(head))
            data = names.answer(wire, "tcp")
            if data is None:
                await trio.sleep_forever()
            elif names.faults.get(names.questions[-1][0]) is Fault.CUT:
                await stream.send_all(struct.pack(">H", len(data)) + data[: len(data) // 2])
                return
            else:
                await stream.send_all(struct.pack(">H", len(data)) + data)


async def _exactly(stream: trio.SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = await stream.receive_some(count - len(data))
        if not more:
            return b""
        data += more
    return data


def _oversized(query: dns.message.Message) -> bytes:
    """Thousands of small records, made by hand: the library takes its time for them."""
    question = query.to_wire()[12:].split(b"\x00", 1)[0] + b"\x00" + struct.pack(">HH", 16, 1)
    count = 3_700
    head = struct.pack(">HHHHHH", query.id, 0x8180, 1, count, 0, 0)
    records = (b"\xc0\x0c" + struct.pack(">HHIH", 16, 1, 300, 4) + b"\x03%03x" % n for n in range(count))
    return head + question + b"".join(records)


def _broken(query: dns.message.Message) -> bytes:
    """One record, whose length is that of its first byte: no type that is asked for has one so short."""
    question = (
        query.to_wire()[12:].split(b"\x00", 1)[0] + b"\x00" + struct.pack(">HH", query.question[0].rdtype, 1)
    )
    head = struct.pack(">HHHHHH", query.id, 0x8180, 1, 1, 0, 0)
    return head + question + b"\xc0\x0c" + struct.pack(">HHIH", query.question[0].rdtype, 1, 300, 1) + b"\xff"


def _lower(name: str) -> str:
    return name.rstrip(".").lower()


def _escaped(data: bytes) -> str:
    return "".join(f"\\{byte:03d}" if byte in b'"\\' or not 32 <= byte < 127 else chr(byte) for byte in data)
