"""What can keep a node from starting, beside the rooms' own faults.

NodeError
└── NoIdentity    the home has no identity yet
"""

from node.runtime.errors import NodeError


class NoIdentity(NodeError):  # noqa: N818 - a state, not a mistake
    """There is nothing to open in this home."""

    def __init__(self, path: object) -> None:
        super().__init__("no-identity", f"there is no identity in {path} yet", "make one: mailio init")
