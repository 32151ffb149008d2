"""What people send with: smtplib, swaks and nodemailer hand mail to a node, from outside and as its owner."""

import smtplib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.kit.mailers import Outcome, Server, nodemailer, swaks, why_no_nodemailer, why_no_swaks
from tests.kit.mailnode import OWNER, Desk, MailNode, a_desk, a_mail_node, secured
from tests.kit.peers import needs

STRANGER = "stranger@outside.example"
FRIEND = "friend@outside.example"
HIDDEN = "hidden@outside.example"

Program = Callable[[Server, str, Sequence[str], bytes], Awaitable[Outcome]]


async def by_smtplib(server: Server, sender: str, recipients: Sequence[str], raw: bytes) -> Outcome:
    """Python's own."""

    def send() -> Outcome:
        with smtplib.SMTP("127.0.0.1", server.port, local_hostname="smtplib.example", timeout=30) as session:
            if server.authority is not None:
                session.starttls(context=ssl.create_default_context(cafile=str(server.authority)))
            if server.user:
                session.login(server.user, server.password)
            session.sendmail(sender, recipients, raw)
            return Outcome(True, "")

    try:
        return await trio.to_thread.run_sync(send)
    except smtplib.SMTPRecipientsRefused as fault:
        return Outcome(False, str(fault.recipients))
    except smtplib.SMTPResponseException as fault:
        return Outcome(False, f"{fault.smtp_code} {fault.smtp_error!r}")


async def by_nodemailer(server: Server, sender: str, recipients: Sequence[str], raw: bytes) -> Outcome:
    """Nodemailer with a letter that is made already."""
    envelope = {"from": sender, "to": list(recipients)}
    return await nodemailer(server, {"envelope": envelope, "raw": raw.decode("latin-1")})


PROGRAMS = [
    pytest.param(by_smtplib, id="smtplib"),
    pytest.param(swaks, id="swaks", marks=needs(why_no_swaks())),
    pytest.param(by_nodemailer, id="nodemailer", marks=needs(why_no_nodemailer())),
]


def letter(sender: str, subject: str, more: str = "") -> bytes:
    text = "A dot at a line's beginning:\r\n.\r\n..and two\r\n\r\nThe end.\r\n"
    return f"From: {sender}\r\nTo: {OWNER}\r\nSubject: {subject}\r\n{more}\r\n{text}".encode()


@pytest.mark.parametrize("program", PROGRAMS)
async def test_sends_in_and_submits(program: Program, tmp_path: Path) -> None:
    async with a_desk(tmp_path) as desk:
        await sends_in(desk, program)
        await submits(desk, program)
        await is_refused(desk, program)


async def sends_in(desk: Desk, program: Program) -> None:
    """With TLS and without, byte for byte, into the waiting room."""
    receiver = desk.node.receiver
    for server, over_tls in ((receiver, False), (secured(receiver, desk.node.authority), True)):
        raw = letter(STRANGER, f"in, TLS: {over_tls}")
        said = await program(server, STRANGER, [OWNER], raw)
        assert said.ok, said.response
        row = await desk.node.until_listed(f"in, TLS: {over_tls}", "handshake")
        read = desk.node.read(row["id"])
        assert raw == desk.node.raw(row["id"])
        assert ("smtp", "", over_tls, STRANGER) == (
            read["via"],
            read["author"],
            read["smtp"]["tls"],
            read["smtp"]["sender"],
        )


async def submits(desk: Desk, program: Program) -> None:
    """As the owner: Bcc taken out, what was missing put in, the rest untouched."""
    for server in (desk.node.submission, secured(desk.node.submission, desk.node.authority)):
        subject = f"out, TLS: {server.authority is not None}"
        raw = letter(OWNER, subject, f"Bcc: {HIDDEN}\r\n")
        said = await program(server, OWNER, [FRIEND, HIDDEN], raw)
        assert said.ok, said.response
        sent = await desk.until_sent(subject)
        assert (OWNER, [FRIEND, HIDDEN], True, "owner") == (
            sent.sender,
            sorted(sent.recipients),
            sent.tls,
            sent.user,
        )
        head, _, body = sent.raw.partition(b"\r\n\r\n")
        assert raw.partition(b"\r\n\r\n")[2] == body
        names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")]
        assert (0, 1, 1) == tuple(names.count(name) for name in (b"bcc", b"date", b"message-id"))
        await desk.node.until_listed(subject, "sent")


async def is_refused(desk: Desk, program: Program) -> None:
    """For others' mailboxes, without a password of ours, and in somebody else's name."""
    before = state(desk)
    ours, submission = desk.node.receiver, desk.node.submission
    wrong = replace(submission, password="wrong")
    tries = {
        "relaying": (ours, STRANGER, FRIEND, STRANGER),
        "no such mailbox": (ours, STRANGER, "nobody@home.example", STRANGER),
        "no password": (Server(submission.port), OWNER, FRIEND, OWNER),
        "a wrong password": (wrong, OWNER, FRIEND, OWNER),
        "somebody else's envelope": (submission, STRANGER, FRIEND, OWNER),
        "somebody else's From": (submission, OWNER, FRIEND, STRANGER),
    }
    said = {
        name: await program(server, sender, [to], letter(author, name))
        for name, (server, sender, to, author) in tries.items()
    }
    assert dict.fromkeys(tries, False) == {name: one.ok for name, one in said.items()}
    assert "535" in said["a wrong password"].response
    assert before == state(desk)


def state(desk: Desk) -> tuple[list[dict[str, Any]], int]:
    """All that came in and went out."""
    folders = ("handshake", "inbox", "sent")
    return [row for folder in folders for row in desk.node.listing(folder)], len(desk.sink.taken)


async def test_what_programs_make_reads_as_it_was_written(tmp_path: Path) -> None:
    async with a_mail_node(tmp_path) as node:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = f"Frémde <{STRANGER}>", OWNER, "Grüße, Python"
        message.set_content("Straße\n.\nEnde\n")
        message.add_attachment(b"drin", maintype="application", subtype="pdf", filename="日本.pdf")
        assert (await by_smtplib(node.receiver, STRANGER, [OWNER], message.as_bytes(policy=SMTP))).ok
        await reads_well(node, "Grüße, Python", "日本.pdf")

        if not why_no_nodemailer():
            made = {
                "from": f"Frémde <{STRANGER}>",
                "to": OWNER,
                "subject": "Grüße, nodemailer",
                "text": "Straße\n.\nEnde\n",
                "html": "<p>Straße</p>",
                "attachments": [{"filename": "日本.txt", "content": "drin"}],
            }
            assert (await nodemailer(node.receiver, made)).ok
            await reads_well(node, "Grüße, nodemailer", "日本.txt")


async def reads_well(node: MailNode, subject: str, filename: str) -> None:
    read = node.read((await node.until_listed(subject, "handshake"))["id"])
    assert "Straße\n.\nEnde" in read["text"].replace("\r\n", "\n")
    assert [filename] == [one["filename"] for one in read["attachments"]]
    assert f"Frémde <{STRANGER}>" == read["from"]
