"""The carrier for ordinary mail: has letters signed, gives them to an outlet, tells the outbox what came of
it.

Through whom they leave is the outlet's (smarthost.py, direct.py), when to try again the outbox's.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import trio

from node.outbox import Consignment, Recipient, Result
from node.smtp.answer import Answer, NoWay, WayFault
from node.smtp.fitness import author_domain, fit_to_leave
from node.smtp.outlet import Outlet
from node.smtp.server import Mail
from protocol.status import OK, Status

log = logging.getLogger(__name__)

MAX_RECIPIENTS: Final = 100
"""Recipients of one transaction, which every server must take (RFC 5321 §4.5.3.1.8)."""

MAX_AT_ONCE: Final = 4
"""Letters in memory at once: each may hold 32 MB, and few servers take more connections."""

CLOSED: Final = frozenset({"4.3.2", "4.4.5"})
"""Statuses by which a server says that it takes nothing now, and not that of this letter (RFC 3463)."""

Sign = Callable[[bytes, str], Awaitable[bytes]]
"""A letter and its author's domain → the same with signatures on top, nothing else changed."""


async def unsigned(raw: bytes, domain: str) -> bytes:
    """As it is."""
    return raw


class SmtpCarrier:
    """`known` learns what size is taken at a lane's destination, in bytes; None where it does not say."""

    def __init__(
        self,
        outlet: Outlet,
        *,
        max_size: int,
        sign: Sign = unsigned,
        known: Callable[[str, int | None], Awaitable[None]] | None = None,
    ) -> None:
        self.outlet = outlet
        self._max_size = max_size
        self._sign = sign
        self._known = known
        self._slots = trio.CapacityLimiter(MAX_AT_ONCE)

    def lane(self, recipient: Recipient) -> str:
        return self.outlet.lane(recipient)

    async def send(
        self, recipients: Sequence[Recipient], consignment: Consignment
    ) -> Mapping[Recipient, Result]:
        """Try once. A letter that leaves goes to all recipients of it that the server takes."""
        lane, results = self.lane(recipients[0]), dict[Recipient, Result]()
        try:
            async with self.outlet.turn(lane):
                await self.outlet.reach(lane, consignment.letter.sender)
                async with self._slots:
                    await self._leave(lane, recipients, consignment, results)
        except NoWay as none:
            rest = _result(none.answer)
        except WayFault as fault:
            rest = self._later(lane, fault)
        else:
            return results
        return dict.fromkeys(recipients, rest) | results

    async def aclose(self) -> None:
        """End the connections that rest."""
        await self.outlet.aclose()

    async def _leave(
        self,
        lane: str,
        recipients: Sequence[Recipient],
        consignment: Consignment,
        results: dict[Recipient, Result],
    ) -> None:
        """Puts into `results` what came of it. Raises WayFault, NoWay: for those not in there."""
        sender, raw = consignment.letter.sender, await consignment.load("smtp")
        raw = fit_to_leave(sender, recipients, raw, self._max_size)
        raw = await self._sign(raw, author_domain(raw))
        for start in range(0, len(recipients), MAX_RECIPIENTS):
            some = recipients[start : start + MAX_RECIPIENTS]
            results |= await self._transact(lane, Mail(sender, _addresses(some), raw), some)

    async def _transact(
        self, lane: str, mail: Mail, recipients: Sequence[Recipient]
    ) -> dict[Recipient, Result]:
        talked = await self.outlet.transact(lane, mail)
        self.outlet.worked(lane)
        if self._known is not None:
            await self._known(lane, talked.size)
        return {one: _result(answer) for one, answer in zip(recipients, talked.answers, strict=True)}

    def _later(self, lane: str, fault: WayFault) -> Result:
        detail, news = self.outlet.failed(lane, fault)
        if news:
            log.warning("ordinary mail waits: %s", detail)
        return Result("later", Status(fault.status), detail, way=True)


def _addresses(recipients: Sequence[Recipient]) -> tuple[str, ...]:
    return tuple(one.address for one in recipients)


def _result(answer: Answer) -> Result:
    if answer.ok:
        return Result("delivered", OK, answer.text)
    if answer.code // 100 == 5:
        return Result("refused", Status(answer.status), answer.text)
    return Result("later", Status(answer.status), answer.text, way=answer.status in CLOSED)
