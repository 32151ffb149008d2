"""`mailio handshake`: who may write to whom."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any, Final

import typer

from node.cli.bridge import is_email
from node.cli.output import note, table, when, write_json, write_line
from node.cli.send import DEFAULT_WAIT, MAX_WAIT_MS, NoWait, Wait, finish
from node.cli.session import Session, command, group
from node.cli.state import Qr, show_qr
from node.cli.text import MINUTE_MS, clean, date, duration_ms, duration_text, short_ids
from node.runtime.errors import UsageError

Who = Annotated[
    str,
    typer.Argument(
        metavar="WHO",
        help="A contact's name, Mailio or e-mail address, DID, contact link, or an id from the list.",
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

_OURS: Final = {"request": "they ask", "none": "not accepted"}
_THEIRS: Final = {"none": "not yet"}

LEAST_WHO: Final = 17
"""Characters of an address that tell it from others of one's people."""

ASKED: Final = "they decide now; mailio handshake list shows what they say"
OPENED: Final = "once they answer you may write to each other (mailio handshake list)"


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
    finish(session, session.post("/api/v1/handshake/request", who=who, note=said), patience, ASKED)


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
    if session.json:
        write_json(found)
        return
    for line in _accepted(found, who):
        note(line)


def _accepted(found: dict[str, Any], who: str) -> list[str]:
    waited = {0: "", 1: " (1 letter that waited moved there)"}.get(
        found["moved"], f" ({found['moved']} letters that waited moved there)"
    )
    if is_email(found["address"]):
        return [
            f"{_who(found)} is accepted; mail that proves to be theirs comes to your inbox{waited}",
            "nothing is sent to them; mail in their name without proof waits for you: mailio list handshake",
        ]
    name = found["who"] if found["who"] != found["address"] else who
    return [f"{name} is accepted and is told so; their letters come to your inbox{waited}"]


def _who(one: dict[str, Any]) -> str:
    """Whom a row is about. An e-mail address stands beside the contact's name, who may have a Mailio address
    that is judged for itself.
    """
    who, address = str(one["who"]), str(one["address"])
    if not is_email(address) or who == address:
        return who
    return f"{who} <{'>, <'.join(one.get('addresses') or [address])}>"


def revoke(session: Session, who: Who) -> None:
    """Refuse someone from now on, before a byte of a letter is taken."""
    found = session.post("/api/v1/handshake/revoke", who=who)
    if session.json:
        write_json(found)
    elif is_email(found["address"]):
        one = "this address" if len(found["addresses"]) == 1 else "any of these addresses"
        note(f"{_who(found)} is revoked: mail that names {one} as its author is refused from now on")
    else:
        note(f"{who} is revoked: nothing of theirs is taken from now on")


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
            _who(one),
            _OURS.get(one["status"], one["status"]),
            "" if is_email(one["address"]) else _THEIRS.get(one["theirs"], one["theirs"]),
            _rules(one),
            when(one["created"]),
            _day(one["expires"]),
            one["waiting"] or "",
            one["note"] or "",
        ]
        for one in found
    ]
    heads = ["id", "who", "you say", "they say", "rules", "since", "until", "waiting", "note"]
    # Who has no id yet is named by the address alone, so that it stands there whole.
    whole = max((len(_who(one)) for one in found if not one["handshakeId"]), default=0)
    table(heads, rows, flexible=[1, 4, 8], folds=[1, 8], least={1: max(whole, LEAST_WHO)})
    if sys.stdout.isatty() and any(one["status"] == "request" for one in found):
        note(
            "answer with: mailio handshake accept ID (or the e-mail address), or revoke; read first: mailio "
            "list handshake"
        )


def _day(then: int | None) -> str:
    """When something ends (Unix ms): on a terminal the day, which is enough."""
    if not then:
        return ""
    return date(then)[:10] if sys.stdout.isatty() else date(then)


def _rules(one: dict[str, Any]) -> str:
    """On what terms someone is accepted, where these are not the usual ones."""
    if one["status"] != "accepted":
        return ""
    kind = " ".join(part for part in (one["type"], one["subtype"]) if part and part != "personal")
    every = f"1 letter in {duration_text(one['every'] * MINUTE_MS)}" if one["every"] else ""
    return ", ".join(part for part in (kind, every) if part)


def link(session: Session, qr: Qr = False) -> None:
    """An invitation: good once, for 72 hours; whoever opens it is accepted."""
    found = session.post("/api/v1/handshake/link")
    if session.json:
        write_json(found)
        return
    write_line(clean(found["link"]))
    if qr:
        show_qr(found["link"])
    note(
        "good once, for 72 hours. Give it to one person, on a way that you trust; they run, with the quotes: "
    )
    note("  mailio handshake open 'LINK'")


def open_(session: Session, link: Link, wait: Wait = DEFAULT_WAIT, no_wait: NoWait = False) -> None:
    """Open an invitation: from then on you may write to each other."""
    patience = 0 if no_wait else min(duration_ms(wait), MAX_WAIT_MS)
    if link.startswith("mailio:") and "&i=" not in link and "?i=" not in link:
        raise UsageError(
            "no-invitation",
            "this link holds no invitation (no &i=), or the shell cut it off at its first &",
            "put the link in quotes; to ask without an invitation: mailio handshake request 'LINK'",
        )
    finish(session, session.post("/api/v1/handshake/open", link=link), patience, OPENED)
