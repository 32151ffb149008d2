"""Files on IPFS (protocol.md §7): the tree that a size gives, and the nodes that fit it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.unixfs import (
    CID_BYTES,
    DAG_PB,
    LEAF_BYTES,
    MAX_BLOCK_BYTES,
    MAX_FILE_BYTES,
    RAW,
    WIDTH,
    Block,
    Shape,
    cid_text,
    node_cid,
    raw_cid,
)
from tests.kit import dags
from tests.kit.dags import Child, planted
from tests.kit.hostile import damaged, parses_or_refuses

ROW = WIDTH * LEAF_BYTES
"""Bytes of file below a full node over leaves."""

SQUARE = WIDTH * ROW


def fake(number: int) -> bytes:
    """The CID of a leaf that nobody needs to make."""
    return RAW + hashlib.sha256(number.to_bytes(8, "big")).digest()


def fake_leaves(size: int) -> list[Child]:
    starts = range(0, max(size, 1), LEAF_BYTES)
    lengths = [min(LEAF_BYTES, size - start) for start in starts]
    return [Child(fake(number), length, length) for number, length in enumerate(lengths)]


# ---- the tree


@pytest.mark.parametrize(
    ("size", "leaves", "blocks"),
    [
        (0, 1, 1),
        (1, 1, 1),
        (LEAF_BYTES - 1, 1, 1),
        (LEAF_BYTES, 1, 1),
        (LEAF_BYTES + 1, 2, 3),
        (ROW, WIDTH, WIDTH + 1),
        (ROW + 1, WIDTH + 1, WIDTH + 1 + 3),
        (SQUARE, WIDTH**2, WIDTH**2 + WIDTH + 1),
        (SQUARE + 1, WIDTH**2 + 1, WIDTH**2 + 1 + WIDTH + 1 + 2 + 1),
    ],
)
def test_how_many_blocks_a_size_gives(size: int, leaves: int, blocks: int) -> None:
    shape = Shape(size)
    assert (size, leaves, blocks, blocks - 1) == (shape.size, shape.leaves, shape.blocks, shape.root)


def test_every_level_is_wrapped() -> None:
    shape = Shape(ROW + 1)
    assert range(WIDTH) == shape[WIDTH + 1].children
    assert range(WIDTH, WIDTH + 1) == shape[WIDTH + 2].children
    assert range(WIDTH + 1, WIDTH + 3) == shape[shape.root].children


SIZES = [
    0,
    1,
    LEAF_BYTES,
    LEAF_BYTES + 1,
    3 * LEAF_BYTES,
    ROW - 1,
    ROW,
    ROW + 1,
    ROW + LEAF_BYTES,
    3 * ROW + 5,
]


@pytest.mark.parametrize("size", SIZES)
def test_the_blocks_of_a_shape_lie_behind_each_other_and_each_has_one_parent(size: int) -> None:
    shape = Shape(size)
    blocks = [shape[number] for number in range(shape.blocks)]
    assert list(range(shape.blocks)) == [block.number for block in blocks]
    starts = [sum(block.size for block in blocks[:number]) for number in range(shape.blocks + 1)]
    assert starts == [*(block.start for block in blocks), shape.total]
    assert list(range(shape.root)) == [child for block in blocks for child in block.children]
    assert size == sum(block.size for block in blocks[: shape.leaves])
    for block in blocks:
        leaf = block.number < shape.leaves
        assert (leaf, RAW if leaf else DAG_PB) == (shape.is_leaf(block.number), shape.prefix(block.number))
        assert leaf == (len(block.children) == 0)
        assert len(block.children) <= WIDTH


def test_a_block_alone() -> None:
    size = LEAF_BYTES + 1
    node = len(dags.node(fake_leaves(size)))
    shape = Shape(size)
    expected = [
        Block(0, 0, LEAF_BYTES, range(0)),
        Block(1, LEAF_BYTES, 1, range(0)),
        Block(2, LEAF_BYTES + 1, node, range(2)),
    ]
    assert (expected, size + node) == ([shape[number] for number in range(3)], shape.total)
    for number in (-1, 3):
        with pytest.raises(IndexError):
            shape[number]


def test_the_largest_file() -> None:
    shape = Shape(MAX_FILE_BYTES)
    widest = shape[shape.leaves]
    assert -(-MAX_FILE_BYTES // LEAF_BYTES) == shape.leaves
    assert MAX_FILE_BYTES < shape.total < MAX_FILE_BYTES * 1.001
    assert max(shape[number].size for number in (0, shape.leaves, shape.root - 2)) <= MAX_BLOCK_BYTES
    assert range(WIDTH) == widest.children
    assert shape.total == shape[shape.root].start + shape[shape.root].size
    for size in (-1, MAX_FILE_BYTES + 1):
        with pytest.raises(LocalProtocolError):
            Shape(size)


# ---- nodes


@pytest.mark.parametrize(
    ("size", "cid"),
    [
        (0, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
        (1, "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu"),
        (LEAF_BYTES - 1, "bafkreic6iqyxuiad5dem4bzgyy336yoi6tegdqa4e5vt24gq3btool5cra"),
        (LEAF_BYTES, "bafkreiekhhjkxu4ztk3tyng3er3ijhg56mb44oe3gwbgquhzu4afrg2ksa"),
        (LEAF_BYTES + 1, "bafybeigllfqgfpqydppr6cmv56g7ax4wyhruzswvcefv6j5kj77nzttfki"),
        (ROW, "bafybeibxsa3ioclowpaq7b6gxl65gzqneopfr3fnhedak6sqr4bjz5lnyq"),
        (ROW + 1, "bafybeihqwzd3o6q6v3pmwhzjy22vokhr767burokmqemg63hptx2nqd7ym"),
        (ROW + LEAF_BYTES, "bafybeigfps5vzivfspwgm3uwsfyl5s6bn3ysh7uqidgauxgopw4yi66lse"),
    ],
)
def test_the_cids_of_zeros(size: int, cid: str) -> None:
    """As ipfs-unixfs-importer says them."""
    shape = Shape(size)
    full = raw_cid(bytes(LEAF_BYTES))
    last = raw_cid(bytes(shape[shape.leaves - 1].size))
    assert cid == cid_text(planted(shape, [full] * (shape.leaves - 1) + [last])[1])


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([*SIZES, SQUARE, SQUARE + 1, SQUARE + ROW])
    | st.integers(0, 3 * ROW)
    | st.integers(SQUARE - ROW, SQUARE + 2 * ROW)
)
def test_nodes_are_those_of_the_specification_and_read_as_they_were_made(size: int) -> None:
    shape = Shape(size)
    nodes = [node for level in dags.levels(fake_leaves(size)) for node in level]
    made, _ = planted(shape, map(fake, range(shape.leaves)))
    assert [block for block, _ in nodes] == made
    for number, (block, children) in enumerate(nodes, shape.leaves):
        assert len(block) == shape[number].size
        assert tuple(child.cid for child in children) == shape.children(number, block)


TWO = LEAF_BYTES + 1
PAIR = fake_leaves(TWO)


def test_a_cid_by_its_place() -> None:
    shape = Shape(TWO)
    assert [raw_cid(b"x"), node_cid(b"x")] == [shape.cid(number, b"x") for number in (1, 2)]


def test_only_digests_may_differ() -> None:
    """Which children they are is for the parent's CID to say, all else for the size."""
    shape, block = Shape(TWO), dags.node(PAIR)
    digests = {
        place
        for child in PAIR
        for place in range(block.index(child.cid) + 4, block.index(child.cid) + CID_BYTES)
    }
    taken = set()
    for place in range(len(block)):
        for bit in range(8):
            altered = block[:place] + bytes([block[place] ^ 1 << bit]) + block[place + 1 :]
            try:
                assert shape.children(2, block) != shape.children(2, altered)
            except RemoteProtocolError:
                continue
            taken.add(place)
    assert digests == taken


