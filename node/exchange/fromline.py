"""The From line of a sealed letter: its author's own, or an address whose domain says so (protocol.md §6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio

from node.consent import Consent
from node.names import Bindings, Discovered, Found, Later
from node.runtime.clock import Clock
from protocol.email import normal_email
from protocol.errors import RemoteProtocolError
from protocol.handshake import State
from protocol.keys import mailbox_of
from protocol.letter import check_from
from protocol.status import NO_ANSWER

LOOK_S: Final = 15.0
"""Seconds for finding out whose an address is: the letter's author waits 30 for our answer (§8)."""


class FromLine:
    """Checks it. What strangers make us look up is not kept."""

    def __init__(self, bindings: Bindings, consent: Consent, clock: Clock) -> None:
        self._bindings = bindings
        self._consent = consent
        self._clock = clock

    async def check(self, mailboxes: Sequence[str], author: str) -> None:
        """Raises RemoteProtocolError unless these mailboxes of From are the author's: FORGED_FROM, or
        NO_ANSWER where nobody who knows has answered.
        """
        if len(mailboxes) == 1 and mailboxes[0].strip().lower() != mailbox_of(author):
            check_from(mailboxes, author, await self._verified(mailboxes[0], author))
        else:
            check_from(mailboxes, author, ())

    async def _verified(self, mailbox: str, author: str) -> tuple[str, ...]:
        try:
            email = normal_email(mailbox)
        except RemoteProtocolError:
            return ()
        found: Discovered = Later("the look-up takes too long")
        with trio.move_on_after(LOOK_S):
            remember = self._consent.state(author, self._clock.now()) is State.ACCEPTED
            found = await self._bindings.discover(email, remember=remember)
        if isinstance(found, Later):
            raise RemoteProtocolError(f"whose From is can't be told now: {found.text}", NO_ANSWER)
        return (email,) if found == Found(author) else ()
