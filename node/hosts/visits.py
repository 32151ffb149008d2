"""Being at a host as the owner of an account: reached, proven, opened. What is done there is for others."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from node.hosts.book import HostRow, Origin
from node.hosts.errors import HostRefused
from node.hosts.talk import DEADLINE, HOST, Talk
from node.runtime.clock import Clock
from protocol.account import friend_message
from protocol.errors import RemoteProtocolError
from protocol.host import MAX_FRAME, Open
from protocol.identity import IdentityRecord
from protocol.keys import Secrets, SigningKey
from protocol.offer import KeyProof, Stamp
from protocol.stamps import ASK_ABOVE_PRICE, search_stamp
from protocol.status import FULL

if TYPE_CHECKING:
    from node.network import PeerAddress

T = TypeVar("T")

Friend = Callable[[bytes], Awaitable[SigningKey | None]]
"""Our delivery key at a peer whose owner is known to accept us."""

STAMP_S: Final = 300.0
"""Seconds for one stamp: 10 bits take a quarter of a minute here, one on a Raspberry Pi."""


class Channels(Protocol):
    """Who opens streams to other nodes."""

    @property
    def peer_id(self) -> bytes: ...

    def channel(
        self, peer: "PeerAddress", protocol_id: str, *, max_frame: int, deadline: float
    ) -> AbstractAsyncContextManager[Any]: ...


class Network(Channels, Protocol):
    """The part of node.network.Network that is used here."""

    def is_connected(self, peer_id: bytes) -> bool: ...

    def on_connected(self, callback: Callable[[bytes], None]) -> None: ...

    def serving(self, protocol_id: str) -> "list[PeerAddress]": ...


class Identity(Protocol):
    """The part of node.identity.Identity that is used here."""

    @property
    def secrets(self) -> Secrets: ...

    @property
    def first_week(self) -> int: ...

    def record(self, now: int) -> IdentityRecord: ...

    def content_changed(self, now: int) -> None: ...

    def on_change(self, listener: Callable[[], None]) -> None: ...


class Jobs(Protocol):
    """Where stamps are searched for."""

    async def run(self, job: Callable[..., T], *args: object, deadline: float) -> T: ...


@dataclass(frozen=True, slots=True)
class Visit:
    """One stream to a host, proven to be ours; `opened`: whether the account is, whose key is `account`."""

    talk: Talk
    opened: bool
    account: bytes


@asynccontextmanager
async def visit(
    channels: Channels, secrets: Secrets, peer: "PeerAddress", deadline: float = DEADLINE
) -> AsyncIterator[Visit]:
    """A stream to this host that has proven whose it is; `deadline`: seconds for each frame. Raises
    PeerUnreachable, RemoteProtocolError, HostRefused.
    """
    account = SigningKey.from_seed(secrets.account_seed(peer.peer_id))
    async with channels.channel(peer, HOST, max_frame=MAX_FRAME, deadline=deadline) as channel:
        talk = Talk(channel)
        opened = await talk.prove(account, peer.peer_id, channels.peer_id)
        yield Visit(talk, opened, account.public)


class Visits:
    """Makes them. Whatever is done within one raises PeerUnreachable, RemoteProtocolError, HostRefused."""

    def __init__(
        self,
        network: Network,
        identity: Identity,
        clock: Clock,
        stamps: Jobs,
        friend: Friend,
    ) -> None:
        """`friend` gives our delivery key at that peer, where its owner is known to accept us."""
        self._network = network
        self._identity = identity
        self._clock = clock
        self._stamps = stamps
        self._friend = friend

    @asynccontextmanager
    async def to(
        self, host: HostRow, deadline: float = DEADLINE, *, anew: bool = False
    ) -> AsyncIterator[Visit]:
        """`deadline`: seconds for each frame; with `anew` the network looks up where the host is now."""
        from node.network import PeerAddress

        addrs = () if anew or self._network.is_connected(host.peer_id) else host.addrs
        peer = PeerAddress(host.peer_id, addrs)
        async with visit(self._network, self._identity.secrets, peer, deadline) as found:
            yield found

    def told(self) -> Open:
        """What an open account is told of us."""
        record = self._identity.record(self._clock.now()).record
        return Open(record, (self._network.peer_id,), self._identity.first_week)

    async def open(self, talk: Talk, host: HostRow) -> Open:
        """Open the account by whatever the host takes of what we have; what it was told. Raises
        HostRefused, WorkerError.
        """
        told = self.told()
        for proof in await self._proofs(host):
            try:
                await self._ask(talk, told, proof, host)
            except HostRefused:
                if proof is None:
                    raise
            else:
                return told
        raise AssertionError("the last proof is none")

    async def _proofs(self, host: HostRow) -> list[KeyProof | None]:
        key = await self._friend(host.peer_id)
        if key is None:
            return [None]
        account = SigningKey.from_seed(self._identity.secrets.account_seed(host.peer_id)).public
        return [KeyProof(key.public, key.sign(friend_message(account))), None]

    async def _ask(self, talk: Talk, told: Open, proof: KeyProof | None, host: HostRow) -> None:
        challenge = await talk.open(_with(told, proof, host.voucher))
        if challenge is None:
            return
        if challenge.price > ASK_ABOVE_PRICE and host.origin is Origin.SELF:
            raise HostRefused(FULL, f"an account there costs {challenge.price} bits of work now")
        nonce = await self._stamps.run(search_stamp, challenge.challenge, challenge.price, deadline=STAMP_S)
        again = await talk.open(_with(told, Stamp(challenge.challenge, nonce), None))
        if again is not None:
            raise RemoteProtocolError("a host asked for a second stamp")


def _with(told: Open, proof: KeyProof | Stamp | None, voucher: bytes | None) -> Open:
    return Open(told.identity, told.nodes, told.first_week, proof, voucher)
