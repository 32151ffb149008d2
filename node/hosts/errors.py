"""What can go wrong at a host.

NodeError
├── HostError      what the owner asks of its hosts can't be
└── HostRefused    a host answered, and will not do it; carries its status

RemoteProtocolError
└── WrongEnvelope  a host gave another than was asked for
"""

from node.runtime.errors import NodeError
from protocol.errors import RemoteProtocolError
from protocol.status import Status


class HostError(NodeError):
    """Such a host is not there, or can't be."""


class HostRefused(NodeError):  # noqa: N818 - the answer, not our mistake
    """A host's answer of class 4 or 5."""

    def __init__(self, status: Status, text: str = "") -> None:
        super().__init__("host-refused", f"a host said {status.code}: {text or status.text}")
        self.status = status


class WrongEnvelope(RemoteProtocolError):  # noqa: N818 - what it is
    """Not the envelope that was asked for; the stream is fine."""

    def __init__(self) -> None:
        super().__init__("a host gave another envelope than was asked for")
