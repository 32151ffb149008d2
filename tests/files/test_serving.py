from random import Random

import pytest

from node.files import Pin, PinKind
from protocol.stream import CHUNK_BYTES
from protocol.unixfs import CID_BYTES, RAW
from tests.kit.blocks import NOW, Place, Times, damage, keep, made, out, peer

DATA = Random(8).randbytes(5 * CHUNK_BYTES)
DAY = 86_400_000


async def test_every_block_of_what_is_pinned_for_somebody(place: Place) -> None:
    put = await place.put(DATA, out())
    file = made(DATA, put.key)
    for cid, block in file.blocks.items():
        assert await place.files.blocks.size(cid) == len(block)
        assert await place.files.blocks.read(cid) == block
    stat = await place.files.stat()
    assert (stat["blocksServed"], stat["bytesServed"]) == (file.count, file.total)


@pytest.mark.parametrize("pin", [keep(), Pin(PinKind.DRAFT, b"a draft's id")])
async def test_nothing_of_what_is_only_ours(place: Place, pin: Pin) -> None:
    put = await place.put(DATA, pin)
    for cid in made(DATA, put.key).order:
        assert await place.files.blocks.size(cid) is None
        assert await place.files.blocks.read(cid) is None


async def test_nothing_of_what_we_were_sent(place: Place, sender: Place) -> None:
    """Whoever asks for its CID learns nothing, not even if a pin said that others may fetch it."""
    put = await sender.put(DATA)
    wanted = place.wanted(put)
    await place.want(wanted)
    await place.pin(wanted.name, out())
    for _ in range(2):
        for cid in made(DATA, put.key).order:
            assert await place.files.blocks.size(cid) is None
            assert await place.files.blocks.read(cid) is None
        await place.files.fetch(wanted, peer(sender.files))


@pytest.mark.parametrize("cid", [b"", b"\x00", RAW + bytes(32), bytes(CID_BYTES), b"x" * 1_000])
async def test_what_was_never_here(place: Place, cid: bytes) -> None:
    await place.put(DATA)
    assert await place.files.blocks.size(cid) is None
    assert await place.files.blocks.read(cid) is None


async def test_until_its_pin_runs_out_and_no_longer(place: Place, times: Times) -> None:
    put = await place.put(DATA, out(), until=NOW + DAY)
    await place.pin(put.content.name, keep())
    times.ms = NOW + DAY - 1
    assert await place.files.blocks.read(put.content.cid) is not None
    times.ms = NOW + DAY
    assert await place.files.blocks.read(put.content.cid) is None
    assert await place.files.blocks.size(put.content.cid) is None
    assert await place.read(put) == DATA


async def test_until_the_recipient_has_it(place: Place) -> None:
    put = await place.put(DATA, out(b"bob"), out(b"carol"))
    await place.unpin(out(b"bob"))
    assert await place.files.blocks.read(put.content.cid) is not None
    await place.unpin(out(b"carol"))
    assert await place.files.blocks.read(put.content.cid) is None


async def test_what_the_disk_lost_is_not_here(place: Place) -> None:
    put = await place.put(DATA)
    path, shape = place.file(put.content.name), put.content.shape
    cids = made(DATA, put.key).order
    with path.open("r+b") as file:
        file.truncate(shape[2].start + 100)
    assert [bool(await place.files.blocks.read(cid)) for cid in cids] == [n < 2 for n in range(len(cids))]
    path.unlink()
    assert [await place.files.blocks.read(cid) for cid in cids] == [None] * len(cids)


async def test_a_damaged_block_is_sent_as_it_is_and_no_one_takes_it(place: Place) -> None:
    put = await place.put(DATA)
    file = made(DATA, put.key)
    damage(place.file(put.content.name), put.content.shape[1].start + 9)
    got = await place.files.blocks.read(file.order[1])
    assert got is not None
    assert len(got) == len(file.blocks[file.order[1]])
    assert got != file.blocks[file.order[1]]
    assert await place.files.blocks.read(file.order[2]) == file.blocks[file.order[2]]


async def test_nothing_of_what_was_removed(place: Place) -> None:
    put = await place.put(DATA)
    await place.unpin(out())
    await place.files.collect()
    assert [await place.files.blocks.read(cid) for cid in made(DATA, put.key).order] == [None] * 7
