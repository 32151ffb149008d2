"""Whether a signer speaks for an author's domain (RFC 7489 §3.1), by the list of public suffixes."""

import functools
from collections.abc import Iterable

from publicsuffixlist import PublicSuffixList

from protocol.email import normal_domain
from protocol.errors import RemoteProtocolError


def aligned(author_domain: str, signing: Iterable[str]) -> bool:
    """Relaxed: one of the signing domains has the author's organisational domain. What is no domain, or a
    public suffix itself, aligns with nothing.
    """
    ours = organisation(author_domain)
    return ours is not None and any(organisation(domain) == ours for domain in signing)


def organisation(domain: str) -> str | None:
    """The organisational domain (RFC 7489 §3.2); None of what is no domain, or a public suffix itself."""
    try:
        return _suffixes().privatesuffix(normal_domain(domain))
    except RemoteProtocolError:
        return None


def warm_up() -> None:
    """Reads the list of public suffixes: 35 ms that `aligned` takes the first time otherwise."""
    _suffixes()


@functools.cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
