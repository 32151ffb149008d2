"""Whether the client may send for the domain of an envelope (SPF, RFC 7208). What it asks of the DNS is asked
here; how a record is read is in spf_record.py.
"""

import ipaddress
from collections import OrderedDict
from typing import Any, Final, Protocol

import trio

from node.mailauth.judgement import Hop, Spf
from node.mailauth.spf_record import Answers, Question, Sender, evaluate, record_bytes
from node.runtime.errors import DnsLater
from node.runtime.worker import Worker
from protocol.email import normal_email
from protocol.errors import RemoteProtocolError

MAX_WORK: Final = 96 * 1024
"""Bytes of records read for one message: at each answer all are read anew. Ten of 1,500 bytes, each of which
leads to the next, come to 82,500.
"""

INLINE_BYTES: Final = 2_048
"""Of records that are read on trio's thread, which takes some milliseconds at most; more goes to another."""

MAX_KNOWN: Final = 500
"""Outcomes kept, of a domain and a client each, the one used longest ago goes first: reading a record anew
takes ten times as long as comparing it.
"""

MAX_KNOWN_BYTES: Final = 8 * 1024
"""Of the answers that an outcome rests on; kept are outcomes of less."""

ANSWER_BYTES: Final = 100
"""Bytes that an answer counts for beside its text, and a record that is none."""

MAX_HOSTS: Final = 10
"""Hosts of one name whose addresses are asked for (RFC 7208 §4.6.4)."""

MAX_HELO: Final = 255
"""Characters of a greeting: a name has 253."""

NO_DOMAIN: Final = "no domain to ask for"
NO_ANSWER: Final = "the DNS did not answer in time"
TOO_MUCH: Final = "records too long to read"

Gathered = dict[Question, tuple[Any, ...] | None]
"""Answers that become more."""


class Names(Protocol):
    """The DNS, as Resolver is it. All look-ups of this room."""

    async def txt(self, name: str) -> tuple[bytes, ...]: ...
    async def mx(self, name: str) -> tuple[tuple[int, str], ...]: ...
    async def a(self, name: str) -> tuple[str, ...]: ...
    async def aaaa(self, name: str) -> tuple[str, ...]: ...
    async def ptr(self, ip: str) -> tuple[str, ...]: ...


class Senders:
    """Asks for senders. Remembers what came of a client of a domain: as long as the DNS says the same, the
    same comes of it.
    """

    def __init__(self, names: Names, worker: Worker) -> None:
        self._names = names
        self._worker = worker
        self._known: OrderedDict[tuple[str, str], tuple[Answers, Spf]] = OrderedDict()

    def sender(self, hop: Hop) -> "Check":
        """Whether it may send, not asked for yet."""
        return Check(self, _sender(hop))

    async def check(self, sender: Sender) -> Spf:
        """By as many look-ups as RFC 7208 §4.6.4 allows."""
        before, outcome = self._known.get((sender.domain, sender.client), ({}, None))
        answers = {question: await self._answer(question) for question in before}
        if outcome is not None and answers == before:
            self._remember(sender, answers, outcome)
            return outcome
        answers, work = {}, 0
        while True:
            size = record_bytes(answers)
            work += size
            if work > MAX_WORK:
                return Spf("permerror", sender.domain, TOO_MUCH)
            found = await self._evaluate(sender, answers, size)
            if isinstance(found, Spf):
                self._remember(sender, answers, found)
                return found
            await self._ask(found, answers)
            await self._ask_hosts(found, answers, sender)

    async def _evaluate(self, sender: Sender, answers: Answers, size: int) -> Spf | Question:
        if size <= INLINE_BYTES:
            return evaluate(sender, answers)
        return await self._worker.in_thread(evaluate, sender, answers)

    async def _ask(self, question: Question, answers: Gathered) -> None:
        answers[question] = await self._answer(question)

    async def _ask_hosts(self, question: Question, answers: Gathered, sender: Sender) -> None:
        """Mail servers and names of the client are needed with all addresses: they are asked for together."""
        kind, found = question[0], answers[question] or ()
        if kind not in ("MX", "PTR") or len(found) > MAX_HOSTS:
            return
        names = [host for _, host in found] if kind == "MX" else found
        async with trio.open_nursery() as nursery:
            for name in names:
                address = "AAAA" if ":" in sender.client else "A", name.removesuffix(".")
                if address not in answers:
                    nursery.start_soon(self._ask, address, answers)

    async def _answer(self, question: Question) -> tuple[Any, ...] | None:
        kind, name = question
        try:
            match kind:
                case "TXT":
                    return await self._names.txt(name)
                case "MX":
                    return await self._names.mx(name)
                case "A":
                    return await self._names.a(name)
                case "AAAA":
                    return await self._names.aaaa(name)
                case _:
                    return await self._names.ptr(name)
        except DnsLater:
            return None

    def _remember(self, sender: Sender, answers: Answers, outcome: Spf) -> None:
        key = sender.domain, sender.client
        self._known.pop(key, None)
        if _varies(answers) or _size(answers) > MAX_KNOWN_BYTES:
            return
        self._known[key] = answers, outcome
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)


class Check:
    """One on its way to an outcome."""

    def __init__(self, senders: Senders, sender: Sender | None) -> None:
        self._senders = senders
        self._sender = sender
        self.outcome = Spf("temperror", sender.domain, NO_ANSWER) if sender else Spf("none", "", NO_DOMAIN)

    async def ask(self) -> None:
        if self._sender is not None:
            self.outcome = await self._senders.check(self._sender)


def _sender(hop: Hop) -> Sender | None:
    """Who is to be asked for (RFC 7208 §2.3, §2.4); None where the client is not known, or there is no domain
    such as the DNS has (§4.3).
    """
    try:
        client = ipaddress.ip_address(hop.client)
        sender = normal_email(hop.sender or f"postmaster@{hop.helo}")
    except (ValueError, RemoteProtocolError):
        return None
    local, _, domain = sender.rpartition("@")
    if "." not in domain:
        return None
    if client.version == 6:
        client = client.ipv4_mapped or client
    return Sender(str(client), local, domain, hop.helo[:MAX_HELO])


def _varies(answers: Answers) -> bool:
    """Whether it may be another outcome with another sender's name or greeting (RFC 7208 §7)."""
    texts = (text for (kind, _), found in answers.items() if kind == "TXT" for text in found or ())
    return any(b"%" in text for text in texts)


def _size(answers: Answers) -> int:
    """Of all that an outcome rests on, in bytes."""
    sizes = (ANSWER_BYTES + sum(map(_length, found or ())) for found in answers.values())
    return sum(sizes)


def _length(record: object) -> int:
    return len(record) if isinstance(record, bytes) else ANSWER_BYTES
