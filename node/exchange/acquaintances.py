"""Which owner a peer was last seen to act for. In memory only."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MAX_KNOWN: Final = 4_096
"""Peers remembered; the one met longest ago goes first."""


class Acquaintances:
    """Filled by both ends of the exchange. Whose a peer is, is that owner's claim: good for waking what
    waits and for display.
    """

    def __init__(self) -> None:
        self._owners: OrderedDict[bytes, str] = OrderedDict()

    def meet(self, peer_id: bytes, address: str) -> None:
        """This peer is said to be a node of this owner."""
        self._owners[peer_id] = address
        self._owners.move_to_end(peer_id)
        if len(self._owners) > MAX_KNOWN:
            self._owners.popitem(last=False)

    def owner_of(self, peer_id: bytes) -> str | None:
        return self._owners.get(peer_id)
