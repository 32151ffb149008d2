"""From an e-mail address to its owner (protocol.md §4): the address book, then what its domain said, then the
DNS and the domain's node. What was said before is seen.py's; what follows for a letter is the outbox's.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar

import nacl.utils
import trio

from node.names.errors import KeyChanged, NotFoundYet
from node.names.names import Names
from node.names.seen import Domain, Name, SeenBook
from node.runtime.clock import Clock
from node.runtime.errors import NodeError
from node.storage import Batch, Store, StoreUnavailable
from protocol.binding import Binding, parse_binding
from protocol.dns import find_mailio_txt, txt_name
from protocol.email import email_hash
from protocol.errors import RemoteProtocolError
from protocol.exchange_identity import NONCE_BYTES
from protocol.keys import address_of

if TYPE_CHECKING:
    from node.network.addresses import PeerAddress

log = logging.getLogger(__name__)

T = TypeVar("T")

ASK_S: Final = 10.0
"""Seconds for finding a domain's node and its answer, once the DNS has named its key."""

MAX_ASKED: Final = 4
"""Nodes of one owner that are asked at once; the first good answer ends it."""

AT_ONCE: Final = 8
"""Addresses that are looked for at once: a hash of each costs 0.15 s of a core and 32 MiB in two threads."""

HASHING: Final = 2
"""Hashes worked out side by side; the other threads stay free."""

HOLD_OFF_S: Final = 10.0
"""Seconds in which a domain whose node did not answer is not asked again."""

MAX_REMEMBERED: Final = 1_024
"""Hashes, answers and silent domains kept in memory, each; the one used longest ago goes first."""


@dataclass(frozen=True, slots=True)
class Found:
    """It is this owner's, and reached sealed."""

    address: str


@dataclass(frozen=True, slots=True)
class No:
    """It is reached by ordinary mail: its domain has no Mailio key, or says that it is nobody's there."""


@dataclass(frozen=True, slots=True)
class Later:
    """Nobody who knows has answered; `text` says who did not. Never a no."""

    text: str


@dataclass(frozen=True, slots=True)
class Held:
    """It was a Mailio owner's and is not any more, or another's, as `text` says: who writes there decides."""

    text: str


Discovered: TypeAlias = Found | No | Later | Held


class Texts(Protocol):
    """The part of the DNS that is used here (runtime.dns.Resolver)."""

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """What is at a name, kept for as long as the answer says. Raises NodeError for "later"."""
        ...


class Blame(Protocol):
    """Who counts a peer's faults."""

    def blame(self, peer_id: bytes, fault: str) -> None: ...


class Threads(Protocol):
    """A few threads (node.runtime.worker), fitted by app."""

    async def in_thread(self, call: Callable[..., T], /, *args: object) -> T: ...


Ask = Callable[["PeerAddress", str, bytes], Awaitable[bytes | None]]
"""Asks one node about an e-mail hash with a nonce (identity.ask_binding, fitted by app)."""


