"""A hundred real mails from node to node: what a mail program hands in, with large parts in many forms beside
it, comes back byte for byte, and its DKIM signature holds (§6).
"""

from __future__ import annotations

import base64
import random
import re

import dkim  # type: ignore[import-untyped]  # no stubs exist
import pytest
import trio

from node.runtime.errors import NodeError
from protocol.errors import RemoteProtocolError
from protocol.keys import mailbox_of
from tests.kit.corpus import mails
from tests.kit.dkim_keys import ed25519_key, sign
from tests.kit.houses import House, Street
from tests.kit.letters import whole

MAILS = 100
DOMAIN, SELECTOR = "stars.example", "sel"

_FROM = re.compile(
    rb"(?im)^(?:from|sender|bcc|resent-bcc|return-path|date|message-id):[^\r]*\r\n(?:[ \t][^\r]*\r\n)*"
)


def base64_part(chance: random.Random) -> bytes:
    """A file, in lines of some length, with some line ends behind it."""
    data, length = (
        chance.randbytes(chance.randrange(25_000, 400_000)),
        chance.choice([60, 72, 73, 76, 76, 998]),
    )
    text = base64.b64encode(data)
    lines = b"\r\n".join(text[start : start + length] for start in range(0, len(text), length))
    head = b'Content-Type: image/png; name="p.png"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    return head + lines + b"\r\n" * chance.randrange(3)


def text_part(chance: random.Random) -> bytes:
    """A long text as it stands, or in quoted-printable."""
    line = chance.choice([b"Zeile mit Umlaut =C3=BC und Ende=20\r\n", b"plain text that goes on\r\n"])
    head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    return head + line * chance.randrange(500, 6_000)


def forwarded(chance: random.Random, raw: bytes, author: bytes) -> bytes:
    """The mail inside another one, with files."""
    parts = [b"Content-Type: message/rfc822\r\n\r\n" + raw, base64_part(chance), text_part(chance)]
    chance.shuffle(parts)
    body = b"".join(b"--=_b\r\n" + part + b"\r\n" for part in parts) + b"--=_b--\r\n"
    return (
        b'Subject: Fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=_b"\r\n\r\n' + body
    )


def own(raw: bytes, author: str, number: int) -> bytes:
    """The mail in the name of its new author, complete, so that nothing has to be put in or taken out."""
    header, gap, body = raw.partition(b"\r\n\r\n")
    header = _FROM.sub(b"", header + b"\r\n").removesuffix(b"\r\n")
    fields = [
        f"From: {author}",
        "Date: Thu, 26 Nov 2026 10:00:00 +0000",
        f"Message-ID: <{number}@stars.example>",
    ]
    head = "\r\n".join(fields).encode() + (b"\r\n" + header if header else b"")
    return head + gap + body


def handed_in(number: int, raw: bytes, author: str) -> bytes:
    chance = random.Random(number)
    if number % 2:
        raw = forwarded(chance, raw, author.encode())
    return sign(own(raw, author, number), ed25519_key(), DOMAIN, SELECTOR)


def holds(raw: bytes) -> bool:
    record = ed25519_key().txt.encode()
    return bool(dkim.verify(raw, dnsfunc=lambda *_, **__: record))


@pytest.fixture
async def pair(street: Street) -> tuple[House, House]:
    alice, bob = await street.open("alice"), await street.open("bob")
    await street.befriend(alice, bob)
    return alice, bob


async def test_a_hundred_real_mails_come_back_as_they_were(street: Street, pair: tuple[House, House]) -> None:
    alice, bob = pair
    author, refused = mailbox_of(alice.address), []
    sent: dict[str, bytes] = {}
    chosen = random.Random(4).sample(mails(), len(mails()))
    for number, (name, raw) in enumerate(chosen):
        if len(sent) == MAILS:
            break
        mail = handed_in(number, raw, author)
        try:
            letter = await alice.owner.submission.submit(mail, author, [mailbox_of(bob.address)], "laptop")
        except (RemoteProtocolError, NodeError):  # a header that is none, a nesting bomb: see test_submitted
            refused.append(name)
            continue
        sent[letter.letter_id.hex()] = mail
        await street.quiet()
    assert (len(sent), len(refused) < MAILS) == (MAILS, True)
    back = {}
    for row in bob.owner.mailbox.list(limit=MAILS + 1):
        back[row["thid"]] = await whole(bob.owner.mailbox, bytes.fromhex(row["id"]))
        await trio.lowlevel.checkpoint()
    assert sent == back
    assert [] == [thid for thid, raw in back.items() if not holds(raw)]
    outside = sum(
        len(bob.owner.mailbox.reduced(bytes.fromhex(row["id"])).refs)
        for row in bob.owner.mailbox.list(limit=200)
    )
    assert outside > MAILS / 2
