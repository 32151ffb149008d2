"""SMTP by hand over a raw socket, for what no proper client would send; every answer and end is counted."""

from __future__ import annotations

import base64
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import trio

REPLY_S: Final = 60.0
"""Seconds to wait for an answer before it counts as none."""

_MAX_REPLY: Final = 65_536


class Gone(Exception):  # noqa: N818 - what the other side did, not a fault
    """The other side closed the connection, or says nothing."""


@dataclass
class Tally:
    """What came of some conversations."""

    connections: int = 0
    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    """Beginning of a reply (code and enhanced status) to how often it was said."""
    ends: Counter[str] = field(default_factory=Counter)
    """How connections ended: refused, left (by us), kept (open when time was up), "closed after 421"."""


class Talk:
    """One connection."""

    def __init__(self, stream: trio.abc.Stream, tally: Tally) -> None:
        self._stream = stream
        self._tally = tally
        self._unread = b""
        self.last = "nothing"

    async def push(self, data: bytes) -> None:
        """Send these bytes. Raises Gone."""
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError:
            await self._last_words()
            raise Gone(f"closed after {self.last[:3]}") from None
        self._tally.sent += len(data)

    async def reply(self, seconds: float = REPLY_S) -> str:
        """The next reply's code and enhanced status, such as "550 5.7.1". Raises Gone."""
        with trio.move_on_after(seconds):
            while True:
                line = (await self._line()).decode("latin-1")
                if line[3:4] != "-":
                    break
            status = line.split(" ", 2)[1] if line.count(" ") and line[4:6] in ("2.", "4.", "5.") else ""
            self.last = f"{line[:3]} {status}".strip()
            self._tally.answers[self.last] += 1
            return self.last
        raise Gone(f"silent after {self.last[:3]}")

    async def say(self, line: str) -> str:
        """A command and the reply to it."""
        await self.push(line.encode() + b"\r\n")
        return await self.reply()

    async def until_data(self, sender: str, *recipients: str) -> str:
        """From the greeting to the reply to DATA."""
        await self.reply()
        await self.say("EHLO flood.example")
        return await self.envelope(sender, *recipients)

    async def log_in(self, user: str, password: str) -> str:
        """From the greeting to the reply to a password."""
        await self.reply()
        await self.say("EHLO flood.example")
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return await self.say(f"AUTH PLAIN {secret}")

    async def envelope(self, sender: str, *recipients: str) -> str:
        """From MAIL to the reply to DATA."""
        await self.say(f"MAIL FROM:<{sender}>")
        for recipient in recipients:
            await self.say(f"RCPT TO:<{recipient}>")
        return await self.say("DATA")

    async def start_tls(self, pushed_along: bytes = b"") -> None:
        """STARTTLS, believing any certificate, with these bytes in the same segment as the command."""
        await self.push(b"STARTTLS\r\n" + pushed_along)
        if await self.reply() != "220" and not self.last.startswith("220"):
            raise Gone(f"no TLS: {self.last}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        secured = trio.SSLStream(self._stream, context, https_compatible=True)
        try:
            with trio.fail_after(REPLY_S):
                await secured.do_handshake()
        except (trio.BrokenResourceError, trio.TooSlowError, ssl.SSLError):
            raise Gone("TLS failed") from None
        self._stream, self._unread = secured, b""

    async def half_close(self) -> None:
        """Say that nothing more comes, and go on listening."""
        assert isinstance(self._stream, trio.SocketStream)
        try:
            await self._stream.send_eof()
        except trio.BrokenResourceError:
            raise Gone(f"closed after {self.last[:3]}") from None

    async def _line(self) -> bytes:
        while b"\n" not in self._unread:
            try:
                more = await self._stream.receive_some(65_536)
            except trio.BrokenResourceError:
                more = b""
            if not more or len(self._unread) > _MAX_REPLY:
                raise Gone(f"closed after {self.last[:3]}")
            self._unread += more
        line, self._unread = self._unread.split(b"\n", 1)
        return line.rstrip(b"\r")

    async def _last_words(self) -> None:
        """What was answered before the connection broke, as far as the system still has it."""
        try:
            while True:
                await self.reply(1.0)
        except Gone:
            pass


@asynccontextmanager
async def talk(host: str, port: int, tally: Tally) -> AsyncIterator[Talk]:
    """A connection; what ends it is counted and ends the block."""
    try:
        stream = await trio.open_tcp_stream(host, port)
    except OSError:
        tally.ends["refused"] += 1
        await trio.sleep(0.05)
        raise Gone("refused") from None
    tally.connections += 1
    end = "kept"
    try:
        yield Talk(stream, tally)
        end = "left"
    except Gone as how:
        end = str(how)
        raise
    finally:
        tally.ends[end] += 1
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)
