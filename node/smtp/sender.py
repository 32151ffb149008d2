"""The carrier for ordinary mail: hands letters to the smarthost and tells the outbox what came of it.

The conversation is transport.py's, when to try again the outbox's.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

import trio

from node.outbox import SMARTHOST, Consignment, Recipient, Result
from node.runtime.bridge import BridgeClosed
from node.runtime.clock import Clock
from node.runtime.rooms import Warning_
from node.runtime.settings_mail import Smarthost
from node.smtp.answer import Answer, Way, WayFault, refused
from node.smtp.pool import Account, Pool
from node.smtp.transport import CONNECT_S, Mail
from protocol.status import OK, Status

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_RECIPIENTS: Final = 100
"""Recipients of one transaction, which every server must take (RFC 5321 §4.5.3.1.8)."""

MAX_AT_ONCE: Final = 4
"""Letters on their way at once: each may hold 32 MB of memory, and few servers take more connections."""

_ADDRESS_FIELD: Final = re.compile(
    rb"^(?:resent-)?(?:from|sender|reply-to|to|cc|bcc)[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*",
    re.IGNORECASE | re.MULTILINE,
)
_OURS_ONLY: Final = "@mailio.alt"


class Runner(Protocol):
    """The way into the asyncio thread (runtime.bridge)."""

    async def run(self, call: Callable[..., Awaitable[T]], *args: object) -> T:
        """`await call(*args)` there; cancelling the caller cancels it."""
        ...


class SmtpCarrier:
    """Sends through the one mail server of the settings. `password` is asked for at each connection."""

    def __init__(
        self,
        bridge: Runner,
        smarthost: Callable[[], Smarthost | None],
        password: Callable[[], str],
        clock: Clock,
        *,
        hostname: str,
        max_size: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`hostname` is how we greet. `tls` verifies the server; by default as the system does."""
        self._bridge = bridge
        self._smarthost = smarthost
        self._password = password
        self._clock = clock
        self._max_size = max_size
        self._tls = tls
        self._pool = Pool(hostname)
        self._slots = trio.CapacityLimiter(MAX_AT_ONCE)
        self._stand: tuple[Smarthost, WayFault | None] | None = None
        self.since = 0
        """When the way began to stand as it does, Unix ms; 0 before the first attempt."""

    def lane(self, recipient: Recipient) -> str:
        return SMARTHOST

    async def send(
        self, recipients: Sequence[Recipient], consignment: Consignment
    ) -> Mapping[Recipient, Result]:
        """Try once. A letter that leaves goes to all recipients of it that the server takes."""
        async with self._slots:
            sender, raw = consignment.letter.sender, await consignment.load("smtp")
            answer = self._unfit(sender, recipients, raw)
            if answer is not None or raw is None:
                return dict.fromkeys(recipients, _result(answer or _NO_BODY))
            results: dict[Recipient, Result] = {}
            for start in range(0, len(recipients), MAX_RECIPIENTS):
                some = recipients[start : start + MAX_RECIPIENTS]
                try:
                    answers = await self._transact(Mail(sender, tuple(one.address for one in some), raw))
                except WayFault as fault:
                    later = self._failed(fault)
                    return results | dict.fromkeys(recipients[start:], later)
                results |= {one: _result(answer) for one, answer in zip(some, answers, strict=True)}
            return results

    async def aclose(self) -> None:
        """End the connections that rest."""
        try:
            await self._bridge.run(self._pool.close)
        except BridgeClosed:
            log.debug("the thread has ended them already")

    # ---- how the way stands

    @property
    def fault(self) -> Warning_ | None:
        """What is wrong with the way, if the last attempt failed."""
        smarthost = self._smarthost()
        if self._stand is None or self._stand[0] != smarthost or self._stand[1] is None:
            return None
        return self._stand[1].warning(smarthost)

    @property
    def worked(self) -> bool:
        """Whether the last attempt went through."""
        return self._stand is not None and self._stand == (self._smarthost(), None)

    def warnings(self) -> list[Warning_]:
        """What the owner should know."""
        return [self.fault] if self.fault else []

    def _failed(self, fault: WayFault) -> Result:
        smarthost = self._smarthost()
        warning = fault.warning(smarthost)
        if smarthost is not None:
            if not self.fault or self.fault.code != warning.code:
                log.warning("ordinary mail waits: %s", warning.text)
            self._stands(smarthost, fault)
        detail = f"{warning.text}; {warning.remedy}" if warning.remedy else warning.text
        return Result("later", Status(fault.status), detail, way=True)

    # ---- one attempt

    def _unfit(self, sender: str, recipients: Sequence[Recipient], raw: bytes | None) -> Answer | None:
        """Why no server should get this letter, if so. But for its size that is a bug of ours."""
        if raw is None:
            return _bug(_NO_BODY)
        if len(raw) > self._max_size:
            return refused(
                "5.3.4", f"the letter has {len(raw):,} bytes, and at most {self._max_size:,} go out"
            )
        if any(one.lower().endswith(_OURS_ONLY) for one in (sender, *(to.address for to in recipients))):
            return _bug(_SEALED_ONLY)
        if any(_OURS_ONLY.encode() in field.lower() for field in _address_fields(raw)):
            return _bug(_SEALED_ONLY)
        if not raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n"):
            return _bug(_BARE)  # where one server sees a line end and the next does not, letters are smuggled
        return None

    async def _transact(self, mail: Mail) -> tuple[Answer, ...]:
        """Over a connection that rests, else a new one. Raises WayFault."""
        smarthost = self._smarthost()
        if smarthost is None:
            raise WayFault(Way.NONE)
        account = Account(smarthost, self._password() if smarthost.user else "")
        try:
            answers = await self._bridge.run(self._pool.reuse, account, mail)
            if answers is None:
                sock = await _dial(smarthost)
                try:
                    tls = await self._context()
                    answers = await self._bridge.run(self._pool.fresh, sock, account, tls, mail)
                except BaseException:
                    sock.close()
                    raise
        except BridgeClosed:
            raise WayFault(Way.LOST, "this node is shutting down") from None
        self._stands(smarthost, None)
        return answers

    def _stands(self, smarthost: Smarthost, fault: WayFault | None) -> None:
        before = self._stand and (self._stand[0], self._stand[1] and self._stand[1].way)
        if before != (smarthost, fault and fault.way):
            self.since = self._clock.now()
        self._stand = smarthost, fault

    async def _context(self) -> ssl.SSLContext:
        if self._tls is None:  # reading who is trusted takes some 20 ms
            self._tls = await trio.to_thread.run_sync(ssl.create_default_context)
        return self._tls


