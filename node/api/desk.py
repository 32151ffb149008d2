"""What the API may use: the opened rooms, handed in by `app`. No request is handled here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from node.domains import DnsRecord, Domains
    from node.files import Files
    from node.handshakes import Handshakes
    from node.hosts import Hosts
    from node.identity import Identity
    from node.letters import Mailbox, UploadBook
    from node.names import Names
    from node.outbox import Letter, Outbox
    from node.outbox.submission import Submission
    from node.pickup import Provider
    from node.runtime.clock import Clock
    from node.runtime.events import Events
    from node.runtime.home import Home
    from node.storage import Store
    from node.users import Passwords, Users


class Network(Protocol):
    """The part of the network that can be looked at."""

    @property
    def peer_id_text(self) -> str: ...

    def listen_addrs(self) -> Sequence[str]: ...

    def peers(self) -> Sequence[Any]: ...


class Mailboxes(Protocol):
    """What can be done with the owner's mailboxes at providers."""

    def list(self) -> list[dict[str, Any]]: ...

    async def add(self, provider: Provider, password: str, *, check: bool) -> dict[str, Any]: ...

    async def remove(self, address: str) -> str: ...


Tell = Callable[[Mapping[str, object]], None]
Examine = Callable[[Tell], Awaitable[None]]
"""Looks at everything that can be wrong, and tells of each look as node.doctor has it."""


async def nothing_to_examine(tell: Tell) -> None:
    """Where nobody has fitted a doctor."""
    tell({"looks": []})


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What every node has, one that is only a public node too.

    `network` is None on a closed store. `status` gives what only `app` knows, in the fields of
    `status --json`; `voucher` makes one for an account here (None where this is no host); `stop` ends the
    node (None where there is nothing to end); `owner_of` names the owner whom a connected peer is known to
    belong to.
    """

    home: Home
    peer_id: str
    network: Network | None = None
    status: Callable[[], Mapping[str, object]] = dict
    voucher: Callable[[], Awaitable[bytes]] | None = None
    stop: Callable[[], None] | None = None
    owner_of: Callable[[bytes], str | None] = field(default=lambda _: None)
    examine: Examine = nothing_to_examine


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk(Base):
    """An owner's node: all that commands can reach. `fetch` gets what a letter lacks and `forget` ends that
    (None on a closed store); `whereabouts` says where the attachments of a letter on its way are: "none" that
    anybody is to fetch, "here" (no host takes them), "to-hosts" (not all are there), "at-hosts"; `records_of`
    gives what a domain's DNS has to have.
    """

    clock: Clock
    events: Events
    store: Store
    identity: Identity
    names: Names
    mailbox: Mailbox
    outbox: Outbox
    submission: Submission
    handshakes: Handshakes
    users: Users
    passwords: Passwords
    files: Files
    uploads: UploadBook
    hosts: Hosts
    domains: Domains
    mailboxes: Mailboxes
    records_of: Callable[[str], Sequence[DnsRecord]]
    whereabouts: Callable[[Letter], str]
    fetch: Callable[[bytes], Awaitable[None]] | None = None
    forget: Callable[[bytes], None] = field(default=lambda _: None)
