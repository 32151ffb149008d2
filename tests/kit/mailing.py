"""Letters for the carrier of ordinary mail, and servers that answer as a script says, truly or not."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import trio

from node.letters import Reduced
from node.outbox import Letter, Recipient
from node.runtime.bridge import Bridge
from node.runtime.clock import SystemClock
from node.runtime.settings_mail import Smarthost
from node.smtp import Lines, SmarthostOutlet, SmtpCarrier
from node.storage import Batch

AUTHOR = "alice@example.org"
RAW = b"From: alice@example.org\r\nTo: bob@example.net\r\nSubject: Hello\r\n\r\nHi.\r\n"

Replies = Mapping[str, bytes | None]
"""Verb → whole reply; b"" hangs up, None never answers. `hello` is the greeting, `.` answers a body."""

USUAL: Replies = {
    "hello": b"220 liar.example.test\r\n",
    "EHLO": b"250-liar.example.test\r\n250 8BITMIME\r\n",
    "MAIL": b"250 Ok\r\n",
    "RCPT": b"250 Ok\r\n",
    "DATA": b"354 Go\r\n",
    ".": b"250 Taken\r\n",
    "RSET": b"250 Ok\r\n",
    "QUIT": b"221 Bye\r\n",
}


@dataclass(frozen=True)
class Posted:
    """A letter in a carrier's hands (outbox.Consignment)."""

    letter: Letter
    raw: bytes | None

    def body(self, route: str) -> Reduced | None:
        raise AssertionError("ordinary mail may be large")

    async def load(self, route: str) -> bytes | None:
        return self.raw if route == "smtp" else None

    def parcel(self, recipient: Recipient) -> bytes | None:
        return None

    async def keep(self, batch: Batch, recipient: Recipient, parcel: bytes) -> None:
        raise AssertionError("the carrier of ordinary mail keeps nothing")


def people(*emails: str) -> list[Recipient]:
    return [Recipient(email, "smtp", email) for email in emails]


def posted(raw: bytes | None = RAW, sender: str = AUTHOR) -> Posted:
    return Posted(Letter(bytes(16), "letter", bytes(32), "Hello", 0, "", "", (), (), sender), raw)


def local(port: int, *, implicit: bool = False, user: str = "", host: str = "127.0.0.1") -> Smarthost:
    return Smarthost(host, port, implicit, user)


@dataclass
class Way:
    """The carrier with one smarthost (None: none is set), and how that way stands."""

    carrier: SmtpCarrier
    outlet: SmarthostOutlet

    @classmethod
    def through(
        cls,
        bridge: Bridge,
        smarthost: Smarthost | None,
        password: str = "",
        *,
        tls: ssl.SSLContext | None = None,
        max_size: int = 30_000_000,
        own: Callable[[str], tuple[Smarthost, str] | None] = lambda sender: None,
    ) -> Way:
        lines = Lines(bridge, "alice.example.org")
        outlet = SmarthostOutlet(lines, lambda: smarthost, lambda: password, SystemClock(), tls=tls, own=own)
        return cls(SmtpCarrier(outlet, max_size=max_size), outlet)


@dataclass
class Liar:
    """A server of `replies`; `heard` is every line that came outside a body."""

    replies: dict[str, bytes | None]
    port: int = 0
    heard: list[str] = field(default_factory=list)
    connections: int = 0

    async def talk(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        with trio.move_on_after(60):
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._talk(stream)
        await trio.aclose_forcefully(stream)

    async def _talk(self, stream: trio.SocketStream) -> None:
        if not await self._say(stream, "hello"):
            return
        buffer, in_body = b"", False
        while (some := await stream.receive_some(65_536)) != b"":
            buffer += some
            while (end := buffer.find(b"\r\n.\r\n" if in_body else b"\r\n")) >= 0:
                line, buffer = buffer[:end].decode("latin-1"), buffer[end + (5 if in_body else 2) :]
                verb = "." if in_body else line[:4].upper()
                in_body = verb == "DATA" and (self.replies["DATA"] or b"").startswith(b"354")
                if verb != ".":
                    self.heard.append(line)
                if not await self._say(stream, verb):
                    return

    async def _say(self, stream: trio.SocketStream, verb: str) -> bool:
        reply = self.replies.get(verb, b"502 No\r\n")
        if reply is None:
            await trio.sleep_forever()
        await stream.send_all(reply or b"")
        return reply != b""


@asynccontextmanager
async def open_liar(replies: Mapping[str, bytes | None]) -> AsyncIterator[Liar]:
    """A server on loopback that says what is usual but for these replies."""
    liar = Liar({**USUAL, **replies})
    async with open_server(liar.talk) as liar.port:
        yield liar


@asynccontextmanager
async def open_server(handler: Any) -> AsyncIterator[int]:
    """Any server on loopback; its port."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handler, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()
