"""What becomes of ordinary mail: consent before and after the body, proof, folder, once (protocol.md §6)."""

import base64
import random
from contextlib import aclosing, suppress

import pytest
import trio

from node.consent import Rules
from node.runtime.sections import FilesConfig, LimitsConfig
from node.smtp.reply import Envelope
from node.storage import Batch
from protocol.handshake import State, Type
from protocol.unixfs import parse_reference
from tests.kit.dkim_keys import ed25519_key, sign
from tests.kit.houses import Fuse, Street
from tests.kit.letters import whole
from tests.kit.posts import CLIENT, FRIEND_OF_STELLA, OWNER, REVOKED, STELLA, TAKEN, Post, open_post


@pytest.fixture
async def post(street: Street) -> Post:
    return await open_post(street)


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        (OWNER, None),
        ("ALICE@Home.Example", None),
        ("anyone@all.example", None),
        ("alice+shop@home.example", None),
        ("Alice+Shop.2@HOME.example", None),
        ("alice+@home.example", None),
        ("+shop@home.example", (550, "5.1.1")),
        ("bob+alice@home.example", (550, "5.1.1")),
        ("postmaster", None),
        ("abuse@home.example", None),
        ("abuse@all.example", None),
        ("abuse", (550, "5.7.1")),
        ("abuse@other.example", (550, "5.7.1")),
        ("Postmaster@home.example", None),
        ("bob@home.example", (550, "5.1.1")),
        ("alice@sub.home.example", (550, "5.7.1")),
        ("postmaster@other.example", (550, "5.7.1")),
        ("alice%home.example@other.example", (550, "5.7.1")),
        ("@home.example:bob@other.example", (550, "5.7.1")),
        ('"alice@home.example"@other.example', (550, "5.7.1")),
        ("other.example!alice@home.example", (550, "5.1.1")),
        ("alice@home.example.", (550, "5.7.1")),
        ("", (550, "5.7.1")),
        ("0x5d1c1bd0f4e5b9c5d0e5b4e8f3f5a5b7c5d0e5b4@mailio.alt", (550, "5.7.1")),
    ],
)
async def test_recipients_are_the_owners_addresses_alone(
    post: Post, recipient: str, expected: tuple[int, str] | None
) -> None:
    reply = post.intake.recipient(recipient)
    assert (reply and (reply.code, reply.status)) == expected


async def test_a_stranger_waits_and_asks_once(post: Post) -> None:
    assert await post.send("one", signed="stars.example") == TAKEN
    assert await post.send("two", signed="stars.example") == TAKEN
    rows = post.house.owner.handshakes.list()
    assert [(r["address"], r["status"], r["note"], r["waiting"]) for r in rows] == [
        (STELLA, "request", "two", 2)
    ]
    assert post.lies() == {"handshake": ["one", "two"]}


async def test_who_proves_nothing_waits_without_asking(post: Post) -> None:
    assert await post.send("unsigned") == TAKEN
    assert await post.send("signed by others", signed="other.example") == TAKEN
    assert post.house.owner.handshakes.list() == []
    assert post.lies() == {"handshake": ["unsigned", "signed by others"]}


async def test_accepted_is_who_proves_it(post: Post) -> None:
    await post.send("before", signed="stars.example")
    await post.send("before, forged")
    await post.accept(STELLA)
    assert post.lies() == {"inbox": ["before"], "handshake": ["before, forged"]}
    await post.send("after", signed="stars.example", envelope="bounces@lists.example")
    await post.send("after, forged")
    await post.send("forged in both", signed="other.example", envelope=STELLA)
    await post.send("two authors", f"{STELLA}, eve@other.example", signed="stars.example", envelope=STELLA)
    await post.send("a namesake", "stella@sub.stars.example", signed="stars.example")
    assert post.lies() == {
        "inbox": ["before", "after"],
        "handshake": ["before, forged", "after, forged", "forged in both", "two authors", "a namesake"],
    }


async def test_a_signature_of_the_same_organisation_counts(post: Post) -> None:
    await post.accept(FRIEND_OF_STELLA)
    await post.send("from below", FRIEND_OF_STELLA, signed="stars.example")
    assert post.lies() == {"inbox": ["from below"]}


async def test_oneself_is_who_proves_it(post: Post) -> None:
    post.table.records = {"sel._domainkey.home.example": (ed25519_key().txt.encode(),)}
    assert await post.send("note to myself", OWNER, signed="home.example") == TAKEN
    assert await post.send("not I", OWNER) == TAKEN
    assert post.lies() == {"inbox": ["note to myself"], "handshake": ["not I"]}
    assert post.house.owner.handshakes.list() == []


async def test_a_revoked_sender_is_refused_at_mail_and_after_data(post: Post) -> None:
    await post.house.owner.handshakes.revoke(STELLA)
    reply = post.intake.sender("Stella@STARS.example", CLIENT)
    assert reply is not None
    assert (reply.code, reply.status) == REVOKED
    assert await post.send("by From", envelope="") == REVOKED
    assert await post.send("by one of two", f"eve@other.example, {STELLA}", envelope="") == REVOKED
    assert await post.send("proven", signed="stars.example", envelope="x@other.example") == REVOKED
    assert post.lies() == {}


