"""The world outside of a village: who answers for names, the mail server that its mail goes through, and
Stella, whose provider signs what she writes and brings it by SMTP.
"""

import json
import smtplib
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from tests.kit.dkim_keys import rsa_key, sign
from tests.kit.names_server import Names, open_names
from tests.kit.processes import ROOT

ALICE: Final = "alice@home.example"
STELLA: Final = "stella@stars.example"


@dataclass(frozen=True)
class World:
    """Both servers: that for names runs here, that for mail is a process which puts letters into `folder`."""

    names: Names
    folder: Path
    server: "subprocess.Popen[bytes]"
    port: int

    @property
    def settings(self) -> dict[str, str]:
        """What makes alice's node part of it."""
        return {
            "MAILIO_MAIL_ADDRESSES": ALICE,
            "MAILIO_SMTP_SMARTHOST": f"smtp://127.0.0.1:{self.port}",
            "MAILIO_DNS_NAMESERVERS": self.names.address,
        }

    def received(self) -> list[tuple[dict[str, Any], bytes]]:
        """What the mail server has: each letter's envelope and bytes."""
        letters = sorted(self.folder.glob("*.json"))
        return [(json.loads(one.read_text()), one.with_suffix(".eml").read_bytes()) for one in letters]


@asynccontextmanager
async def open_world(directory: Path) -> AsyncIterator[World]:
    """Open both servers; Stella's domain publishes the key that her provider signs with."""
    folder = directory / "outside"
    folder.mkdir()
    command = [sys.executable, "-m", "tests.kit.sink", str(folder)]
    async with open_names() as names:
        names.txt("sel._domainkey.stars.example", rsa_key().txt)
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as server:  # noqa: ASYNC220 - returns at once
            try:
                assert server.stdout is not None
                port = json.loads(await trio.to_thread.run_sync(server.stdout.readline))["port"]
                yield World(names, folder, server, port)
            finally:
                server.kill()


def a_mail(subject: str, sender: str, to: str) -> EmailMessage:
    """The same words under the same subject are the same letter."""
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = sender, to, subject
    letter["Date"] = format_datetime(datetime(2026, 11, 23, 12, 0, tzinfo=UTC))
    letter["Message-ID"] = f"<{subject.replace(' ', '.')}@{sender.partition('@')[2]}>"
    letter.set_content(f"This is about: {subject}.\n")
    return letter


def by_provider(letter: EmailMessage) -> bytes:
    """As Stella's provider sends it on."""
    return sign(letter.as_bytes(policy=SMTP), rsa_key(), "stars.example", "sel")


def deliver(port: int, sender: str, raw: bytes) -> tuple[int, str]:
    """Hand a letter for alice to a receiver as a mail server does; the answer that ended it."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="mx.stars.example") as client:
        client.ehlo()
        for command in (partial(client.mail, sender), partial(client.rcpt, ALICE), partial(client.data, raw)):
            code, text = command()
            if code >= 400:
                break
        return code, text.decode()
