"""What can be known from inside of delivering by ourselves: names of the addresses that letters come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from node.doctor.ground import Ask, together
from node.doctor.zone import Names, addresses_of
from node.runtime.errors import DnsLater
from node.runtime.rooms import Check


def reverse(names: Names, hosts: Callable[[], Sequence[str]], *, direct: bool) -> Ask:
    """Whether each address of our mail hosts has a name that leads back to it: most servers want that of who
    delivers to them (`direct`).
    """

    async def look() -> Sequence[Check]:
        if not direct:
            return [
                Check("reverse-dns", "skip", "not needed: this node delivers nothing itself (smtp.direct)")
            ]
        if not (found := hosts()):
            return [
                Check(
                    "reverse-dns",
                    "skip",
                    "no name of this server is known",
                    "mailio domain add NAME --host HOST",
                )
            ]
        addresses = [(host, one) for host in found for one in await addresses_of(names, host)]
        checks = await together([partial(_address, names, *one) for one in addresses])
        return checks or [Check("reverse-dns", "skip", "no address of this server is known yet")]

    return look


async def _address(names: Names, host: str, address: str) -> Check:
    name = "reverse-dns"
    remedy = f"ask who gives you the address to set its PTR record: {address} → {host}"
    try:
        claimed = await names.ptr(address)
        if not claimed:
            return Check(
                name, "fail", f"{address} has no name: most mail servers refuse what comes from it", remedy
            )
        confirmed = [one for one in claimed[:4] if address in await addresses_of(names, one)]
    except DnsLater as fault:
        return Check(name, "warn", f"not known: {fault.text}", fault.remedy)
    if not confirmed:
        text = f"{address} is called {claimed[0]}, which does not lead back to it"
        return Check(name, "fail", text, remedy)
    if host not in confirmed:
        text = f"{address} is called {confirmed[0]}, and greets as another ({host}): some servers mind"
        return Check(name, "warn", text, remedy)
    return Check(name, "ok", f"{address} is called {host}, and {host} leads back to it")
