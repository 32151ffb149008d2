"""The commands by which a letter is handed over (RFC 5321 §4.1.1), in order and in bounds. Who may send
what to whom is asked of the listener's other side.
"""

import asyncio
from typing import ClassVar, Protocol

from node.smtp.body import Body, has_bare_line_ends
from node.smtp.commands import TOO_LARGE, Goodbye, MailFrom, Refused, parse_helo, parse_mail, parse_recipient
from node.smtp.incoming import Gone
from node.smtp.limits import ACHIEVED_BYTES, MAX_RECIPIENTS
from node.smtp.reply import OK, Client, Envelope, Reply
from node.smtp.session import Session, Terms
from node.smtp.words import (
    BAD_HELO,
    BARE,
    BYE,
    GO_ON,
    HELO_FIRST,
    LOOK_YOURSELF,
    NEEDS_MAIL,
    NEEDS_RCPT,
    NESTED,
    NEVER_ENDING,
    NO_ARGUMENT,
    NOT_DONE,
    SLOW,
    TOO_MANY,
)


class Counterpart(Protocol):
    """A listener's other side, asked from the asyncio thread. None means to go on."""

    async def sender(self, sender: str, client: Client) -> Reply | None: ...

    async def recipient(self, recipient: str, client: Client) -> Reply | None: ...

    async def take(self, envelope: Envelope, raw: bytes) -> Reply: ...


class Dialogue(Session):
    """A session in which letters are handed over."""

    VERBS: ClassVar[frozenset[str]] = Session.VERBS | {
        *("HELO", "EHLO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP")
    }

    def __init__(self, terms: Terms, loop: asyncio.AbstractEventLoop, counterpart: Counterpart) -> None:
        super().__init__(terms, loop)
        self._counterpart = counterpart
        self._body: Body | None = None
        self._body_began = 0.0
        self._eight_bit = False

    def rate(self, now: float) -> float:
        """Bytes a second of the body that is being read."""
        received = self._body.received if self._body is not None else 0
        return received / max(now - self._body_began, 1e-3)

    def extensions(self) -> list[str]:
        """What EHLO offers (RFC 1870, 6152, 6531, 2920, 2034, 3207)."""
        offered = [f"SIZE {self.terms.max_size}", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES"]
        return [*offered, "STARTTLS"] if self.terms.tls is not None and not self.is_tls else offered

    def require_ready(self) -> None:
        """Raises Refused while no letter can be begun."""
        if self.session is None or not self.session.host_name:
            raise Refused(HELO_FIRST)

    def parse_mail(self, arg: str) -> MailFrom:
        """Raises Refused."""
        return parse_mail(arg, max_size=self.terms.max_size, with_auth=False)

    async def smtp_HELO(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's, as all below
        await self._greeted(arg, extended=False)

    async def smtp_EHLO(self, arg: str) -> None:  # noqa: N802
        await self._greeted(arg, extended=True)

    async def _greeted(self, arg: str, *, extended: bool) -> None:
        name = parse_helo(arg)
        if not name or self.session is None:
            raise Refused(BAD_HELO)
        again = bool(self.session.host_name)
        self.reset()
        self.session.host_name, self.session.extended_smtp = name, extended
        self.achieve("EHLO")
        lines = [self.terms.hostname, *(self.extensions() if extended else ())]
        text = "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])
        if again:
            self.count_wasted()
        await self.push(text.encode())

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        self.require_ready()
        if self.envelope is None or self.envelope.mail_from is not None:
            raise Refused(NESTED)
        asked = self.parse_mail(arg or "")
        if refusal := await self.ask(self._counterpart.sender(asked.sender, self.client)):
            await self.waste(refusal)
            return
        self.envelope.mail_from, self.envelope.smtp_utf8 = asked.sender, asked.utf8
        self._eight_bit = asked.eight_bit
        self.achieve("MAIL")
        await self.say(OK)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        if self.envelope is None or self.envelope.mail_from is None:
            raise Refused(NEEDS_MAIL)
        recipient = parse_recipient(arg or "", utf8=self.envelope.smtp_utf8)
        if recipient in self.envelope.rcpt_tos:
            await self.waste(OK)
            return
        if len(self.envelope.rcpt_tos) >= MAX_RECIPIENTS:
            raise Refused(TOO_MANY)
        if refusal := await self.ask(self._counterpart.recipient(recipient, self.client)):
            await self.waste(refusal)
            return
        self.envelope.rcpt_tos.append(recipient)
        self.achieve("RCPT")
        await self.say(OK)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if arg:
            raise Refused(NO_ARGUMENT)
        if self.envelope is None or self.envelope.mail_from is None:
            raise Refused(NEEDS_MAIL)
        if not self.envelope.rcpt_tos:
            raise Refused(NEEDS_RCPT)
        await self.say(GO_ON)
        self.achieve("DATA")
        sender, recipients = self.envelope.mail_from, tuple(self.envelope.rcpt_tos)
        envelope = Envelope(sender, recipients, self.client, self.envelope.smtp_utf8, self._eight_bit)
        try:
            reply = await self._letter(envelope)
        finally:
            self.hold(0)
            self.reset()
        if not reply.is_ok:
            await self.waste(reply)
            return
        self.terms.counters["letters"] += 1
        self.took_letter()
        await self.say(reply)

    async def _letter(self, envelope: Envelope) -> Reply:
        """Read a body to its end and have it taken."""
        raw = await self._read_body()
        if raw is None:
            self.terms.counters["tooLarge"] += 1
            return TOO_LARGE
        if has_bare_line_ends(raw):
            self.terms.counters["bare"] += 1
            return BARE
        return await self.ask(self._counterpart.take(envelope, raw))

    async def _read_body(self) -> bytes | None:
        """None for one too large. Bounded in bytes, time and slowness, of which upstream bounds none
        while no line ends. Raises Goodbye, Gone.
        """
        limits = self.terms.limits
        began = self._body_began = self.loop.time()
        body = self._body = Body(self.terms.max_size)
        rest = None
        try:
            while rest is None:
                self.wait_at_most(min(limits.command, began + limits.body - self.loop.time()))
                rest = body.feed(await self.incoming.chunk())
                self.hold(body.held)
                if self.is_over:  # there was no room for it
                    raise Gone
                if rest is None:
                    self._check_pace(body, self.loop.time() - began)
        finally:
            self._body = None
        self.incoming.put_back(rest)
        raw = b"" if body.too_large else body.content()
        self.hold(len(raw))
        return None if body.too_large else raw

    def _check_pace(self, body: Body, seconds: float) -> None:
        limits = self.terms.limits
        if body.is_hopeless:
            self.terms.counters["tooLarge"] += 1
            raise Goodbye(NEVER_ENDING)
        if seconds > limits.body or (seconds > limits.grace and body.received < limits.rate * seconds):
            self.terms.counters["slow"] += 1
            raise Goodbye(SLOW)
        self.achieve(f"body {body.received // ACHIEVED_BYTES}")

    async def smtp_RSET(self, arg: str) -> None:  # noqa: N802
        self.reset()
        await self.waste(NO_ARGUMENT if arg else OK)

    async def smtp_NOOP(self, arg: str) -> None:  # noqa: N802
        await self.waste(OK)

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802
        raise Goodbye(BYE)

    async def smtp_VRFY(self, arg: str) -> None:  # noqa: N802
        await self.waste(LOOK_YOURSELF)

    async def smtp_EXPN(self, arg: str) -> None:  # noqa: N802
        raise Refused(NOT_DONE)

    async def smtp_HELP(self, arg: str) -> None:  # noqa: N802
        raise Refused(NOT_DONE)
