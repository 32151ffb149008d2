"""`mailio files`: the store of attachments as a whole."""

from __future__ import annotations

from typing import Any, Final

import typer

from node.cli.client import Question, by_line
from node.cli.output import note, pairs, progress, write_json, write_line
from node.cli.session import INTERRUPTED, Session, command, group
from node.cli.text import size

PLACES: Final = {"embedded": "the embedded store", "kubo": "the IPFS daemon"}
"""What the values of files.backend stand for."""


def register(app: typer.Typer) -> None:
    inner = group("files", "Attachments that this node keeps.", app)
    for act in (stat, move, collect):
        command(inner, act.__name__)(act)


def stat(session: Session) -> None:
    """What attachments take, of how much, and where they lie."""
    found = session.get("/local/files")
    if session.json:
        write_json(found)
        return
    rows: list[tuple[str, object]] = [
        ("used", f"{size(found['used'])} of {size(found['quota'])} (files.quota)"),
        ("kept", f"{found['files']} (small files lie in letters)"),
        ("coming", found["incomplete"]),
        ("in", PLACES[found["backend"]]),
    ]
    if found["elsewhere"]:
        other = next(place for name, place in PLACES.items() if name != found["backend"])
        rows.append(("still in", f"{other}: {found['elsewhere']} (mailio files move)"))
    if not session.closed:
        served = f"{found['blocksServed']} blocks ({size(found['bytesServed'])}) since the start"
        rows.append(("served", served))
    pairs(rows)


def move(session: Session) -> None:
    """Move attachments to where files.backend has new ones. Goes on where it was interrupted."""
    found = session.get("/local/files")
    last: dict[str, Any] = {}
    with progress(session, "moving attachments", found["elsewhereSize"]) as advance:

        def heard(line: dict[str, Any]) -> None:
            advance(max(0, line["come"] - last.get("come", 0)))
            last.update(line)

        try:
            session.take(Question("POST", "/local/files/move"), by_line(heard))
        except KeyboardInterrupt:
            note("")  # after the terminal's ^C
            note("stopped; what is moved stays moved, and the rest goes with: mailio files move")
            raise typer.Exit(INTERRUPTED) from None
    if session.json:
        write_json(last)
    else:
        write_line(f"moved {last['moved']} of {last['files']} to {PLACES[found['backend']]}")
    if last["busy"]:
        note(f"{last['busy']} are in use just now and stay; try again")
    if last["damaged"]:
        note(f"{last['damaged']} are damaged or gone where they were, and stay; their letters say which")
    if last["busy"] or last["damaged"]:
        raise typer.Exit(1)


def collect(session: Session) -> None:
    """Remove what no letter and nobody else needs any more. It goes by itself, too, within ten minutes."""
    found = session.post("/local/files/collect")
    if session.json:
        write_json(found)
    else:
        write_line(f"{size(found['freed'])} became free")
