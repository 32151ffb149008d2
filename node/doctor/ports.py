"""Whether our listeners answer, asked from this machine, and what can be known of port 25 from inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import trio

from node.doctor.ground import Ask, together
from node.doctor.zone import Names, addresses_of
from node.runtime.errors import DnsLater
from node.runtime.rooms import Check

ANSWER_S: Final = 4.0
"""Seconds for a connection and its greeting; ours come at once."""

MOST: Final = 2
"""Addresses of a host that are asked one after the other, within a look's time."""

MAX_GREETING: Final = 512
"""Bytes of a reply line (RFC 5321 §4.5.3.1.5)."""

PORT: Final = 25

OUTSIDE: Final = "whether others reach it too only somebody outside can tell"


def answers(name: str, where: str | None, what: str, remedy: str) -> Ask:
    """Whether a mail listener of ours answers; `where` is host:port, None where it is not open."""

    async def look() -> Sequence[Check]:
        if where is None:
            return [Check(name, "skip", f"{what} nowhere", remedy)]
        host, port = place_of(where)
        said = await greeting(host, port)
        if said is None or not said.startswith("220"):
            return [
                Check(name, "fail", f"{what} at {where}, but nothing answers there", "start the node anew")
            ]
        return [Check(name, "ok", f"{what} at {where}")]

    return look


def outside(
    names: Names, hosts: Callable[[], Sequence[str]], where: str | None, greets: str, *, port: int = PORT
) -> Ask:
    """Port 25 of each mail host of ours (`hosts`), asked from here: nobody else is. `greets` is the name by
    which our receiver greets; `port` is another one in tests only.
    """

    async def look() -> Sequence[Check]:
        if not (found := hosts()):
            text = "no domain brings mail here from outside"
            return [
                Check(
                    "port-25",
                    "skip",
                    text,
                    "mailio domain add example.org",
                )
            ]
        return await together([partial(_host, names, host, where, greets, port) for host in found])

    return look


async def _host(names: Names, host: str, where: str | None, greets: str, port: int) -> Check:
    name = "port-25"
    try:
        addresses = await addresses_of(names, host)
    except DnsLater as fault:
        return Check(name, "warn", f"not known: {fault.text}", fault.remedy)
    if not addresses:
        return Check(name, "skip", f"{host} has no address yet", "see the address record below")
    for address in addresses[:MOST]:
        said = await greeting(address, port)
        if said is not None:
            return _answered(name, host, address, said, greets, where)
    text = f"{host} ({', '.join(addresses)}) does not answer on port {port} when asked from here; {OUTSIDE}"
    remedy = f"send port {port} on to {where or 'smtp.host and smtp.port'}, on this machine and its router"
    return Check(name, "warn", text, remedy)


def _answered(name: str, host: str, address: str, said: str, greets: str, where: str | None) -> Check:
    words = said.split()
    if words[:1] == ["220"] and words[1:2] == [greets]:
        return Check(name, "ok", f"this node answers at {host} ({address}), asked from here; {OUTSIDE}")
    who = words[1][:100] if len(words) > 1 else "nobody by name"
    text = f"another mail server answers at {host} ({address}): {who}"
    if where is None:
        return Check(
            name, "warn", text, "mailio config set smtp.host 127.0.0.1, and have it hand on your mail"
        )
    return Check(name, "ok", f"{text}; it has to hand on your mail to {where}")


async def greeting(host: str, port: int) -> str | None:
    """The first line that a mail server says; None where there is none."""
    with trio.move_on_after(ANSWER_S), suppress(OSError, trio.BrokenResourceError):
        async with await trio.open_tcp_stream(host, port) as stream:
            data = b""
            while b"\n" not in data and len(data) < MAX_GREETING:
                more = await stream.receive_some(MAX_GREETING)
                if not more:
                    break
                data += more
            with suppress(trio.BrokenResourceError):
                await stream.send_all(b"QUIT\r\n")
            line = data.partition(b"\n")[0].decode("ascii", "replace")
            return "".join(c if c.isprintable() else "?" for c in line.rstrip("\r")) or None
    return None


def place_of(where: str) -> tuple[str, int]:
    """From host:port; what stands for all of a machine's addresses is its loopback."""
    host, _, port = where.rpartition(":")
    host = host.strip("[]")
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)  # noqa: S104 - not listened on
