"""Attachments at rest: encrypted before they get here, in the blocks that IPFS has, pinned for somebody until
some time (protocol.md §7). What refers to them is the letters', how blocks travel the network's.
"""

from node.files.contents import FOR_EVER, Content, Pin, PinKind
from node.files.errors import ContentDamaged, ContentMissing, FilesFull, KuboAway
from node.files.fetching import Wanted
from node.files.files import Files
from node.files.kubo import Kubo
from node.files.moving import Moved
from node.files.putting import Put, Workspace, in_pieces
from node.files.threads import Threads

__all__ = [
    "FOR_EVER",
    "Content",
    "ContentDamaged",
    "ContentMissing",
    "Files",
    "FilesFull",
    "Kubo",
    "KuboAway",
    "Moved",
    "Pin",
    "PinKind",
    "Put",
    "Threads",
    "Wanted",
    "Workspace",
    "in_pieces",
]
