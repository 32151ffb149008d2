"""The owner's e-mail addresses: those of the settings, and those of mailboxes at providers, which come and go
while the node runs.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocol.addresses import Addresses


class OwnAddresses:
    """The addresses as they are now (protocol.addresses.OwnEmails). Any thread may ask; `update` belongs to
    trio's.
    """

    def __init__(self, settings: Iterable[str], providers: Iterable[str]) -> None:
        """Raises RemoteProtocolError for what is no address."""
        self._set = tuple(settings)
        self.update(providers)

    def update(self, providers: Iterable[str]) -> None:
        """These are the mailboxes at providers from now on; the settings' addresses come first."""
        # One assignment: another thread sees the old ones or the new.
        self._now = Addresses.parse([*self._set, *providers])

    @property
    def exact(self) -> tuple[str, ...]:
        return self._now.exact

    @property
    def main(self) -> str | None:
        return self._now.main

    def taken_for(self, email: str) -> str | None:
        return self._now.taken_for(email)

    def __bool__(self) -> bool:
        return bool(self._now)

    def __contains__(self, email: object) -> bool:
        return email in self._now

    def texts(self) -> list[str]:
        """As they are shown: those of the settings as they were written."""
        mine = Addresses.parse(self._set)
        return [*self._set, *(one for one in self.exact if one not in mine)]
