"""MTA-STS (RFC 8461): a domain's policy, looked up, fetched by HTTPS, and kept in the store for its time.

What it means for a connection is direct.py's; the file's form is protocol.mtasts.
"""

from __future__ import annotations

import importlib
import logging
import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import trio

from node.runtime.clock import Clock
from node.runtime.errors import DnsLater
from node.smtp.exchangers import Reach
from node.storage import Batch, Store
from node.storage import schema as spaces
from protocol.errors import RemoteProtocolError
from protocol.mtasts import MAX_POLICY, PATH, Policy, find_id, parse_policy, policy_host, txt_name

log = logging.getLogger(__name__)

FETCH_S: Final = 20.0
"""Seconds for a whole fetch (RFC 8461 §3.3 speaks of a minute; a letter waits for it)."""

HOLD_OFF_S: Final = 300.0
"""Seconds in which a policy that could not be fetched is not asked for again (§3.3)."""

MAX_HELD_OFF: Final = 1_000
"""Domains of which that is remembered."""

FETCHES: Final = 4
"""Fetches at once: each may hold 64 KiB and a TLS connection."""

MAX_KEPT: Final = 10_000
"""Policies in the store; more domains than anyone writes to."""

PORT: Final = 443


class Resolver(Protocol):
    """The DNS (runtime.dns). Everything raises DnsLater; nothing there is ()."""

    async def txt(self, name: str) -> tuple[bytes, ...]: ...

    async def a(self, name: str) -> tuple[str, ...]: ...

    async def aaaa(self, name: str) -> tuple[str, ...]: ...


class _NoPolicy(Exception):  # noqa: N818 - what came of a fetch
    """It could not be fetched, or is none."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A policy as the store has it; times in Unix ms."""

    id: str
    policy: Policy
    fetched: int

    @property
    def until(self) -> int:
        return self.fetched + self.policy.max_age * 1000

    @property
    def is_old(self) -> int:
        """From when on it is fetched anew though its id is the same (§3.3)."""
        return self.fetched + self.policy.max_age * 500


