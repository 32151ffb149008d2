"""Peers and the ways to them: libp2p behind one adapter, and our own Kademlia. What others may use
is named here; libp2p is known nowhere else.
"""

from node.network.addresses import PeerAddress, parse_peer, parse_peer_id, peer_id_text
from node.network.bitswap_serving import Blocks
from node.network.bitswap_session import Session
from node.network.channel import Channel
from node.network.connections import PeerStatus
from node.network.errors import (
    BadAddress,
    Busy,
    ChannelClosed,
    ListenFailed,
    NetworkError,
    PeerFault,
    PeerUnreachable,
)
from node.network.network import Network
from node.network.opening import open_network
from node.network.records import MemoryRecords, RecordStore, Validator
from node.network.settings import MemoryPeerBook, NetworkSettings, PeerBook

__all__ = [
    "BadAddress",
    "Blocks",
    "Busy",
    "Channel",
    "ChannelClosed",
    "ListenFailed",
    "MemoryPeerBook",
    "MemoryRecords",
    "Network",
    "NetworkError",
    "NetworkSettings",
    "PeerAddress",
    "PeerBook",
    "PeerFault",
    "PeerStatus",
    "PeerUnreachable",
    "RecordStore",
    "Session",
    "Validator",
    "open_network",
    "parse_peer",
    "parse_peer_id",
    "peer_id_text",
]
