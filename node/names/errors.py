"""Faults of the address book and of finding people. What a peer did wrong carries its status.

NodeError
├── ContactError         a change to the address book that can't be made
├── UnknownRecipient     text that names nobody we know, and no address
└── NotFoundYet          nobody who answered knows this address: later, never "no" (protocol §4)
RemoteProtocolError
└── KeyChanged           other keys than those pinned: letters are held until the owner decides (4.8.1)
"""

from node.runtime.errors import NodeError
from protocol.errors import RemoteProtocolError
from protocol.status import HELD_KEY, NO_ANSWER, Status


class ContactError(NodeError):
    """A change to the address book that can't be made."""


class UnknownRecipient(NodeError):  # noqa: N818 - what it is
    """Text that names nobody we know and is no address."""


class NotFoundYet(NodeError):  # noqa: N818 - not a mistake, a state
    """Nobody who answered knows this address at the moment; `status` is what a recipient's state shows."""

    status: Status = NO_ANSWER

    def __init__(self, address: str) -> None:
        super().__init__(
            "not-found-yet",
            f"{address} was not found yet",
            "it is looked for again by itself; a contact link of theirs finds them at once",
        )
        self.address = address


class KeyChanged(RemoteProtocolError):  # noqa: N818 - what happened
    """A record whose keys are not the pinned ones (protocol §2); the pinned ones stay."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} shows other keys than those known before", HELD_KEY)
        self.address = address
