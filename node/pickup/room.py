"""All providers at work: one task for each, begun and ended as the owner adds and removes them.

How one is fetched from is fetching.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import trio

from node.pickup.book import MAX_PROVIDERS, Folder, Providers
from node.pickup.errors import ProviderError
from node.pickup.fetching import Fetching, first_of
from node.pickup.link import Dial, Link, dial
from node.pickup.provider import UNKNOWN, Provider
from node.pickup.session import Refusal
from node.pickup.terms import Judging, Pace, Standing, Take, Tools
from node.pickup.trouble import OWNERS, Trouble, Way
from node.runtime.clock import Clock
from node.runtime.events import Events
from node.runtime.rooms import Check, Warning_

EVENT: Final = "provider"
"""What it tells about on the notice board: `address`, `state`, and while fetching how far it is."""

NOT_ADDED: Final = "nothing is changed: check the server's name and port (--imap), and add it again"
"""The way out where nothing will be tried again by itself."""


class Pickup:
    """The room. `take` takes a letter in, `judge` says who it is from."""

    def __init__(
        self,
        book: Providers,
        take: Take,
        judge: Judging,
        clock: Clock,
        events: Events,
        *,
        max_size: int,
        dial: Dial = dial,
        pace: Pace = Pace(),
    ) -> None:
        self._book = book
        self._tools = Tools(
            book=book,
            take=take,
            judge=judge,
            clock=clock,
            tell=lambda told: events.publish(EVENT, told),
            max_size=max_size,
            limiter=trio.CapacityLimiter(MAX_PROVIDERS),
            dial=dial,
            pace=pace,
        )
        self._running: dict[str, tuple[Fetching, trio.CancelScope]] = {}
        self._changed = trio.Event()

    async def run(self) -> None:
        """Fetch until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                self._changed = trio.Event()
                wanted = {provider.address: provider for provider in self._book.all()}
                for address, (fetching, scope) in list(self._running.items()):
                    if wanted.get(address) != fetching.provider:
                        scope.cancel()
                        del self._running[address]
                for address in wanted.keys() - self._running.keys():
                    fetching, scope = Fetching(wanted[address], self._tools), trio.CancelScope()
                    self._running[address] = fetching, scope
                    nursery.start_soon(_within, scope, fetching)
                await self._changed.wait()

    def refresh(self) -> None:
        """Go by what the store holds now."""
        self._changed.set()

    # ---- how they stand

    def status(self) -> list[dict[str, Any]]:
        """One for each, for `status --json`."""
        return [self._status(provider) for provider in self._book.all()]

    def warnings(self) -> list[Warning_]:
        """What the owner should know."""
        return [
            warning
            for provider in self._book.all()
            if (standing := self._standing(provider.address)) is not None
            for warning in _warnings(provider, standing)
        ]

    async def checks(self) -> Sequence[Check]:
        """A line of `doctor` for each provider, as it stands: nobody logs in for it once more."""
        found = []
        for provider in self._book.all():
            standing = self._standing(provider.address)
            if standing is None or standing.state == "connecting":
                found.append(Check("provider", "skip", f"{provider.address}: not fetched from yet"))
                continue
            found += [
                Check("provider", "warn", one.text, one.remedy) for one in _warnings(provider, standing)
            ]
            if standing.warning is None:
                found.append(Check("provider", "ok", f"{provider.address}: mail is fetched"))
        return found

    def _status(self, provider: Provider) -> dict[str, Any]:
        standing = self._standing(provider.address)
        return provider.document() | _told(standing)

    def _standing(self, address: str) -> Standing | None:
        found = self._running.get(address)
        return found[0].standing if found else None


async def try_out(
    provider: Provider, password: str, dial: Dial = dial, limiter: trio.CapacityLimiter | None = None
) -> dict[str, Folder]:
    """Log in and open each folder, changing nothing; where each would be begun. Raises ProviderError."""
    server = provider.server
    try:
        link = await Link.open(server, password, dial, limiter or trio.CapacityLimiter(1))
        try:
            return {name: await _look(link, provider, name) for name in provider.folders}
        finally:
            link.drop()
    except Trouble as trouble:
        found = trouble.warning(provider.address, server.host, server.port, provider.note)
        remedy = found.remedy if trouble.way in OWNERS or trouble.way is Way.TLS else NOT_ADDED
        raise ProviderError(found.code, found.text, remedy) from trouble


async def _look(link: Link, provider: Provider, name: str) -> Folder:
    select: Callable[[], Any] = lambda: link.session.select(name, change=False)  # noqa: E731
    try:
        return first_of(provider, await link.ask(select))
    except Refusal as no:
        raise Trouble(Way.NO_FOLDER, f"{name}: {no}") from no


def _told(standing: Standing | None) -> dict[str, Any]:
    """The fields of a provider that only a running node knows."""
    if standing is None:
        return UNKNOWN
    return {
        "state": standing.state,
        "text": standing.warning.text if standing.warning else "",
        **standing.counts,
        "late": sum(standing.late.values()),
        "large": sum(standing.large.values()),
    }


def _warnings(provider: Provider, standing: Standing) -> list[Warning_]:
    found = [standing.warning] if standing.warning else []
    if count := sum(standing.large.values()):
        found.append(
            Warning_(
                "provider-large",
                f"{provider.address}: {count} letters are larger than this node takes, and stay there",
                "read them at your provider, or raise limits.mail_size",
            )
        )
    if count := standing.counts["left"]:
        found.append(
            Warning_(
                "provider-left",
                f"{provider.address}: {count} letters could not be taken in since the start, and stay there",
                "read them at your provider",
            )
        )
    if standing.marked:
        found.append(
            Warning_(
                "provider-marked",
                f"{provider.address}: letters could only be marked as deleted",
                "delete what is marked with another program, as this server can't delete some alone",
            )
        )
    return found


async def _within(scope: trio.CancelScope, fetching: Fetching) -> None:
    with scope:
        await fetching.run()
