"""Looks a domain's records up, and the name server that is asked. What they mean is records.py's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from node.doctor import records
from node.doctor.ground import Ask, together
from node.domains import DnsRecord
from node.runtime.errors import DnsLater
from node.runtime.rooms import Check
from protocol import dns as mailio
from protocol import mtasts


class Names(Protocol):
    """The DNS (runtime.dns): nothing there is (); raises DnsLater."""

    async def txt(self, name: str) -> tuple[bytes, ...]: ...

    async def mx(self, name: str) -> tuple[tuple[int, str], ...]: ...

    async def a(self, name: str) -> tuple[str, ...]: ...

    async def aaaa(self, name: str) -> tuple[str, ...]: ...

    async def ptr(self, ip: str) -> tuple[str, ...]: ...


def name_server(names: Names) -> Ask:
    """Whether somebody answers. `localhost` is no secret: it says nothing of what this node is about."""

    async def look() -> Sequence[Check]:
        try:
            await names.a("localhost")
        except DnsLater as fault:
            text = fault.text.partition(": ")[2] or fault.text
            remedy = fault.remedy or "mailio config set dns.nameservers with the address of one that answers"
            return [Check("dns", "fail", f"no name can be looked up: {text}", remedy)]
        return [Check("dns", "ok", "the name server answers")]

    return look


async def addresses_of(names: Names, host: str) -> tuple[str, ...]:
    """IPv4 and IPv6. Raises DnsLater."""
    return (*await names.a(host), *await names.aaaa(host))


def domain(names: Names, row: Callable[[], dict[str, Any]], wanted: Callable[[], Sequence[DnsRecord]]) -> Ask:
    """All that the DNS has of a domain: `row` as `domain list --json` has it, `wanted` what is to be."""

    async def look() -> Sequence[Check]:
        return await together([partial(_asked, *one) for one in _asks(names, row(), wanted())])

    return look


Asking = Callable[[], Awaitable[Check]]
Compare = Callable[[DnsRecord, records.Txt], Check]


def _asks(names: Names, row: dict[str, Any], wanted: Sequence[DnsRecord]) -> Iterator[tuple[str, Asking]]:
    """A question for each record, with the name of its check; all addresses are one."""
    kinds = _kinds(row)
    for record in wanted:
        if record.type == "MX":
            yield "mx", partial(_mx, names, record)
            addresses = [one for one in wanted if one.type in ("A", "AAAA")]
            yield "address", partial(_addresses, names, row["host"], addresses)
        elif record.type == "CNAME":
            yield "mta-sts-host", partial(_alias, names, record)
        elif record.type == "TXT":
            what, compare = kinds[record.name]
            yield what, partial(_txt, names, record, compare)


def _kinds(row: dict[str, Any]) -> dict[str, tuple[str, Compare]]:
    """By the name at which a TXT record stands: the name of its check, and what compares it."""
    name = row["domain"]
    signed = any(key["state"] == "used" for key in row["keys"])
    keys = {key["name"]: records.Key(key["selector"], key["state"], signed) for key in row["keys"]}
    return {
        name: ("spf", records.of_spf),
        f"_dmarc.{name}": ("dmarc", records.of_dmarc),
        mailio.txt_name(name): ("mailio-key", records.of_mailio),
        mtasts.txt_name(name): ("mta-sts", records.of_sts),
        **{where: (f"dkim-{key.selector}", partial(records.of_dkim, key)) for where, key in keys.items()},
    }


async def _asked(what: str, ask: Asking) -> Check:
    try:
        return await ask()
    except DnsLater as fault:
        return Check(what, "warn", f"not known: {fault.text}", fault.remedy or "look again: mailio doctor")


async def _mx(names: Names, record: DnsRecord) -> Check:
    return records.of_mx(record, await names.mx(record.name))


async def _addresses(names: Names, host: str, wanted: Sequence[DnsRecord]) -> Check:
    return records.of_addresses(host, wanted, await addresses_of(names, host))


async def _alias(names: Names, record: DnsRecord) -> Check:
    found = await addresses_of(names, record.name)
    if not found:
        return Check("mta-sts-host", "warn", f"{record.name} has no address", records.publish(record))
    return Check("mta-sts-host", "ok", f"{record.name} is at {', '.join(found)}")


async def _txt(names: Names, record: DnsRecord, compare: Compare) -> Check:
    return compare(record, await names.txt(record.name))
