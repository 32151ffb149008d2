"""What stands before every attempt by ordinary mail: nothing goes open to whom a sealed letter reaches, nor
to whom nobody could be asked about (protocol.md §4). Who has an address is for names to find out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from node.names import Discovered, Found, Held, Later, No
from node.outbox.letter import MAILIO, Carrier, Consignment, Recipient, Result
from protocol.status import HELD_KEY, NO_ANSWER

ASK_S: Final = 20.0
"""Seconds for all recipients of an attempt: the DNS, a domain's node and its answer."""

_OPEN: Final = "to send it as ordinary mail, which servers can read, approve it"
_LATE: Final = "they are reached sealed now: cancel it and send it again, or "


class Discovery(Protocol):
    """Who finds out whose an e-mail address is (names.Bindings)."""

    async def discover_all(self, emails: Iterable[str], seconds: float) -> Mapping[str, Discovered]: ...


class Unsealed:
    """The Carrier of the route `smtp`: asks, and hands what may go open to the one that brings it."""

    def __init__(self, carrier: Carrier, discovery: Discovery) -> None:
        self._carrier = carrier
        self._discovery = discovery

    def lane(self, recipient: Recipient) -> str:
        return self._carrier.lane(recipient)

    async def send(
        self, recipients: Sequence[Recipient], consignment: Consignment
    ) -> Mapping[Recipient, Result]:
        """Those whose author has approved it go open whatever is found."""
        asked = [one for one in recipients if not consignment.letter.delivery(one).approved]
        found = await self._discovery.discover_all((one.address for one in asked), ASK_S)
        results = {one: _result(one, found[one.address], consignment) for one in asked}
        stay = {one: result for one, result in results.items() if result is not None}
        go = [one for one in recipients if one not in stay]
        return {**stay, **await self._carrier.send(go, consignment)} if go else stay


def _result(recipient: Recipient, found: Discovered, consignment: Consignment) -> Result | None:
    """What becomes of it without its going open; None: it goes open."""
    match found:
        case No():
            return None
        case Found(address) if consignment.body(MAILIO) is not None:
            moved = Recipient(recipient.to, MAILIO, address)
            return Result("later", NO_ANSWER, moved=moved, tried=False)
        case Found():
            return Result("held", HELD_KEY, _LATE + _OPEN, cause="approval", tried=False)
        case Held(text):
            return Result("held", HELD_KEY, f"{text}; {_OPEN}", cause="approval", tried=False)
        case Later(text):
            return Result("later", NO_ANSWER, text, tried=False)
