"""A real Postfix as neighbour: it relays into a node and takes what the node sends, STARTTLS both ways."""

import re
import smtplib
import ssl
from pathlib import Path

import trio

from tests.kit.certificates import Authority
from tests.kit.corpus import mails
from tests.kit.mailers import Server
from tests.kit.mailnode import DOMAIN, OWNER, MailNode, a_mail_node, secured
from tests.kit.postfix import MAILBOXES, Postfix, a_postfix, needs_postfix
from tests.kit.processes import until

AUTHOR = f"author@{MAILBOXES}"
NOWHERE = "nowhere.example"
"""A domain that Postfix has no way to."""

ASTRAY = "astray.example"
"""A domain whose mail it carries to somebody who does not take it."""

LETTERS = 30

CHANGED = re.compile(
    rb"(?mi)^(?:From |>From |(?:Bcc|Content-Length|Resent-Bcc|Return-Path|Delivered-To):)|^.{990}|\x00"
)
"""What Postfix takes out of letters or cuts on the way."""

HEAD = re.compile(rb"(?:[!-9;-~]+:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*)+(?:\r\n|\Z)")
"""A header in whose place Postfix puts no other: it ends one at the first line that is none of it."""

RECEIVED = re.compile(rb"Received: [^\r]*\r\n(?:[ \t][^\r]*\r\n)*(?P<letter>.*)", re.DOTALL)

pytestmark = needs_postfix


def hand_in(
    server: Server, sender: str, recipient: str, letters: list[bytes], source: str = "127.0.0.1"
) -> None:
    """By STARTTLS, over one connection, from this address of the machine."""
    with smtplib.SMTP(
        "127.0.0.1",
        server.port,
        local_hostname="tests.example",
        timeout=30,
        source_address=(source, 0),
    ) as session:
        assert server.authority is not None
        session.starttls(context=ssl.create_default_context(cafile=str(server.authority)))
        if server.user:
            session.login(server.user, server.password)
        for raw in letters:
            session.sendmail(sender, [recipient], raw, ["BODY=8BITMIME"])


