"""An owner's own e-mail addresses, as settings name them: which of them a given address is, and for which of
them mail to one with a tag is. No look-up.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from protocol.email import normal_domain, normal_email
from protocol.errors import RemoteProtocolError

ANY = "*"
"""In place of a name: every address of that domain."""

TAG = "+"
"""Between a name and a tag that its owner made up (RFC 5233 §1)."""


class OwnEmails(Protocol):
    """What is asked of an owner's addresses; who answers may know of more of them later than now."""

    @property
    def exact(self) -> tuple[str, ...]: ...

    @property
    def main(self) -> str | None: ...

    def taken_for(self, email: str) -> str | None: ...

    def __bool__(self) -> bool: ...

    def __contains__(self, email: object) -> bool: ...


@dataclass(frozen=True, slots=True)
class Addresses:
    """`exact` in normal form, in the order in which they were named; of `domains` every name is ours."""

    exact: tuple[str, ...] = ()
    domains: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Addresses":
        """From addresses and `*@domain`. Raises RemoteProtocolError for what is neither."""
        exact: dict[str, None] = {}
        domains: set[str] = set()
        for text in texts:
            name, at, domain = text.strip().rpartition("@")
            if at and name == ANY:
                domains.add(normal_domain(domain))
            else:
                exact[normal_email(text)] = None
        return cls(tuple(exact), frozenset(domains))

    @property
    def main(self) -> str | None:
        """The address that stands in From unless another is asked for; None where only domains are named."""
        return self.exact[0] if self.exact else None

    def __bool__(self) -> bool:
        return bool(self.exact or self.domains)

    def __contains__(self, email: object) -> bool:
        """Whether it is ours. What is no e-mail address is nobody's."""
        if not isinstance(email, str):
            return False
        try:
            normal = normal_email(email)
        except RemoteProtocolError:
            return False
        return normal in self.exact or normal.rpartition("@")[2] in self.domains

    def taken_for(self, email: str) -> str | None:
        """Which of ours mail to this address is for: itself, or `owner` for `owner+tag`; None for another's.
        A tag proves nothing: where it is no more than a name, `owner+tag` may belong to somebody else.
        """
        if email in self:
            return normal_email(email)
        local, _, domain = email.rpartition("@")
        name, tag, _ = local.partition(TAG)
        plain = f"{name}@{domain}"
        return normal_email(plain) if name and tag and plain in self else None
