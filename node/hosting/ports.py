"""What being a host needs of the rooms below and beside it. Who fits them is app's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from node.network import PeerAddress
from node.storage import Batch
from protocol.account import KeptFile

Most = int | Callable[[], int]


class Channel(Protocol):
    """Framed messages with one peer."""

    @property
    def peer_id(self) -> bytes: ...

    @property
    def remote_block(self) -> str: ...

    async def send(self, data: bytes) -> None: ...

    async def receive(self, most: Most | None = None) -> bytes: ...


class Bodies(Protocol):
    """Room for envelopes that arrive at once."""

    def slot(self, channel: Channel, accepted: str | None) -> AbstractAsyncContextManager[None]:
        """Raises Busy when there is none."""
        ...


class Session(Protocol):
    """One peer that is asked for blocks."""

    async def want(self, cids: Sequence[bytes]) -> None: ...

    async def receive(self) -> tuple[bytes, bytes | None]: ...


class Swap(Protocol):
    """The exchange of blocks."""

    def session(self, peer: PeerAddress) -> AbstractAsyncContextManager[Session]:
        """Raises PeerUnreachable."""
        ...


class Network(Protocol):
    """The part of node.network's Network that is used here."""

    @property
    def peer_id(self) -> bytes: ...

    @property
    def bodies(self) -> Bodies: ...

    @property
    def bitswap(self) -> Swap: ...

    def serve(
        self,
        protocol_id: str,
        handler: Callable[[Channel], Awaitable[None]],
        *,
        max_frame: int,
        deadline: float,
    ) -> None: ...

    def blame(self, peer_id: bytes, fault: str) -> None: ...

    async def put_record(self, address: str, value: bytes) -> int: ...


class Keeper(Protocol):
    """Keeps files for accounts, as sealed blocks from their owners, and serves them to whoever asks."""

    async def keep(self, account: bytes, kept: KeptFile, session: Session) -> None:
        """Fetch what is missing of a file and keep it until `kept.until`. Asked again where only that has
        changed. Raises NodeError, RemoteProtocolError where it does not come or is not what was said.
        """
        ...

    def release(self, batch: Batch, account: bytes, cid: bytes) -> None:
        """This account wants a file no longer. It goes unless others do."""
        ...

    def whole(self, account: bytes, kept: KeptFile) -> bool:
        """Whether all of it is here, and kept for this account until `kept.until`."""
        ...
