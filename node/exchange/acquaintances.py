"""Which owner a peer was last seen to act for, and which peers have proved to be accepted. In memory only."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeVar

T = TypeVar("T")

MAX_KNOWN: Final = 4_096
"""Peers remembered; the one met longest ago goes first."""


class Acquaintances:
    """Filled by both ends of the exchange. Whose a peer is, is that owner's claim: good for waking what
    waits and for display. That a peer is accepted was proved by a delivery key.
    """

    def __init__(self) -> None:
        self._owners: OrderedDict[bytes, str] = OrderedDict()
        self._accepted: OrderedDict[bytes, None] = OrderedDict()

    def meet(self, peer_id: bytes, address: str) -> None:
        """This peer is said to be a node of this owner."""
        _put(self._owners, peer_id, address)

    def accept(self, peer_id: bytes) -> None:
        """This peer has just offered a letter under a delivery key that holds."""
        _put(self._accepted, peer_id, None)

    def owner_of(self, peer_id: bytes) -> str | None:
        return self._owners.get(peer_id)

    def is_accepted(self, peer_id: bytes) -> bool:
        return peer_id in self._accepted


def _put(table: OrderedDict[bytes, T], peer_id: bytes, value: T) -> None:
    table[peer_id] = value
    table.move_to_end(peer_id)
    if len(table) > MAX_KNOWN:
        table.popitem(last=False)