async def test_postfix_relays_in_and_takes_what_we_send(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    shown = authority.certificate("localhost", "127.0.0.1")
    async with a_postfix(shown) as postfix:
        smarthost = f"smtp://localhost:{postfix.port}"
        settings = {"MAILIO_SMTP_SMARTHOST": smarthost, "MAILIO_SMTP_TRUSTED": "127.0.0.1"}
        async with a_mail_node(tmp_path, authority, **settings) as node:
            node.names.txt(MAILBOXES, "v=spf1 ip4:127.0.0.2 -all")
            node.names.txt(f"_dmarc.{MAILBOXES}", "v=DMARC1; p=reject")
            await postfix.route(DOMAIN, node.receiver.port)
            await relays_in(postfix, node, authority)
            await judges_whom_postfix_had_it_from(postfix, node, authority)
            await takes_what_we_send(postfix, node, authority)


def untouched() -> list[bytes]:
    """Real mails that Postfix changes nothing of."""
    found = [raw for _, raw in mails() if HEAD.match(raw) and not CHANGED.search(raw) and len(raw) < 50_000]
    return found[:: len(found) // LETTERS][:LETTERS]


async def relays_in(postfix: Postfix, node: MailNode, authority: Authority) -> None:
    """Through Postfix into the waiting room, with its Received on top and nothing else changed."""
    letters = untouched()
    ours = secured(Server(postfix.port), authority)
    await trio.to_thread.run_sync(hand_in, ours, AUTHOR, OWNER, letters)

    async def all_here() -> list[str] | None:
        found = [row["id"] for row in node.listing("handshake")]
        return found if len(found) >= len(letters) else None

    here = await until("all letters from Postfix", all_here)
    received = [RECEIVED.match(node.raw(one)) for one in here]
    assert sorted(letters) == sorted(one["letter"] for one in received if one is not None)
    told = [node.read(one)["smtp"] for one in here]
    assert {(True, AUTHOR, "postfix.example")} == {(one["tls"], one["sender"], one["helo"]) for one in told}
    assert 0 == postfix.waiting()


async def judges_whom_postfix_had_it_from(postfix: Postfix, node: MailNode, authority: Authority) -> None:
    """By Postfix's own Received: one address may send for the author, one may not."""
    ours = secured(Server(postfix.port), authority)
    for subject, source in (("forged", "127.0.0.3"), ("true", "127.0.0.2")):
        raw = f"From: {AUTHOR}\r\nTo: {OWNER}\r\nSubject: {subject}\r\n\r\nHi.\r\n".encode()
        await trio.to_thread.run_sync(hand_in, ours, AUTHOR, OWNER, [raw], source)
    true = node.read((await node.until_listed("true", "handshake"))["id"])
    assert AUTHOR == true["author"]
    assert {f"SPF {MAILBOXES}: pass", f"DMARC {MAILBOXES}: pass"} <= {
        one.partition(" (")[0] for one in true["smtp"]["results"]
    }

    async def sent_back() -> list[bytes] | None:
        return postfix.mails(AUTHOR) or None

    (bounce,) = await until("what Postfix says of the forged one", sent_back)
    assert f"{MAILBOXES} does not stand behind this letter" in " ".join(bounce.decode().split())
    assert 1 == node.process.ask("GET", "/api/v1/status")["smtp"]["disowned"]


async def takes_what_we_send(postfix: Postfix, node: MailNode, authority: Authority) -> None:
    """From a mail program byte for byte, from the command line; and what can not go on comes back."""
    recipient = f"friend@{MAILBOXES}"
    raw = (
        f"From: {OWNER}\r\nTo: {recipient}\r\nSubject: from a program\r\n"
        "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@home.example>\r\n\r\n.\r\n..\r\nend\r\n"
    ).encode()
    submission = secured(node.submission, authority)
    await trio.to_thread.run_sync(hand_in, submission, OWNER, recipient, [raw])
    sent = await node.process.mailio("send", recipient, "--subject", "typed", "--body", "Hello\n.\nyou")
    assert ["delivered"] == [one["state"] for one in sent["recipients"]]

    async def both_there() -> list[bytes] | None:
        found = postfix.mails(recipient)
        return found if len(found) == 2 else None

    there = await until("both letters at Postfix", both_there)
    (typed,) = (one for one in there if one != raw)
    assert typed.endswith(b"Hello\r\n.\r\nyou\r\n")
    assert b"mailio.alt" not in typed

    refused = await node.process.try_mailio("send", f"x@{NOWHERE}", "--subject", "refused", "--body", "x")
    (told,) = refused.value["recipients"]
    assert (1, "refused", "5.1.2") == (refused.code, told["state"], told["code"])
    assert "localhost says: 550 5.1.2" in told["detail"]

    # Taken by Postfix, which then hears from us that we do not relay: what it sends back is tied to the
    # letter.
    await postfix.route(ASTRAY, node.receiver.port)
    astray = await node.process.mailio("send", f"x@{ASTRAY}", "--subject", "astray", "--body", "x")
    notices = [
        await node.until_listed(f"Not delivered: {subject}", "inbox") for subject in ("refused", "astray")
    ]
    assert "550 5.7.1 This server does not relay" in " ".join(node.read(notices[1]["id"])["text"].split())
    outbox = node.process.ask("GET", "/api/v1/outbox", all="true")
    assert [["failed", "5.7.1"]] == [
        [one["state"], one["code"]]
        for letter in outbox
        if letter["id"] == astray["id"]
        for one in letter["recipients"]
    ]
    assert {notice["id"] for notice in notices} == {row["id"] for row in node.listing("inbox")}
    assert "Undelivered Mail Returned to Sender" not in {row["subject"] for row in node.listing("handshake")}
