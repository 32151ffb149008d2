"""What stands in for the network on a closed store: it can reach nobody and says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from node.outbox import Consignment, Recipient, Result
from node.runtime.errors import NodeError

if TYPE_CHECKING:
    from node.network import PeerAddress


class NotRunning(NodeError):  # noqa: N818 - a state, not a mistake
    """The node has to run for this."""

    def __init__(self) -> None:
        super().__init__("not-running", "this needs the network", "start the node with: mailio run")


class Offline:
    """A directory and a way to ask that lead nowhere."""

    async def find_records(self, address: str) -> list[bytes]:
        raise NotRunning

    def blame(self, peer_id: bytes, fault: str) -> None:
        """Nobody is there to be blamed."""

    async def ask(self, peer: PeerAddress, address: str) -> tuple[bytes | None, int]:
        raise NotRunning

    async def ask_binding(self, peer: PeerAddress, email_hash: str, nonce: bytes) -> bytes | None:
        raise NotRunning


class Parked:
    """The carrier of a closed store: letters wait in the outbox until the node runs."""

    def lane(self, recipient: Recipient) -> str:
        return recipient.address

    async def send(
        self, recipients: Sequence[Recipient], consignment: Consignment
    ) -> Mapping[Recipient, Result]:
        _never_sent()


def _never_sent() -> NoReturn:
    raise AssertionError("nothing is sent from a closed store")
