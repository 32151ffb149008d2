"""Judges who a message is from: looks up what its domains have published, has its signatures checked. What
the answers mean is said in signature.py, keys.py, spf.py and dmarc.py.
"""

from collections.abc import Sequence
from typing import Final

import trio

from node.mailauth.alignment import warm_up
from node.mailauth.checker import DEADLINE_S, Checker
from node.mailauth.dmarc import Policy, evaluate
from node.mailauth.header import MAX_HEADER_BYTES, split_header
from node.mailauth.judgement import Hop, Judgement, Proof
from node.mailauth.keys import find_keys
from node.mailauth.signature import Signature, domain_of, parse_signature
from node.mailauth.spf import Names, Senders
from node.mailauth.verify import UNCHECKED, Task
from node.runtime.clock import Clock, SystemClock
from node.runtime.errors import DnsLater
from node.runtime.worker import Worker
from protocol.errors import RemoteProtocolError

MAX_SIGNATURES: Final = 8
"""Signatures of a message that are looked at, from the top: each costs a look-up and a check."""

LOOKUPS_S: Final = 8.0
"""Seconds for all look-ups of a message, those for keys, SPF and DMARC together: its sender waits."""


class MailAuth:
    """Belongs to trio's thread."""

    def __init__(
        self, resolver: Names, worker: Worker, clock: Clock | None = None, deadline: float = DEADLINE_S
    ) -> None:
        self._names = resolver
        self._worker = worker
        self._clock = clock or SystemClock()
        self._checker = Checker(worker, deadline)
        self._senders = Senders(resolver, worker)
        self._warm = False

    async def judge(self, raw: bytes, hop: Hop, author_domain: str) -> Judgement:
        """Who a message with CRLF line ends is from. `author_domain` is the one in From, "" where there are
        none or several. Raises nothing but Cancelled: what can't be read or checked proves nothing.
        """
        await self._warm_up()
        signatures, sender = _Signatures(raw, self._clock), self._senders.sender(hop)
        policy = Policy(self._names, author_domain)
        with trio.move_on_after(LOOKUPS_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sender.ask)
                nursery.start_soon(policy.ask)
                signatures.find_keys(nursery, self._names)
        proof = await self._proof(signatures)
        return Judgement(proof, sender.outcome, evaluate(policy, proof, sender.outcome, hop, raw))

    async def _proof(self, signatures: "_Signatures") -> Proof:
        verdicts = [verdict for verdict in signatures.verdicts if verdict.keys]
        if verdicts:
            found = tuple((v.signature, v.keys) for v in verdicts if v.signature is not None)
            faults = await self._checker.check(Task(signatures.raw, found))
            for verdict, fault in zip(verdicts, faults, strict=True):
                verdict.fault = fault
        return signatures.proof()

    async def _warm_up(self) -> None:
        if not self._warm:
            await self._worker.in_thread(warm_up)
            self._warm = True


class _Signatures:
    """All of a message on their way to a proof."""

    def __init__(self, raw: bytes, clock: Clock) -> None:
        self.raw = raw
        self.verdicts: list[_Verdict] = []
        self._fault = ""
        if b"dkim-signature" not in raw[:MAX_HEADER_BYTES].lower():
            return  # as most rubbish is; cutting a header up takes ten times as long
        try:
            fields = [value for _, value in split_header(raw).named(b"dkim-signature")]
        except RemoteProtocolError as fault:
            self._fault = f"header: fail ({fault})"
            return
        self.verdicts = [_Verdict(value, index, clock) for index, value in enumerate(fields[:MAX_SIGNATURES])]

    def find_keys(self, nursery: trio.Nursery, names: Names) -> None:
        for verdict in self.verdicts:
            if verdict.signature is not None:
                nursery.start_soon(verdict.find_keys, names)

    def proof(self) -> Proof:
        if self._fault:
            return Proof((), (), (self._fault,))
        return _proof(self.verdicts)


class _Verdict:
    """One signature on its way to one. `fault` is "" if it holds."""

    def __init__(self, value: bytes, index: int, clock: Clock) -> None:
        self.signature: Signature | None = None
        self.keys: tuple[bytes, ...] = ()
        self.later = False
        try:
            self.signature = parse_signature(value, index, clock.now() // 1000)
            self.domain, self.fault = self.signature.domain, "the DNS did not answer in time"
            self.later = True
        except RemoteProtocolError as fault:
            self.domain, self.fault = domain_of(value), str(fault)

    async def find_keys(self, names: Names) -> None:
        assert self.signature is not None
        try:
            records = await names.txt(self.signature.key_name)
        except DnsLater as fault:
            self.fault = fault.text
            return
        self.later = False
        try:
            self.keys = find_keys(records, self.signature)
            self.fault = UNCHECKED
        except RemoteProtocolError as fault:
            self.fault = str(fault)

    @property
    def result(self) -> str:
        domain = self.domain or "a signature"
        if not self.fault:
            return f"{domain}: pass"
        return f"{domain}: {'later' if self.later else 'fail'} ({self.fault})"


def _proof(verdicts: Sequence[_Verdict]) -> Proof:
    domains = tuple(dict.fromkeys(v.domain for v in verdicts if not v.fault))
    later = dict.fromkeys(v.domain for v in verdicts if v.later and v.domain not in domains)
    return Proof(domains, tuple(later), tuple(v.result for v in verdicts))
