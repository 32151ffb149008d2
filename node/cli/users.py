"""`mailio user`: app passwords, one for each mail program."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from node.cli.bridge import SET_ADDRESS, Server, addresses_of, server_of
from node.cli.client import Question
from node.cli.output import folded, note, pairs, table, when, write_json, write_line
from node.cli.session import Session, command, group
from node.cli.text import clean
from node.runtime.errors import NodeError

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="What you call the mail program, such as phone; its user name.")
]


def register(app: typer.Typer) -> None:
    inner = group("user", "App passwords: what your mail programs log in with.", app)
    command(inner, "list")(listing)
    command(inner, "add")(add)
    command(inner, "remove")(remove)


def listing(session: Session) -> None:
    """Every mail program that has a password."""
    found = session.get("/api/v1/user")
    if session.json:
        write_json(found)
        return
    if not found:
        note("none yet; make one for a mail program with: mailio user add NAME")
        return
    table(["name", "since"], [[one["name"], when(one["created"])] for one in found], flexible=[0])


def add(session: Session, name: Name) -> None:
    """Make a password for a mail program, and say what to enter there. It is shown this once."""
    if not session.json and not sys.stdout.isatty():
        raise NodeError(
            "no-terminal",
            "the password is shown once, and nobody would see it here",
            "run it on a terminal or with --json",
        )
    status = session.get("/api/v1/status")  # before the password is made: what fails now costs nothing
    closed = session.closed
    server = _server_to_be(session) if closed else server_of(status["listen"]["submission"])
    found = session.post("/api/v1/user", name=name)
    if session.json:
        write_json(found | {"server": server.document() if server else None})
        return
    _show(found, server, addresses_of(status))
    if closed:
        note("the node is not running; start it with: mailio run")
    elif server is None:
        note("your node takes nothing from mail programs now: submission.host is empty")


def remove(session: Session, name: Name) -> None:
    """Take a mail program's password away, at once."""
    found = session.call(Question("DELETE", f"/api/v1/user/{quote(name, safe='')}"))
    write_json(found) if session.json else note(f"{found['name']} can't log in any more")


def _server_to_be(session: Session) -> Server | None:
    """Where it will be once the node runs, as the settings have it."""
    from node.runtime.config import load

    config = load(session.home.path, os.environ).submission
    return server_of(f"{config.host}:{config.port}") if config.host else None


def _show(found: dict[str, Any], server: Server | None, addresses: list[str]) -> None:
    write_line(folded("Enter this in your mail program, for outgoing mail (SMTP):", sys.stdout))
    write_line()
    rows: list[tuple[str, object]] = []
    if server is not None:
        rows += [("Server", server.name), ("Port", server.port), ("Encryption", server.encryption)]
    rows += [("User name", found["name"]), ("Password", found["password"])]
    exact = [one for one in addresses if not one.startswith("*")]
    pairs(rows + ([("E-mail address", exact[0])] if exact else []))
    write_line()
    said = "The password is shown this once. Whoever has it can send mail in your name; take it away with:"
    write_line(folded(said, sys.stdout))
    write_line(clean(f"  mailio user remove {shlex.quote(found['name'])}"))
    if not addresses:
        write_line()
        said = "It can send once your node knows your e-mail address (from its next start on):"
        write_line(folded(said, sys.stdout))
        write_line(f"  {SET_ADDRESS}")
