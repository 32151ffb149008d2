"""This room's faults for a person.

NodeError
├── ContentMissing    the bytes are not here, or not all of them
├── ContentDamaged    they are here and not what they should be
└── StoreUnavailable
    └── FilesFull     the quota or the disk has no room for more
"""

from node.runtime.errors import NodeError
from node.storage import StoreUnavailable


class ContentMissing(NodeError):  # noqa: N818 - a state, not a mistake
    """There is nothing, or not all, to read."""

    def __init__(self, text: str = "this attachment is not here") -> None:
        super().__init__("attachment-missing", text, "fetch it with: mailio save ID DIR")


class ContentDamaged(NodeError):  # noqa: N818 - a state
    """What lies on the disk, or what a peer's file came to, is not what the letter says it is."""

    def __init__(self, text: str) -> None:
        super().__init__("attachment-damaged", text, "ask its sender to send it again")


class FilesFull(StoreUnavailable):
    """Nothing more is kept until room is made."""
