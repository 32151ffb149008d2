"""The owner's own domains: those of the settings and those of the book, what signs in their name, and how
they stand. What stands in the DNS decides which key signs; who asks it is handed in.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import trio

from node.domains import errors
from node.domains.book import Domain, read, write
from node.domains.keys import ALGORITHMS, DkimKey, new_keys
from node.domains.records import DnsRecord, Facts, dkim_records, records_of
from node.mailauth import Signer, sign_message
from node.runtime.clock import Clock
from node.runtime.errors import DnsLater
from node.runtime.rooms import Warning_
from node.storage import Batch, Store, StoreUnavailable
from node.storage.schema import DOMAIN
from protocol.email import normal_domain
from protocol.errors import RemoteProtocolError
from protocol.keys import MAILBOX_DOMAIN

if TYPE_CHECKING:  # with it comes all of SPF, 0.3 s
    from node.mailauth import Names

MAX_DOMAINS: Final = 100
"""Domains of one owner in the book; all of them are listed at once."""

MAX_KEYS: Final = 16
"""Keys of a domain that are known, those included that wait to leave the DNS."""

AT_ONCE: Final = 2
"""Letters that are signed at the same time, each in a thread: a large one takes 0.2 s and a copy of itself.
"""

LOOK_S: Final = 8.0
"""Seconds for all look-ups of a command: somebody waits for its answer."""

log = logging.getLogger(__name__)


class Domains:
    """Belongs to trio's thread, but for `in` and `names`, which any thread may ask. Without `names`, the DNS,
    no key comes to sign but by the owner's word: so it is on a closed store.
    """

    def __init__(
        self, store: Store, clock: Clock, settings: Sequence[str], dns: "Names | None" = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = tuple(settings)
        self._dns = dns
        self._threads = trio.CapacityLimiter(AT_ONCE)
        self._unsigned: set[str] = set()
        self._names: frozenset[str] = frozenset()
        self._refresh()

    async def start(self) -> None:
        """Make the keys of domains that the settings name for the first time."""
        try:
            for name in self._settings:
                if self._find(name) is None:
                    await self._make(name, "", kept=False)
        except StoreUnavailable as fault:  # of which the node tells once it has started
            log.warning("no DKIM keys were made: %s", fault.text)

    def names(self) -> frozenset[str]:
        """All domains whose mail comes here, in normal form, as they are now."""
        return self._names

    def __contains__(self, name: object) -> bool:
        return name in self._names

    @property
    def hostname(self) -> str:
        """The name by which this node greets mail servers, "" where it has none."""
        if self._settings:
            return self._settings[0]
        kept = sorted((one.added, one.host) for one in self._all() if one.kept)
        return kept[0][1] if kept else ""

    def host_of(self, name: str) -> str | None:
        """The public name of the server that takes a domain's mail; None where it is not ours."""
        domain = self._find(name) if name in self._names else None
        return domain.host if domain is not None else None

    # ---- the book

    async def add(self, text: str, host: str = "") -> str:
        """Take a domain into the book, with keys of its own, or give one another `host`, the public name of
        its mail server; its normal form. Raises DomainError.
        """
        name, host = _name(text), _host(host)
        found = self._find(name)
        if found is None:
            if len(self._all()) >= MAX_DOMAINS:
                raise errors.too_many(MAX_DOMAINS)
            await self._make(name, host, kept=True)
            return name
        if name in self._names and not host:
            raise errors.taken(name)
        kept = found.kept or name not in self._settings
        await self._keep(replace(found, host=host or found.host, kept=kept))
        return name

    async def remove(self, text: str) -> str:
        """Take a domain out of the book, its keys with it; its normal form. Raises DomainError."""
        name = _name(text)
        if name in self._settings:
            raise errors.in_settings(name)
        if self._find(name) is None:
            raise errors.unknown(name)
        batch = Batch()
        batch.delete(DOMAIN, self._place(name))
        await self._store.write(batch)
        self._refresh()
        return name

    async def rotate(self, text: str = "", *, now: bool = False) -> str:
        """Make a new key of each algorithm of which none waits; `now` signs with them at once, whatever the
        DNS has. The domain's name; without one the only domain is meant. Raises DomainError.
        """
        name = self._one(text).name
        made = await trio.to_thread.run_sync(new_keys, self._clock.now(), limiter=self._threads)
        domain = self._one(name)
        waiting = {key.algorithm for key in domain.waiting}
        domain = domain.with_keys([key for key in made if key.algorithm not in waiting], self._clock.now())
        if len(domain.keys) > MAX_KEYS:
            first = min(key.until for key in domain.keys if key.until)
            raise errors.too_many_keys(domain.name, _day(first))
        if now:
            domain = domain.with_used(
                {key.selector for key in domain.waiting}, self._clock.now(), forced=True
            )
        await self._keep(domain)
        return domain.name

    # ---- signing

    async def sign(self, raw: bytes, author_domain: str) -> bytes:
        """`raw` (CRLF line ends) under a signature of each key of the author's domain that the DNS shows;
        itself where the domain is not ours or has none. Costs a copy in memory, and no work of length on
        trio's thread. Raises StoreUnavailable.
        """
        name = _normal(author_domain)
        domain = self._find(name) if name in self._names else None
        if domain is None:
            return raw
        keys = await self._look(domain)
        signers = [key.signer(name) for key in keys]
        if not signers:
            self._unsigned.add(name)
            return raw
        self._unsigned.discard(name)
        try:
            return await trio.to_thread.run_sync(sign_message, raw, signers, limiter=self._threads)
        except RemoteProtocolError as fault:  # a signature that some would not see alike is worse than none
            log.warning("a letter of %s goes out unsigned: %s", name, fault)
            return raw

    async def look(self, text: str = "") -> None:
        """Ask the DNS for the keys that wait, of one domain or of all, and go by what it shows within LOOK_S.
        Raises DomainError.
        """
        asked = [self._one(text)] if text else [one for one in self._all() if one.name in self._names]
        with trio.move_on_after(LOOK_S):
            async with trio.open_nursery() as nursery:
                for domain in asked:
                    if domain.waiting:
                        nursery.start_soon(self._look, domain)

    async def _look(self, domain: Domain) -> list[DkimKey]:
        """The newest key of each algorithm that the DNS shows now; where it does not answer, that it has
        shown.
        """
        shown: dict[str, bool | None] = {}
        async with trio.open_nursery() as nursery:
            for key in domain.alive:
                nursery.start_soon(self._ask, key, key.signer(domain.name), shown)
        await self._note_shown(domain.name, {selector for selector, seen in shown.items() if seen})
        fit = [key for key in domain.alive if _fits(key, shown[key.selector])]
        newest = {key.algorithm: key for key in fit}
        return [newest[algorithm] for algorithm in ALGORITHMS if algorithm in newest]

    async def _ask(self, key: DkimKey, signer: Signer, shown: dict[str, bool | None]) -> None:
        shown[key.selector] = None
        if self._dns is None or key.forced:
            return
        try:
            shown[key.selector] = signer.is_published(await self._dns.txt(key.name(signer.domain)))
        except DnsLater:
            return

    async def _note_shown(self, name: str, selectors: set[str]) -> None:
        """Keys that waited and are published sign from now on; those before them do not any more."""
        domain = self._find(name)  # anew: it may have changed meanwhile
        if domain is None or not any(key.selector in selectors for key in domain.waiting):
            return
        try:
            await self._keep(domain.with_used(selectors, self._clock.now()))
        except StoreUnavailable as fault:  # it is seen again at the next letter
            log.warning("not noted that keys of %s are published: %s", name, fault.text)

    # ---- how it stands

    def rows(self) -> list[dict[str, Any]]:
        """All domains by name, as `domain list --json` has them."""
        return [self._row(domain) for domain in self._all() if domain.name in self._names]

    def row(self, text: str = "") -> dict[str, Any]:
        """One of them; without a name the only one. Raises DomainError."""
        return self._row(self._one(text))

    def records(self, text: str, facts: Facts) -> tuple[DnsRecord, ...]:
        """All that its DNS has to have, each exactly as it is to be published. Raises DomainError."""
        return records_of(self._one(text), facts, self._clock.now())

    def warnings(self) -> list[Warning_]:
        """Domains in whose name a letter went out unsigned."""
        return [
            Warning_(
                "dkim-unpublished",
                f"letters from {name} go out without a signature: its DKIM keys are not in the DNS",
                f"publish what this shows: mailio dkim show {name}",
            )
            for name in sorted(self._unsigned & self._names)
        ]

    def _row(self, domain: Domain) -> dict[str, Any]:
        now = self._clock.now()
        published = {record.name: record for record in dkim_records(domain, now)}
        return {
            "domain": domain.name,
            "source": "settings" if domain.name in self._settings else "book",
            "host": domain.host,
            "added": domain.added,
            "keys": [
                {
                    "selector": key.selector,
                    "algorithm": key.algorithm,
                    "state": key.state(now),
                    "made": key.made,
                    "used": key.used,
                    "until": key.until,
                    "name": key.name(domain.name),
                    "value": key.txt,
                    "zone": record.zone if (record := published.get(key.name(domain.name))) else "",
                }
                for key in domain.keys
            ],
        }

    # ---- the store

    async def _make(self, name: str, host: str, *, kept: bool) -> None:
        """A domain with its first keys, unless it has come meanwhile."""
        keys = await trio.to_thread.run_sync(new_keys, self._clock.now(), limiter=self._threads)
        if self._find(name) is None:
            now = self._clock.now()
            await self._keep(Domain(name, host or f"mail.{name}", kept, now).with_keys(keys, now))

    async def _keep(self, domain: Domain) -> None:
        batch = Batch()
        batch.put(DOMAIN, self._place(domain.name), write(domain))
        await self._store.write(batch)
        self._refresh()

    def _refresh(self) -> None:
        # One assignment: another thread sees the old set or the new one.
        self._names = frozenset([*self._settings, *(one.name for one in self._all() if one.kept)])

    def _one(self, text: str) -> Domain:
        if not text:
            names = sorted(self._names)
            if len(names) != 1:
                raise errors.which(names)
            text = names[0]
        name = _name(text)
        domain = self._find(name) if name in self._names else None
        if domain is None:
            raise errors.unknown(name)
        return domain

    def _find(self, name: str) -> Domain | None:
        value = self._store.get(DOMAIN, self._place(name))
        return None if value is None else read(value)

    def _all(self) -> list[Domain]:
        return sorted((read(value) for _, value in self._store.walk(DOMAIN)), key=lambda one: one.name)

    def _place(self, name: str) -> tuple[bytes]:
        return (self._store.index("domain", name.encode()),)


def _fits(key: DkimKey, shown: bool | None) -> bool:
    return key.used > 0 if shown is None else shown


def _name(text: str) -> str:
    """A domain as it was typed. Raises DomainError."""
    name = _normal(text.strip().removesuffix("."))
    if "." not in name or name.rpartition(".")[2].isdigit() or f".{name}".endswith(f".{MAILBOX_DOMAIN}"):
        raise errors.bad_domain(text)
    return name


def _host(text: str) -> str:
    name = _normal(text.strip().removesuffix("."))
    if text and ("." not in name or name.rpartition(".")[2].isdigit()):
        raise errors.bad_host(text)
    return name


def _normal(text: str) -> str:
    """What is no domain becomes empty."""
    try:
        return normal_domain(text)
    except RemoteProtocolError:
        return ""


def _day(when: int) -> str:
    return f"{datetime.fromtimestamp(when / 1000, UTC):%Y-%m-%d}"
