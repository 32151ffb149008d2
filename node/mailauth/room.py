"""Proves by DKIM who wrote a message: finds its signatures, looks their keys up, has them checked."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import trio

from node.mailauth.alignment import warm_up
from node.mailauth.header import MAX_HEADER_BYTES, split_header
from node.mailauth.keys import find_keys
from node.mailauth.signature import Signature, domain_of, parse_signature
from node.mailauth.verify import UNCHECKED, Task, verify_all
from node.runtime.clock import Clock, SystemClock
from node.runtime.dns import DnsLater
from node.runtime.worker import Worker, WorkerError
from protocol.errors import RemoteProtocolError

MAX_SIGNATURES: Final = 8
"""Signatures of a message that are looked at, from the top: each costs a look-up and a check."""

KEYS_S: Final = 8.0
"""Seconds for all look-ups of a message: its sender waits for our answer."""

DEADLINE_S: Final = 4.0
"""Seconds for one call of the worker, as long as the reader of letters has: 25 MB take a quarter of one."""

MAX_TOGETHER: Final = 16
"""Messages in one call: a call costs more than the check of a small message."""

MAX_TOGETHER_BYTES: Final = 2 * 1024 * 1024
"""Bytes in one call (a single message may have more): they are copied to the worker."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the signatures of a message come to. All domains are in their normal form."""

    domains: tuple[str, ...]  # d= of those that hold
    later: tuple[str, ...]  # d= of those whose key could not be looked up now
    results: tuple[str, ...]  # of each, to show: "example.org: pass", "example.net: fail (body changed)"


class Names(Protocol):
    """The DNS, as Resolver is it."""

    async def txt(self, name: str) -> tuple[bytes, ...]: ...


class MailAuth:
    """Belongs to trio's thread."""

    def __init__(
        self, resolver: Names, worker: Worker, clock: Clock | None = None, deadline: float = DEADLINE_S
    ) -> None:
        self._names = resolver
        self._worker = worker
        self._clock = clock or SystemClock()
        self._checker = _Checker(worker, deadline)
        self._warm = False

    async def prove(self, raw: bytes) -> Proof:
        """What the signatures of a message with CRLF line ends prove. Raises nothing but Cancelled: what
        can't be read or checked proves nothing.
        """
        if b"dkim-signature" not in raw[:MAX_HEADER_BYTES].lower():
            return Proof((), (), ())  # as most rubbish is; cutting a header up takes ten times as long
        try:
            fields = [value for _, value in split_header(raw).named(b"dkim-signature")]
        except RemoteProtocolError as fault:
            return Proof((), (), (f"header: fail ({fault})",))
        verdicts = [
            _Verdict(value, index, self._clock) for index, value in enumerate(fields[:MAX_SIGNATURES])
        ]
        await self._find_keys([verdict for verdict in verdicts if verdict.signature is not None])
        await self._check(raw, [verdict for verdict in verdicts if verdict.keys])
        return _proof(verdicts)

    async def _find_keys(self, verdicts: Sequence["_Verdict"]) -> None:
        with trio.move_on_after(KEYS_S):
            async with trio.open_nursery() as nursery:
                for verdict in verdicts:
                    nursery.start_soon(verdict.find_keys, self._names)

    async def _check(self, raw: bytes, verdicts: Sequence["_Verdict"]) -> None:
        if not verdicts:
            return
        if not self._warm:  # whoever has a proof asks what it is aligned with
            await self._worker.in_thread(warm_up)
            self._warm = True
        signatures = tuple((v.signature, v.keys) for v in verdicts if v.signature is not None)
        faults = await self._checker.check(Task(raw, signatures))
        for verdict, fault in zip(verdicts, faults, strict=True):
            verdict.fault = fault


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


class _Job:
    """One message that waits to be checked."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.outcome: tuple[str, ...] | None = None


class _Checker:
    """Hands messages to the worker process, several in one call where several wait."""

    def __init__(self, worker: Worker, deadline: float) -> None:
        self._worker = worker
        self._deadline = deadline
        self._waiting: deque[_Job] = deque()
        self._turn = trio.Lock()

    async def check(self, task: Task) -> tuple[str, ...]:
        """As verify_all says of it; a fault of the worker is a fault of its signatures."""
        job = _Job(task)
        self._waiting.append(job)
        try:
            while job.outcome is None:
                async with self._turn:  # who has the turn works for all who wait
                    if job.outcome is None:
                        await self._work()
        finally:
            if job in self._waiting:
                self._waiting.remove(job)
        return job.outcome

    async def _work(self) -> None:
        jobs = self._next_jobs()
        outcomes = await self._outcomes(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            job.outcome = outcome
            if job in self._waiting:  # else its caller has left
                self._waiting.remove(job)

    def _next_jobs(self) -> list[_Job]:
        """They stay where they wait until they are done: a cancelled call loses none."""
        jobs: list[_Job] = []
        size = 0
        for job in self._waiting:
            size += len(job.task.raw)
            if jobs and (len(jobs) == MAX_TOGETHER or size > MAX_TOGETHER_BYTES):
                break
            jobs.append(job)
        return jobs

    async def _outcomes(self, jobs: Sequence[_Job]) -> Sequence[tuple[str, ...]]:
        try:
            return await self._worker.run(verify_all, [job.task for job in jobs], deadline=self._deadline)
        except WorkerError as error:
            if len(jobs) == 1 or error.code == "worker-start":
                return [(UNCHECKED,) * len(job.task.signatures) for job in jobs]
        return [(await self._outcomes([job]))[0] for job in jobs]  # which of them was it?
