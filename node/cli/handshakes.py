"""`mailio handshake`: who may write to whom."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any, Final

import typer

from node.cli.output import note, table, when, write_json, write_line
from node.cli.send import DEFAULT_WAIT, MAX_WAIT_MS, NoWait, Wait, finish
from node.cli.session import Session, command, group
from node.cli.state import Qr, show_qr
from node.cli.text import MINUTE_MS, clean, date, duration_ms, short_ids

Who = Annotated[
    str,
    typer.Argument(
        metavar="WHO", help="A contact's name, address, DID, contact link, or an id from the list."
    ),
]
Link = Annotated[
    str, typer.Argument(metavar="LINK", help="An invitation; in quotes, since it holds & signs.")
]
NoteText = Annotated[str, typer.Option("--note", metavar="T", help="What they are to read with it.")]
Kind = Annotated[str, typer.Option("--type", metavar="T", help="personal, signup, server or user.")]
Subtype = Annotated[
    str | None, typer.Option("--subtype", metavar="T", help="What a signup is for.", show_default=False)
]
Every = Annotated[
    str | None, typer.Option("--every", metavar="D", help="At most one letter in this time, such as 7d.",
                             show_default=False)
]  # fmt: skip
Until = Annotated[
    str | None, typer.Option("--until", metavar="D", help="For how long, such as 90d.", show_default=False)
]

_STATES: Final = {"request": "asks", "accepted": "accepted", "revoked": "revoked", "none": "none"}


def register(app: typer.Typer) -> None:
    inner = group("handshake", "Who may write to whom.", app)
    command(inner, "request")(request)
    command(inner, "accept")(accept)
    command(inner, "revoke")(revoke)
    command(inner, "list")(listing)
    command(inner, "link")(link)
    command(inner, "open")(open_)


def request(
    session: Session, who: Who, said: NoteText = "", wait: Wait = DEFAULT_WAIT, no_wait: NoWait = False
) -> None:
    """Ask to be accepted; this costs your node about a second of work."""
    patience = 0 if no_wait else min(duration_ms(wait), MAX_WAIT_MS)
    finish(session, session.post("/api/v1/handshake/request", who=who, note=said), patience)


def accept(
    session: Session,
    who: Who,
    kind: Kind = "personal",
    subtype: Subtype = None,
    every: Every = None,
    until: Until = None,
) -> None:
    """Let someone write to you; what waits of theirs goes to the inbox."""
    body: dict[str, Any] = {"who": who, "type": kind}
    if subtype is not None:
        body["subtype"] = subtype
    if every is not None:
        body["everyMinutes"] = max(1, duration_ms(every) // MINUTE_MS)
    if until is not None:
        body["until"] = int(time.time() * 1000) + duration_ms(until)
    found = session.post("/api/v1/handshake/accept", **body)
    write_json(found) if session.json else note(f"{who} is accepted")


def revoke(session: Session, who: Who) -> None:
    """Refuse someone from now on, before a byte of a letter is taken."""
    found = session.post("/api/v1/handshake/revoke", who=who)
    write_json(found) if session.json else note(f"{who} is revoked")


def listing(session: Session) -> None:
    """Everyone who asks, is accepted or is revoked."""
    found = session.get("/api/v1/handshake")
    if session.json:
        write_json(found)
        return
    if not found:
        note("nobody yet; invite someone with: mailio handshake link")
        return
    ids = short_ids([one["handshakeId"] for one in found], 8)
    rows = [
        [
            ids[one["handshakeId"]] if sys.stdout.isatty() else one["handshakeId"],
            one["who"],
            _STATES.get(one["status"], one["status"]),
            one["type"] if one["status"] == "accepted" else "",
            when(one["created"]),
            date(one["expires"]) if one["expires"] else "",
            one["waiting"] or "",
            one["note"] or "",
        ]
        for one in found
    ]
    table(["id", "who", "state", "type", "since", "until", "waiting", "note"], rows, flexible=[1, 7])


def link(session: Session, qr: Qr = False) -> None:
    """An invitation: good once, for 72 hours; whoever opens it is accepted."""
    found = session.post("/api/v1/handshake/link")
    if session.json:
        write_json(found)
        return
    write_line(clean(found["link"]))
    if qr:
        show_qr(found["link"])
    note("give it to one person, on a way that you trust; they run: mailio handshake open 'LINK'")


def open_(session: Session, link: Link, wait: Wait = DEFAULT_WAIT, no_wait: NoWait = False) -> None:
    """Open an invitation: from then on you may write to each other."""
    patience = 0 if no_wait else min(duration_ms(wait), MAX_WAIT_MS)
    finish(session, session.post("/api/v1/handshake/open", link=link), patience)
