"""The one form in which a file lies on IPFS here: CIDv1, raw leaves, a balanced tree, as Kubo makes it.

Its size decides the whole tree (§7), so a node of it is never parsed: it is what that size gives with the
children's CIDs filled in, or it is no part of the file. Encryption stands in stream.py.
"""

import base64
import binascii
import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.varint import encode_varint

LEAF_BYTES: Final = 262_144
"""Of file in a leaf, the last one aside (Kubo's `size-262144`)."""

WIDTH: Final = 174
"""Links of a node at most (Kubo's `balanced` layout)."""

RAW: Final = b"\x01\x55\x12\x20"
DAG_PB: Final = b"\x01\x70\x12\x20"
"""What a CIDv1 begins with: version, codec, sha2-256, 32 bytes."""

PREFIX_BYTES: Final = 4
CID_BYTES: Final = PREFIX_BYTES + 32
REFERENCE: Final = "ipfs://"

MAX_FILE_BYTES: Final = 2**53 - 1
MAX_BLOCK_BYTES: Final = LEAF_BYTES
"""Of any block of such a file: nodes are below 11 KB."""

_BASE32: Final = "b"  # multibase's letter for base32 in lower case, unpadded
_CID_CHARS: Final = 59  # that letter and 36 bytes in base32
_PAD: Final = "=" * 6  # 36 bytes are 58 characters of 64

# dag-pb (its spec, "Logical Format"): links come first, in one order of fields.
_LINKS: Final = b"\x12"
_DATA: Final = b"\x0a"
_HASH: Final = b"\x0a"
_EMPTY_NAME: Final = b"\x12\x00"
_TSIZE: Final = b"\x18"
# UnixFS: Type = File, filesize, blocksizes unpacked.
_FILE: Final = b"\x08\x02"
_FILE_SIZE: Final = b"\x18"
_BLOCK_SIZES: Final = b"\x20"


def raw_cid(block: bytes) -> bytes:
    """The CID of a leaf."""
    return RAW + hashlib.sha256(block).digest()


def node_cid(block: bytes) -> bytes:
    """The CID of a node with links."""
    return DAG_PB + hashlib.sha256(block).digest()


def cid_text(cid: bytes) -> str:
    """A CID as it is written, in base32."""
    return _BASE32 + base64.b32encode(cid).decode("ascii").rstrip("=").lower()


def parse_cid(text: str) -> bytes:
    """A CID of our form from its one spelling; raises RemoteProtocolError for any other."""
    cid = b""
    if len(text) == _CID_CHARS and text.isascii():
        with contextlib.suppress(binascii.Error):
            cid = base64.b32decode(text[1:].upper() + _PAD)
    if not cid.startswith((RAW, DAG_PB)) or cid_text(cid) != text:
        raise RemoteProtocolError("not a CIDv1 of a raw or dag-pb block by sha2-256, in base32")
    return cid


def reference_of(cid: bytes) -> str:
    """How a letter refers to a file (§7)."""
    return REFERENCE + cid_text(cid)


