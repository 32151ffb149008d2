"""Files on IPFS (protocol.md §7): the tree that a size gives, the nodes that fit it, CIDs in one spelling."""

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
    parse_cid,
    parse_reference,
    raw_cid,
    reference_of,
)
from tests.kit import dags
from tests.kit.dags import Child, planted
from tests.kit.hostile import damaged, parses_or_refuses

EMPTY = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
HELLO = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"

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


# ---- CIDs


def test_known_cids() -> None:
    assert EMPTY == cid_text(raw_cid(b""))
    assert HELLO == cid_text(raw_cid(b"hello world"))


@pytest.mark.parametrize(
    ("size", "cid"),
    [
        (0, EMPTY),
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


def test_a_cid_has_one_spelling() -> None:
    assert raw_cid(b"") == parse_cid(EMPTY)
    assert (RAW, CID_BYTES) == (parse_cid(HELLO)[:4], len(parse_cid(HELLO)))
    assert node_cid(b"\n\x02\x08\x01") == parse_cid(
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
    )


def other_forms() -> list[str]:
    """CIDs of other forms in their right spelling, as base32."""
    digest = hashlib.sha256(b"").digest()
    forms = [
        b"\x00\x55\x12\x20" + digest,  # no version that is
        b"\x01\x71\x12\x20" + digest,  # dag-cbor
        b"\x01\x55\x1b\x20" + digest,  # keccak-256
        b"\x01\x55\x00\x20" + digest,  # the block itself in place of its hash
        b"\x01\x55\x12\x1f" + digest[1:],
        b"\x01\x55\x13\x40" + hashlib.sha512(b"").digest(),
        b"\x81\x00\x55\x12\x20" + digest,  # 1 as a longer varint
        RAW + digest[1:],
        RAW + digest + b"\0",
        RAW,
        b"",
    ]
    return [cid_text(form) for form in forms]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        EMPTY[1:],
        EMPTY.upper(),
        "B" + EMPTY[1:].upper(),
        EMPTY[0] + EMPTY[1:].upper(),
        EMPTY[:-1] + EMPTY[-1].upper(),
        EMPTY + "=",
        EMPTY + "======",
        EMPTY[:-1] + "=",
        EMPTY[:-1],
        EMPTY + "a",
        " " + EMPTY[:-1],
        EMPTY[:-1] + "\n",
        EMPTY + "\n",
        EMPTY[:30] + "1" + EMPTY[31:],
        EMPTY[:30] + "-" + EMPTY[31:],
        EMPTY[:30] + "\u017f" + EMPTY[31:],  # upper() makes an S of it
        EMPTY[:30] + "\u0131" + EMPTY[31:],  # and an I of this
        EMPTY[:-2] + "\ufb00",  # and two letters of this
        EMPTY[:-1] + chr(ord(EMPTY[-1]) + 1),  # the two bits behind the last byte
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG",
        "f" + raw_cid(b"").hex(),
        "z" + EMPTY[1:],
        "c" + EMPTY[1:],
        "b" * 1_000_000,
        *other_forms(),
    ],
)
def test_any_other_spelling_is_refused(text: str) -> None:
    for parse, whole in ((parse_cid, text), (parse_reference, f"ipfs://{text}")):
        with pytest.raises(RemoteProtocolError):
            parse(whole)


def test_references() -> None:
    assert f"ipfs://{HELLO}" == reference_of(raw_cid(b"hello world"))
    assert raw_cid(b"hello world") == parse_reference(f"ipfs://{HELLO}")


@pytest.mark.parametrize(
    "text",
    ["", HELLO, f"IPFS://{HELLO}", f"ipfs:/{HELLO}", f"/ipfs/{HELLO}", f"ipns://{HELLO}"]
    + [f"ipfs://{HELLO}{end}" for end in ("/", "/a", "?", "#", " ", "\n")]
    + [f"ipfs://{start}{HELLO}" for start in ("/", "ipfs://", " ", "@")],
)
def test_other_references_are_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_reference(text)


