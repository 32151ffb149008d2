"""A real node that takes ordinary mail and hands it on, for journeys with real mail software.

Its name server is ours, so that no look-up leaves this machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from node.cli.client import Question, ask
from node.runtime.home import Home
from tests.kit.certificates import Authority, Certificate
from tests.kit.mailers import Server
from tests.kit.names_server import Names, open_names
from tests.kit.processes import Process, a_village, until
from tests.kit.sink import Behaviour, Sink, Taken, open_sink

OWNER: Final = "owner@home.example"
DOMAIN: Final = "home.example"
PAGE: Final = 100
"""Letters in one answer of the listing."""


@dataclass(frozen=True, slots=True)
class MailNode:
    """The running node. `authority` signed its certificate, and the node trusts what else it signs. Servers
    are without TLS, that of submission with an app password; `secured` adds STARTTLS.
    """

    process: Process
    names: Names
    authority: Authority
    receiver: Server
    submission: Server

    def listing(self, folder: str) -> list[dict[str, Any]]:
        """Every letter of a folder, newest first."""
        found: list[dict[str, Any]] = []
        while True:
            before = found[-1]["id"] if found else None
            page = self.process.ask("GET", "/api/v1/message", None, folder=folder, limit=PAGE, before=before)
            found += page
            if len(page) < PAGE:
                return found

    def read(self, letter: str) -> dict[str, Any]:
        """What `mailio read ID --json` prints."""
        read: dict[str, Any] = self.process.ask("GET", f"/api/v1/message/{letter}")
        return read

    def raw(self, letter: str) -> bytes:
        """Its bytes, as `mailio read ID --raw` prints them."""
        return ask(Home(self.process.home), Question("GET", f"/api/v1/message/{letter}/mime")).content

    async def until_listed(self, subject: str, folder: str) -> dict[str, Any]:
        """The letter of this subject, once it is in this folder."""

        async def look() -> dict[str, Any] | None:
            return next((row for row in self.listing(folder) if row["subject"] == subject), None)

        return await until(f'"{subject}" in {folder}', look)


def secured(server: Server, authority: Authority) -> Server:
    """The same with STARTTLS, its certificate verified."""
    return replace(server, authority=authority.file)


@asynccontextmanager
async def a_mail_node(
    directory: Path, authority: Authority | None = None, **environment: str
) -> AsyncIterator[MailNode]:
    """A running node of OWNER's; `environment` adds to its settings and changes them."""
    authority = authority or Authority(directory / "tls")
    shown = authority.certificate("localhost", "127.0.0.1")
    async with open_names() as names, a_village(directory) as village:
        process = await village.owner("owner", **(_settings(authority, shown, names) | environment))
        listen = process.ask("GET", "/api/v1/status")["listen"]
        password = process.ask("POST", "/api/v1/user", {"name": "program"})["password"]
        yield MailNode(
            process,
            names,
            authority,
            Server(_port(listen["smtp"])),
            Server(_port(listen["submission"]), "program", password),
        )


def _settings(authority: Authority, shown: Certificate, names: Names) -> dict[str, str]:
    return {
        "MAILIO_MAIL_ADDRESSES": OWNER,
        "MAILIO_SMTP_DOMAINS": DOMAIN,
        "MAILIO_SMTP_PORT": "0",
        "MAILIO_SUBMISSION_PORT": "0",
        "MAILIO_TLS_CERTIFICATE": str(shown.chain),
        "MAILIO_TLS_KEY": str(shown.key),
        "MAILIO_DNS_NAMESERVERS": names.address,
        "SSL_CERT_FILE": str(authority.file),  # OpenSSL's own way to say whom to trust
    }


def _port(listening: str) -> int:
    return int(listening.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class Desk:
    """A node, and the server that takes its mail: STARTTLS, and a login is a must."""

    node: MailNode
    sink: Sink

    async def until_sent(self, subject: str) -> Taken:
        """The letter of this subject, once the server has it."""
        wanted = f"Subject: {subject}\r\n".encode()

        async def look() -> Taken | None:
            return next((letter for letter in self.sink.taken if wanted in letter.raw), None)

        return await until(f'"{subject}" at the smarthost', look)


@asynccontextmanager
async def a_desk(directory: Path) -> AsyncIterator[Desk]:
    """A node of OWNER's whose smarthost is a sink."""
    authority = Authority(directory / "tls")
    shown = authority.certificate("localhost", "127.0.0.1").server_context()
    async with open_sink(Behaviour(accounts={"owner": "to the smarthost"}), shown) as sink:
        smarthost = f"smtp://owner@localhost:{sink.port}"
        async with a_mail_node(directory, authority, MAILIO_SMTP_SMARTHOST=smarthost) as node:
            secret = {"key": "smtp.smarthost", "value": "to the smarthost"}
            node.process.ask("POST", "/local/secret", secret)
            yield Desk(node, sink)
