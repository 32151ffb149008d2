"""Mail that came by SMTP: kept as it came beside how it came, read whatever it is, forgotten when shed."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import trio

from node.letters import Arrival, Mailbox, NoSuchLetter, Seen, Transport
from node.letters.messages import PIECE
from node.letters.waiting import LIFE_MS
from node.storage import Batch, Store
from node.storage.schema import BODY, ENTRY, EXPIRY, LETTER, SEEN, WAITING
from protocol.errors import RemoteProtocolError
from protocol.status import OK
from tests.kit.letters import NOW, arrival, whole

EVE = "eve@example.net"
CAME = Transport(EVE, ("alice@example.org",), "192.0.2.7", "mx.example.net", True, ("example.net: pass",))
DAYS_6 = 6 * 86_400_000

_UNCLEAN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")

Take = Callable[..., Awaitable[list[bytes]]]


def digest(number: int) -> bytes:
    return hashlib.blake2b(b"mail %d" % number, digest_size=32).digest()


def mail(number: int = 0, *, author: str | None = EVE, folder: str = "handshake", **changes: Any) -> Arrival:
    """Mail `number`, as the receiver makes an arrival of it."""
    raw = b"From: eve@example.net\r\nSubject: Mail %d\r\n\r\nHi.\r\n" % number
    came: dict[str, Any] = {
        "transport": CAME,
        "expires": NOW + DAYS_6,
        "thid": "",
        "raw": raw,
        "folder": folder,
    }
    one = arrival(number, author=EVE, **came | changes)
    return replace(one, author=author, letter_id=digest(number), envelope_id=None)


async def change(store: Store, act: Callable[..., Any], *args: Any) -> Any:
    batch = Batch()
    got = act(batch, *args)
    await store.write(batch)
    return got


async def test_how_it_came_is_shown_beside_it(mailbox: Mailbox, take: Take) -> None:
    one = mail()
    (letter,) = await take(one)
    assert one.message.message == await whole(mailbox, letter)
    (listed,) = mailbox.list("handshake")
    assert (listed["via"], listed["author"], listed["from"]) == ("smtp", EVE, EVE)
    assert await mailbox.read(letter) == listed | {
        "text": "Hi.\n",
        "html": "",
        "attachments": [],
        "smtp": {
            "sender": EVE,
            "recipients": ["alice@example.org"],
            "client": "192.0.2.7",
            "helo": "mx.example.net",
            "tls": True,
            "signatures": ["example.net: pass"],
            "results": [],
            "bulk": False,
            "automatic": False,
        },
    }


async def test_what_the_other_side_said_is_clean_and_bounded(mailbox: Mailbox, take: Take) -> None:
    hostile = Transport(
        "\x1b[2J" + "x" * 9_000, ("\u202e",) * 500, "c", "h\r\ni", False, ("s\x07" * 999,) * 99
    )
    (letter,) = await take(mail(transport=hostile))
    smtp = (await mailbox.read(letter))["smtp"]
    assert not unclean(smtp)
    assert smtp["helo"] == "h i"
    assert len(repr(smtp)) < 10_000


async def test_what_is_not_proven_has_no_author(mailbox: Mailbox, store: Store, take: Take) -> None:
    (letter,) = await take(mail(author=None))
    assert mailbox.list("handshake")[0]["author"] == ""
    assert (mailbox.waiting(EVE), await change(store, mailbox.release, EVE)) == (0, 0)
    assert mailbox.get(letter).folder == 4


@pytest.mark.parametrize("author", [EVE, None])
async def test_the_same_mail_is_known_for_as_long_as_asked(
    mailbox: Mailbox, store: Store, take: Take, author: str | None
) -> None:
    (letter,) = await take(mail(author=author))
    assert mailbox.seen_mail(digest(0)) == Seen(OK, None)
    assert mailbox.seen_mail(digest(1)) is None
    assert mailbox.seen(EVE, digest(0)) is None
    for _ in range(2):
        await change(store, mailbox.delete, letter)
    assert mailbox.seen_mail(digest(0)) == Seen(OK, None)
    assert await change(store, mailbox.expire, NOW + DAYS_6 - 1) == 0
    assert await change(store, mailbox.expire, NOW + DAYS_6) == 1
    assert mailbox.seen_mail(digest(0)) is None


async def test_a_strangers_mail_that_is_shed_leaves_nothing(
    mailbox: Mailbox, store: Store, take: Take
) -> None:
    """Twenty may wait here."""
    await take(*(mail(n, author=EVE if n % 2 else None) for n in range(100)))
    waiting = len(mailbox.list("handshake", 1_000))
    assert waiting <= 20
    for space in (SEEN, EXPIRY, LETTER, ENTRY, WAITING):
        assert len(store.scan(space, limit=1_000)) == waiting
    assert await change(store, mailbox.trim, NOW + LIFE_MS + 100_000) == waiting
    for space in (SEEN, EXPIRY, LETTER, ENTRY, WAITING):
        assert store.scan(space, limit=1_000) == []


async def test_accepting_moves_proven_mail_and_owes_no_receipt(
    mailbox: Mailbox, store: Store, take: Take
) -> None:
    await take(mail(0), mail(1, author=None), mail(2))
    assert mailbox.waiting(EVE) == 2
    assert mailbox.receipts_due(EVE) == []
    assert await change(store, mailbox.release, EVE) == 2
    assert [one["subject"] for one in mailbox.list()] == ["Mail 2", "Mail 0"]
    assert [one["subject"] for one in mailbox.list("handshake")] == ["Mail 1"]
    assert mailbox.seen_mail(digest(0)) == Seen(OK, None)


async def test_reading_habits_are_kept_for_e_mail_senders_too(
    mailbox: Mailbox, store: Store, take: Take
) -> None:
    first, *_ = await take(mail(0, folder="inbox"), mail(1, folder="inbox"), mail(2))
    await change(store, mailbox.mark_read, first)
    assert mailbox.habit(EVE) == (1, 2)


async def test_rows_of_the_release_before_still_load(mailbox: Mailbox, store: Store, take: Take) -> None:
    (letter,) = await take(arrival())
    value = store.get(ENTRY, (1, letter))
    assert isinstance(value, dict)
    assert not {"via", "pieces"} & set(value)
    assert mailbox.get(letter).via == ""
    assert "smtp" not in await mailbox.read(letter)


async def test_mail_of_the_release_before_is_still_read_and_delivered(
    mailbox: Mailbox, store: Store, take: Take
) -> None:
    (letter,) = await take(mail())
    value = store.get(LETTER, (letter,))
    assert isinstance(value, dict)
    for name in ("results", "authentication", "by"):
        del value["smtp"][name]
    batch = Batch()
    batch.put(LETTER, (letter,), value)
    await store.write(batch)
    assert [] == (await mailbox.read(letter))["smtp"]["results"]
    pieces = await mailbox.delivered(letter, lambda header: header)
    raw = b"".join([piece async for piece in pieces])
    received = (
        f"Return-Path: <{EVE}>\r\nReceived: from mx.example.net ([192.0.2.7])\r\n"
        f" by localhost with ESMTPS id {letter.hex()}\r\n for <alice@example.org>;\r\n "
    ).encode()
    assert received == raw[: len(received)]
    assert raw.endswith(mail().message.message)


async def test_spam_is_bounded_and_its_oldest_goes_first(mailbox: Mailbox, store: Store, take: Take) -> None:
    first, *_ = await take(*(mail(n, author=None, folder="spam") for n in range(20)))
    assert 20 == len(mailbox.list("spam"))
    (last,) = await take(mail(20, author=None, folder="spam"))
    there = [row["id"] for row in mailbox.list("spam")]
    assert (11, last.hex()) == (len(there), there[0])  # of 20 the older half
    assert (None, True) == (mailbox.seen_mail(digest(0)), mailbox.seen_mail(digest(20)) is not None)
    with pytest.raises(NoSuchLetter):
        mailbox.get(first)
    await take(mail(30, author=None, folder="spam", raw=b"From: a@b.c\r\n\r\n" + b"x" * 99_500))
    assert ["", "Mail 20"] == [row["subject"] for row in mailbox.list("spam")]


async def test_spam_goes_after_sixty_days(mailbox: Mailbox, store: Store, take: Take) -> None:
    await take(mail(0, author=None, folder="spam"), mail(1, author=None, folder="inbox"))
    assert [0, 1] == [await change(store, mailbox.trim, NOW + LIFE_MS + late) for late in (0, 1)]
    assert ([], 1) == (mailbox.list("spam"), len(mailbox.list("inbox")))


# ---- large ones


def large(size: int) -> bytes:
    return b"From: eve@example.net\r\n\r\n" + bytes(range(256)) * (size // 256) + b"end"


@pytest.mark.parametrize("size", [PIECE - 27, PIECE - 26, PIECE, 5 * PIECE + 77])
async def test_large_messages_come_back_exactly(mailbox: Mailbox, take: Take, size: int) -> None:
    raw = (large(size) + bytes(size))[:size]
    (letter,) = await take(mail(raw=raw, folder="inbox"))
    assert raw == await whole(mailbox, letter)
    assert mailbox.list()[0]["size"] == size


async def test_large_messages_go_as_a_whole(mailbox: Mailbox, store: Store, take: Take) -> None:
    stays, goes = await take(*(mail(n, raw=large(3 * PIECE), folder="inbox") for n in range(2)))
    await change(store, mailbox.move, goes, "archive")
    for _ in range(2):
        await change(store, mailbox.delete, goes)
    assert {key[0] for key, _ in store.scan(BODY, limit=100)} == {stays}
    with pytest.raises(NoSuchLetter):
        await whole(mailbox, goes)


async def test_a_large_message_is_read_in_turns_with_others(
    mailbox: Mailbox, store: Store, take: Take
) -> None:
    """And if it is erased meanwhile, it is gone, not half there."""
    (letter,) = await take(mail(raw=large(8 * PIECE), folder="trash"))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await whole(mailbox, letter)
        assert turns >= 8
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(change, store, mailbox.delete, letter)
        with pytest.raises(NoSuchLetter):
            await whole(mailbox, letter)


# ---- bad input


def part(boundary: str, *fields: str, body: bytes = b"hi\r\n") -> bytes:
    return (
        f"--{boundary}\r\n".encode() + "".join(f"{field}\r\n" for field in fields).encode() + b"\r\n" + body
    )


def multipart(*parts: bytes, end: bytes = b"--x--\r\n") -> bytes:
    return FROM + b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"".join(parts) + end


def recipients(count: int) -> bytes:
    return b"To: " + b",\r\n ".join(b"r%d@example.org" % n for n in range(count)) + b"\r\n\r\n"


def nested(number: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=x%d\r\n\r\n--x%d\r\n" % (number, number)


FROM = b"From: eve@example.net\r\n"
SHOWN: dict[str, bytes] = {
    "nothing": b"",
    "no header": b"\r\nbody\r\n",
    "no From": b"Subject: x\r\n\r\nbody\r\n",
    "two Froms": FROM + b"From: bob@example.org\r\n\r\nbody\r\n",
    "group in From": b"From: us: eve@example.net, bob@example.org;\r\n\r\nbody\r\n",
    "parentheses in From": b"From: " + b"(" * 60_000 + b"\r\n\r\nbody\r\n",
    "5,000 recipients": FROM + recipients(5_000),
    "charset that is none": FROM + b"Content-Type: text/plain; charset=\xff\x00none\r\n\r\nb\xf6dy\r\n",
    "charset that is a codec": FROM + b"Content-Type: text/plain; charset=zlib\r\n\r\nbody\r\n",
    "charset that is slow": FROM + b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a" * 900_000,
    "charset that lies": FROM + b"Content-Type: text/plain; charset=utf-16\r\n\r\nbody\r\n",
    "charset of a word that lies": FROM + b"Subject: =?utf-16?b?////?= =?iso-2022-jp?q?=1b$B=ff?=\r\n\r\n",
    "NUL": b"From: eve\0@example.net\0\r\nSub\0ject: x\r\nSubject: \0\r\n\r\n\0\0body\0",
    "escape sequences": FROM + b"Subject: \x1b]0;x\x07\xe2\x80\xae\r\n\r\n\x1b[2J\x9b1m\r\n",
    "8-bit header": b"From: \xff\xfe <eve@example.net>\r\nSubject: \xe4\xf6\r\nTo: \xc3\r\n\r\nbody",
    "bare line ends": b"From: eve@example.net\rSubject: x\nTo: y\r\n\r\nbo\rdy\n",
    "truncated multipart": multipart(
        part("x"), part("x", "Content-Type: image/png"), end=b"--x\r\nContent-Ty"
    ),
    "multipart without parts": FROM + b"Content-Type: multipart/mixed; boundary=y\r\n\r\nbody\r\n",
    "multipart without boundary": FROM + b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\nbody\r\n",
    "a boundary within itself": multipart(
        part("x", "Content-Type: multipart/mixed; boundary=x", body=part("x"))
    ),
    "messages in messages": FROM + b"Content-Type: message/rfc822\r\n\r\n" * 2_000,
    "cut base64": multipart(
        part("x", "Content-Transfer-Encoding: base64", body=b"aGVsbG8gd29ybGQ\r\n=a=\r\n")
    ),
    "name with a path": multipart(
        part("x", 'Content-Disposition: attachment; filename="../../\x1b/x\u202e"')
    ),
    "names of RFC 2231": multipart(
        part("x", "Content-Disposition: attachment; filename*0*=x''%ff%; filename*9=y")
    ),
    "50,000 nested tags": FROM + b"Content-Type: text/html\r\n\r\n" + b"<div>" * 50_000,
}
REFUSED: dict[str, bytes] = {
    "20,000 recipients": FROM + recipients(20_000),
    "megabytes of header": FROM + b"X: y\r\n" * 500_000 + b"\r\n",
    "one field of megabytes": FROM + b"X: " + b"y" * 3_000_000 + b"\r\n\r\n",
    "parameters of RFC 2231": FROM + b"Content-Type: a/b;" + b" a*0=x;" * 9_000 + b"\r\n\r\n",
    "nesting": b"".join(map(nested, range(1_500))),
    "20,000 parts": multipart(part("x") * 20_000),
    "a million lines": FROM + b"\r\n" * 1_000_000,
    "33 MiB": FROM + b"\r\n" + bytes(33 * 1024 * 1024),
}


async def outcome(mailbox: Mailbox, take: Take, number: int, raw: bytes) -> str:
    """What becomes of it: it is listed and read without an error, or refused."""
    try:
        summary = await mailbox.summary(raw)
    except RemoteProtocolError as error:
        return error.status.code
    (letter,) = await take(mail(number, raw=raw, summary=summary, folder="inbox", author=None))
    shown = await mailbox.read(letter)
    (listed,) = mailbox.list(limit=1)
    assert shown | {"attachments": len(shown["attachments"])} == shown | listed
    assert await whole(mailbox, letter) == raw
    found = unclean(shown)
    return f"unclean: {found}" if found else "shown"


def unclean(value: Any) -> list[str]:
    """What in its texts would do something to a terminal."""
    return [found for text in texts(value) for found in _UNCLEAN.findall(text)]


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from texts(one)


async def test_bad_mail_is_shown_as_far_as_can_be_or_refused(mailbox: Mailbox, take: Take) -> None:
    """4.3.2 would be one that met the deadline."""
    cases = SHOWN | REFUSED
    got = {name: await outcome(mailbox, take, n, raw) for n, (name, raw) in enumerate(cases.items())}
    assert dict.fromkeys(SHOWN, "shown") | dict.fromkeys(REFUSED, "5.6.0") == got


@pytest.mark.parametrize(
    "header, mailboxes",
    [
        (b"From: a@b.c\r\n", ("a@b.c",)),
        (b"", ()),
        (b"From: a@b.c\r\nFrom:\r\n", ("a@b.c", "")),
        (b"From: us: a@b.c;\r\n", ("", "a@b.c")),
    ],
)
async def test_one_proven_author_is_told_from_all_else(
    mailbox: Mailbox, header: bytes, mailboxes: tuple[str, ...]
) -> None:
    assert mailboxes == (await mailbox.summary(header + b"\r\n")).from_mailboxes


async def test_25_megabytes_are_read_within_the_deadline(mailbox: Mailbox, take: Take) -> None:
    lines = multipart(part("x", "Content-Transfer-Encoding: base64", body=(b"QUJD" * 19 + b"\r\n") * 320_000))
    line = FROM + b"\r\n" + b"x" * 25_000_000
    wide = FROM + b"\r\n" + ("\N{GRINNING FACE}" + "x" * 990 + "\r\n").encode() * 25_000
    got = [await outcome(mailbox, take, n, raw) for n, raw in enumerate((lines, line, wide))]
    assert got == ["shown"] * 3
