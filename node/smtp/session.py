"""One SMTP connection: aiosmtpd's frame, with the faults of its loop, timers and TLS mended here and
nowhere else (tests/smtp/test_upstream.py lists them). What commands mean is dialogue.py's.
"""

import asyncio
import logging
import ssl
import traceback
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from aiosmtpd.smtp import SMTP

from node.runtime.bridge import BridgeClosed
from node.smtp.commands import Goodbye, Refused, split_line
from node.smtp.crowd import FULL, Crowd
from node.smtp.hops import Hops
from node.smtp.incoming import Endless, Gone, Incoming
from node.smtp.limits import LINGER_S, MAX_WASTED, Limits
from node.smtp.reply import Client, Reply
from node.smtp.words import (
    CLOSING,
    FAULT,
    LONG_LINE,
    NO_ARGUMENT,
    NOT_DONE,
    SLOW,
    TLS_READY,
    UNKNOWN,
    WASTED,
)

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Terms:
    """What all sessions of one listener share."""

    crowd: Crowd
    counters: Counter[str]
    limits: Limits
    max_size: int
    tls: ssl.SSLContext | None
    hostname: str
    hops: Hops


class Session(SMTP):
    """A connection that reads lines, has them obeyed, and ends in time."""

    VERBS: ClassVar[frozenset[str]] = frozenset({"STARTTLS"})

    transport: asyncio.Transport | None

    def __init__(self, terms: Terms, loop: asyncio.AbstractEventLoop) -> None:
        # Not SMTP's own: it looks through all members of two objects (0.4 ms), and its table of limits is
        # one for all sessions and grows with each EHLO.
        asyncio.StreamReaderProtocol.__init__(
            self, asyncio.StreamReader(loop=loop), client_connected_cb=self._cb_client_connected, loop=loop
        )
        self.loop = loop
        self.terms = terms
        self.incoming = Incoming(loop)
        self.busy = False
        self.achieved = loop.time()
        self.held = 0
        self._achievements: set[str] = set()
        self._wasted = 0
        self.block = ""
        self._over = False
        self._tls_began = False
        self._prepare_upstream()

    def _prepare_upstream(self) -> None:
        """What aiosmtpd's methods that we use look at."""
        self.session = None
        self.envelope = None
        self.transport = None
        self._original_transport = None
        self._handler_coroutine = None
        self._timeout_handle = None
        self._timeout_duration = self.terms.limits.command

    @property
    def is_over(self) -> bool:
        """Whether its last word was said."""
        return self._over

    @property
    def stage(self) -> int:
        """How many different things it has achieved since its last letter."""
        return len(self._achievements)

    def rate(self, now: float) -> float:
        """Bytes a second of a body; none is being read here."""
        return 0.0

    def end(self, reply: Reply) -> None:
        """Say this, once, and close; a client that does not listen is cut off."""
        if self._over:
            return
        self._over = True
        self.hold(0)
        transport = self.transport
        if transport is not None and not transport.is_closing():
            if self.is_tls or not self._tls_began:
                transport.write(f"{reply}\r\n".encode())
            self._close(transport)
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()

    def cut(self) -> None:
        """Do not wait for what the client has not taken."""
        if self.transport is not None:
            self.transport.abort()

    def _close(self, transport: asyncio.Transport) -> None:
        transport.close()
        self.loop.call_later(LINGER_S, transport.abort)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.block = self.terms.hops.block(self.address)
        if not self.terms.crowd.enter(self):
            self.end(FULL)

    def data_received(self, data: bytes) -> None:
        if not self._over and self.transport is not None:
            self.incoming.feed(data, self.transport)

    def eof_received(self) -> bool:
        # Upstream ends at once, and drops what came before and was not looked at yet.
        self.incoming.end()
        return not self._tls_began

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()
        super().connection_lost(error)

    def _leave(self) -> None:
        """Twice mostly: a connection that is lost during the handshake is not told to us by asyncio."""
        self._over = True
        self.hold(0)
        self.terms.crowd.leave(self)
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()

    def _timeout_cb(self) -> None:
        self.terms.counters["slow"] += 1
        self.end(SLOW)

    async def _handle_client(self) -> None:
        """The connection's task."""
        last: Reply | None = None
        try:
            await self.say(Reply(220, "", f"{self.terms.hostname} ESMTP"))
            while True:
                self.wait_at_most(self.terms.limits.command)
                await self._obey(await self.incoming.line())
        except Goodbye as goodbye:
            last = goodbye.reply
        except Endless:
            last = LONG_LINE
        except (Gone, ConnectionError):
            pass
        finally:
            self._finish(last)

    def _finish(self, last: Reply | None) -> None:
        if last is not None:
            self.end(last)
        elif self.transport is not None:
            self._close(self.transport)
        self._leave()

    async def _obey(self, line: bytes) -> None:
        try:
            verb, arg = split_line(line)
            if verb not in self.VERBS:
                raise Refused(UNKNOWN)
            await getattr(self, f"smtp_{verb}")(arg)
        except Refused as refused:
            await self.waste(refused.reply)
        except (Goodbye, Gone, Endless, ConnectionError):
            raise
        except BridgeClosed:
            raise Goodbye(CLOSING) from None
        except Exception as error:  # noqa: BLE001 - a fault of ours ends no session, and nothing is told of it
            await self.say(self._fault(error))

    def _fault(self, error: Exception) -> Reply:
        """What went wrong and where, without its words, which may be the letter's."""
        self.terms.counters["faults"] += 1
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "nowhere"
        log.error("a mail session failed: %s at %s", type(error).__name__, where)
        return FAULT

    async def say(self, reply: Reply) -> None:
        """Write a reply. Raises ConnectionError where nobody is left to hear it."""
        await self.push(str(reply).encode())

    async def waste(self, reply: Reply) -> None:
        """Answer what has led nowhere; there is an end to that."""
        self.count_wasted()
        if reply.code == 421:
            raise Goodbye(reply)
        await self.say(reply)

    def count_wasted(self) -> None:
        """Raises Goodbye."""
        self._wasted += 1
        if self._wasted > MAX_WASTED:
            self.terms.counters["junk"] += 1
            raise Goodbye(WASTED)

    def achieve(self, what: str) -> None:
        """It got on; nothing counts twice before a letter is taken."""
        if what not in self._achievements:
            self._achievements.add(what)
            self.achieved = self.loop.time()

    def took_letter(self) -> None:
        """The greatest achievement; what comes after it counts anew."""
        self._wasted = 0
        self._achievements.clear()
        self.achieve("letter")

    def wait_at_most(self, seconds: float) -> None:
        """Nothing more from here in so many seconds ends the session."""
        self._reset_timeout(max(seconds, 1e-3))

    async def ask(self, asked: Awaitable[T]) -> T:
        """Wait for our own side, which is not stopped by the client's going."""
        self.busy = True
        self.wait_at_most(self.terms.limits.work)
        try:
            return await asked
        finally:
            self.busy = False

    def hold(self, held: int) -> None:
        """So many bytes of a letter are in memory for it now."""
        change, self.held = held - self.held, held
        if change:
            self.terms.crowd.hold(change)

    def reset(self) -> None:
        """Forget the letter that was begun."""
        self._set_rset_state()  # type: ignore[no-untyped-call]  # upstream's has no annotations

    @property
    def is_tls(self) -> bool:
        """Whether what is said now is encrypted."""
        return self.session is not None and self.session.ssl is not None

    @property
    def address(self) -> str:
        """The client's IP address, "" if it is gone already."""
        peer = self.session.peer if self.session is not None else None
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        return address.removeprefix("::ffff:").partition("%")[0]

    @property
    def user(self) -> str:
        """Who has proven itself; nobody does where mail comes from anywhere."""
        return ""

    @property
    def client(self) -> Client:
        """Who is at the other end."""
        assert self.session is not None
        return Client(self.address, self.session.host_name or "", self.is_tls, self.user)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's
        """RFC 3207; what the client said before, also what is in our buffer, does not count (§4.2)."""
        if arg:
            raise Refused(NO_ARGUMENT)
        if self.terms.tls is None or self.is_tls or self.transport is None or self.session is None:
            raise Refused(NOT_DONE)
        self.incoming.drop()
        self.transport.pause_reading()
        await self.say(TLS_READY)
        self._tls_began = True
        limit = self.terms.limits.handshake
        self.wait_at_most(limit + LINGER_S)
        try:
            await self._writer.start_tls(self.terms.tls, ssl_handshake_timeout=limit)
        except OSError:  # SSLError is one
            self.terms.counters["tlsFaults"] += 1
            raise Gone from None
        self.transport = self._writer.transport  # type: ignore[assignment]  # a WriteTransport by its name
        peer, self.session = self.session.peer, self._create_session()
        self.session.peer, self.session.ssl = peer, {}
        self.reset()
        self.achieve("STARTTLS")
