"""`mailio contact`: the address book."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from node.cli.client import Question
from node.cli.output import note, table, write_json
from node.cli.session import Session, command, group

Name = Annotated[str, typer.Argument(metavar="NAME", help="What you call them; in quotes if it has spaces.")]
Whereabouts = Annotated[
    list[str],
    typer.Argument(metavar="ADDRESS...", help="Mailio address, DID or contact link, and e-mail addresses."),
]
NewName = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="A new name.", show_default=False)
]
NewWhereabouts = Annotated[
    list[str] | None,
    typer.Argument(metavar="ADDRESS...", help="In place of all addresses so far.", show_default=False),
]


def register(app: typer.Typer) -> None:
    inner = group("contact", "The address book.", app)
    command(inner, "list")(listing)
    command(inner, "add")(add)
    command(inner, "edit")(edit)
    command(inner, "remove")(remove)


def listing(session: Session) -> None:
    """Everyone in the address book."""
    found = session.get("/api/v1/contact")
    if session.json:
        write_json(found)
        return
    if not found:
        note("nobody yet; add someone with: mailio contact add NAME ADDRESS")
        return
    table(
        ["name", "address", "e-mail"],
        [[one["name"], one["address"] or "", ", ".join(one["emails"])] for one in found],
        flexible=[0, 1, 2],
    )


def add(session: Session, name: Name, who: Whereabouts) -> None:
    """Add someone: a name, and a contact link, an address, e-mail addresses."""
    _told(session, session.post("/api/v1/contact", name=name, who=who), "is in the address book")


def edit(session: Session, name: Name, who: NewWhereabouts = None, new_name: NewName = None) -> None:
    """Change a contact's name or its addresses."""
    body: dict[str, Any] = {}
    if new_name is not None:
        body["name"] = new_name
    if who:
        body["who"] = who
    _told(session, session.call(Question("PUT", _path(name), body=body)), "is changed")


def remove(session: Session, name: Name) -> None:
    """Take someone out of the address book; handshakes and letters stay."""
    _told(session, session.call(Question("DELETE", _path(name))), "is out of the address book")


def _path(name: str) -> str:
    return f"/api/v1/contact/{quote(name, safe='')}"


def _told(session: Session, contact: dict[str, Any], what: str) -> None:
    write_json(contact) if session.json else note(f"{contact['name']} {what}")
