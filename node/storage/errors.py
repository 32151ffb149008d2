"""What can go wrong with the store, and what a peer is told of it.

NodeError
├── StoreError         the database can't be opened: locked, corrupt, newer, another key
└── StoreUnavailable   it is open but can't take or give something now; carries a 4.3.x status
"""

from node.runtime.errors import NodeError
from protocol.status import STORE_BROKEN, Status


class StoreError(NodeError):
    """The database can't be used at all."""


class StoreUnavailable(NodeError):  # noqa: N818 - the state, not the mistake
    """The store can't do this now. `status` is what a peer is told: 4.3.0 broken, 4.3.1 disk full."""

    def __init__(self, code: str, text: str, remedy: str = "", status: Status = STORE_BROKEN) -> None:
        super().__init__(code, text, remedy)
        self.args = (code, text, remedy, status)
        self.status = status
