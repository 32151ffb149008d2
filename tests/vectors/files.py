"""Vectors of a file's tree on IPFS (§7): the blocks that its size gives, and the nodes to refuse; and of
parts put back into their message.
"""

from base64 import b64encode
from dataclasses import dataclass, replace
from functools import cache

from protocol.kdf import blake2b
from protocol.place import Encoder, Encoding, Place, spans
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


@dataclass(frozen=True)
class _Part:
    """A part outside of a message: what `spans` has to know of a ref."""

    place: Place
    content: bytes

    @property
    def size(self) -> int:
        return len(self.content)


def _by_the_words(part: _Part) -> bytes:
    """What stands in the message, by §7's words and the standard library."""
    if part.place.encoding is Encoding.IDENTITY:
        return part.content
    text, length = b64encode(part.content), part.place.line_length
    lines = [text[start : start + length] for start in range(0, len(text), length)]
    end = b"\r\n" if lines and part.place.last_line_end else b""
    return b"\r\n".join(lines) + end


def _place(given: Json) -> Place:
    encoding = Encoding(given["encoding"])
    if encoding is Encoding.IDENTITY:
        return Place(given["offset"])
    return Place(given["offset"], encoding, given["lineLength"], given["lastLineEnd"])


def _rebuilt(given: Json) -> Computed:
    message = given["message"].encode()
    parts = [_Part(_place(one["place"]), bytes.fromhex(one["content"])) for one in given["refs"]]

    def rebuild() -> Json:
        whole = b""
        for span in spans(message, parts):
            if isinstance(span, bytes):
                whole += span
                continue
            encoder = Encoder(span.place)
            text = encoder.feed(span.content) + encoder.end()
            agreed(text, _by_the_words(span))
            whole += text
        return {"message": whole.decode(), "messageHash": blake2b(whole).hex()}

    return {}, outcome(rebuild)


def _ref(offset: int, content: bytes, length: int = 0, *, last: bool = False) -> Json:
    place: Json = {"offset": offset, "encoding": "identity"}
    if length:
        place |= {"encoding": "base64", "lineLength": length, "lastLineEnd": last}
    return {"place": place, "content": content.hex()}


_HOLED = "Subject: x\r\n\r\n--b\r\n\r\n\r\n--b\r\n\r\n\r\n--b--\r\n"
_FIRST, _SECOND = 21, 30
_BYTES = bytes(range(200))

PLACES = Topic(
    "places",
    "The whole message (§6, §7) from a reduced one and the stored bytes of its refs, in their order",
    {
        "as they stand": {"message": _HOLED, "refs": [_ref(_FIRST, b"one"), _ref(_SECOND, b"two\r\n")]},
        "base64 in lines of 76": {"message": _HOLED, "refs": [_ref(_FIRST, _BYTES, 76)]},
        "and a line end behind the last": {"message": _HOLED, "refs": [_ref(_FIRST, _BYTES, 76, last=True)]},
        "lines that no group of four fits": {"message": _HOLED, "refs": [_ref(_FIRST, _BYTES, 73)]},
        "the last line is full": {"message": _HOLED, "refs": [_ref(_FIRST, bytes(57), 76)]},
        "lines of one character": {"message": _HOLED, "refs": [_ref(_FIRST, b"ab", 1, last=True)]},
        "nothing in base64": {"message": _HOLED, "refs": [_ref(_FIRST, b"", 76, last=True)]},
        "in another order": {"message": _HOLED, "refs": [_ref(_SECOND, b"two"), _ref(_FIRST, b"one")]},
        "two in one place": {"message": _HOLED, "refs": [_ref(_FIRST, b"one"), _ref(_FIRST, b"two")]},
        "at the beginning and at the end": {
            "message": "middle",
            "refs": [_ref(6, b" and end"), _ref(0, b"beginning, ")],
        },
        "beyond the end": {"message": "short", "refs": [_ref(6, b"x")]},
    },
    _rebuilt,
)

TOPICS = (UNIXFS, UNIXFS_READ, PLACES)