class Bindings:
    """Finds out who has an e-mail address. `own_key` is the owner's identity key; `dns` is None on a closed
    store.
    """

    def __init__(
        self,
        names: Names,
        store: Store,
        dns: Texts | None,
        network: Blame,
        ask: Ask,
        threads: Threads,
        clock: Clock,
        doubtful: Callable[[], object],
        own_key: bytes,
    ) -> None:
        self._names = names
        self._store = store
        self._dns = dns
        self._network = network
        self._ask = ask
        self._threads = threads
        self._clock = clock
        self._doubtful = doubtful
        self._own_key = own_key
        self._seen = SeenBook(store)
        self._hashes: OrderedDict[str, str] = OrderedDict()
        self._said: OrderedDict[str, tuple[bytes, Binding]] = OrderedDict()
        self._silent: OrderedDict[str, float] = OrderedDict()
        self._limit = trio.CapacityLimiter(AT_ONCE)
        self._hashing = trio.CapacityLimiter(HASHING)

    async def discover_all(self, emails: Iterable[str], seconds: float) -> Mapping[str, Discovered]:
        """`discover` for several at once; who is not found out about in time is for later."""
        found: dict[str, Discovered] = {}

        async def one(email: str) -> None:
            try:
                found[email] = await self.discover(email)
            except StoreUnavailable as fault:
                found[email] = Later(fault.text)

        wanted = tuple(dict.fromkeys(emails))
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for email in wanted:
                    nursery.start_soon(one, email)
        return {email: found.get(email, Later(f"{_domain(email)} has not answered yet")) for email in wanted}

    async def discover(self, email: str, *, remember: bool = True) -> Discovered:
        """Who has this address (in its normal form). With `remember` what its domain says is kept for ever,
        so that nothing goes open there later. Raises StoreUnavailable.
        """
        target = self._names.resolve(email)
        if target.kind == "mailio":
            return Found(target.address)
        async with self._limit:
            return await self._from_domain(email, remember)

    async def _from_domain(self, email: str, remember: bool) -> Discovered:
        domain, known = _domain(email), self._known(email)
        try:
            key = await self._key_of(domain)
        except NodeError as fault:
            return Later(fault.text) if known is None else Found(known.address)
        except RemoteProtocolError as fault:
            text = f"the Mailio key of {domain} can't be read: {fault}"
            return Later(text) if known is None else Found(known.address)
        seen = self._seen.domain(domain)
        if key is None:
            # Of an address alone nothing is remembered: its domain's row was written with it, or before.
            return No() if seen is None else Held(f"{domain} had a Mailio key and shows none any more")
        if seen is not None and seen.answered and seen.key != key:
            return Held(f"{domain} shows another Mailio key than before")
        if key == self._own_key:
            return No()  # what is ours in our own domain is known without asking
        if remember and (seen is None or seen.key != key):
            batch = Batch()
            self._seen.put_domain(batch, domain, Domain(key, answered=False))
            await self._write(batch)
        if known is not None and known.key == key:
            return Found(known.address)
        return await self._from_node(email, key, remember)

    def _known(self, email: str) -> Name | None:
        """What its domain said, while that holds."""
        name = self._seen.name(email)
        return name if name is not None and self._clock.now() < name.expires else None

    async def _key_of(self, domain: str) -> bytes | None:
        """Raises NodeError for "later", RemoteProtocolError."""
        if self._dns is None:
            raise NodeError("dns-later", f"{domain} is looked up when the node runs")
        return find_mailio_txt([[record] for record in await self._dns.txt(txt_name(domain))])

    async def _from_node(self, email: str, key: bytes, remember: bool) -> Discovered:
        domain = _domain(email)
        signer, said = self._said.get(email, (b"", None))
        if said is None or signer != key or self._clock.now() >= said.expires:
            if trio.current_time() < self._silent.get(domain, 0.0):
                return Later(f"the node of {domain} does not answer")
            hashed, said = await self._hash(email), None
            with trio.move_on_after(ASK_S):
                try:
                    said = await self._answer(key, hashed)
                except KeyChanged as fault:
                    return Held(str(fault))
            if said is None:
                _keep(self._silent, domain, trio.current_time() + HOLD_OFF_S)
                return Later(f"the node of {domain} does not answer")
            _keep(self._said, email, (key, said))
        return await self._believe(email, key, said, remember)

    async def _answer(self, key: bytes, hashed: str) -> Binding | None:
        """What one of the nodes of the owner of this key says of an e-mail hash. Raises KeyChanged."""
        address = address_of(key)
        try:
            record = await self._names.find(address, self._clock.now())
        except NotFoundYet:
            return None
        if record.public_key != key:
            raise KeyChanged(address)
        found: list[Binding] = []

        async def ask(peer: PeerAddress, scope: trio.CancelScope) -> None:
            nonce = nacl.utils.random(NONCE_BYTES)
            now = None if self._doubtful() else self._clock.now()
            try:
                data = await self._ask(peer, hashed, nonce)
                if data is not None:
                    found.append(parse_binding(data, key, hashed, nonce, now))
                    scope.cancel()
            except NodeError:
                pass  # asleep or gone: another of its nodes may answer
            except RemoteProtocolError as fault:
                log.info("a domain's node gave an answer that nobody can believe: %s", fault)
                if fault.status.category == 5:  # of two clocks that differ it may be ours that is wrong
                    self._network.blame(peer.peer_id, "identity")

        async with trio.open_nursery() as nursery:
            for peer in self._names.nodes_of(address)[:MAX_ASKED]:
                nursery.start_soon(ask, peer, nursery.cancel_scope)
        return found[0] if found else None

    async def _believe(self, email: str, key: bytes, said: Binding, remember: bool) -> Discovered:
        """What follows from a domain's word; with `remember` it is on disk then."""
        before, batch, domain = self._seen.name(email), Batch(), _domain(email)
        answered = Domain(key, answered=True)
        if self._seen.domain(domain) != answered:
            self._seen.put_domain(batch, domain, answered)
        result: Discovered = No()
        if said.owner is None and before is not None:
            result = Held(f"{domain} says that {email} is no Mailio owner's any more")
        elif said.owner is not None and before is not None and before.owner != said.owner:
            result = Held(f"{email} belongs to another owner than before")
        elif said.owner is not None:
            name = Name(said.owner, key, said.expires)
            try:
                self._names.learn_key(batch, said.owner)
            except KeyChanged as fault:
                return Held(str(fault))
            if before != name:
                self._seen.put_name(batch, email, name)
            result = Found(name.address)
        if remember and not batch.is_empty:
            await self._write(batch)
        return result

    async def _hash(self, email: str) -> str:
        if email not in self._hashes:
            async with self._hashing:
                _keep(self._hashes, email, await self._threads.in_thread(email_hash, email))
        return self._hashes[email]

    async def _write(self, batch: Batch) -> None:
        """On disk before anything is sent that rests on it."""
        with trio.CancelScope(shield=True):
            await self._store.write(batch)


def _domain(email: str) -> str:
    return email.rpartition("@")[2]


def _keep(memory: OrderedDict[str, T], key: str, value: T) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > MAX_REMEMBERED:
        memory.popitem(last=False)
