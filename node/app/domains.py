"""What the DNS records of our domains say of this node: whose it is, where it is, who sends for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from node.app.owner import Owner
from node.app.web import published_policy
from node.domains import DnsRecord
from node.domains.records import Facts

if TYPE_CHECKING:
    from node.network import Network


def records_of(owner: Owner, network: Network | None, name: str) -> tuple[DnsRecord, ...]:
    """All that a domain's DNS has to have. Raises DomainError."""
    smtp = owner.ground.config.smtp
    smarthost = None if smtp.direct else owner.sending.smarthost()  # it may be a provider's
    facts = Facts(
        owner.identity.public_key,
        tuple(_public(network.public_addrs())) if network else (),
        smarthost.host if smarthost and not smarthost.is_local else "",
        published_policy(owner.ground.config, owner.domains.row(name)["host"]),
    )
    return owner.domains.records(name, facts)


def _public(multiaddrs: Iterable[str]) -> list[str]:
    """The IP addresses in our public multiaddrs, each once."""
    found: dict[str, None] = {}
    for one in multiaddrs:
        parts = one.split("/")
        if parts[1] in ("ip4", "ip6"):
            found[parts[2]] = None
    return list(found)
