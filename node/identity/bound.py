"""What this node answers about e-mail hashes, where it is a domain's node: which are the owner's, and a
signed no for all others (protocol.md §4). Who may ask how often is answer.py's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeVar

import trio

from node.identity.own import Identity
from node.runtime.clock import DAY_MS, Clock
from node.storage import Batch, Store, StoreUnavailable
from node.storage.schema import META
from protocol.addresses import OwnEmails
from protocol.binding import Binding, sign_binding
from protocol.email import email_hash

log = logging.getLogger(__name__)

T = TypeVar("T")

META_KEY: Final = (b"bound",)
"""Where in the space `meta` the hashes of the owner's addresses are."""

YES_MS: Final = DAY_MS
"""How long a binding holds: for so long nobody asks again, and so long a change of owner takes."""

NO_MS: Final = 3_600_000
"""How long a no holds: an address that was just set up gets its sealed letters within an hour."""

MAX_ADDRESSES: Final = 1_000
"""Addresses that are answered for; a hash costs 0.15 s once."""

LOOK_S: Final = 60.0
"""Seconds between two looks whether addresses have come."""


class Threads(Protocol):
    """A few threads (node.runtime.worker), fitted by app."""

    async def in_thread(self, call: Callable[..., T], /, *args: object) -> T: ...


class Bound:
    """The owner's addresses in its domains. One task runs `run`. `*@domain` binds nothing: whether a hash is
    of such a domain can't be told from it, so those addresses get ordinary mail.
    """

    def __init__(
        self,
        store: Store,
        identity: Identity,
        addresses: Callable[[], OwnEmails],
        domains: Callable[[], frozenset[str]],
        threads: Threads,
        clock: Clock,
        silent: Callable[[], bool],
    ) -> None:
        """`silent`: nothing is signed now, for our clock is doubtful or a lost disk is being recovered."""
        self._store = store
        self._identity = identity
        self._addresses = addresses
        self._domains = domains
        self._threads = threads
        self._clock = clock
        self._silent = silent
        self._hashes: dict[str, str] = {}

    async def run(self) -> None:
        """Work out the hash of each address that is new, for ever."""
        self._hashes = dict(self._kept())
        while True:
            await self._hash_new()
            await trio.sleep(LOOK_S)

    def answer(self, asked: str, nonce: bytes) -> bytes | None:
        """The signed answer for this e-mail hash; None while there is none to give: this is no domain's node,
        or it is not ready.
        """
        ours = self._ours()
        if self._silent() or not self._domains() or any(email not in self._hashes for email in ours):
            return None
        owner = self._identity.public_key if asked in {self._hashes[email] for email in ours} else None
        now = self._clock.now()
        expires = now + (NO_MS if owner is None else YES_MS)
        return sign_binding(Binding(asked, nonce, owner, now, expires), self._identity.signing_key)

    def _ours(self) -> tuple[str, ...]:
        domains = self._domains()
        return tuple(x for x in self._addresses().exact if x.rpartition("@")[2] in domains)[:MAX_ADDRESSES]

    async def _hash_new(self) -> None:
        ours = self._ours()
        new = [email for email in ours if email not in self._hashes]
        for email in new:
            self._hashes[email] = await self._threads.in_thread(email_hash, email)
        if new:
            await self._keep({email: self._hashes[email] for email in ours})

    def _kept(self) -> Mapping[str, str]:
        row = self._store.get(META, META_KEY)
        return {k: v for k, v in row.items() if isinstance(v, str)} if isinstance(row, Mapping) else {}

    async def _keep(self, hashes: Mapping[str, str]) -> None:
        batch = Batch()
        batch.put(META, META_KEY, dict(hashes))
        try:
            await self._store.write(batch, sync=False)
        except StoreUnavailable as fault:  # worked out again at the next start
            log.warning("hashes of own addresses are not kept for now: %s", fault)
