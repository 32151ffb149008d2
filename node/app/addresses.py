"""The owner's e-mail addresses: those of the settings, and those of mailboxes at providers, which come and go
while the node runs.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocol.addresses import Addresses


class OwnAddresses(Addresses):
    """The addresses as they are now. Any thread may ask; `update` belongs to trio's."""

    __slots__ = ("_now", "_set")

    def __init__(self, settings: Iterable[str], providers: Iterable[str]) -> None:
        """Raises RemoteProtocolError for what is no address."""
        object.__setattr__(self, "_set", tuple(settings))
        self.update(providers)

    def update(self, providers: Iterable[str]) -> None:
        """These are the mailboxes at providers from now on; the settings' addresses come first."""
        # One assignment: another thread sees the old ones or the new.
        object.__setattr__(self, "_now", Addresses.parse([*self._set, *providers]))

    @property
    def exact(self) -> tuple[str, ...]:
        return self._now.exact

    @property
    def domains(self) -> frozenset[str]:
        return self._now.domains

    def texts(self) -> list[str]:
        """As they are shown: those of the settings as they were written."""
        mine = Addresses.parse(self._set)
        return [*self._set, *(one for one in self.exact if one not in mine)]

    _now: Addresses
    _set: tuple[str, ...]