async def test_nothing_comes_in_the_name_of_a_mailio_mailbox(post: Post) -> None:
    friend = "0x5d1c1bd0f4e5b9c5d0e5b4e8f3f5a5b7c5d0e5b4@Mailio.ALT"
    assert await post.send("by From", friend, envelope="") == (550, "5.7.1")
    assert await post.send("by envelope", envelope=friend) == (550, "5.7.1")
    assert post.lies() == {}


async def test_revoked_under_one_name_wins_over_accepted_under_another(post: Post) -> None:
    await post.accept(STELLA)
    await post.house.owner.handshakes.revoke("list@lists.example")
    assert await post.send("by the list", signed="stars.example", envelope="list@lists.example") == REVOKED
    assert await post.send("by herself", signed="stars.example") == TAKEN
    assert post.lies() == {"inbox": ["by herself"]}


async def test_the_same_letter_is_taken_once(post: Post, street: Street) -> None:
    for _ in range(2):
        assert await post.send("once", signed="stars.example") == TAKEN
    assert await post.send("once", signed="stars.example", envelope="other@stars.example") == TAKEN
    assert post.lies() == {"handshake": ["once", "once"]}
    await street.quiet()
    raw = b"From: eve@other.example\r\nSubject: side by side\r\n\r\nHi.\r\n"
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(post.intake.take, Envelope("", (OWNER,), CLIENT), raw)
    assert post.lies() == {"handshake": ["once", "once", "side by side"]}
    assert post.intake.counters["again"] == 5


async def test_a_key_that_cannot_be_looked_up_puts_off_only_who_would_come_in(post: Post) -> None:
    post.table.down = True
    assert await post.send("a stranger", signed="stars.example") == TAKEN
    await post.accept(STELLA)
    assert await post.send("a friend", signed="stars.example") == (451, "4.4.3")
    assert await post.send("a friend unsigned") == (451, "4.4.3")  # SPF may prove it
    assert await post.send("a friend, by others", envelope="eve@other.example") == TAKEN
    others = "eve@other.example"
    assert await post.send("signed by others", signed="other.example", envelope=others) == TAKEN
    assert await post.send("oneself", OWNER, signed="home.example") == (451, "4.4.3")
    assert post.lies() == {"handshake": ["a stranger", "a friend, by others", "signed by others"]}
    post.table.down = False
    assert await post.send("a friend", signed="stars.example") == TAKEN
    assert post.lies()["inbox"] == ["a friend"]


async def test_a_pause_is_kept(post: Post, street: Street) -> None:
    await post.accept(STELLA, Rules(Type.SIGNUP, "news", 60))
    assert await post.send("now", signed="stars.example") == TAKEN
    assert await post.send("too soon", signed="stars.example") == (450, "4.7.1")
    await street.pass_time(3_601)
    assert await post.send("in time", signed="stars.example") == TAKEN
    assert post.lies() == {"inbox": ["now", "in time"]}


async def test_bulk_of_a_subscription_goes_apart(post: Post) -> None:
    await post.accept(STELLA, Rules(Type.SIGNUP, "news"))
    await post.send("news", signed="stars.example", **{"List-Id": "<news.stars.example>"})
    assert post.lies() == {"goodreads": ["news"]}


