"""What an accepted author can do with references: lie about sizes, hashes, keys and trees, refer to what is
others', keep silent, name files as it likes (§7). The letter stays, nothing false is shown as complete,
nobody else is harmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from node.exchange.fetching import FOR_NEWS, MAX_TRIED
from node.exchange.providers import MAX_ARRIVING
from node.files import ContentDamaged, ContentMissing, in_pieces
from node.network.limits import STALLED
from node.outbox.submission import Message
from node.storage import Batch
from protocol.errors import LocalProtocolError
from protocol.place import Encoding, Place
from protocol.stream import MAX_REFS
from protocol.unixfs import LEAF_BYTES, node_cid, parse_reference, raw_cid, reference_of
from tests.kit.houses import DAY_S, House, Street
from tests.kit.shelves import DATA, SIZE, Scene, ref, set_scene, tree


@pytest.fixture
async def scene(street: Street, bob: House) -> Scene:
    return await set_scene(street, bob)


async def test_what_is_true_is_taken(scene: Scene) -> None:
    """That the others of this file are refused is for their lies alone."""
    scene.shelf.blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root))
    (shown,) = await scene.shown()
    assert ("complete", SIZE) == (shown["state"], shown["size"])
    assert DATA == await scene.saved()


LIES: Mapping[str, dict[str, Any]] = {
    "another hash": {"hash": bytes(32)},
    "another key": {"key": bytes(32)},
    "a few bytes less": {"size": SIZE - 1},
    "a few bytes more": {"size": SIZE + 1},
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_file_that_is_not_what_the_letter_says_is_never_complete(scene: Scene, lie: str) -> None:
    scene.shelf.blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root, **LIES[lie]))
    (shown,) = await scene.shown()
    assert shown["state"] == "missing"
    assert "letter says" in shown["detail"] or "key" in shown["detail"]
    with pytest.raises(ContentMissing):
        await scene.saved()
    before = len(scene.shelf.asked)
    await scene.street.pass_time(DAY_S)
    assert len(scene.shelf.asked) == before  # it is not tried for ever
    await scene.bob.owner.files.collect()
    assert [] == list(scene.bob.owner.files._ledger.all())


@pytest.mark.parametrize("size", [1, 5_000, LEAF_BYTES * 200, 2**31])
async def test_a_size_that_lies_about_the_tree(scene: Scene, size: int) -> None:
    scene.shelf.blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root, size=size))
    if size > 100_000_000:
        assert [one["state"] for one in await scene.shown()] == ["missing"]
        (row,) = scene.bob.owner.mailbox.list()
        await scene.bob.fetcher.ask(bytes.fromhex(row["id"]))
        await scene.street.quiet()
    assert [one["state"] for one in await scene.shown()] == ["missing"]


async def test_a_size_beyond_what_is_taken_is_refused(scene: Scene) -> None:
    assert "5.2.3" == await scene.send(ref(DATA, tree(DATA)[1], size=2**31 + 1))
    assert [] == scene.bob.mail()


@pytest.mark.parametrize(
    "reference",
    [
        "ipfs://bafkreib",
        "ipfs://" + "b" + "a" * 58,
        reference_of(b"\x01\x71\x12\x20" + bytes(32)),
        reference_of(b"\x01\x55\x1b\x20" + bytes(32)),
    ],
    ids=["short", "no CID", "dag-cbor", "keccak"],
)
async def test_a_reference_of_another_form_is_refused(scene: Scene, reference: str) -> None:
    fake = ref(DATA, raw_cid(b""), reference=reference)
    assert "5.6.0" == await scene.send(fake)
    assert [] == scene.bob.mail()


async def test_a_tree_with_other_nodes_than_its_size_gives(scene: Scene) -> None:
    """Deep, wide, in a circle as far as hashes allow, of other codecs: whatever the root is, it is not the
    one.
    """
    blocks, root = tree(DATA)
    good = blocks[root]
    for bad in (good + b"\x00", good[:-1], good.replace(b"\x12\x20", b"\x1b\x20", 1), b"", bytes(10_000)):
        scene.shelf.blocks = blocks | {node_cid(bad): bad}
        assert "2.0.0" == await scene.send(ref(DATA, node_cid(bad)))
        assert {"missing"} == {one["state"] for one in await scene.shown()}
    assert [] == scene.street.wires.bugs


async def test_a_missing_leaf_is_no_shorter_file(scene: Scene) -> None:
    blocks, root = tree(DATA)
    last = next(reversed([cid for cid in blocks if cid.startswith(b"\x01\x55")]))
    scene.shelf.blocks = {cid: block for cid, block in blocks.items() if cid != last}
    assert "2.0.0" == await scene.send(ref(DATA, root))
    (shown,) = await scene.shown()
    assert ("expired", "its sender does not keep it any more") == (shown["state"], shown["detail"])
    with pytest.raises(ContentMissing):
        await scene.saved()
    scene.shelf.blocks = blocks
    (row,) = scene.bob.owner.mailbox.list()
    await scene.bob.fetcher.ask(bytes.fromhex(row["id"]))
    await scene.street.quiet()
    assert DATA == await scene.saved()


async def test_who_sends_nothing_holds_up_nobody_else(scene: Scene, street: Street, alice: House) -> None:
    """However many are tried, places are kept for who was just heard of."""
    await street.befriend(alice, scene.bob)
    blocks, root = tree(DATA)
    scene.shelf.stalls = set(blocks)
    for one in [scene, *[await another(scene) for _ in range(MAX_TRIED)]]:
        assert "2.0.0" == await one.send(ref(DATA, root))
    await street.close(scene.bob)
    scene.bob = await street.open("bob")
    scene.shelf.asked.clear()
    await street.quiet()
    assert [root] * (MAX_TRIED - FOR_NEWS) == scene.shelf.asked  # all are due at once
    await send_good(alice, scene)
    await street.quiet()
    assert ["complete"] == [one["state"] for one in await scene.shown("good")]
    await street.pass_time(4 * STALLED, 1)
    found = list(scene.bob.owner.mailbox.outstanding.book.all())
    assert [("wanted", True)] * (MAX_TRIED + 1) == [
        (one.state, "sends nothing" in one.detail) for one in found
    ]


async def send_good(alice: House, scene: Scene) -> None:
    upload = await alice.owner.uploads.add("a.bin", "", SIZE, in_pieces(DATA))
    sent = Message((scene.bob.address,), subject="good", attachments=(upload.id.hex(),))
    await alice.owner.submission.send(sent)


async def test_who_stalls_keeps_the_place_of_one_that_comes_for_seconds(
    scene: Scene, street: Street, alice: House
) -> None:
    """Memory is for so many at once."""
    await street.befriend(alice, scene.bob)
    scene.shelf.blocks, root = tree(DATA)
    scene.shelf.stalls = set(scene.shelf.blocks) - {root}
    for one in [scene, *[await another(scene) for _ in range(MAX_ARRIVING - 1)]]:
        assert "2.0.0" == await one.send(ref(DATA, root))
    await send_good(alice, scene)
    await street.quiet()
    assert ["fetching"] == [one["state"] for one in await scene.shown("good")]
    await street.pass_time(STALLED + 1, 1)
    assert ["complete"] == [one["state"] for one in await scene.shown("good")]


async def another(scene: Scene) -> Scene:
    """One more like carol, with the same shelf."""
    client = scene.street.client()
    await scene.bob.owner.handshakes.accept(client.address)
    await scene.street.quiet()
    wire: Any = client.network
    wire.bitswap.serve(scene.shelf)
    return replace(scene, carol=client)


async def test_naming_what_another_sent_tells_and_spoils_nothing(
    scene: Scene, street: Street, alice: House
) -> None:
    """Carol knows a CID of alice's letter to bob, and names it in one of hers."""
    await street.befriend(alice, scene.bob)
    upload = await alice.owner.uploads.add("a.bin", "", SIZE, in_pieces(DATA))
    sent = Message((scene.bob.address,), subject="hers", attachments=(upload.id.hex(),))
    await alice.owner.submission.send(sent)
    await street.quiet()
    (hers,) = await scene.shown("hers")
    assert "complete" == hers["state"]
    said = len(street.wires.frames)
    assert "2.0.0" == await scene.send(ref(DATA, raw_cid(b""), reference=hers["reference"]))
    (shown,) = await scene.shown()
    assert ("expired", 0) == (shown["state"], shown["fetched"])
    root = parse_reference(hers["reference"])
    assert [root] == scene.shelf.asked  # as if bob had never seen it
    assert [] == [frame for frame in street.wires.frames[said:] if frame.data == root]
    row = next(row for row in scene.bob.owner.mailbox.list() if row["subject"] == "bad")
    batch, letter = Batch(), bytes.fromhex(row["id"])
    scene.bob.owner.mailbox.delete(batch, letter)
    scene.bob.owner.mailbox.delete(batch, letter)
    await scene.bob.ground.store.write(batch)
    await scene.bob.owner.files.collect()
    assert ["complete"] == [one["state"] for one in await scene.shown("hers")]