def lies() -> dict[str, bytes]:
    """Nodes that are not the root of a file of TWO bytes, though some are of others."""
    first, last = PAIR
    good, links = dags.node(PAIR), dags.links(PAIR)
    data, file, filesize = good.removeprefix(links), dags.field(1, 2), dags.field(3, TWO)
    sizes = b"".join(dags.field(4, child.file_bytes) for child in PAIR)
    packed = dags.field(4, b"".join(dags.varint(child.file_bytes) for child in PAIR))
    upper = dags.child_of(good, PAIR)
    return {
        "nothing": b"",
        "one byte": b"\0",
        "a byte more": good + b"\0",
        "a byte less": good[:-1],
        "itself twice": good + good,
        "an unknown field": good + dags.field(7, 1),
        "data first": data + links,
        "no data": links,
        "no links": data,
        "a directory": links + dags.data(dags.field(1, 1), filesize, sizes),
        "no filesize": links + dags.data(file, b"", sizes),
        "no blocksizes": links + dags.data(file, filesize, b""),
        "blocksizes packed": links + dags.data(file, filesize, packed),
        "a mode": links + dags.data(file, filesize, sizes + dags.field(7, 0o644)),
        "a byte more in the last leaf": dags.node([first, replace(last, file_bytes=2, dag_bytes=2)]),
        "an empty last leaf": dags.node([first, replace(last, file_bytes=0, dag_bytes=0)]),
        "leaves the other way round": dags.node([last, first]),
        "a leaf less": dags.node([first]),
        "a leaf more": dags.node([first, first, last]),
        "175 links": dags.node([first] * 175),
        "a level more": dags.node([upper]),
        "a filesize that lies": dags.node(PAIR, filesize=TWO + 1),
        "a Tsize that lies": dags.node([first, replace(last, dag_bytes=2)]),
        "a huge Tsize": dags.node([first, replace(last, dag_bytes=2**64 - 1)]),
        "a blocksize that lies": dags.node([replace(first, file_bytes=LEAF_BYTES - 1), last], filesize=TWO),
        "a name": dags.node([replace(first, name=b"a"), last]),
        "a link to a node": dags.node([replace(first, cid=upper.cid), last]),
        "links by CIDv0": dags.node([replace(child, cid=child.cid[2:]) for child in PAIR]),
        "links by another hash": dags.node([replace(first, cid=b"\x01\x55\x1b\x20" + bytes(32)), last]),
        "links to dag-cbor": dags.node([replace(first, cid=b"\x01\x71\x12\x20" + bytes(32)), last]),
        "a link with the block inside": dags.node([first, replace(last, cid=b"\x01\x55\x00\x01x")]),
    }


