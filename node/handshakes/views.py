"""What this room needs of others: small interfaces, fitted by app. Nothing happens here."""

from collections.abc import Callable, Sequence
from typing import Protocol

from node.letters import Due
from node.outbox import Letter, Outgoing
from node.storage import Batch
from protocol.keys import SigningKey
from protocol.receipt import Receipt


class Signer(Protocol):
    """The owner's identity."""

    @property
    def address(self) -> str: ...

    @property
    def signing_key(self) -> SigningKey: ...

    def link(self, addrs: Sequence[str] = (), invitation: bytes | None = None) -> str:
        """The owner's contact link."""


class Mailroom(Protocol):
    """The letters that wait in the folder `handshake` (node.letters)."""

    def waiting(self, address: str) -> int: ...

    def receipts_due(self, address: str) -> Sequence[Due]: ...

    def release(self, batch: Batch, address: str) -> int:
        """Move the letters of this author to the inbox; returns how many."""


class Queue(Protocol):
    """The outbox (node.outbox)."""

    def submit(self, batch: Batch, outgoing: Outgoing) -> Letter: ...

    def started(self, letter: Letter) -> None: ...

    def wake(self, address: str) -> None: ...

    def revoked(self, batch: Batch, address: str) -> None: ...

    def receipt(self, batch: Batch, receipt: Receipt, author: str) -> Callable[[], None]: ...
