"""What can go wrong at a host.

NodeError
└── HostRefused   it answered, and will not do it; carries its status
"""

from node.runtime.errors import NodeError
from protocol.status import Status


class HostRefused(NodeError):  # noqa: N818 - the answer, not our mistake
    """A host's answer of class 4 or 5."""

    def __init__(self, status: Status, text: str = "") -> None:
        super().__init__("host-refused", f"a host said {status.code}: {text or status.text}")
        self.status = status
