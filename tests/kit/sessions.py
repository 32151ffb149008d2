"""Both listeners on loopback with a counterpart that keeps what it is given, and a client that speaks SMTP
byte by byte.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import trio

from node.runtime.bridge import open_bridge
from node.smtp.limits import Limits
from node.smtp.listen import Listener, open_receiver, open_submission
from node.smtp.reply import OK, Client, Envelope, Reply

MAX_SIZE = 1_000_000  # bytes of a letter that the listeners here take
PATIENCE_S = 30.0  # for an answer that must come; reached only if a test fails
NO = Reply(550, "5.7.1", "Not you")
QUICK = replace(Limits(), auth_delay=0.0, closing=0.2)

LETTER = b"From: a@b.example\r\n\r\nHello\r\n"


@dataclass
class Keeper:
    """A Reception and an Acceptance. `gate`: what is given waits for it; `fault`: it is raised."""

    letters: list[tuple[Envelope, bytes]] = field(default_factory=list)
    senders: list[tuple[str, Client]] = field(default_factory=list)
    gate: trio.Event | None = None
    reached: trio.Event = field(default_factory=trio.Event)
    fault: Exception | None = None
    reply: Reply = OK

    def authenticate(self, name: str, password: str) -> bool:
        return (name, password) == ("anna", "right")

    def sender(self, sender: str, client: Client) -> Reply | None:
        self.senders.append((sender, client))
        return NO if sender.startswith("revoked@") else None

    async def take(self, envelope: Envelope, raw: bytes) -> Reply:
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        self.letters.append((envelope, raw))
        return self.reply


class Receiving(Keeper):
    """As the receiver asks."""

    def recipient(self, recipient: str) -> Reply | None:
        return None if recipient.endswith("@home.example") else NO


class Accepting(Keeper):
    """As submission asks."""

    async def recipient(self, recipient: str, client: Client) -> Reply | None:
        return None if recipient.endswith(".example>") or "@" in recipient else NO


class Wire:
    """A client that sends exactly what it is told."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._unread = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def send_until_cut_off(self, piece: bytes) -> int:
        """How many bytes went out before the other side would have no more."""
        sent = 0
        with trio.fail_after(PATIENCE_S), contextlib.suppress(trio.BrokenResourceError):
            while True:
                await self.stream.send_all(piece)
                sent += len(piece)
        return sent

    async def reply(self) -> str:
        """The next reply's last line; "" where the other side has closed."""
        while True:
            line = await self._line()
            if line[3:4] != "-":
                return line

    async def say(self, *lines: str) -> str:
        """Each line with its reply; the last reply."""
        answer = ""
        for line in lines:
            await self.send(line.encode() + b"\r\n")
            answer = await self.reply()
        return answer

    async def hello(self) -> None:
        """The greeting and EHLO."""
        assert (await self.reply()).startswith("220 ")
        assert (await self.say("EHLO client.example")).startswith("250 ")

    async def until_data(self, *, to: str = "x@home.example") -> str:
        """From the greeting to the reply to DATA."""
        await self.hello()
        return await self.say("MAIL FROM:<a@b.example>", f"RCPT TO:<{to}>", "DATA")

    async def start_tls(self, context: ssl.SSLContext) -> None:
        stream = trio.SSLStream(self.stream, context, server_hostname="localhost", https_compatible=True)
        await stream.do_handshake()
        self.stream = stream

    async def _line(self) -> str:
        with trio.fail_after(PATIENCE_S):
            while b"\r\n" not in self._unread:
                try:
                    more = await self.stream.receive_some(65_536)
                except trio.BrokenResourceError:
                    more = b""
                if not more:
                    return ""
                self._unread += more
        line, _, self._unread = self._unread.partition(b"\r\n")
        return line.decode("ascii")


@asynccontextmanager
async def wire(listener: Listener) -> AsyncIterator[Wire]:
    """A connection."""
    stream = await trio.open_tcp_stream(*listener.address)
    async with stream:
        yield Wire(stream)


@asynccontextmanager
async def receiver(
    keeper: Receiving, *, tls: ssl.SSLContext | None = None, limits: Limits = QUICK
) -> AsyncIterator[Listener]:
    """A listener for mail from anywhere."""
    async with (
        open_bridge() as bridge,
        open_receiver(
            bridge,
            "127.0.0.1",
            0,
            keeper,
            max_size=MAX_SIZE,
            tls=tls,
            hostname="mx.home.example",
            limits=limits,
        ) as listener,
    ):
        yield listener


@asynccontextmanager
async def submission(
    keeper: Accepting, *, tls: ssl.SSLContext | None = None, limits: Limits = QUICK
) -> AsyncIterator[Listener]:
    """A listener for mail programs."""
    async with (
        open_bridge() as bridge,
        open_submission(
            bridge,
            "127.0.0.1",
            0,
            keeper,
            max_size=MAX_SIZE,
            tls=tls,
            hostname="mx.home.example",
            limits=limits,
        ) as listener,
    ):
        yield listener


async def until(
    stop: trio.Event,
    keeper: Receiving,
    limits: Limits,
    *,
    task_status: trio.TaskStatus[Listener] = trio.TASK_STATUS_IGNORED,
) -> None:
    """As `receiver`, in a task, until `stop`."""
    async with receiver(keeper, limits=limits) as listener:
        task_status.started(listener)
        await stop.wait()
