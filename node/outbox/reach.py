"""Whom the recipients of a letter are, and whether there is a way to each: the address book, the owner's own
addresses, what domains say of others'. What is made of it is the submission's.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Final

from node.names import Held, Later, Names
from node.outbox import errors
from node.outbox.addressees import Addressees
from node.outbox.unsealed import Discovery
from protocol.addresses import OwnEmails

LOOK_S: Final = 6.0
"""Seconds for finding out who is reached sealed while a person waits: a name server and a domain's node
answer in one. Who is not found out about by then is asked for again before the letter goes.
"""


class Reach:
    """Resolves recipients. The arguments are the submission's."""

    def __init__(
        self,
        names: Names,
        discovery: Discovery,
        own: Callable[[], str],
        *,
        addresses: OwnEmails,
        domains: Container[str],
        can_mail: Callable[[], bool],
    ) -> None:
        self._names = names
        self._discovery = discovery
        self._own = own
        self._addresses = addresses
        self._domains = domains
        self._can_mail = can_mail

    async def people(self, *lists: Sequence[str]) -> list[Addressees]:
        """Each list as a letter reaches them now. Raises NodeError for who can't be told, or reached."""
        told = [self._resolve(who) for who in lists]
        emails = [email for one in told for email in one.emails]
        if emails:
            found = await self._discovery.discover_all(emails, LOOK_S)
            told = [one.discovered(found) for one in told]
        for people in told:
            self._check_means(people)
        return told

    def again(self, people: Addressees) -> Addressees:
        """The same as the address book has them by now."""
        return self._resolve(people.texts).discovered(people.found)

    def _resolve(self, who: Sequence[str]) -> Addressees:
        return Addressees.resolve(self._names, who).at_home(self._is_here, self._own())

    def _is_here(self, email: str) -> bool:
        """Whether mail to this address would come back to us, unproven: the owner's, in a domain of ours."""
        return email.rpartition("@")[2] in self._domains and self._addresses.taken_for(email) is not None

    def _check_means(self, people: Addressees) -> None:
        for email in people.emails:
            found = people.found.get(email)
            if not self._can_mail() and isinstance(found, Later | Held):
                raise errors.not_reached(email, found.text)
            if not self._can_mail():
                raise errors.no_smarthost(email)
            if not self._addresses:
                raise errors.no_address(email)
