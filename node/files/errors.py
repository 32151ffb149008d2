"""This room's faults for a person.

NodeError
├── ContentMissing    the bytes are not here, or not all of them
│   └── KuboLacks     the IPFS daemon has not all of them
├── ContentDamaged    they are here and not what they should be
└── StoreUnavailable
    ├── FilesFull     the quota or the disk has no room for more
    └── KuboAway      the IPFS daemon can't be asked, or does not answer as one
"""

from typing import Final

from node.runtime.errors import NodeError
from node.storage import StoreUnavailable

_START_IT: Final = (
    "start it with: ipfs daemon; or keep attachments inside: mailio config set files.backend embedded"
)


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


class KuboLacks(ContentMissing):
    """The IPFS daemon at `api` was asked, and does not have it, or not all of it."""

    def __init__(self, api: str) -> None:
        super().__init__(f"the IPFS daemon at {api} does not have all of this attachment")


class KuboAway(StoreUnavailable):
    """The IPFS daemon at `api` did not do what it was asked; nothing is known of what it has. No text repeats
    its secret.
    """

    def __init__(self, api: str, what: str, remedy: str = _START_IT) -> None:
        super().__init__("files-kubo", f"the IPFS daemon at {api} {what}", remedy)
