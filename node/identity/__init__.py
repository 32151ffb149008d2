"""The owner's identity on this node: keys in use, prekeys, our IdentityRecord, and telling others of it."""

from node.identity.answer import PeerClocks, ask_binding, ask_identity, serve_identity
from node.identity.bound import Bound
from node.identity.files import create, create_peer_key, exists, load_peer_key
from node.identity.own import Identity, Profile, load, node_of
from node.identity.publish import Publisher

__all__ = [
    "Bound",
    "Identity",
    "PeerClocks",
    "Profile",
    "Publisher",
    "ask_binding",
    "ask_identity",
    "create",
    "create_peer_key",
    "exists",
    "load",
    "load_peer_key",
    "node_of",
    "serve_identity",
]
