"""Vectors of a file's tree on IPFS (§7): the blocks that its size gives, and the nodes to refuse."""

from dataclasses import replace
from functools import cache

from protocol.unixfs import LEAF_BYTES, WIDTH, Shape, cid_text, raw_cid
from tests.kit import dags
from tests.kit.dags import Child
from tests.vectors.handshakes import agreed
from tests.vectors.shape import Computed, Json, Topic, outcome

PERIOD = 251


@cache
def _leaf(factor: int, first: int, length: int) -> Child:
    """A leaf by its first byte: a file of zeros has one that comes 30,276 times."""
    period = bytes((first + factor * i) % PERIOD for i in range(PERIOD))
    return dags.leaf((period * (length // PERIOD + 1))[:length])


def _leaves(size: int, factor: int) -> list[Child]:
    starts = range(0, max(size, 1), LEAF_BYTES)
    return [_leaf(factor, factor * start % PERIOD, min(LEAF_BYTES, size - start)) for start in starts]


def _tree(given: Json) -> Computed:
    size, shape = given["size"], Shape(given["size"])
    leaves = _leaves(size, given["factor"])
    nodes = [node for level in dags.levels(leaves) for node, _ in level]
    made, root = dags.planted(shape, [leaf.cid for leaf in leaves])
    for node, ours in zip(nodes, made, strict=True):
        agreed(node, ours)
    first, last = leaves[0].cid, leaves[-1].cid
    mid = {
        "first leaf": cid_text(first),
        "last leaf": cid_text(last),
        "different nodes": [node.hex() for node in dict.fromkeys(nodes)],
    }
    out = {"cid": cid_text(root), "leaves": shape.leaves, "blocks": shape.blocks, "bytes": shape.total}
    return mid, out


_ROW = WIDTH * LEAF_BYTES
_SIZES = {
    "empty": 0,
    "1": 1,
    "a leaf less a byte": LEAF_BYTES - 1,
    "a leaf": LEAF_BYTES,
    "a leaf and a byte": LEAF_BYTES + 1,
    "3 leaves": 3 * LEAF_BYTES,
    "174 leaves": _ROW,
    "174 leaves and a byte": _ROW + 1,
}

UNIXFS = Topic(
    "unixfs",
    "The tree (§7) of a file whose byte i is (factor × i) mod 251; its nodes as they are made, the root last",
    {name: {"size": size, "factor": 7} for name, size in _SIZES.items()}
    | {"174 × 174 leaves and a byte": {"size": WIDTH * _ROW + 1, "factor": 0}},
    _tree,
)


def _read(given: Json) -> Computed:
    def read() -> Json:
        shape = Shape(given["size"])
        return {"links": [cid_text(cid) for cid in shape.children(shape.root, bytes.fromhex(given["root"]))]}

    return {}, outcome(read)


def _read_inputs() -> dict[str, Json]:
    size = LEAF_BYTES + 1
    first, last = dags.leaf(bytes(LEAF_BYTES)), dags.leaf(b"\0")
    pair, links = [first, last], dags.links([first, last])
    good = dags.node(pair)
    file, filesize = dags.field(1, 2), dags.field(3, size)
    sizes = b"".join(dags.field(4, child.file_bytes) for child in pair)
    packed = dags.field(4, b"".join(dags.varint(child.file_bytes) for child in pair))
    nodes = {
        "good": good,
        "links to other leaves": dags.node(
            [replace(first, cid=raw_cid(b"a")), replace(last, cid=raw_cid(b"b"))]
        ),
        "of a file with a byte more": dags.node([first, replace(last, file_bytes=2, dag_bytes=2)]),
        "leaves the other way round": dags.node([last, first]),
        "a link less": dags.node([first]),
        "a link more": dags.node([first, last, last]),
        "a level more": dags.node([dags.child_of(good, pair)]),
        "a filesize that lies": dags.node(pair, filesize=size + 1),
        "a Tsize that lies": dags.node([first, replace(last, dag_bytes=0)]),
        "a blocksize that lies": dags.node([replace(first, file_bytes=LEAF_BYTES - 1), last], filesize=size),
        "a link to a node": dags.node([dags.child_of(good, pair), last]),
        "a name": dags.node([replace(first, name=b"a"), last]),
        "CIDv0": dags.node([replace(first, cid=first.cid[2:]), last]),
        "another codec": dags.node([replace(first, cid=b"\x01\x71" + first.cid[2:]), last]),
        "another hash": dags.node([replace(first, cid=b"\x01\x55\x1b\x20" + first.cid[4:]), last]),
        "data before links": good.removeprefix(links) + links,
        "blocksizes packed": links + dags.data(file, filesize, packed),
        "a directory": links + dags.data(dags.field(1, 1), filesize, sizes),
        "an unknown field": good + dags.field(7, 1),
        "a byte less": good[:-1],
        "empty": b"",
    }
    return {name: {"size": size, "root": node.hex()} for name, node in nodes.items()}


UNIXFS_READ = Topic(
    "unixfs-read",
    "Which roots fit a file of a size (§7): only that of its tree, whatever the leaves hold",
    _read_inputs(),
    _read,
)

TOPICS: tuple[Topic, ...] = (UNIXFS, UNIXFS_READ)
