"""`nodes/1` (protocol.md §3): where an owner's nodes are, for those whom it has accepted alone.

Nodes that everyone may know stand in the IdentityRecord.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import Fields
from protocol.identity import MAX_IDENTITY
from protocol.keys import SigningKey, address_of
from protocol.peers import MAX_NODES, Peer, node_maps
from protocol.record import Record, newer, refuse_ahead, sign_record

NODES_KIND: Final = "nodes/1"
MAX_NODES_RECORD: Final = MAX_IDENTITY  # bytes; the same room, since it holds the same peers


@dataclass(frozen=True, slots=True)
class NodesRecord:
    """The owner's nodes as they travel inside letters to accepted senders (§3, `announce = contacts`)."""

    public_key: bytes
    address: str
    nodes: tuple[Peer, ...]
    seq: int
    record: bytes

    @classmethod
    def parse(cls, data: bytes, now: int | None) -> "NodesRecord":
        """The nodes in `data`, checked; RemoteProtocolError, of class 4 where seq is ahead of `now`."""
        envelope = Record.decode(data, MAX_NODES_RECORD)
        fields = Fields(envelope.verify(NODES_KIND), NODES_KIND)
        nodes = tuple(map(Peer.from_fields, fields.maps("nodes", MAX_NODES)))
        seq = fields.int("seq")
        if now is not None:
            refuse_ahead(seq, now, NODES_KIND)
        return cls(envelope.public_key, address_of(envelope.public_key), nodes, seq, data)

    def replaces(self, other: "NodesRecord") -> bool:
        """Whether this is the newer of two records of one owner (§3)."""
        return newer(self.seq, self._payload, other.seq, other._payload)

    @property
    def _payload(self) -> bytes:
        return Record.decode(self.record, MAX_NODES_RECORD).payload


def build_nodes(key: SigningKey, nodes: Iterable[Peer], seq: int) -> NodesRecord:
    """The owner's nodes/1 record, private addresses left out; LocalProtocolError if none would take it."""
    data = sign_record(NODES_KIND, {"nodes": node_maps(nodes), "seq": seq}, key).encode()
    try:
        return NodesRecord.parse(data, None)
    except RemoteProtocolError as fault:
        raise LocalProtocolError(f"these nodes can't be published: {fault}") from fault
