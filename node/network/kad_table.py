"""The Kademlia routing table: which servers we know, by distance from us. No network, no clock."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator

from node.network.addresses import PeerAddress
from node.network.limits import K


def point(key: bytes) -> int:
    """Where a key or a peer id lies in the space of 2^256 (libp2p: SHA-256 of it)."""
    return int.from_bytes(hashlib.sha256(key).digest(), "big")


class Table:
    """Buckets of at most K servers by the length of the prefix shared with us, longest known first.

    A full bucket keeps whom it has: an old node is likelier to stay (Kademlia §2.4), and a flood of
    new identities moves nobody out. Who does not answer is taken out by the caller.
    """

    def __init__(self, own_id: bytes) -> None:
        self.own_id = own_id
        self._own = point(own_id)
        self._buckets: dict[int, OrderedDict[bytes, tuple[int, PeerAddress]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def __iter__(self) -> Iterator[PeerAddress]:
        return (peer for bucket in self._buckets.values() for _, peer in bucket.values())

    def __contains__(self, peer_id: bytes) -> bool:
        return self.get(peer_id) is not None

    def get(self, peer_id: bytes) -> PeerAddress | None:
        """What we know of this server."""
        bucket = self._buckets.get(self._bucket(point(peer_id)))
        entry = bucket.get(peer_id) if bucket else None
        return entry[1] if entry else None

    def add(self, peer: PeerAddress) -> bool:
        """Take in a server that answered us or came to us; newer addresses replace older ones.
        Whether it is in the table now.
        """
        if peer.peer_id == self.own_id or not peer.addrs:
            return False
        place = point(peer.peer_id)
        bucket = self._buckets.setdefault(self._bucket(place), OrderedDict())
        if peer.peer_id not in bucket and len(bucket) >= K:
            return False
        bucket[peer.peer_id] = (place, peer)
        return True

    def remove(self, peer_id: bytes) -> None:
        """Forget a server."""
        number = self._bucket(point(peer_id))
        bucket = self._buckets.get(number, OrderedDict())
        bucket.pop(peer_id, None)
        if not bucket:
            self._buckets.pop(number, None)

    def closest(self, key: bytes, count: int = K) -> list[PeerAddress]:
        """The `count` servers closest to a key, closest first."""
        target = point(key)
        entries = [entry for bucket in self._buckets.values() for entry in bucket.values()]
        entries.sort(key=lambda entry: entry[0] ^ target)
        return [peer for _, peer in entries[:count]]

    def _bucket(self, place: int) -> int:
        return 256 - (place ^ self._own).bit_length()
