"""The keys in use and what we say of ourselves with them. Files are files.py's, telling is publish.py's."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import trio

from node.identity.files import Sealer, link_ends, load_chain, load_secrets, oldest_week, write_chain
from node.identity.state import State
from node.runtime.clock import DAY_MS
from node.runtime.errors import NodeError, UsageError
from node.runtime.home import Home
from node.runtime.rooms import Warning_
from node.storage import Batch, Store
from node.storage.schema import META
from protocol.errors import LocalProtocolError
from protocol.identity import Capabilities, Host, IdentityRecord, build_identity
from protocol.keys import Secrets, SigningKey, root_of
from protocol.link import ContactLink
from protocol.nodes import build_nodes
from protocol.peers import MAX_ADDRS, Peer, is_private_multiaddr, publishable
from protocol.prekeys import Chain
from protocol.record import MAX_AHEAD_MS, next_seq
from protocol.stamps import DEFAULT_PRICE

MAX_WEEKS: Final = 520
"""Ten years of weeks after our oldest link: no honest letter is sealed for a later one, and a hostile
number costs 0.5 ms at most."""

META_KEY: Final = (b"identity",)
"""Where in the space `meta` this room keeps what it knows of the record and of the words."""


def _no_peers() -> tuple[Peer, ...]:
    return ()


def _no_hosts() -> tuple[Host, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Profile:
    """What the records say besides keys; other rooms know it. `nodes` are for everyone, `told_nodes` for
    those that we have accepted; either may hold private addresses: they are never published.
    """

    nodes: Callable[[], Sequence[Peer]] = _no_peers
    told_nodes: Callable[[], Sequence[Peer]] = _no_peers
    hosts: Callable[[], Sequence[Host]] = _no_hosts
    capabilities: Capabilities = Capabilities()  # noqa: RUF009 - frozen
    price: int = DEFAULT_PRICE


class Identity:
    """An owner's identity on this node; made by `load`. Belongs to trio's thread."""

    def __init__(self, home: Home, key: Sealer, secrets: Secrets, chain: Chain) -> None:
        self.secrets = secrets
        self.signing_key: SigningKey = secrets.signing_key
        self.public_key: bytes = self.signing_key.public
        self.address: str = secrets.address
        self._home = home
        self._key = key
        self._chain = chain
        self._prekeys: dict[int, bytes] = {}
        self._store: Store | None = None
        self._profile = Profile()
        self._state = State()
        self._built: tuple[int, IdentityRecord] | None = None
        self._listeners: list[Callable[[], None]] = []

    def attach(self, store: Store, profile: Profile) -> None:
        """Give the identity its memory and what it is to say of itself; before that its record names
        no node and no change is remembered.
        """
        self._store, self._profile = store, profile
        self._state = State.read(store.get(META, META_KEY))
        self._built = None

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have `listener` called whenever the record's content was found to have changed."""
        self._listeners.append(listener)

    # Prekeys

    @property
    def first_week(self) -> int:
        """The oldest week whose letters can still be opened."""
        return self._chain.week

    def prekey_private(self, week: int) -> bytes | None:
        """The private key of a week; None where its link is destroyed, or it is from another era."""
        if not self._chain.week <= week <= self._chain.week + MAX_WEEKS:
            return None
        if week not in self._prekeys:
            if len(self._prekeys) > MAX_WEEKS:
                self._prekeys.clear()
            self._prekeys[week] = self._chain.private(week)
        return self._prekeys[week]

    def weeks(self, now: int) -> tuple[int, int]:
        """The prekey weeks that letters are taken for at `now` (Unix ms): the first one, and how many up to
        the end of our current record.
        """
        first, record = self._chain.week, self.record(now)
        return first, record.first_week + len(record.prekeys) - first

    async def destroy_links(self, now: int) -> bool:
        """Destroy the links whose week ended 40 days before `now` (Unix ms) or earlier (protocol §2);
        whether there were any. Not to be called while the clock is doubtful.
        """
        if now < link_ends(self._chain.week):
            return False
        later = self._chain.advance(oldest_week(now))
        await trio.to_thread.run_sync(write_chain, self._home, self._key, later)
        self._chain = later
        self._prekeys = {week: key for week, key in self._prekeys.items() if week >= later.week}
        return True

    # The record

    def record(self, now: int) -> IdentityRecord:
        """Our IdentityRecord as of `now` (Unix ms): the same bytes for the same content all through a UTC
        day (protocol §3). Raises NodeError when the clock is before our oldest prekey link.
        """
        self.content_changed(now)
        created = max(self._state.changed, now // DAY_MS * DAY_MS)
        if self._built is None or self._built[0] != created:
            self._built = created, self._build(created)
        return self._built[1]

    def nodes_record(self, now: int) -> bytes | None:
        """Our `nodes/1` record as of `now` (Unix ms), for letters to those that we have accepted (protocol
        §3); None where our IdentityRecord tells everyone. Its seq is when it last changed, so `save` what
        this may change before it goes out.
        """
        nodes = _peers(self._profile.told_nodes())
        if not nodes:
            return None
        content = _hash(nodes)
        if content != self._state.told:
            seq = next_seq(self._state.told_changed, now)
            self._state = replace(self._state, told=content, told_changed=seq)
        return build_nodes(self.signing_key, nodes, self._state.told_changed).record

    def content_changed(self, now: int) -> None:
        """Look whether what the record says has changed, and tell the listeners if so."""
        content = self._content()
        if content == self._state.content:
            return
        self._state = replace(self._state, content=content, changed=next_seq(self._state.changed, now))
        self._built = None
        for listener in self._listeners:
            listener()

    def mend_time(self, now: int) -> None:
        """Forget a change dated by a clock that ran far ahead: nobody took that record. Not to be
        called while the clock is doubtful.
        """
        if self._state.changed > now + MAX_AHEAD_MS:
            self._state = replace(self._state, changed=now)
            self._built = None
        if self._state.told_changed > now + MAX_AHEAD_MS:
            self._state = replace(self._state, told_changed=now)

    def save(self, batch: Batch) -> None:
        """Add what is to be remembered to the batch, if anything is."""
        if self._store is None or self._state == State.read(self._store.get(META, META_KEY)):
            return
        batch.put(META, META_KEY, self._state.value())

    def recover(self, batch: Batch, record: IdentityRecord) -> None:
        """Go on from a record that we published before a disk was lost: ours replaces it whatever the clock
        says, and its birth stamp need not be found again.
        """
        self._state = replace(
            self._state,
            changed=max(self._state.changed, record.seq),
            content=b"" if record.seq > self._state.changed else self._state.content,
            birth=self._state.birth or record.birth,
        )
        self._built = None
        self.save(batch)

    def link(self, addrs: Sequence[str] = (), invitation: bytes | None = None) -> str:
        """Our contact link with these addresses (each with `/p2p/`); public ones first, as many as a
        link holds.
        """
        ordered = sorted(dict.fromkeys(addrs), key=is_private_multiaddr)[:MAX_ADDRS]
        return ContactLink(self.address, self.public_key, tuple(ordered), invitation).encode()

    # The birth stamp

    @property
    def birth(self) -> bytes | None:
        """The nonce of our birth stamp, once it was found."""
        return self._state.birth

    @property
    def birth_tried(self) -> int:
        """How many nonces were tried without luck; they are tried in order, so that every own node of
        an owner ends at the same one.
        """
        return self._state.birth_tried

    def birth_progress(self, batch: Batch, tried: int, found: bytes | None, now: int) -> None:
        """Remember how far the search came; a stamp found becomes part of the record."""
        self._state = replace(self._state, birth_tried=tried, birth=found)
        self.content_changed(now)
        self.save(batch)

    # The words

    @property
    def confirmed(self) -> bool:
        """Whether the owner has shown to have the words."""
        return self._state.confirmed

    def matches(self, words: Sequence[str]) -> bool:
        """Whether these are the words of this identity. Raises UsageError saying what is wrong with words
        that can't be anyone's.
        """
        try:
            root = root_of(words)
        except LocalProtocolError as fault:
            raise UsageError("words", str(fault), "type all 24 words in their order") from None
        derived = Secrets.derive(root, self.secrets.generation)
        return hmac.compare_digest(derived.identity_seed, self.secrets.identity_seed)

    def confirm(self, batch: Batch) -> None:
        """Remember that the owner has the words; nothing of them is kept."""
        self._state = replace(self._state, confirmed=True)
        self.save(batch)

    def warnings(self) -> list[Warning_]:
        """What the owner should know."""
        if self.confirmed:
            return []
        text = "you have not confirmed your 24 words: without them a lost disk is a lost identity"
        return [Warning_("words-unconfirmed", text, "mailio words confirm")]

    def _content(self) -> bytes:
        """A hash over all that the record says but its keys and times."""
        profile = self._profile
        nodes = [(node.peer_id, node.addrs) for node in _peers(profile.nodes())]
        hosts = sorted((h.peer_id, _published(h.addrs), h.account, h.roles) for h in profile.hosts())
        return _hash((nodes, hosts, profile.capabilities, profile.price, self._state.birth))

    def _build(self, created: int) -> IdentityRecord:
        try:
            return build_identity(
                self.secrets,
                self._chain,
                hosts=self._profile.hosts(),
                nodes=_peers(self._profile.nodes()),
                capabilities=self._profile.capabilities,
                price=self._profile.price,
                birth=self._state.birth,
                created=created,
            )
        except LocalProtocolError as fault:
            raise NodeError(
                "identity-record",
                f"our identity record can't be made: {fault}",
                "set the machine's clock; if it is right, recover with: mailio init --recover",
            ) from fault


def load(home: Home, key: Sealer) -> Identity:
    """The identity of this home. Raises NodeError `no-identity`, and for files missing or damaged."""
    return Identity(home, key, load_secrets(home, key), load_chain(home, key))


def node_of(peer_id: bytes, addrs: Sequence[str]) -> Peer:
    """A node as the record names it, from addresses with or without its `/p2p/` at their end."""
    plain = []
    for addr in addrs:
        transport, found, last = addr.rpartition("/p2p/")
        plain.append(transport if found and "/" not in last else addr)
    return Peer(peer_id, tuple(plain))


def _peers(nodes: Sequence[Peer]) -> list[Peer]:
    """Nodes as records name them: in order, with public addresses only."""
    return sorted((Peer(n.peer_id, _published(n.addrs)) for n in nodes), key=lambda n: n.peer_id)


def _hash(content: object) -> bytes:
    return hashlib.blake2b(repr(content).encode(), digest_size=16).digest()


def _published(addrs: Sequence[str]) -> tuple[str, ...]:
    return publishable(addrs)[:MAX_ADDRS]
