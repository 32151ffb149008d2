"""Trees of files: as protocol/unixfs.py makes them, and from the words of the specifications (UnixFS, dag-pb)
alone. These share nothing with ours, and make false nodes too.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from protocol.unixfs import Shape

SHA2_256 = b"\x12\x20"


def planted(shape: Shape, leaves: Iterable[bytes]) -> tuple[list[bytes], bytes]:
    """Our nodes over leaves with these CIDs, the root last, and the root's CID."""
    cids, nodes = list(leaves), []
    for number in range(shape.leaves, shape.blocks):
        children = shape[number].children
        nodes.append(shape.encode(number, cids[children.start : children.stop]))
        cids.append(shape.cid(number, nodes[-1]))
    return nodes, cids[-1]


@dataclass(frozen=True, slots=True)
class Child:
    """What a node says of a block below it: its bytes of the file, and those with the nodes on the way."""

    cid: bytes
    file_bytes: int
    dag_bytes: int
    name: bytes = b""


def varint(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


def field(number: int, value: int | bytes) -> bytes:
    """One of protobuf's, a varint or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def leaf(block: bytes) -> Child:
    return Child(b"\x01\x55" + SHA2_256 + hashlib.sha256(block).digest(), len(block), len(block))


def links(children: Sequence[Child]) -> bytes:
    return b"".join(
        field(2, field(1, child.cid) + field(2, child.name) + field(3, child.dag_bytes)) for child in children
    )


def data(kind: bytes, filesize: bytes, sizes: bytes) -> bytes:
    return field(1, kind + filesize + sizes)


def node(children: Sequence[Child], filesize: int | None = None) -> bytes:
    """A file's node; `filesize` is the children's sum unless told otherwise."""
    if filesize is None:
        filesize = sum(child.file_bytes for child in children)
    sizes = b"".join(field(4, child.file_bytes) for child in children)
    return links(children) + data(field(1, 2), field(3, filesize), sizes)


def child_of(block: bytes, children: Sequence[Child]) -> Child:
    """A node as the one above it says it."""
    return Child(
        b"\x01\x70" + SHA2_256 + hashlib.sha256(block).digest(),
        sum(child.file_bytes for child in children),
        len(block) + sum(child.dag_bytes for child in children),
    )


def levels(leaves: Sequence[Child], width: int = 174) -> Iterator[list[tuple[bytes, list[Child]]]]:
    """The levels above the leaves, the root's last: each node's bytes, and its children."""
    below = list(leaves)
    while len(below) > 1:
        groups = [below[start : start + width] for start in range(0, len(below), width)]
        made = [(node(group), group) for group in groups]
        yield made
        below = [child_of(block, group) for block, group in made]