async def test_a_message_that_its_parts_do_not_make_is_not_shown_as_it(scene: Scene) -> None:
    scene.shelf.blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root), whole=b"something else")
    assert ["complete"] == [one["state"] for one in await scene.shown()]
    (row,) = scene.bob.owner.mailbox.list()
    with pytest.raises(ContentDamaged, match="do not make the message"):
        await scene.bob.owner.mailbox.whole(bytes.fromhex(row["id"]))


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\system.ini", "system.ini"),
        ("a\x1b[2Jb\r\n.txt", "a [2Jb.txt"),
        ("\u202egnp.exe", "gnp.exe"),
        ("con.txt", "_con.txt"),
        ("...", "attachment-1"),
        ("", "attachment-1"),
        ("x" * 255, "x" * 255),
    ],
)
async def test_a_name_is_safe_to_show_and_to_create(scene: Scene, name: str, safe: str) -> None:
    scene.shelf.blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root, filename=name))
    (shown,) = await scene.shown()
    assert safe == shown["filename"]


async def test_a_name_longer_than_any_file_has_is_refused(scene: Scene) -> None:
    with pytest.raises(LocalProtocolError, match="filename"):
        await scene.send(ref(DATA, raw_cid(b""), filename="x" * 5_000))


async def test_places_in_any_order_and_beyond_each_other(scene: Scene) -> None:
    """References in the middle of a header, all at one place, in the wrong order: shown, each with its
    file.
    """
    scene.shelf.blocks, root = tree(DATA)
    message = f"From: {scene.carol.mailbox}\r\nSubject: bad\r\n\r\nHi.\r\n".encode()
    places = [Place(len(message)), Place(3), Place(3, Encoding.BASE64, 1), Place(len(message) - 1)]
    refs = [ref(DATA, root, place=place) for place in places]
    assert "2.0.0" == await scene.send(*refs, message=message)
    assert ["complete"] * 4 == [one["state"] for one in await scene.shown()]
    assert DATA == await scene.saved(4)


async def test_as_many_references_as_a_letter_may_have(scene: Scene) -> None:
    data = b"x"
    scene.shelf.blocks, root = tree(data)
    message = f"From: {scene.carol.mailbox}\r\nSubject: bad\r\n\r\n".encode()
    refs = [ref(data, root, filename=f"{n}") for n in range(MAX_REFS)]
    assert "2.0.0" == await scene.send(*refs, message=message, whole=message + data * MAX_REFS)
    assert {"complete"} == {one["state"] for one in await scene.shown()}
    assert len(scene.shelf.asked) == 1
    (row,) = scene.bob.owner.mailbox.list()
    async with aclosing(await scene.bob.owner.mailbox.whole(bytes.fromhex(row["id"]))) as pieces:
        assert message + data * MAX_REFS == b"".join([piece async for piece in pieces])