def parse_reference(text: str) -> bytes:
    """The CID in a reference; raises RemoteProtocolError."""
    if not text.startswith(REFERENCE):
        raise RemoteProtocolError("a reference is ipfs:// and a CID")
    return parse_cid(text.removeprefix(REFERENCE))


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a file's tree. Blocks are numbered in the order in which they are made: all leaves, then
    level by level, the root last. `children` are the numbers of what it links to, none for a leaf; `start`
    is where it lies if all of them are written behind each other, `size` its bytes.
    """

    number: int
    start: int
    size: int
    children: range


@dataclass(frozen=True, slots=True)
class _Kind:
    """What all blocks of one form have in common: `file_bytes` of the file are below each, `dag_bytes` with
    the nodes on the way. A node is `links` with the children's CIDs between them, and `data`.
    """

    size: int
    file_bytes: int
    dag_bytes: int
    links: tuple[tuple[bytes, bytes], ...] = ()
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class _Level:
    """Blocks `first` to `first + count - 1` from byte `start` on, all of one form but the last."""

    first: int
    count: int
    start: int
    full: _Kind
    last: _Kind

    def kind(self, number: int) -> _Kind:
        return self.last if number == self.first + self.count - 1 else self.full


class Shape:
    """The tree of a file of `size` bytes. `blocks` is their number, `leaves` how many of them hold the file,
    `total` the bytes of all. Whatever the size, it takes less than a millisecond and 32 KiB.
    """

    def __init__(self, size: int) -> None:
        if not 0 <= size <= MAX_FILE_BYTES:
            raise LocalProtocolError(f"no file has {size} bytes")
        self.size = size
        self.leaves = max(1, -(-size // LEAF_BYTES))
        rest = size - (self.leaves - 1) * LEAF_BYTES
        full, last = (_Kind(length, length, length) for length in (LEAF_BYTES, rest))
        self._levels = [_Level(0, self.leaves, 0, full, last)]
        while self._levels[-1].count > 1:
            self._levels.append(_above(self._levels[-1]))
        top = self._levels[-1]
        self.blocks = top.first + 1
        self.root = top.first
        self.total = top.start + top.last.size

    def __getitem__(self, number: int) -> Block:
        """A block by its number; IndexError beyond the root."""
        depth, level = self._level(number)
        place = number - level.first
        start = level.start + place * level.full.size
        children = range(0)
        if depth:
            below = self._levels[depth - 1]
            low = below.first + place * WIDTH
            children = range(low, min(low + WIDTH, below.first + below.count))
        return Block(number, start, level.kind(number).size, children)

    def is_leaf(self, number: int) -> bool:
        return number < self.leaves

    def prefix(self, number: int) -> bytes:
        """What this block's CID begins with."""
        return RAW if self.is_leaf(number) else DAG_PB

    def cid(self, number: int, block: bytes) -> bytes:
        """The CID of a block in this place."""
        return self.prefix(number) + hashlib.sha256(block).digest()

    def encode(self, number: int, children: Sequence[bytes]) -> bytes:
        """The bytes of a node whose children have these CIDs."""
        node = self._node(number)
        if len(children) != len(node.links):
            raise LocalProtocolError(f"block {number} has {len(node.links)} children, not {len(children)}")
        parts = [
            part for (head, tail), cid in zip(node.links, children, strict=True) for part in (head, cid, tail)
        ]
        return b"".join((*parts, node.data))

    def children(self, number: int, block: bytes) -> tuple[bytes, ...]:
        """The CIDs that a node links to; raises RemoteProtocolError unless it is just the node that belongs
        in this place, byte for byte.
        """
        node = self._node(number)
        cids: list[bytes] = []
        position = 0
        for head, tail in node.links:
            position += len(head)
            cids.append(block[position : position + CID_BYTES])
            position += CID_BYTES + len(tail)
        if self.encode(number, cids) != block:
            raise RemoteProtocolError("a node does not fit the size that the file is said to have")
        prefix = self.prefix(self[number].children[0])
        if not all(cid.startswith(prefix) for cid in cids):
            raise RemoteProtocolError("a node links to blocks of another kind than belong there")
        return tuple(cids)

    def _node(self, number: int) -> _Kind:
        level = self._level(number)[1]
        if self.is_leaf(number):
            raise LocalProtocolError(f"block {number} is a leaf and has no children")
        return level.kind(number)

    def _level(self, number: int) -> tuple[int, _Level]:
        for depth, level in enumerate(self._levels):
            if level.first <= number < level.first + level.count:
                return depth, level
        raise IndexError(number)


def _above(level: _Level) -> _Level:
    """The level of the nodes that link to all blocks of this one."""
    count = -(-level.count // WIDTH)
    full = _node_over(WIDTH, level.full, level.full)
    last = _node_over(level.count - (count - 1) * WIDTH, level.full, level.last)
    start = level.start + (level.count - 1) * level.full.size + level.last.size
    return _Level(level.first + level.count, count, start, full, last)


def _node_over(count: int, full: _Kind, last: _Kind) -> _Kind:
    """A node with `count` children, all of one form but the last."""
    links = (_link(full.dag_bytes),) * (count - 1) + (_link(last.dag_bytes),)
    file_bytes = full.file_bytes * (count - 1) + last.file_bytes
    data = _FILE + _number(_FILE_SIZE, file_bytes)
    data += _number(_BLOCK_SIZES, full.file_bytes) * (count - 1) + _number(_BLOCK_SIZES, last.file_bytes)
    data = _number(_DATA, len(data)) + data
    size = sum(len(head) + CID_BYTES + len(tail) for head, tail in links) + len(data)
    dag_bytes = size + full.dag_bytes * (count - 1) + last.dag_bytes
    return _Kind(size, file_bytes, dag_bytes, links, data)


def _link(dag_bytes: int) -> tuple[bytes, bytes]:
    """What stands before and behind a child's CID."""
    cid = _number(_HASH, CID_BYTES)
    tail = _EMPTY_NAME + _number(_TSIZE, dag_bytes)
    return _number(_LINKS, len(cid) + CID_BYTES + len(tail)) + cid, tail


def _number(tag: bytes, value: int) -> bytes:
    """A protobuf tag and a varint behind it."""
    return tag + encode_varint(value)
