"""A session of the owner's mail programs: nothing before an app password (RFC 4954). The passwords
themselves are the users' room's; here they are in local variables only.
"""

import asyncio
import ipaddress
from typing import ClassVar, Final

from node.smtp.commands import Goodbye, MailFrom, Refused, decode, parse_mail, parse_plain
from node.smtp.dialogue import Counterpart, Dialogue
from node.smtp.incoming import TOO_LONG
from node.smtp.limits import MAX_AUTH_FAILURES
from node.smtp.reply import Acceptance, Reply
from node.smtp.session import Terms
from node.smtp.words import (
    AUTH_ABORTED,
    AUTH_DONE,
    AUTH_FAILED,
    AUTH_FIRST,
    AUTH_OFTEN,
    AUTH_OK,
    AUTH_UNKNOWN,
    LONG_LINE,
    TLS_FIRST,
)

ASK_USER: Final = "VXNlcm5hbWU6"  # "Username:", in the words that every program looks for
ASK_PASSWORD: Final = "UGFzc3dvcmQ6"  # noqa: S105 - "Password:"


class SubmissionSession(Dialogue):
    """A session with AUTH, over TLS or from this machine only."""

    VERBS: ClassVar[frozenset[str]] = Dialogue.VERBS | {"AUTH"}

    def __init__(
        self, terms: Terms, loop: asyncio.AbstractEventLoop, counterpart: Counterpart, acceptance: Acceptance
    ) -> None:
        super().__init__(terms, loop, counterpart)
        self._acceptance = acceptance
        self._user = ""
        self._failures = 0

    @property
    def user(self) -> str:
        """The name of the app password; "" before."""
        return self._user

    def extensions(self) -> list[str]:
        """AUTH where a password would not be heard by others."""
        offered = super().extensions()
        return [*offered, "AUTH PLAIN LOGIN"] if self._is_private and not self._user else offered

    def require_ready(self) -> None:
        super().require_ready()
        if not self._user:
            raise Refused(AUTH_FIRST)

    def parse_mail(self, arg: str) -> MailFrom:
        return parse_mail(arg, max_size=self.terms.max_size, with_auth=True)

    @property
    def _is_private(self) -> bool:
        try:
            return self.is_tls or ipaddress.ip_address(self.address).is_loopback
        except ValueError:
            return False

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's
        super().require_ready()
        if self._user:
            raise Refused(AUTH_DONE)
        if not self._is_private:
            raise Refused(TLS_FIRST)
        mechanism, _, initial = arg.partition(" ")
        if mechanism.upper() == "PLAIN":  # RFC 4422 §3.1: upper case; upstream refuses what others take
            name, password = parse_plain(initial or await self._answer(""))
        elif mechanism.upper() == "LOGIN":
            name = decode(initial or await self._answer(ASK_USER))
            password = decode(await self._answer(ASK_PASSWORD))
        else:
            raise Refused(AUTH_UNKNOWN)
        if not self._acceptance.authenticate(name, password):
            await self._failed()
            return
        self._user = name
        self.achieve("AUTH")
        await self.say(AUTH_OK)

    async def _answer(self, challenge: str) -> str:
        """What the client answers to a challenge, in base64. Raises Refused."""
        await self.say(Reply(334, "", challenge))
        self.wait_at_most(self.terms.limits.command)
        line = await self.incoming.line()
        if line == TOO_LONG:
            raise Refused(LONG_LINE)
        text = line.removesuffix(b"\n").removesuffix(b"\r").decode("ascii", "replace")
        if text == "*":
            raise Refused(AUTH_ABORTED)
        return text or "="

    async def _failed(self) -> None:
        self.terms.counters["authFailures"] += 1
        self._failures += 1
        await asyncio.sleep(self.terms.limits.auth_delay)
        if self._failures >= MAX_AUTH_FAILURES:
            raise Goodbye(AUTH_OFTEN)
        await self.waste(AUTH_FAILED)