async def _dial(smarthost: Smarthost) -> socket.socket:
    """A connected socket that is nobody's. By trio, which tries IPv6 and IPv4 side by side and whose
    look-up of the name can be left. Raises WayFault.
    """
    try:
        with trio.fail_after(CONNECT_S):
            stream = await trio.open_tcp_stream(smarthost.host, smarthost.port)
    except trio.TooSlowError:
        raise WayFault(Way.UNREACHABLE) from None
    except socket.gaierror as fault:
        raise WayFault(Way.NO_HOST, fault.strerror or "") from fault
    except OSError as fault:
        raise WayFault(Way.UNREACHABLE, _reason(fault)) from fault
    return socket.socket(fileno=stream.socket.detach())


def _reason(fault: OSError) -> str:
    """What the system says of one of the addresses tried."""
    inner: BaseException | None = fault.__cause__
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    found = inner if isinstance(inner, OSError) else fault
    return os.strerror(found.errno) if found.errno else ""


def _address_fields(raw: bytes) -> list[bytes]:
    end = raw.find(b"\r\n\r\n")
    return _ADDRESS_FIELD.findall(raw, 0, end if end >= 0 else len(raw))


def _result(answer: Answer) -> Result:
    if answer.ok:
        return Result("delivered", OK, answer.text)
    if answer.code // 100 == 5:
        return Result("refused", Status(answer.status), answer.text)
    return Result("later", Status(answer.status), answer.text)


def _bug(answer: Answer) -> Answer:
    log.error("a letter of ours was not let out: %s", answer.text)
    return answer


_NO_BODY: Final = refused("5.6.0", "the letter has no form for ordinary mail")
_SEALED_ONLY: Final = refused(
    "5.6.0", "the letter names an address at mailio.alt, which never meets ordinary mail"
)
_BARE: Final = refused("5.6.0", "the letter has line ends that no mail server takes")
