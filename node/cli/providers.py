"""`mailio provider`: the owner's mailboxes at providers, from which mail is fetched."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from node.cli.bridge import fetching_of, host_of
from node.cli.client import Question
from node.cli.output import folded, note, table, write_json, write_line
from node.cli.session import Session, ask_secret, command, group, on_terminal, read_secret
from node.cli.text import clean, duration_ms, duration_text
from node.runtime.errors import NodeError, UsageError

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="Your e-mail address there.")]
Imap = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Its IMAP server, as imaps://USER@HOST:993.", show_default=False),
]
Smtp = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="The server that takes your mail, as smtps://USER@HOST:465.", show_default=False
    ),
]
FromFile = Annotated[
    str | None,
    typer.Option("--from-file", metavar="FILE", help="A private file with the password.", show_default=False),
]
Folders = Annotated[
    list[str] | None,
    typer.Option(
        "--folder", metavar="NAME", help="Fetch this folder too; again for more.", show_default=False
    ),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Fetch old letters of the last 30d too.", show_default=False),
]
All = Annotated[bool, typer.Option("--all", help="Fetch all old letters too.", show_default=False)]
Delete = Annotated[
    bool, typer.Option("--delete", help="Delete there what is on disk here.", show_default=False)
]
DeleteAfter = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Delete there what is on disk here for 30d.", show_default=False),
]
NoCheck = Annotated[
    bool, typer.Option("--no-check", help="Add it without trying its servers.", show_default=False)
]


def register(app: typer.Typer) -> None:
    inner = group("provider", "Your mailboxes at mail providers: your node fetches what comes there.", app)
    command(inner, "list")(listing)
    command(inner, "add")(add)
    command(inner, "remove")(remove)


def listing(session: Session) -> None:
    """Every mailbox that mail is fetched from, and how it stands."""
    found = session.get("/local/providers")
    if session.json:
        write_json(found)
    elif not found:
        note("none yet; have your mail fetched with: mailio provider add ADDRESS")
    else:
        rows = [
            [one["address"], host_of(one["imap"]), host_of(one["smtp"] or ""), fetching_of(one)]
            for one in found
        ]
        table(["address", "from", "sends through", "state"], rows, flexible=[0, 1, 2, 3], folds=[3])


def add(
    session: Session,
    address: Address,
    imap: Imap = None,
    smtp: Smtp = None,
    from_file: FromFile = None,
    folder: Folders = None,
    since: Since = None,
    every: All = False,
    delete: Delete = False,
    delete_after: DeleteAfter = None,
    no_check: NoCheck = False,
) -> None:
    """Fetch what comes to a mailbox of yours, and send in its name. Again for the same address changes it.

    Its password is asked for, or read from a file, and kept sealed. Nothing there is marked as read, and
    nothing is deleted unless you say so.
    """
    asked = {"address": address, "imap": imap or "", "smtp": smtp or ""}
    options = {"folders": folder or [], "since": _since(since, every), "check": not no_check}
    options["deleteAfter"] = _delete_after(delete_after, delete)
    known = session.post("/local/providers/known", **asked)
    if known["note"] and not session.json:
        note(clean(known["note"]))
    password = _password(known["address"], from_file)
    if on_terminal() and not (no_check or session.json):
        note("trying its servers …")
    found = session.post("/local/providers", password=password, **asked, **options)
    if session.json:
        write_json(found)
        return
    write_line(
        folded(clean(f"Mail for {found['address']} is fetched from {host_of(found['imap'])}."), sys.stdout)
    )
    for said in _said(found):
        write_line(folded(clean(said), sys.stdout))
    if session.closed:
        note("the node is not running; start it with: mailio run")


def remove(session: Session, address: Address) -> None:
    """Fetch nothing more from a mailbox. What was fetched stays; its password is forgotten."""
    found = session.call(Question("DELETE", f"/local/providers/{quote(address, safe='')}"))
    write_json(found) if session.json else note(f"nothing is fetched for {found['address']} any more")


def _said(found: Mapping[str, Any]) -> list[str]:
    """What will be done there, a sentence each."""
    old = {None: "What comes from now on is fetched.", 0: "All old letters are fetched too."}
    said = [old.get(found["since"], "Old letters of the time you named are fetched too.")]
    after = found["deleteAfter"]
    if after is None:
        said.append("Everything stays there as it is.")
    else:
        when = (
            f"{duration_text(after)} after it is on disk here" if after else "as soon as it is on disk here"
        )
        said.append(f"What was fetched is deleted there {when}.")
    if found["smtp"]:
        said.append(
            f"Mail goes out through {host_of(found['smtp'])}, unless smtp.smarthost or smtp.direct is set."
        )
    return said


def _since(since: str | None, every: bool) -> int | None:
    if since is not None and every:
        raise UsageError("usage", "--since and --all exclude each other", "give one of them")
    if every:
        return 0
    return None if since is None else max(1, int(time.time() * 1000) - duration_ms(since))


def _delete_after(after: str | None, delete: bool) -> int | None:
    if after is not None and delete:
        raise UsageError("usage", "--delete and --delete-after exclude each other", "give one of them")
    if delete:
        return 0
    return None if after is None else duration_ms(after)


def _password(address: str, from_file: str | None) -> str:
    if from_file is not None:
        return read_secret(from_file, "password", "--from-file")
    if on_terminal():
        return ask_secret(f"Password for {address}: ")
    raise NodeError("no-terminal", "nobody can be asked for the password here", "use --from-file FILE")
