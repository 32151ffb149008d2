"""`mailio id`, `status` and `peers`: who and where this node is, and how it fares."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Annotated, Any

import typer

from node.cli.bridge import coming_in, going_out, handing_in
from node.cli.output import folded, note, pairs, table, when, write_json, write_line
from node.cli.session import Session, command
from node.cli.text import clean, size
from node.runtime.rooms import many

Qr = Annotated[bool, typer.Option("--qr", help="Show the contact link as a QR code too.")]

_REACHABILITY = {
    "public": "others reach this node from anywhere",
    "relayed": "others reach this node through a relay",
    "private": "only nodes in this network reach this one",
    "unknown": "not known yet",
}


def register(app: typer.Typer) -> None:
    command(app, "id")(identity)
    command(app, "status")(status)
    command(app, "peers")(peers)


def identity(session: Session, qr: Qr = False) -> None:
    """Your address, and the link that tells others where to find you."""
    found = session.get("/local/id")
    if session.json:
        write_json(found)
        return
    rows = [("Address", found["address"]), ("DID", found["did"]), ("Peer id", found["peerId"])]
    pairs([row for row in rows if row[1]] + ([("Listens on", found["addrs"])] if found["addrs"] else []))
    if found["link"]:
        write_line(f"\nYour contact link:\n{clean(found['link'])}")
        if qr:
            show_qr(found["link"])
    if not found["addrs"]:
        note("the node is not running: the link says who you are, but not yet where")


def status(session: Session) -> None:
    """How things stand, and what wants your attention."""
    found = session.get("/api/v1/status")
    if session.json:
        write_json(found)
        return
    box, disk = found["outbox"], found["disk"]
    waiting = f"{box['queued']} on {'its' if box['queued'] == 1 else 'their'} way" + (
        f", {box['failed']} failed" if box["failed"] else ""
    )
    rows: list[tuple[str, object]] = [
        ("Node", "running" if found.get("running", True) else "not running (start it with: mailio run)"),
        ("Address", found["address"] or "none: a public node"),
        *(_connected(found) if found.get("running", True) else ()),
        *(_mail(found) if found["address"] else ()),
        *((("Hosts", _hosts(found["hosts"])),) if found["address"] and found.get("running", True) else ()),
        *((("Host for", _hosting(found["hosting"])),) if found.get("hosting") else ()),
        ("Outbox", waiting),
        ("Disk", f"{size(disk['used'])} used, {size(disk['free'])} free"),
    ]
    pairs(rows)
    _show_warnings(found["warnings"])


def _connected(found: dict[str, Any]) -> list[tuple[str, object]]:
    return [
        ("Listens on", found["listen"]["libp2p"] or "nothing"),
        ("Peers", found["peers"]),
        ("Reachable", _REACHABILITY.get(found["reachability"], found["reachability"])),
    ]


def _mail(found: dict[str, Any]) -> list[tuple[str, object]]:
    """Ordinary e-mail, in and out."""
    rows: list[tuple[str, object]] = [("E-mail in", list(coming_in(found)))]
    rows.append(("E-mail out", list(going_out(found))))
    if found.get("running", True):
        rows.append(("Programs", list(handing_in(found))))
    return rows


def _hosts(hosts: list[dict[str, Any]]) -> str:
    """How many keep what is to be kept; what is wrong with the others is for the warnings and `host list`."""
    if not hosts:
        return "none"
    current = sum(one["state"] == "current" for one in hosts)
    others = Counter(str(one["state"]) for one in hosts if one["state"] != "current")
    said = [f"{current} up to date", *(f"{count} {state}" for state, count in others.items())]
    if fetching := sum(bool(one["files"]) for one in hosts):
        said.append(f"{fetching} without some of your attachments")
    return ", ".join(said)


def _hosting(hosting: dict[str, Any]) -> str:
    """What is kept here for other owners."""
    who = {"all": "everyone", "friends": "those you have accepted"}.get(hosting["offer"], hosting["offer"])
    accounts = many(hosting["accounts"], "account")
    letters = many(hosting["letters"], "letter")
    return f"{who}: {accounts}, {letters}, {size(hosting['used'])} of {size(hosting['quota'])}"


def peers(session: Session) -> None:
    """Who we are connected to, and how."""
    found = session.get("/local/peers")
    if session.json:
        write_json(found)
        return
    if not found:
        note("nobody yet: your node connects when a letter goes or comes, and to network.bootstrap")
        return
    rows = [
        [
            one["peerId"],
            one["name"] or one["address"] or "",
            _way(one),
            _rtt(one["rtt"]),
            one["agent"],
            when(one["since"]),
        ]
        for one in found
    ]
    table(["peer", "owner", "via", "round trip", "program", "since"], rows, flexible=[0, 1, 4])


def show_qr(text: str) -> None:
    """A QR code made of characters, on a terminal."""
    if not sys.stdout.isatty():
        return
    import segno

    segno.make(text, micro=False, error="l").terminal(sys.stdout, compact=True, border=2)


def _show_warnings(warnings: list[dict[str, Any]]) -> None:
    for one in warnings:
        write_line()
        write_line(folded(clean(f"! {one['text']}"), sys.stdout))
        if one["remedy"]:
            write_line(clean(f"  → {one['remedy']}"))
    if not warnings:
        write_line("\nNothing wants your attention.")


def _way(peer: dict[str, Any]) -> str:
    return {"inbound": "they came", "outbound": "we went"}.get(peer.get("direction", ""), str(peer["via"]))


def _rtt(milliseconds: int | None) -> str:
    return "" if milliseconds is None else f"{milliseconds} ms"