@given(st.sampled_from([RAW, DAG_PB]), st.binary(min_size=32, max_size=32))
def test_a_cid_is_read_as_it_was_written(prefix: bytes, digest: bytes) -> None:
    assert prefix + digest == parse_cid(cid_text(prefix + digest))


@given(st.text(max_size=70) | damaged(HELLO.encode()).map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_cid_or_refused(text: str) -> None:
    try:
        cid = parse_cid(text)
    except RemoteProtocolError:
        return
    assert text == cid_text(cid)


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


def by_the_specification(size: int) -> list[list[tuple[bytes, list[Child]]]]:
    return list(dags.levels(fake_leaves(size)))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([*SIZES, SQUARE, SQUARE + 1, SQUARE + ROW])
    | st.integers(0, 3 * ROW)
    | st.integers(SQUARE - ROW, SQUARE + 2 * ROW)
)
def test_nodes_are_those_of_the_specification_and_read_as_they_were_made(size: int) -> None:
    shape = Shape(size)
    nodes = [node for level in by_the_specification(size) for node in level]
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
    good = dags.node(PAIR)
    deep = dags.child_of(good, PAIR)
    without_data = good[: good.rindex(dags.field(1, b"\x08\x02")[2:]) - 2]
    return {
        "nothing": b"",
        "one byte": b"\0",
        "a byte more": good + b"\0",
        "an unknown field": good + dags.field(7, 1),
        "a byte less": good[:-1],
        "itself twice": good + good,
        "data first": good[len(without_data) :] + without_data,
        "no data": without_data,
        "a byte more in the last leaf": dags.node([first, replace(last, file_bytes=2, dag_bytes=2)]),
        "an empty last leaf": dags.node([first, replace(last, file_bytes=0, dag_bytes=0)]),
        "leaves the other way round": dags.node([last, first]),
        "a leaf less": dags.node([first]),
        "a leaf more": dags.node([first, first, last]),
        "175 links": dags.node([first] * 175),
        "a filesize that lies": dags.node(PAIR, filesize=TWO + 1),
        "no filesize": good[: -len(dags.field(1, b""))],
        "a Tsize that lies": dags.node([first, replace(last, dag_bytes=2)]),
        "a huge Tsize": dags.node([first, replace(last, dag_bytes=2**64 - 1)]),
        "a blocksize that lies": dags.node([replace(first, file_bytes=LEAF_BYTES - 1), last], filesize=TWO),
        "a name": dags.node([replace(first, name=b"a"), last]),
        "a link to a node": dags.node([replace(first, cid=DAG_PB + first.cid[4:]), last]),
        "a link to itself": dags.node([first, replace(last, cid=deep.cid)]),
        "links by CIDv0": dags.node([replace(child, cid=child.cid[2:]) for child in PAIR]),
        "links by another hash": dags.node([replace(first, cid=b"\x01\x55\x1b\x20" + bytes(32)), last]),
        "links to dag-cbor": dags.node([replace(first, cid=b"\x01\x71\x12\x20" + bytes(32)), last]),
        "links with the block inside": dags.node([replace(last, cid=b"\x01\x55\x00\x01x"), last]),
        "a level more": dags.node([deep]),
        "a directory": good.replace(b"\x08\x02", b"\x08\x01"),
        "blocksizes packed": dags.node([]) + dags.field(4, b"\x80\x80\x10\x01"),
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
    (full, alone), (root,) = ([block for block, _ in level] for level in by_the_specification(ROW + 1))
    numbers = (shape.root - 2, shape.root - 1, shape.root)
    blocks = (full, alone, root)
    for number, right in zip(numbers, blocks, strict=True):
        shape.children(number, right)
        for wrong in set(blocks) - {right}:
            with pytest.raises(RemoteProtocolError):
                shape.children(number, wrong)
    leaves_as_nodes = root.replace(DAG_PB, RAW)
    with pytest.raises(RemoteProtocolError):
        shape.children(shape.root, leaves_as_nodes)


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