BROKEN: dict[str, tuple[bytes, tuple[int, str]]] = {
    "no From": (b"Subject: x\r\n\r\nHi.\r\n", TAKEN),
    "nothing": (b"", TAKEN),
    "no header": (b"\r\nHi.\r\n", TAKEN),
    "a group": (b"From: all: a@b.example, c@d.example;\r\nSubject: x\r\n\r\nHi.\r\n", TAKEN),
    "NUL": (b"From: a\0b@c.example\r\nSubject: x\0y\r\n\r\n\0\r\n", TAKEN),
    "no address": (b"From: <<<>>>(((@@\r\n\r\nHi.\r\n", TAKEN),
    "a header without end": (b"X: y\r\n" * 30_000, (550, "5.6.0")),
    "20,000 authors": (b"From: " + b"a@b.example,\r\n " * 20_000 + b"\r\n\r\n", (550, "5.6.0")),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_broken_mail_is_kept_or_refused(post: Post, what: str) -> None:
    raw, expected = BROKEN[what]
    assert await post.deliver(raw, "") == expected
    assert len(post.house.mail()) == (1 if expected == TAKEN else 0)


async def test_the_bytes_stay_and_the_envelope_is_beside_them(post: Post) -> None:
    raw = sign(b"From: Stella <stella@stars.example>\r\n\r\n.\r\n", ed25519_key(), "stars.example", "sel")
    assert await post.deliver(raw) == TAKEN
    (row,) = post.house.owner.mailbox.list("handshake")
    letter = bytes.fromhex(row["id"])
    assert await whole(post.house.owner.mailbox, letter) == raw
    read = await post.house.owner.mailbox.read(letter)
    assert (row["via"], row["author"]) == ("smtp", STELLA)
    assert read["smtp"] == {
        "sender": STELLA,
        "recipients": [OWNER],
        "client": "127.0.0.1",
        "helo": "mx.stars.example",
        "tls": False,
        "signatures": ["stars.example: pass"],
        "results": [
            "DKIM stars.example: pass",
            "SPF stars.example: none (no record is published)",
            "DMARC stars.example: none",
        ],
        "bulk": False,
        "automatic": False,
    }


async def test_no_mail_is_taken_while_the_disk_is_full(street: Street) -> None:
    post = await open_post(street, limits=LimitsConfig(free_disk=10**12))
    assert await post.send("too much") == (452, "4.3.1")


@pytest.mark.parametrize("after", [False, True])
async def test_what_was_not_answered_comes_again_and_is_there_once(street: Street, after: bool) -> None:
    fuse = Fuse()
    post = await open_post(street, opener=fuse)
    await street.quiet()
    fuse.set(0, after=after)
    with pytest.raises(BaseException):  # noqa: B017 - the power fails, and whoever waited is told nothing
        await post.send("through a power cut", signed="stars.example")
    await street.close(post.house)
    again = await open_post(street)
    assert again.lies() == ({"handshake": ["through a power cut"]} if after else {})
    assert await again.send("through a power cut", signed="stars.example") == TAKEN
    assert again.lies() == {"handshake": ["through a power cut"]}
    assert again.house.owner.consent.state(STELLA, again.house.ground.clock.now()) is State.REQUEST


# ---- large parts lie outside


def with_file(size: int, seed: int = 1) -> tuple[bytes, bytes]:
    """A signed mail with a file of `size` bytes, and the file."""
    data = random.Random(seed).randbytes(size)
    raw = (
        b"From: stella@stars.example\r\nTo: alice@home.example\r\nSubject: Photo\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nSee.\r\n--b\r\n'
        b'Content-Type: image/png; name="m31.png"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + base64.encodebytes(data).replace(b"\n", b"\r\n")
        + b"\r\n--b--\r\n"
    )
    return sign(raw, ed25519_key(), "stars.example", "sel"), data


async def test_a_large_part_lies_outside_and_all_of_the_mail_comes_back(post: Post) -> None:
    raw, data = with_file(3_000_000)
    assert await post.deliver(raw) == TAKEN
    mailbox = post.house.owner.mailbox
    (row,) = mailbox.list("handshake")
    letter = bytes.fromhex(row["id"])
    assert (row["size"], row["attachments"]) == (len(raw), 1)
    assert len(mailbox.reduced(letter).message) < 2_000
    assert raw == await whole(mailbox, letter)
    (shown,) = (await mailbox.read(letter))["attachments"]
    assert ("m31.png", 3_000_000, "complete") == (shown["filename"], shown["size"], shown["state"])
    saved = await mailbox.attachment(letter, 1)
    async with aclosing(saved.source) as pieces:
        assert data == b"".join([piece async for piece in pieces])


async def test_it_is_served_to_nobody_and_goes_with_its_mail(post: Post) -> None:
    await post.deliver(with_file(100_000)[0])
    owner = post.house.owner
    (row,) = owner.mailbox.list("handshake")
    letter, batch = bytes.fromhex(row["id"]), Batch()
    (ref,) = owner.mailbox.reduced(letter).refs
    assert await owner.files.blocks.read(parse_reference(ref.reference)) is None
    owner.mailbox.delete(batch, letter)
    owner.mailbox.delete(batch, letter)
    await post.house.ground.store.write(batch)
    await owner.files.collect()
    assert [] == list((post.house.ground.home.files).glob("??/*"))


async def test_a_mail_that_was_refused_leaves_nothing(post: Post) -> None:
    await post.house.owner.handshakes.revoke(STELLA)
    raw, _ = with_file(100_000)
    assert await post.deliver(raw, "") == REVOKED
    assert [] == list((post.house.ground.home.files).glob("??/*"))


async def test_a_full_store_of_files_is_a_full_disk_to_who_sends(street: Street) -> None:
    post = await open_post(street, files=FilesConfig(quota=1_000_000))
    assert await post.deliver(with_file(900_000)[0]) == TAKEN
    assert await post.deliver(with_file(900_000, seed=2)[0]) == (452, "4.2.2")
    assert await post.send("small") == TAKEN
    assert ["Photo", "small"] == sorted(post.house.mail())


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", range(3))
async def test_a_power_cut_at_any_write_of_a_large_mail(street: Street, write: int, after: bool) -> None:
    fuse, raw = Fuse(), with_file(100_000)[0]
    post = await open_post(street, opener=fuse)
    fuse.set(write, after=after)
    with suppress(BaseException):
        await post.deliver(raw)
    await street.close(post.house)
    again = await open_post(street)
    assert await again.deliver(raw) == TAKEN
    (row,) = again.house.owner.mailbox.list("handshake")
    assert raw == await whole(again.house.owner.mailbox, bytes.fromhex(row["id"]))
    await again.house.owner.files.sweep()
    await again.house.owner.files.collect()
    assert 1 == len(list((again.house.ground.home.files).glob("??/*")))
