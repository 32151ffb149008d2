"""CIDs of files as an implementation that shares nothing with ours makes them (protocol.md §7)."""

from collections.abc import Iterator

import pytest

from protocol.unixfs import LEAF_BYTES, WIDTH, Shape, cid_text, raw_cid
from tests.kit.dags import planted
from tests.kit.importer import importer_cid, why_no_importer
from tests.kit.peers import needs

pytestmark = needs(why_no_importer())

SIZES = (
    0,
    1,
    LEAF_BYTES - 1,
    LEAF_BYTES,
    LEAF_BYTES + 1,
    WIDTH * LEAF_BYTES,
    WIDTH * LEAF_BYTES + 1,
    (WIDTH + 1) * LEAF_BYTES,
    100_000_000,
)


def leaves(size: int) -> Iterator[bytes]:
    """A file of `size` bytes whose leaves differ."""
    for start in range(0, size, LEAF_BYTES):
        leaf = start.to_bytes(8, "big") * (LEAF_BYTES // 8)
        yield leaf[: size - start]


def our_cid(size: int) -> str:
    whole = map(raw_cid, leaves(size) if size else [b""])
    return cid_text(planted(Shape(size), whole)[1])


@pytest.mark.parametrize("size", SIZES)
async def test_the_importer_finds_our_cid(size: int) -> None:
    assert await importer_cid(leaves(size)) == our_cid(size)
