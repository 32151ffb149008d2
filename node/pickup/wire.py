"""IMAPClient held to bounds: every answer has a deadline, a size, and lines and literals of bounded length.

Runs in the room's threads; what is asked, and what an answer means, is session.py's.
"""

from __future__ import annotations

import imaplib
import socket
import ssl
import time
from typing import Any, Final

from imapclient import IMAPClient

CHUNK: Final = 65_536
"""Bytes taken from the socket at once."""

MAX_LINE: Final = 65_536
"""Bytes of a line: the longest that an honest server has to send names WINDOW letters (session.py)."""

MAX_ANSWER: Final = 262_144
"""Bytes of an answer without letters in it, with what a server says unasked."""

OPEN_S: Final = 30.0
"""Seconds for TLS and the greeting: a server that needs longer is not well."""


class TooMuch(Exception):  # noqa: N818 - what it is
    """The server sends more than anything asked for can have."""


class Wire(imaplib.IMAP4):
    """imaplib's conversation over a connected socket, whose reads are bounded by `allow`."""

    def __init__(self, sock: socket.socket, host: str, tls: ssl.SSLContext | None) -> None:
        """With `tls` the connection begins in TLS. The greeting is read, within OPEN_S."""
        self.sock = sock
        self.host = host
        self._buffer = bytearray()
        self.exists: int | None = None
        self.untagged_responses: dict[str, list[Any]] = {}
        self.allow(seconds=OPEN_S)
        if tls is not None:
            self.secure(tls)
        super().__init__(host)

    # ---- bounds

    def allow(self, *, seconds: float, total: int = MAX_ANSWER, literal: int = MAX_LINE) -> None:
        """Before each command: how long its whole answer may take and how many bytes it may have, and the
        largest literal of it. What the server said unasked until now is forgotten, but for `exists`.
        """
        self._deadline = time.monotonic() + seconds
        self._left = total
        self._largest = literal
        self.look()
        self.untagged_responses.clear()

    def look(self) -> None:
        """Notice how many letters the folder has, if the server said so."""
        if said := self.untagged_responses.get("EXISTS"):
            self.exists = int(said[-1])

    @property
    def waiting(self) -> bool:
        """Whether something of the server's is here already, which no poll of the socket would tell."""
        pending = self.sock.pending() if isinstance(self.sock, ssl.SSLSocket) else 0
        return bool(self._buffer or pending)

    # ---- what imaplib leaves to others

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """Nothing to do: it is connected."""

    def read(self, size: int) -> bytes:
        if size > self._largest:
            raise TooMuch(f"a literal of {size:,} bytes")
        while len(self._buffer) < size:
            self._receive()
        return self._cut(size)

    def readline(self) -> bytes:
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            if (start := len(self._buffer)) > MAX_LINE:
                raise TooMuch("a line without an end")
            if not self._receive(at_end=False):
                return self._cut(len(self._buffer))
        if end >= MAX_LINE:
            raise TooMuch("a line without an end")
        return self._cut(end + 1)

    def send(self, data: Any) -> None:
        self.sock.settimeout(self._time_left())
        self.sock.sendall(data)

    def shutdown(self) -> None:
        self.sock.close()

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> Any:
        """RFC 3501 §6.2.1; what was sent before TLS is not taken for what comes within it."""
        if self.state != "NONAUTH":  # a greeting with PREAUTH would talk us out of it
            raise self.abort("the server wants no login, and so no TLS")
        answer = self._simple_command("STARTTLS")
        if answer[0] != "OK":
            raise self.error("STARTTLS was refused")
        if self._buffer:
            raise self.abort("bytes before TLS began")
        self.secure(ssl_context or ssl.create_default_context())
        self._get_capabilities()
        return answer

    def secure(self, context: ssl.SSLContext) -> None:
        """TLS from here on, the certificate checked against the host's name."""
        self.sock.settimeout(self._time_left())
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)

    def _receive(self, *, at_end: bool = True) -> int:
        """Take some more. Raises imaplib's abort where the connection ended, unless that may be."""
        self.sock.settimeout(self._time_left())
        data = self.sock.recv(CHUNK)
        self._left -= len(data)
        if self._left < 0:
            raise TooMuch("an answer without an end")
        if at_end and not data:
            raise self.abort("the connection ended")
        self._buffer += data
        return len(data)

    def _cut(self, count: int) -> bytes:
        data = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return data

    def _time_left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Client(IMAPClient):  # type: ignore[misc]  # the library has no types
    """The library's client over a Wire."""

    def __init__(self, sock: socket.socket, host: str, tls: ssl.SSLContext | None) -> None:
        self._sock_and_tls = sock, tls
        super().__init__(host, ssl=tls is not None, port=0)
        self.wire.debug = 0  # else what is sent, the password too, is logged

    @property
    def wire(self) -> Wire:
        return self._imap  # type: ignore[no-any-return]

    def _create_IMAP4(self) -> Wire:  # noqa: N802 - the library's name
        sock, tls = self._sock_and_tls
        return Wire(sock, self.host, tls)

    def _set_read_timeout(self) -> None:
        """The wire has deadlines of its own."""

    def idle(self) -> None:
        """As the library's, but servers that first say what is new are let."""
        self._idle_tag = self._imap._command("IDLE")
        while self._imap._get_response() is not None:
            if self._imap.tagged_commands[self._idle_tag]:
                raise self.Error("IDLE was refused")