class Policies:
    """`tls` says whom a policy's server must be signed by; by default whom the system trusts."""

    def __init__(
        self,
        store: Store,
        names: Resolver,
        reach: Reach,
        clock: Clock,
        *,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        port: int = PORT,
    ) -> None:
        self._store = store
        self._names = names
        self._reach = reach
        self._clock = clock
        self._tls = tls
        self._port = port
        self._slots = trio.CapacityLimiter(FETCHES)
        self._fetching: dict[str, trio.Event] = {}
        self._held_off: OrderedDict[str, float] = OrderedDict()  # domain → until when, on trio's clock

    async def of(self, domain: str) -> Policy | None:
        """What binds deliveries to this domain now, None for nothing. A policy that was kept binds until its
        time is over, whatever became of its record (§5.1).
        """
        announced = await self._announced(domain)
        while (fetching := self._fetching.get(domain)) is not None:
            await fetching.wait()
        # From here to the fetch nothing waits: nobody else begins one.
        kept, now = self._kept(domain), self._clock.now()
        if announced is None or (kept is not None and kept.id == announced and now < kept.is_old):
            return kept.policy if kept is not None else None
        if self._held_off.get(domain, 0.0) > trio.current_time():
            return kept.policy if kept is not None else None
        return await self._refreshed(domain, announced, kept)

    async def tidy(self) -> None:
        """Drop what is over."""
        batch, now = Batch(), self._clock.now()
        rows: Any = self._store.walk(spaces.MTA_STS)
        for number, (key, row) in enumerate(rows):
            if row["fetched"] + row["maxAge"] * 1000 <= now or number >= MAX_KEPT:
                batch.delete(spaces.MTA_STS, key)
        await self._store.write(batch, sync=False)

    async def _announced(self, domain: str) -> str | None:
        """The id in its TXT record, None where there is none that counts (§3.1)."""
        try:
            return find_id([record] for record in await self._names.txt(txt_name(domain)))
        except (DnsLater, RemoteProtocolError) as fault:
            log.debug("the policy of a domain is not known: %s", type(fault).__name__)
            return None

    async def _refreshed(self, domain: str, announced: str, kept: _Kept | None) -> Policy | None:
        done = self._fetching[domain] = trio.Event()
        try:
            with trio.fail_after(FETCH_S):
                async with self._slots:
                    policy = parse_policy(await self._fetch(domain))
        except (_NoPolicy, RemoteProtocolError, trio.TooSlowError) as fault:
            log.info("the MTA-STS policy of %s can't be had: %s", domain, str(fault) or "too slow")
            self._hold_off(domain)
            return kept.policy if kept is not None else None
        else:
            await self._keep(domain, _Kept(announced, policy, self._clock.now()))
            return policy
        finally:
            del self._fetching[domain]
            done.set()

    def _hold_off(self, domain: str) -> None:
        self._held_off[domain] = trio.current_time() + HOLD_OFF_S
        self._held_off.move_to_end(domain)
        if len(self._held_off) > MAX_HELD_OFF:
            self._held_off.popitem(last=False)

    # ---- in the store

    def _kept(self, domain: str) -> _Kept | None:
        row: Any = self._store.get(spaces.MTA_STS, self._key(domain))
        if row is None:
            return None
        kept = _Kept(row["id"], Policy(row["mode"], tuple(row["mx"]), row["maxAge"]), row["fetched"])
        return kept if self._clock.now() < kept.until else None

    async def _keep(self, domain: str, kept: _Kept) -> None:
        policy = kept.policy
        row: Any = {
            "id": kept.id,
            "mode": policy.mode,
            "mx": list(policy.mx),
            "maxAge": policy.max_age,
            "fetched": kept.fetched,
        }
        batch = Batch()
        batch.put(spaces.MTA_STS, self._key(domain), row)
        with trio.CancelScope(shield=True):
            await self._store.write(batch)

    def _key(self, domain: str) -> tuple[bytes]:
        return (self._store.index("mta-sts", domain.encode()),)

    # ---- over the network

    async def _fetch(self, domain: str) -> bytes:
        """The file; no redirects, a valid certificate for the name, a cap on its size (§3.3)."""
        host = policy_host(domain)
        address = await self._address(host)
        # httpx takes 0.3 s to import, and few domains have a policy.
        httpx = await trio.to_thread.run_sync(importlib.import_module, "httpx")
        tls = await trio.to_thread.run_sync(self._tls)
        where = f"[{address}]" if ":" in address else address
        try:
            async with (
                httpx.AsyncClient(verify=tls, trust_env=False, follow_redirects=False) as client,
                client.stream(
                    "GET",
                    f"https://{where}:{self._port}{PATH}",
                    headers={"Host": host, "Accept-Encoding": "identity"},
                    extensions={"sni_hostname": host},
                ) as response,
            ):
                kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                if response.status_code != 200 or kind != "text/plain":
                    raise _NoPolicy(f"its server answers {response.status_code} {kind[:50]}")
                return await _capped(response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
            raise _NoPolicy(f"{type(fault).__name__}: {str(fault)[:200]}") from fault

    async def _address(self, host: str) -> str:
        """By our own name servers, and never into a private network."""
        try:
            found = [*await self._names.a(host), *await self._names.aaaa(host)]
        except DnsLater as fault:
            raise _NoPolicy(fault.text) from fault
        address = next(filter(self._reach.allow, found), None)
        if address is None:
            raise _NoPolicy(f"{host} has no address that can be asked")
        return address


async def _capped(response: Any) -> bytes:
    body = bytearray()
    with trio.CancelScope() as scope:
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > MAX_POLICY:
                scope.cancel()  # leaving the loop would leave the generators inside of it half run
    if len(body) > MAX_POLICY:
        raise _NoPolicy("its policy is too large")
    return bytes(body)
