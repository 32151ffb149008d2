"""Real mails of many programs by real SMTP into a real node: their bytes come back, and each can be read."""

import base64
import random
import smtplib
from collections.abc import Sequence
from pathlib import Path

import trio

from tests.kit.corpus import mails
from tests.kit.mailers import Server
from tests.kit.mailnode import OWNER, a_mail_node

SIDE_BY_SIDE = 4

TOO_DEEP = "mimekit/messages-stack-overflow.txt"
"""Parts in each other as deep as no mail program writes them."""

ONE_EMPTY_PART = "cpython/msg_24.txt"
"""The only letter with a body of which there is nothing to show."""


def send_in(server: Server, letters: Sequence[tuple[str, bytes]]) -> dict[str, tuple[int, bytes]]:
    """Each over one connection, from an address of its own; name to what was answered."""
    answers = {}
    with smtplib.SMTP("127.0.0.1", server.port, local_hostname="corpus.example", timeout=60) as session:
        session.ehlo()
        for number, (name, raw) in enumerate(letters):
            session.mail(f"author{number}@corpus.example")
            session.rcpt(OWNER)
            answers[name] = session.data(raw)
    return answers


async def test_a_large_attachment_lies_apart_and_every_byte_comes_back(tmp_path: Path) -> None:
    data = random.Random(20).randbytes(18_000_000)
    raw = (
        (
            f"From: author@corpus.example\r\nTo: {OWNER}\r\nSubject: large\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nSee.\r\n--b\r\n'
            'Content-Type: video/mp4; name="film.mp4"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        ).encode()
        + base64.encodebytes(data).replace(b"\n", b"\r\n")
        + b"\r\n--b--\r\n"
    )
    async with a_mail_node(tmp_path) as node:
        answers = await trio.to_thread.run_sync(send_in, node.receiver, [("large", raw)])
        assert {"large": 250} == {name: code for name, (code, _) in answers.items()}
        (row,) = node.listing("handshake")
        assert (len(raw), 1) == (row["size"], row["attachments"])
        assert raw == await trio.to_thread.run_sync(node.raw, row["id"])
        shown = await node.process.written("read", row["id"], "--delivered")
        assert shown.startswith(
            b"Return-Path: <author0@corpus.example>\r\nAuthentication-Results: home.example;"
        )
        assert shown.endswith(raw)
        files = node.process.ask("GET", "/local/files")
        assert files["used"] >= len(data)


async def test_every_mail_comes_in_and_reads_and_its_bytes_come_back(tmp_path: Path) -> None:
    letters = mails()
    answers: dict[str, tuple[int, bytes]] = {}

    async def lane(number: int) -> None:
        answers.update(await trio.to_thread.run_sync(send_in, node.receiver, letters[number::SIDE_BY_SIDE]))

    async with a_mail_node(tmp_path) as node:
        async with trio.open_nursery() as nursery:
            for number in range(SIDE_BY_SIDE):
                nursery.start_soon(lane, number)
        refused = {name: said for name, said in answers.items() if said[0] != 250}
        assert {TOO_DEEP: (550, b"5.6.0")} == {
            name: (code, text[:5]) for name, (code, text) in refused.items()
        }
        letters = [(name, raw) for name, raw in letters if name not in refused]

        listed = await trio.to_thread.run_sync(node.listing, "handshake")
        back = {row["id"]: await trio.to_thread.run_sync(node.raw, row["id"]) for row in listed}
        assert sorted(raw for _, raw in letters) == sorted(back.values())

        empty = []
        names = {raw: name for name, raw in letters}
        for row in listed:
            read = await trio.to_thread.run_sync(node.read, row["id"])
            shown = {field: read[field] for field in row} | {"attachments": len(read["attachments"])}
            assert row == shown, names[back[row["id"]]]
            if not (read["text"] or read["html"] or read["attachments"]):
                empty.append(names[back[row["id"]]])
        with_body = [name for name in empty if dict(letters)[name].partition(b"\r\n\r\n")[2]]
        assert [ONE_EMPTY_PART] == with_body
        for row in listed[:: len(listed) // 5]:
            typed = await node.process.try_mailio("read", row["id"])
            assert (0, "") == (typed.code, typed.error)
