"""Which servers take a domain's mail, in which order (RFC 5321 §5), and which of their addresses may
be used.

Only look-ups; who connects is direct.py's.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby, zip_longest
from typing import Final, Protocol

from node.runtime.errors import DnsLater
from node.runtime.ip import unmapped
from node.smtp.answer import NoWay, Way, WayFault
from node.smtp.hops import Networks

MAX_HOSTS: Final = 5
"""Servers of a domain that are tried in one attempt; the outbox tries again."""

MAX_LOOKED_UP: Final = 20
"""Servers of a domain whose addresses are looked up: what has more has the best of them first."""

MAX_ADDRESSES: Final = 6
"""Addresses of a server that are tried."""

NULL: Final = "."
"""The name of no server (RFC 7505)."""


@dataclass(frozen=True, slots=True)
class Exchanger:
    """A server that takes a domain's mail; its addresses as they are to be tried."""

    host: str
    addresses: tuple[str, ...]


class Resolver(Protocol):
    """The DNS (runtime.dns). Everything raises DnsLater; nothing there is ()."""

    async def mx(self, name: str) -> tuple[tuple[int, str], ...]: ...

    async def a(self, name: str) -> tuple[str, ...]: ...

    async def aaaa(self, name: str) -> tuple[str, ...]: ...


class Reach:
    """The addresses that the DNS may send us to: the public ones, and those in `inside`."""

    def __init__(self, inside: Networks = Networks()) -> None:
        self._inside = inside

    def allow(self, address: str) -> bool:
        """Whether mail, or a question for a policy, may go there: what a name in the DNS leads to is
        somebody else's word, and must not lead into this machine or the network around it.
        """
        try:
            found = unmapped(ipaddress.ip_address(address))
        except ValueError:
            return False
        return str(found) in self._inside or (found.is_global and not found.is_multicast)


@dataclass(frozen=True, slots=True)
class Ourselves:
    """By what this node is known where it takes mail itself, at any time: `names` in lower case, `addresses`
    of its listener on the mail port.
    """

    names: Callable[[], Collection[str]] = frozenset
    addresses: Callable[[], Collection[str]] = frozenset

    def are(self, exchanger: Exchanger) -> bool:
        addresses = self.addresses()
        return exchanger.host in self.names() or any(one in addresses for one in exchanger.addresses)


@dataclass
class _Found:
    """What became of a domain's servers; the rest of them has not been looked at."""

    usable: list[Exchanger] = field(default_factory=list)
    later: DnsLater | None = None
    private: bool = False
    ours: bool = False


class Exchangers:
    """Asks `names`; equals are taken in the order that `chance` gives, uniform in [0, 1)."""

    def __init__(
        self,
        names: Resolver,
        reach: Reach,
        ourselves: Ourselves,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._names = names
        self._reach = reach
        self._ourselves = ourselves
        self._chance = chance

    async def of(self, domain: str) -> tuple[Exchanger, ...]:
        """Those to try, at least one. Raises NoWay, WayFault."""
        try:
            records = await self._names.mx(domain)
        except DnsLater as fault:
            raise WayFault(Way.NAMES, fault.text, host=domain) from fault
        if {host for _, host in records} == {NULL}:
            raise NoWay("5.1.10", f"{domain} takes no mail")
        # RFC 5321 §5.1: a domain without MX takes its mail itself.
        found = await self._look(records or ((0, domain),))
        if found.usable:
            return tuple(found.usable[:MAX_HOSTS])
        raise self._nobody(domain, found, named=bool(records))

    async def _look(self, records: Sequence[tuple[int, str]]) -> _Found:
        found = _Found()
        ordered = sorted(records, key=lambda one: (one[0], self._chance()))[:MAX_LOOKED_UP]
        for _, equals in groupby(ordered, key=lambda one: one[0]):
            hosts = [host.removesuffix(".").lower() for _, host in equals if host != NULL]
            group = [one for host in hosts if (one := await self._exchanger(host, found)) is not None]
            if any(map(self._ourselves.are, group)):
                found.ours = True  # RFC 5321 §5.1: neither to ourselves nor to who is no better
                return found
            for one in group:
                addresses = tuple(filter(self._reach.allow, one.addresses))[:MAX_ADDRESSES]
                found.private = found.private or not addresses
                if addresses:
                    found.usable.append(Exchanger(one.host, addresses))
            if len(found.usable) >= MAX_HOSTS:
                break
        return found

    async def _exchanger(self, host: str, found: _Found) -> Exchanger | None:
        """With all its addresses, IPv6 and IPv4 in turn (RFC 8305 §4); None where it has none."""
        addresses: list[tuple[str, ...]] = []
        for ask in (self._names.aaaa, self._names.a):
            try:
                addresses.append(await ask(host))
            except DnsLater as fault:
                found.later = fault
        turns = chain.from_iterable(zip_longest(*addresses))
        mixed = tuple(one for one in turns if one is not None)
        return Exchanger(host, mixed) if mixed or host in self._ourselves.names() else None

    @staticmethod
    def _nobody(domain: str, found: _Found, *, named: bool) -> Exception:
        if found.ours:
            return NoWay("5.4.6", f"mail for {domain} comes to this node, which does not know the address")
        if found.later is not None:
            return WayFault(Way.NAMES, found.later.text, host=domain)
        if found.private:
            return NoWay(
                "5.4.4",
                f"the mail servers of {domain} are in a private network, where this node sends nothing; "
                "smtp.networks names those that it may send to",
            )
        if named:
            return NoWay("5.4.4", f"the mail servers of {domain} have no address in the DNS")
        return NoWay("5.1.2", f"there is no mail server for {domain}: check the address")
