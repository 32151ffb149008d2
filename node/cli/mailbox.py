"""`mailio list`, `read`, `move`, `delete` and `folder`: the mailbox."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from node.cli.client import Question
from node.cli.delivery import SHORT
from node.cli.files import in_line, lacking, to_mind, ways_out
from node.cli.output import NO_SUBJECT, note, table, text, when, write_json, write_line, write_raw
from node.cli.session import Session, command, group
from node.cli.text import clean, date, short_ids

LetterId = Annotated[
    str, typer.Argument(metavar="ID", help="A letter's id, or how it begins; see: mailio list.")
]
Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="A folder; see: mailio folder list.")]
OptionalFolder = Annotated[str, typer.Argument(metavar="FOLDER", help="A folder; see: mailio folder list.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many letters at most.")]
Before = Annotated[
    str | None,
    typer.Option("--before", metavar="ID", help="Letters older than this one.", show_default=False),
]
Raw = Annotated[bool, typer.Option("--raw", help="The message itself, byte for byte.")]
Delivered = Annotated[
    bool, typer.Option("--delivered", help="The message with its envelope, and who vouches for it, on top.")
]
NewName = Annotated[str, typer.Argument(metavar="NEW", help="The new name.")]

NOT_PROVEN: Final = "not proven"
"""Stands beside whom an ordinary mail names as its author, where nothing shows that it is true."""


def register(app: typer.Typer) -> None:
    command(app, "list")(listing)
    command(app, "read")(read)
    command(app, "move")(move)
    command(app, "delete")(delete)
    inner = group("folder", "Folders of the mailbox.", app)
    command(inner, "list")(folders)
    command(inner, "add")(add_folder)
    command(inner, "rename")(rename_folder)
    command(inner, "remove")(remove_folder)


def listing(
    session: Session, folder: OptionalFolder = "inbox", limit: Limit = 50, before: Before = None
) -> None:
    """Letters in a folder, newest first."""
    found = session.get("/api/v1/message", folder=folder, limit=limit, before=before)
    if session.json:
        write_json(found)
        return
    if not found:
        note(_nothing(folder) if before is None else "nothing older")
        return
    _show_list(found, sent=folder.lower() == "sent")
    if len(found) == limit:
        note(f"there may be more: mailio list {folder} --before {found[-1]['id']}")


def _nothing(folder: str) -> str:
    if folder.lower() != "inbox":
        return f"nothing in {folder}"
    return "nothing in inbox; requests: mailio handshake list; invite someone: mailio handshake link"


def read(session: Session, letter: LetterId, raw: Raw = False, delivered: Delivered = False) -> None:
    """Read a letter."""
    path = f"/api/v1/message/{_part(letter)}"
    if (raw or delivered) and not session.json:
        form = {"form": "delivered" if delivered else "raw"}
        session.take(Question("GET", f"{path}/mime", params=form), write_raw)
        return
    found = session.get(path)
    if not found["read"]:
        session.call(Question("PATCH", f"/api/v1/message/{found['id']}", body={"read": True}))
    if session.json:
        write_json(found)
    else:
        _show_letter(found)


def move(session: Session, letter: LetterId, folder: Folder) -> None:
    """Move a letter to another folder."""
    question = Question("PATCH", f"/api/v1/message/{_part(letter)}", body={"folder": folder})
    _done(session, session.call(question), f"moved to {folder}")


def delete(session: Session, letter: LetterId) -> None:
    """Put a letter into trash; from there erase it."""
    found = session.call(Question("DELETE", f"/api/v1/message/{_part(letter)}"))
    _done(session, found, "erased" if found["erased"] else "moved to trash")


def folders(session: Session) -> None:
    """All folders, and how many letters are in each."""
    found = session.get("/api/v1/folder")
    if session.json:
        write_json(found)
        return
    rows = [
        [
            one["name"],
            one["totalMessages"] or "" if sys.stdout.isatty() else one["totalMessages"],
            one["unreadMessages"] or "",
        ]
        for one in found
    ]
    table(["folder", "letters", "unread"], rows, flexible=[0])


def add_folder(session: Session, folder: Folder) -> None:
    """Make a folder."""
    _done(session, session.post("/api/v1/folder", name=folder), f"there is a folder {folder} now")


def rename_folder(session: Session, folder: Folder, new: NewName) -> None:
    """Give a folder of yours another name."""
    question = Question("PUT", f"/api/v1/folder/{_part(folder)}", body={"name": new})
    _done(session, session.call(question), f"{folder} is called {new} now")


def remove_folder(session: Session, folder: Folder) -> None:
    """Remove a folder of yours; its letters go to archive."""
    found = session.call(Question("DELETE", f"/api/v1/folder/{_part(folder)}"))
    moved = (
        f"; {found['moved']} {'letter' if found['moved'] == 1 else 'letters'} went to archive"
        if found["moved"]
        else ""
    )
    _done(session, found, f"{folder} is gone{moved}")


def _part(text_: str) -> str:
    return quote(text_, safe="")


def _done(session: Session, result: dict[str, Any], sentence: str) -> None:
    write_json(result) if session.json else note(sentence)


def _show_list(letters: list[dict[str, Any]], *, sent: bool) -> None:
    ids = short_ids([one["id"] for one in letters])
    if not sys.stdout.isatty():
        ids = {one: one for one in ids}
    rows = []
    for one in letters:
        who = ", ".join(_people(one)) if sent else _author(one)
        style = "" if one["read"] or sent else "bold"
        mark = "" if one["read"] or sent else "new"
        subject = one["subject"] or (NO_SUBJECT if sys.stdout.isatty() else "")
        clip = f"+{one['attachments']}" if one["attachments"] else ""
        proof = NOT_PROVEN if _unproven(one) else ""
        cells = [ids[one["id"]], when(one["arrived"]), mark, who, proof, subject, clip]
        rows.append([text(cell, style) for cell in cells] if sys.stdout.isatty() else cells)
    table(
        ["id", "sent" if sent else "came", "", "to" if sent else "from", "sender", "subject", "files"],
        rows,
        flexible=[3, 5],
    )


def _people(letter: dict[str, Any]) -> list[str]:
    return [_person(one, name) for one, name in zip(letter["to"], letter["toNames"], strict=True)]


def _unproven(letter: dict[str, Any]) -> bool:
    """Whether it is ordinary mail of which nothing shows who wrote it."""
    return letter["via"] == "smtp" and not letter["author"]


def _author(letter: dict[str, Any]) -> str:
    """Whom a letter is from, for a list. Of ordinary mail the proven address, whatever stands beside it;
    where none is proven all that it says.
    """
    if letter["via"] == "smtp" and sys.stdout.isatty():
        return str(letter["fromName"] or letter["author"] or letter["from"])
    return _person(letter["from"], letter["fromName"])


def _person(mailbox: str, contact: str | None) -> str:
    """The contact's name; else of a Mailio mailbox the address, whatever its owner calls himself beside
    it; else the mailbox as it stands.
    """
    if contact:
        return contact
    if not sys.stdout.isatty():
        return mailbox
    name, _, inner = mailbox.rstrip(">").rpartition("<")
    local, _, domain = inner.strip().lower().rpartition("@")
    if domain != "mailio.alt":
        return mailbox
    return local if local.startswith("0x") else name.strip() or local


def _whole(mailbox: str, contact: str | None) -> str:
    """A mailbox as it stands, and what the address book calls it."""
    return f"{contact} ({mailbox})" if contact else mailbox


def _show_letter(letter: dict[str, Any]) -> None:
    width = 9
    to = [_whole(one, name) for one, name in zip(letter["to"], letter["toNames"], strict=True)]
    sender = _whole(letter["from"], letter["fromName"])
    heads = [("From", f"{sender or 'nobody'} ({NOT_PROVEN})" if _unproven(letter) else sender)]
    heads += [("To", ", ".join(to)), ("Subject", letter["subject"])]
    heads.append(("Written", date(letter["created"])))
    if abs(letter["arrived"] - letter["created"]) >= 60_000:
        heads.append(("Came", date(letter["arrived"])))
    heads += _way(letter.get("smtp"))
    for name, value in heads:
        write_line(f"{name + ':':<{width}}{clean(value)}")
    for one in letter["attachments"]:
        write_line(f"{'File:':<{width}}{in_line(one)}")
        for line in to_mind(one):
            write_line(f"{'':<{width}}{line}")
    write_line()
    if letter["attachments"] and sys.stdout.isatty():
        verb = "fetch and save" if any(map(lacking, letter["attachments"])) else "save"
        note(f"{verb} what is with it: mailio save {letter['id'][:SHORT]} DIR")
        for remedy in ways_out(letter["attachments"]):
            note(f"or {remedy}")
    shown = letter["text"]
    if not shown and letter["html"]:
        shown = "(This letter is HTML only; `mailio read --raw` shows its source.)"
    write_line(clean(shown, lines=True).rstrip("\n"))


def _way(smtp: dict[str, Any] | None) -> list[tuple[str, str]]:
    """How an ordinary mail came: what its last server said, for which address, and who vouches for it."""
    if not smtp:
        return []
    server = f"{smtp['client']}, calls itself {smtp['helo']}" if smtp["helo"] else smtp["client"]
    sort = "from a list" if smtp["bulk"] else "from a program, not a person" if smtp["automatic"] else ""
    return [
        ("Came by", "ordinary e-mail, not sealed" + (f"; {sort}" if sort else "")),
        ("Server", f"{server}; {'encrypted' if smtp['tls'] else 'not encrypted'}"),
        ("For", ", ".join(smtp["recipients"])),
        ("Proof", "; ".join(smtp["results"] or smtp["signatures"]) or "none"),
    ]
