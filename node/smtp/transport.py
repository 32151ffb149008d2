"""One conversation with the mail server that takes our letters: greeting, TLS, AUTH, transactions (RFC 5321).

Lives in the bridge's asyncio thread. What a result means for a letter, and the queue, are not known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Final

from aiosmtplib import SMTP, SMTPException, SMTPHeloError, SMTPResponse, SMTPResponseException
from aiosmtplib.auth import auth_login_encode, auth_plain_encode

from node.smtp.answer import Answer, Way, WayFault, refused
from node.smtp.outgoing import send_body
from node.smtp.server import Mail, Server, Tls

CONNECT_S: Final = 30.0
"""Seconds each for the greeting and for the TLS handshake: a server that needs longer is not well."""

COMMAND_S: Final = 60.0
"""Seconds for the whole reply to a command. (RFC 5321 §4.5.3.2 has minutes; the outbox tries again.)"""

DATA_S: Final = 600.0
"""Seconds to send a body and have its reply (RFC 5321 §4.5.3.2.6)."""

QUIT_S: Final = 3.0
"""Seconds for a polite end, which nobody waits for."""

MAX_SIZE_DIGITS: Final = 20
"""Of the SIZE that a server offers (RFC 1870 §3)."""

_SIZE: Final = re.compile(rf"[0-9]{{1,{MAX_SIZE_DIGITS}}}", re.ASCII)


class Session:
    """A connection that is ready for a transaction. One user at a time; broken once WayFault was raised."""

    def __init__(self, client: SMTP, server: Server) -> None:
        self._client = client
        self._server = server
        self._host = server.host
        self._used = False

    @classmethod
    async def open(
        cls, sock: socket.socket, server: Server, hostname: str, tls: ssl.SSLContext, *, plain: bool = False
    ) -> Session:
        """Greet, begin TLS, log in on a connected socket, which is ours from here. `plain`: without TLS,
        whatever is offered. Raises WayFault.
        """
        client = SMTP(
            hostname=server.host,
            sock=sock,
            local_hostname=hostname,
            use_tls=server.tls is Tls.AT_ONCE,
            start_tls=False,
            tls_context=tls,
            timeout=COMMAND_S,
        )
        session = cls(client, server)
        try:
            with session._faults(Way.CONNECT):
                await client.connect(timeout=CONNECT_S)
            await session._hello()
            if server.tls is not Tls.AT_ONCE and not plain:
                await session._start_tls(server.tls)
            if server.user:
                await session._log_in(server.user, server.password)
        except BaseException:
            session.drop()
            raise
        return session

    @property
    def is_open(self) -> bool:
        return self._client.is_connected

    @property
    def size(self) -> int | None:
        """Bytes of the largest letter that it says it takes (RFC 1870), None where it does not say."""
        return _limit(self._client.esmtp_extensions.get("size", ""))

    async def reset(self) -> None:
        """Begin anew on a connection that has rested; nothing is to be done on one that did nothing before.
        Raises WayFault.
        """
        if not self._used:
            return
        reply = await self._command(b"RSET")
        if reply.code != 250:
            raise WayFault(Way.REFUSED, _said(reply))

    async def send(self, mail: Mail) -> tuple[Answer, ...]:
        """One transaction: an answer for each recipient in their order. Raises WayFault."""
        self._used = True
        try:
            return await self._transact(mail)
        except BaseException:
            self.drop()
            raise

    async def quit(self) -> None:
        """A polite end."""
        try:
            with contextlib.suppress(SMTPException, OSError):
                await self._client.execute_command(b"QUIT", timeout=QUIT_S)
        finally:
            self.drop()

    def drop(self) -> None:
        """End it at once: what a stuck server has not read yet is not kept for it."""
        transport = self._client.transport
        self._client.close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()

    # ---- getting ready

    async def _hello(self) -> None:
        with self._faults(Way.CONNECT):
            try:
                greeting = await self._client.ehlo()
            except SMTPHeloError as fault:
                if fault.code // 100 != 5:
                    raise
                greeting = await self._client.helo()
            self._in_step()
        name = greeting.message.lower().split(maxsplit=1)[:1]
        if self._server.stranger and name == [self._client.local_hostname]:
            raise WayFault(Way.OURSELVES)  # RFC 5321 §5.1: a loop; a smarthost may well bear our name

    async def _start_tls(self, rule: Tls) -> None:
        if not self._client.supports_extension("starttls"):
            if rule is Tls.MUST:
                raise WayFault(Way.NO_TLS)
            return
        try:
            with self._faults(Way.TLS):
                await self._client.starttls(timeout=CONNECT_S)
        except WayFault as fault:
            if rule is Tls.UNVERIFIED:  # whatever it was: the caller may go without
                raise WayFault(Way.TLS, fault.said) from fault
            raise
        await self._hello()

    async def _log_in(self, user: str, password: str) -> None:
        """Once, with one method: a second guess with the same password only looks like an attack."""
        if not password:
            raise WayFault(Way.NO_PASSWORD)
        offered = self._client.server_auth_methods
        plain_first = ("plain", "login", "cram-md5")
        clear = self._client.get_transport_info("sslcontext") is None
        order = tuple(reversed(plain_first)) if clear else plain_first
        method = next((one for one in order if one in offered), None)
        if method is None:
            raise WayFault(Way.NO_AUTH)
        log_in = getattr(self._client, f"auth_{method.replace('-', '')}")
        with self._faults(Way.PASSWORD):
            try:
                await log_in(user, password)
            except SMTPResponseException as fault:
                if _echoes(fault.message, user, password):
                    fault.message = ""  # else it would stand in the log and on the screen
                raise
            self._in_step()

    # ---- a transaction

    async def _transact(self, mail: Mail) -> tuple[Answer, ...]:
        options, refusal = self._options(mail)
        if refusal is None:
            reply = await self._command(b"MAIL", b"FROM:" + _path(mail.sender), *options)
            if reply.code == 530:  # RFC 4954 §6: not this sender, anyone has to log in
                raise WayFault(Way.AUTH_WANTED, _said(reply))
            refusal = None if _is_ok(reply) else self._answer(reply)
        if refusal is not None:
            return (refusal,) * len(mail.recipients)
        answers = [await self._recipient(one) for one in mail.recipients]
        if any(answer.ok for answer in answers):
            data = await self._data(mail.raw)
            answers = [data if answer.ok else _not_too_many(answer) for answer in answers]
        return tuple(answers)

    def _options(self, mail: Mail) -> tuple[list[bytes], Answer | None]:
        """Parameters of MAIL as this server offers what the letter needs, or why it can't go."""
        extensions, options = self._client.esmtp_extensions, []
        utf8_address = not (mail.sender.isascii() and all(map(str.isascii, mail.recipients)))
        utf8_header = _has_utf8_header(mail.raw)
        if "size" in extensions:
            if self.size is not None and len(mail.raw) > self.size:
                return [], refused(
                    "5.3.4", f"{self._host} takes letters of {extensions['size']} bytes at most"
                )
            options.append(b"SIZE=%d" % len(mail.raw))
        if utf8_address and "smtputf8" not in extensions:
            return [], refused("5.6.7", f"{self._host} takes no addresses with letters beyond ASCII")
        if not mail.raw.isascii():
            if "8bitmime" not in extensions:
                return [], refused("5.6.3", f"{self._host} takes no letters with bytes beyond ASCII")
            options.append(b"BODY=8BITMIME")
        if utf8_address or (utf8_header and "smtputf8" in extensions):
            options.append(b"SMTPUTF8")
        return options, None

    async def _recipient(self, recipient: str) -> Answer:
        return self._answer(await self._command(b"RCPT", b"TO:" + _path(recipient)))

    async def _data(self, raw: bytes) -> Answer:
        reply = await self._command(b"DATA")
        if reply.code != 354:
            if _is_ok(reply) or reply.code < 400:
                raise WayFault(Way.GARBAGE, _said(reply))
            return self._answer(reply)
        with self._faults(Way.LOST, sent=True):
            if (protocol := self._client.protocol) is None:
                raise ConnectionResetError("closed")
            reply, too_soon = await send_body(protocol, raw, DATA_S)
            self._in_step()
        if too_soon:
            self._too_soon(reply)
        if reply.code == 421 or not 200 <= reply.code < 600 or reply.code // 100 == 3:
            raise WayFault(Way.REFUSED if reply.code == 421 else Way.GARBAGE, _said(reply), sent=True)
        return self._answer(reply)

    def _too_soon(self, reply: SMTPResponse) -> None:
        """A server may refuse a body before its end; what we send next would be more of it."""
        self.drop()
        if _is_ok(reply):
            raise WayFault(Way.GARBAGE, "an answer to nothing", sent=True)

    # ---- replies

    async def _command(self, *words: bytes) -> SMTPResponse:
        with self._faults(Way.LOST):
            reply = await self._client.execute_command(*words)
            self._in_step()
        if reply.code == 421:
            raise WayFault(Way.REFUSED, _said(reply))
        if not 200 <= reply.code < 600:
            raise WayFault(Way.GARBAGE, _said(reply))
        return reply

    def _in_step(self) -> None:
        """A reply too many would be taken for that to the next command; aiosmtplib keeps it for that."""
        protocol = self._client.protocol
        if protocol is not None and protocol._buffer:
            raise WayFault(Way.GARBAGE, "an answer to nothing")

    def _answer(self, reply: SMTPResponse) -> Answer:
        return Answer.of(self._host, reply.code, reply.message)

    @contextlib.contextmanager
    def _faults(self, way: Way, *, sent: bool = False) -> Iterator[None]:
        """Everything that a connection can do to us, as WayFault."""
        try:
            yield
        except (SMTPException, OSError, EOFError) as fault:
            raise WayFault.of(way, fault, sent=sent) from fault


def _echoes(text: str, user: str, password: str) -> bool:
    """Whether the password can be read in what a server said, as it is or as it was sent."""
    sent = (auth_plain_encode(user, password), auth_login_encode(user, password)[1])
    return password in text or any(one.decode().rstrip("=") in text for one in sent)


def _path(address: str) -> bytes:
    return f"<{address}>".encode()


def _is_ok(reply: SMTPResponse) -> bool:
    return reply.code // 100 == 2


def _said(reply: SMTPResponse) -> str:
    return f"{reply.code} {reply.message}"


def _not_too_many(answer: Answer) -> Answer:
    """RFC 5321 §4.5.3.1.10: 552 for one of many recipients means that the others go first."""
    return answer.later() if answer.code == 552 else answer


def _limit(offered: str) -> int | None:
    """What a server's SIZE says; 0 or nothing readable is no limit (RFC 1870 §4)."""
    return int(offered) or None if _SIZE.fullmatch(offered) else None


def _has_utf8_header(raw: bytes) -> bool:
    header = raw[: raw.find(b"\r\n\r\n") + 1 or len(raw)]
    if header.isascii():
        return False
    with contextlib.suppress(UnicodeDecodeError):
        header.decode()
        return True
    return False
