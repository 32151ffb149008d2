"""What lies outside of a letter, from one owner to another: sent, fetched, checked, receipted, let go (§6,
§7).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import aclosing
from email import message_from_bytes
from pathlib import Path

import pytest

from node.files import ContentMissing, PinKind, in_pieces
from node.letters import NoSuchLetter
from node.outbox import Letter
from node.outbox.submission import Message
from node.runtime.errors import NodeError
from node.runtime.sections import FilesConfig, LimitsConfig
from node.storage import Batch
from protocol.stream import CHUNK_BYTES, padded_size, sealed_size
from protocol.unixfs import Shape
from tests.kit.houses import DAY_S, House, Street
from tests.kit.letters import whole
from tests.kit.wires import BITSWAP, Act, Frame

SIZE = 700_000
"""Bytes of an attachment: three leaves and a node above them."""

MINUTE_S = 60.0


def content(seed: int, size: int = SIZE) -> bytes:
    return random.Random(seed).randbytes(size)


async def attach(house: House, data: bytes, name: str = "a.bin") -> str:
    upload = await house.owner.uploads.add(name, "application/pdf", len(data), in_pieces(data))
    return upload.id.hex()


async def send(
    house: House,
    to: Sequence[House | str],
    subject: str,
    *files: bytes,
    text: str = "Hi.\n",
    pin: int | None = None,
) -> Letter:
    who = tuple(one if isinstance(one, str) else one.address for one in to)
    ids = [await attach(house, data, f"{n}.bin") for n, data in enumerate(files)]
    message = Message(who, subject=subject, text=text, attachments=tuple(ids), pin=pin)
    return await house.owner.submission.send(message)


def letter_of(house: House, subject: str, folder: str = "inbox") -> bytes:
    row = next(row for row in house.owner.mailbox.list(folder) if row["subject"] == subject)
    return bytes.fromhex(str(row["id"]))


async def states(house: House, subject: str, folder: str = "inbox") -> list[str]:
    return [one["state"] for one in (await house.read(subject, folder))["attachments"]]


async def saved(house: House, letter: bytes, n: int = 1) -> bytes:
    found = await house.owner.mailbox.attachment(letter, n)
    async with aclosing(found.source) as pieces:
        return b"".join([piece async for piece in pieces])


def blocks(street: Street) -> int:
    """Blocks that were on the wire so far."""
    return sum(frame.protocol == BITSWAP for frame in street.wires.frames)


async def served(house: House) -> int:
    """Contents that others may fetch from here."""
    contents = house.owner.files._ledger.all()
    now = house.ground.clock.now()
    return sum(house.owner.files._ledger.pinned(one.name, now, PinKind.OUT) for one in contents)


async def kept(house: House) -> int:
    """Contents that are here once what nobody needs is gone."""
    await house.owner.files.collect()
    return sum(1 for _ in house.owner.files._ledger.all())


async def test_an_attachment_arrives_by_itself_and_is_let_go(
    street: Street, friends: tuple[House, House]
) -> None:
    alice, bob = friends
    data = content(1)
    letter = await send(alice, [bob], "Here", data)
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(letter)
    (shown,) = (await bob.read("Here"))["attachments"]
    assert shown | {"reference": ""} == {
        "n": 1,
        "filename": "0.bin",
        "mediaType": "application/octet-stream",
        "size": SIZE,
        "state": "complete",
        "reference": "",
        "fetched": SIZE,
        "detail": "",
        "remedy": "",
        "claimedType": "application/pdf",
        "kind": "data",
        "warnings": [],
        "thumbnail": False,
    }
    assert data == await saved(bob, letter_of(bob, "Here"))
    raw = await whole(bob.owner.mailbox, letter_of(bob, "Here"))
    assert raw == await whole(alice.owner.mailbox, letter_of(alice, "Here", "sent"))
    *_, part = message_from_bytes(raw).walk()
    assert data == part.get_payload(decode=True)
    assert await served(alice) == 0  # bob's receipt named it; the copy in `sent` keeps it for alice
    assert (await kept(alice), await kept(bob)) == (1, 1)
    assert bob.owner.mailbox.list()[0]["size"] == len(raw)
    assert ([], []) == (alice.wire.blamed, bob.wire.blamed)


async def test_small_files_travel_inside_and_a_long_text_outside(
    street: Street, friends: tuple[House, House]
) -> None:
    alice, bob = friends
    text = "Grüße, und viele davon.\n" * 20_000
    await send(alice, [bob], "Both", b"tiny", content(2), text=text)
    await street.quiet()
    read = await bob.read("Both")
    assert read["text"] == text
    assert [("0.bin", 4, ""), ("1.bin", SIZE, "ipfs://")] == [
        (one["filename"], one["size"], one["reference"][:7]) for one in read["attachments"]
    ]
    assert b"tiny" == await saved(bob, letter_of(bob, "Both"))
    assert content(2) == await saved(bob, letter_of(bob, "Both"), 2)


async def test_what_is_large_waits_until_it_is_asked_for(street: Street, alice: House) -> None:
    bob = await street.open("bob", files=FilesConfig(fetch=SIZE - 1))
    await street.befriend(alice, bob)
    data = content(3)
    await send(alice, [bob], "Large", data)
    await street.quiet()
    (shown,) = (await bob.read("Large"))["attachments"]
    assert ("missing", "larger than what is fetched unasked") == (shown["state"], shown["detail"])
    letter = letter_of(bob, "Large")
    with pytest.raises(ContentMissing):
        await saved(bob, letter)
    with pytest.raises(ContentMissing):
        await whole(bob.owner.mailbox, letter)
    assert (0, 1) == (blocks(street), await served(alice))
    await bob.fetcher.ask(letter)
    await street.quiet()
    assert data == await saved(bob, letter)
    assert await served(alice) == 0


async def test_a_fetch_goes_on_where_a_crash_ended_it(street: Street, friends: tuple[House, House]) -> None:
    alice, bob = friends
    data = content(4, 20 * CHUNK_BYTES)
    count = 0

    async def only_ten(frame: Frame) -> Act:
        nonlocal count
        count += frame.protocol == BITSWAP
        return Act.LOSE if count > 10 and frame.protocol == BITSWAP else Act.PASS

    street.wires.judge = only_ten
    await send(alice, [bob], "Cut", data)
    await street.quiet()
    (shown,) = (await bob.read("Cut"))["attachments"]
    assert ("fetching", "its sender's node: the node ended the connection") == (
        shown["state"],
        shown["detail"],
    )
    assert 0 < shown["fetched"] < len(data)
    street.wires.judge = let_pass
    before = blocks(street)
    bob = await street.reopen(bob)
    await street.quiet()
    assert data == await saved(bob, letter_of(bob, "Cut"))
    assert blocks(street) - before == Shape(sealed_size(padded_size(len(data)))).blocks - 10


async def let_pass(frame: Frame) -> Act:
    return Act.PASS


async def test_it_comes_once_its_sender_is_back(street: Street, friends: tuple[House, House]) -> None:
    alice, bob = friends

    async def no_blocks(frame: Frame) -> Act:
        return Act.LOSE if frame.protocol == BITSWAP else Act.PASS

    street.wires.judge = no_blocks
    await send(alice, [bob], "Later", content(5))
    await street.quiet()
    street.wires.judge = let_pass
    await street.close(alice)
    await street.pass_time(6 * 3_600)
    assert ["fetching"] == await states(bob, "Later")
    alice = await street.open("alice")
    bob.fetcher.connected(alice.wire.peer_id)
    await street.quiet()
    assert ["complete"] == await states(bob, "Later")
    assert await served(alice) == 0


async def test_it_is_tried_again_by_itself(street: Street, friends: tuple[House, House]) -> None:
    alice, bob = friends
    lost = 3

    async def first_ones(frame: Frame) -> Act:
        nonlocal lost
        if frame.protocol == BITSWAP and lost:
            lost -= 1
            return Act.LOSE
        return Act.PASS

    street.wires.judge = first_ones
    await send(alice, [bob], "Again", content(6))
    await street.quiet()
    assert ["fetching"] == await states(bob, "Again")
    await street.pass_time(15 * MINUTE_S, 10)
    assert ["complete"] == await states(bob, "Again")


async def test_what_is_pinned_no_more_is_said_to_have_expired(street: Street, alice: House) -> None:
    bob = await street.open("bob", files=FilesConfig(fetch=0))
    await street.befriend(alice, bob)
    await send(alice, [bob], "Short", content(7), pin=3_600_000)
    await street.quiet()
    assert ["missing"] == await states(bob, "Short")
    await street.pass_time(3_601)
    await bob.fetcher.ask(letter_of(bob, "Short"))
    await street.quiet()
    (shown,) = (await bob.read("Short"))["attachments"]
    assert ("expired", "its sender does not keep it any more") == (shown["state"], shown["detail"])
    assert "ask its sender to send it again" == shown["remedy"]
    assert await served(alice) == 0


async def test_a_letter_under_way_keeps_its_attachments_however_long(street: Street, alice: House) -> None:
    """Held behind a request for longer than the pin lasts."""
    bob = await street.open("bob")
    letter = await send(alice, [bob], "Held", content(8), pin=3_600_000)
    await street.quiet()
    assert [("held", "4.8.9")] == alice.state(letter)
    assert ["Handshake request"] != bob.folder("handshake")
    await street.pass_time(20 * DAY_S, DAY_S)
    assert await kept(alice) == 1
    await bob.owner.handshakes.accept(alice.address)
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(letter)
    assert ["complete"] == await states(bob, "Held")


async def test_every_recipient_has_to_have_it(
    street: Street, friends: tuple[House, House], eve: House
) -> None:
    alice, bob = friends
    await street.befriend(alice, eve)
    await street.close(eve)
    letter = await send(alice, [bob, eve], "Both", content(9))
    await street.quiet()
    assert [("delivered", "2.0.0"), ("queued", "4.4.1")] == alice.state(letter)
    assert await served(alice) == 1
    eve = await street.open("eve")
    alice.owner.outbox.wake(eve.address)
    await street.quiet()
    assert ["complete"] == await states(eve, "Both")
    assert await served(alice) == 0


@pytest.mark.parametrize("how", ["cancel", "revoke"])
async def test_who_is_not_to_have_it_is_not_given_it(street: Street, alice: House, how: str) -> None:
    bob = await street.open("bob", files=FilesConfig(fetch=0))
    await street.befriend(alice, bob)
    if how == "cancel":
        await street.close(bob)
    letter = await send(alice, [bob], "No", content(10))
    await street.quiet()
    assert await served(alice) == 1
    if how == "cancel":
        await alice.owner.outbox.cancel(letter.id)
    else:
        await alice.owner.handshakes.revoke(bob.address)
    assert await served(alice) == 0
    if how == "revoke":
        await bob.fetcher.ask(letter_of(bob, "No"))
        await street.quiet()
        assert ["expired"] == await states(bob, "No")


async def test_too_large_for_the_recipient_is_refused_before_anything_is_sent(
    street: Street, alice: House
) -> None:
    limits = LimitsConfig(price=1, free_disk=0, attachment_size=SIZE - 1)
    bob = await street.open("bob", limits=limits)
    await street.befriend(alice, bob)
    with pytest.raises(NodeError) as caught:
        await send(alice, [bob], "Known", content(11))
    assert caught.value.code == "attachment-too-large"
    said = len(street.wires.frames)
    eve = await street.open("eve", limits=limits)
    letter = await send(alice, [eve], "Unknown", content(11))  # whose record is not known before it is sent
    await street.quiet()
    assert [("refused", "5.2.3")] == alice.state(letter)
    assert [] == [frame for frame in street.wires.frames[said:] if frame.protocol == "/mailio/letter/1"]
    assert await served(alice) == 0


async def test_a_sender_may_hand_in_no_more_than_is_set(street: Street) -> None:
    alice = await street.open("alice", limits=LimitsConfig(price=1, free_disk=0, attachment_size=1_000))
    with pytest.raises(NodeError) as caught:
        await attach(alice, bytes(1_001))
    assert caught.value.code == "attachment-too-large"


async def test_a_letter_to_oneself_has_everything_at_once(street: Street, alice: House) -> None:
    await send(alice, [alice], "Note", content(12))
    await street.quiet()
    assert (["complete"], ["complete"]) == (await states(alice, "Note"), await states(alice, "Note", "sent"))
    assert content(12) == await saved(alice, letter_of(alice, "Note"))
    assert (await kept(alice), await served(alice), blocks(street)) == (1, 0, 0)


async def test_what_large_sent_copies_do_not_keep_is_told(street: Street, bob: House) -> None:
    alice = await street.open("alice", files=FilesConfig(fetch=SIZE - 1))
    await street.befriend(alice, bob)
    await send(alice, [bob], "Gone", content(13), content(14, SIZE - 1))
    await street.quiet()
    await kept(alice)
    assert ["expired", "complete"] == await states(alice, "Gone", "sent")
    with pytest.raises(ContentMissing):
        await whole(alice.owner.mailbox, letter_of(alice, "Gone", "sent"))


async def test_a_deleted_letter_takes_its_content_with_it(
    street: Street, friends: tuple[House, House]
) -> None:
    alice, bob = friends
    await send(alice, [bob], "Twice", content(15))
    await street.quiet()
    letter = letter_of(bob, "Twice")
    for _ in range(2):
        batch = Batch()
        bob.owner.mailbox.delete(batch, letter)
        await bob.ground.store.write(batch)
    with pytest.raises(NoSuchLetter):
        bob.owner.mailbox.reduced(letter)
    assert await kept(bob) == 0
    assert list((Path(bob.ground.home.path) / "files").glob("??/*")) == []


async def test_a_fetch_ends_with_its_letter(street: Street, friends: tuple[House, House]) -> None:
    alice, bob = friends

    async def no_blocks(frame: Frame) -> Act:
        return Act.LOSE if frame.protocol == BITSWAP else Act.PASS

    street.wires.judge = no_blocks
    await send(alice, [bob], "Gone", content(16))
    await street.quiet()
    letter, batch = letter_of(bob, "Gone"), Batch()
    bob.owner.mailbox.delete(batch, letter)
    bob.owner.mailbox.delete(batch, letter)
    await bob.ground.store.write(batch)
    bob.fetcher.drop(letter)
    street.wires.judge = let_pass
    before = blocks(street)
    await street.pass_time(DAY_S)
    assert (blocks(street), await kept(bob)) == (before, 0)


async def test_a_full_quota_keeps_the_letter_and_says_why(street: Street, alice: House) -> None:
    bob = await street.open("bob", files=FilesConfig(quota=1_000_000))
    await street.befriend(alice, bob)
    await send(alice, [bob], "First", content(17))
    await street.quiet()
    await send(alice, [bob], "Second", content(18))
    await street.quiet()
    (shown,) = (await bob.read("Second"))["attachments"]
    assert shown["state"] == "fetching"
    assert "no room" in shown["detail"]
    letter = letter_of(bob, "First")
    for _ in range(2):
        batch = Batch()
        bob.owner.mailbox.delete(batch, letter)
        await bob.ground.store.write(batch)
    await kept(bob)
    await street.pass_time(10 * MINUTE_S, 30)
    assert ["complete"] == await states(bob, "Second")