@pytest.mark.parametrize("name", lies())
def test_another_node_is_refused(name: str) -> None:
    with pytest.raises(RemoteProtocolError):
        Shape(TWO).children(2, lies()[name])


def test_what_is_refused_of_one_size_is_the_node_of_another() -> None:
    good, other = dags.node(PAIR), dags.node(fake_leaves(TWO + 1))
    assert len(good) == len(other)
    assert tuple(child.cid for child in PAIR) == Shape(TWO + 1).children(2, other)
    with pytest.raises(RemoteProtocolError):
        Shape(TWO + 1).children(2, good)


def test_no_tree_is_deeper_or_wider_than_its_size_says() -> None:
    """A node that stands in its own place below would make a tree without end."""
    shape = Shape(ROW + 1)
    (full, alone), (root,) = ([block for block, _ in row] for row in dags.levels(fake_leaves(ROW + 1)))
    numbers = (shape.root - 2, shape.root - 1, shape.root)
    blocks = (full, alone, root)
    for number, right in zip(numbers, blocks, strict=True):
        shape.children(number, right)
        for wrong in set(blocks) - {right}:
            with pytest.raises(RemoteProtocolError):
                shape.children(number, wrong)
    with pytest.raises(RemoteProtocolError):
        shape.children(shape.root, root.replace(DAG_PB, RAW))


def test_asking_for_what_a_tree_does_not_have_is_our_mistake() -> None:
    shape = Shape(TWO)
    wrong: list[Callable[[], object]] = [
        lambda: shape.encode(2, [fake(0)]),
        lambda: shape.encode(2, [fake(0)] * 3),
        lambda: shape.encode(0, []),
        lambda: shape.children(0, b""),
        lambda: Shape(0).children(0, b""),
    ]
    for ask in wrong:
        with pytest.raises(LocalProtocolError):
            ask()
    for number in (-1, 3):
        with pytest.raises(IndexError):
            shape.children(number, b"")


GOOD = dags.node(fake_leaves(3 * LEAF_BYTES))
RANDOM = st.binary(max_size=300) | st.binary(min_size=len(GOOD), max_size=len(GOOD)) | damaged(GOOD)


@given(RANDOM)
def test_any_bytes_are_the_node_or_refused(block: bytes) -> None:
    shape = Shape(3 * LEAF_BYTES)
    try:
        children = shape.children(3, block)
    except RemoteProtocolError:
        return
    assert block == shape.encode(3, children)


@given(st.integers(LEAF_BYTES + 1, MAX_FILE_BYTES), st.sampled_from(["first", "root"]), RANDOM)
def test_any_bytes_are_refused_or_parse_for_any_size(size: int, place: str, block: bytes) -> None:
    shape = Shape(size)
    number = shape.leaves if place == "first" else shape.root
    parses_or_refuses(lambda block: shape.children(number, block), block)
