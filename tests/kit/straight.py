"""A carrier that brings mail to its recipients' own servers, all on loopback, with a DNS of its own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from node.outbox import Result, Sizes
from node.runtime.bridge import open_bridge
from node.runtime.clock import SystemClock
from node.runtime.dns import Resolver
from node.smtp import DirectOutlet, Exchangers, Lines, Networks, Ourselves, Policies, Reach, SmtpCarrier
from node.storage import Store, open_store
from tests.kit.mailing import AUTHOR, RAW, people, posted
from tests.kit.names_server import Names, open_names
from tests.kit.stores import KEY

US = "alice.example.org"
"""How we greet."""

LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass
class Straight:
    """The carrier. `names` is the DNS that it asks, `port` the mail port of everyone."""

    carrier: SmtpCarrier
    outlet: DirectOutlet
    policies: Policies
    names: Names
    sizes: Sizes
    store: Store
    resolver: Resolver

    async def said(
        self, *to: str, raw: bytes | None = RAW, sender: str = AUTHOR
    ) -> list[tuple[str, str, bool]]:
        """Outcome, status and whether it was the way, for recipients of one domain in their order."""
        return [
            (one.outcome, one.status.code, one.way) for one in await self.results(*to, raw=raw, sender=sender)
        ]

    async def results(self, *to: str, raw: bytes | None = RAW, sender: str = AUTHOR) -> list[Result]:
        recipients = people(*to)
        found = await self.carrier.send(recipients, posted(raw, sender))
        return [found[one] for one in recipients]


def fit(
    store: Store,
    lines: Lines,
    names: Names,
    port: int,
    *,
    inside: tuple[str, ...] = LOOPBACK,
    ours: Collection[str] = (),
    trusted: ssl.SSLContext | None = None,
    policy_port: int = 1,
) -> Straight:
    """The carrier as the app fits it, with all its servers on `port`, and policies on `policy_port`."""
    resolver, reach, clock = Resolver([names.address]), Reach(Networks.parse(inside)), SystemClock()
    tls = (lambda: trusted) if trusted is not None else ssl.create_default_context
    policies = Policies(store, resolver, reach, clock, tls=tls, port=policy_port)
    routes = Exchangers(resolver, reach, Ourselves(lambda: ours))
    outlet = DirectOutlet(lines, routes, policies, clock, verified=trusted, port=port)
    sizes = Sizes(store, clock)
    carrier = SmtpCarrier(outlet, max_size=30_000_000, known=sizes.learn)
    return Straight(carrier, outlet, policies, names, sizes, store, resolver)


@asynccontextmanager
async def open_straight(
    path: Path,
    port: int,
    *,
    inside: tuple[str, ...] = LOOPBACK,
    ours: Collection[str] = (),
    trusted: ssl.SSLContext | None = None,
    policy_port: int = 1,
) -> AsyncIterator[Straight]:
    """Ready to send; the store is at `path`."""
    async with (
        open_store(path, KEY, inline=True) as store,
        open_bridge() as bridge,
        open_names() as names,
    ):
        found = fit(
            store,
            Lines(bridge, US),
            names,
            port,
            inside=inside,
            ours=ours,
            trusted=trusted,
            policy_port=policy_port,
        )
        yield found
        await found.carrier.aclose()
