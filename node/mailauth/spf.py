"""Whether the client may send for the domain of an envelope (SPF, RFC 7208). What it asks of the DNS is asked
here; how a record is read is in spf_record.py.
"""

import ipaddress
from collections import OrderedDict
from typing import Any, Final, Protocol

from node.mailauth.judgement import Hop, Spf
from node.mailauth.spf_record import Answers, Question, Sender, evaluate, record_bytes
from node.runtime.dns import DnsLater
from node.runtime.worker import Worker
from protocol.email import normal_email
from protocol.errors import RemoteProtocolError

MAX_WORK: Final = 128 * 1024
"""Bytes of records read for one message: at each answer all are read anew. Ten of 500 bytes with 20 hosts
come to 100,000.
"""

INLINE_BYTES: Final = 2_048
"""Of records that are read on trio's thread, which takes some milliseconds at most; more goes to another."""

MAX_HINTS: Final = 1_000
"""Domains of which it is kept what had to be asked: a record is read once then, and its names asked for
together.
"""

MAX_HINT: Final = 20
"""Questions kept of a domain; most have five."""

MAX_HELO: Final = 255
"""Characters of a greeting: a name has 253."""

NO_DOMAIN: Final = "no domain to ask for"
NO_ANSWER: Final = "the DNS did not answer in time"
TOO_MUCH: Final = "records too long to read"


class Names(Protocol):
    """The DNS, as Resolver is it."""

    async def txt(self, name: str) -> tuple[bytes, ...]: ...
    async def mx(self, name: str) -> tuple[tuple[int, str], ...]: ...
    async def a(self, name: str) -> tuple[str, ...]: ...
    async def aaaa(self, name: str) -> tuple[str, ...]: ...
    async def ptr(self, ip: str) -> tuple[str, ...]: ...


class Senders:
    """Asks for senders, and remembers what their domains need."""

    def __init__(self, names: Names, worker: Worker) -> None:
        self._names = names
        self._worker = worker
        self._hints: OrderedDict[str, tuple[Question, ...]] = OrderedDict()

    def sender(self, hop: Hop) -> "Check":
        """Whether it may send, not asked for yet."""
        return Check(self, _sender(hop))

    async def check(self, sender: Sender) -> Spf:
        """By as many look-ups as RFC 7208 §4.6.4 allows."""
        answers: dict[Question, tuple[Any, ...] | None] = {}
        for question in self._hints.get(sender.domain, ()):
            answers[question] = await self._answer(question)
        work = 0
        while True:
            size = record_bytes(answers)
            work += size
            if work > MAX_WORK:
                return Spf("permerror", sender.domain, TOO_MUCH)
            found = await self._evaluate(sender, answers, size)
            if isinstance(found, Spf):
                self._remember(sender.domain, answers)
                return found
            answers[found] = await self._answer(found)

    async def _evaluate(self, sender: Sender, answers: Answers, size: int) -> Spf | Question:
        if size <= INLINE_BYTES:
            return evaluate(sender, answers)
        return await self._worker.in_thread(evaluate, sender, answers)

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

    def _remember(self, domain: str, answers: Answers) -> None:
        """Not where names depend on the sender: they would be asked for in vain with the next one."""
        self._hints.pop(domain, None)
        if len(answers) <= MAX_HINT and not _varies(answers):
            self._hints[domain] = tuple(answers)
            if len(self._hints) > MAX_HINTS:
                self._hints.popitem(last=False)


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
    return Sender(str(client), local, domain, hop.helo[:MAX_HELO])


def _varies(answers: Answers) -> bool:
    """Whether another sender or client of the same domain needs other names."""
    texts = (text for (kind, _), found in answers.items() if kind == "TXT" for text in found or ())
    return any(kind == "PTR" for kind, _ in answers) or any(isinstance(t, bytes) and b"%" in t for t in texts)
