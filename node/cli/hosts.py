"""`mailio host`: the always-on nodes that keep your handshakes and letters while yours sleeps."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from node.cli.client import Question
from node.cli.output import folded, note, table, when, write_json, write_line
from node.cli.session import Session, command, group
from node.runtime.errors import NodeError
from node.runtime.rooms import many

Address = Annotated[
    str,
    typer.Argument(metavar="ADDRESS", help="Where it is, as in /dns4/host.example.org/tcp/4101/p2p/12D3Koo…"),
]
Peer = Annotated[str, typer.Argument(metavar="HOST", help="Its peer id, or the beginning of it.")]
Voucher = Annotated[
    str | None,
    typer.Option(
        "--voucher", metavar="CODE", help="What its operator gave you to be let in.", show_default=False
    ),
]

LEAST: Final = {0: 20, 4: 24}
"""Characters that are kept of a host's id and address where the terminal is narrow."""


def register(app: typer.Typer) -> None:
    inner = group("host", "The hosts that keep handshakes and letters for you while your node is off.", app)
    command(inner, "list")(listing)
    command(inner, "add")(add)
    command(inner, "remove")(remove)
    command(inner, "voucher")(voucher)


def listing(session: Session) -> None:
    """The hosts you use, and what is not there yet."""
    found = session.get("/local/hosts")
    if session.json:
        write_json(found)
        return
    if not found:
        said = (
            "none: your node chooses three of the nodes that it meets; name one with: mailio host add ADDRESS"
        )
        note(folded(said, sys.stderr))
        return
    rows = [[one["peerId"], one["state"], when(one["since"]), _open(one), _address(one)] for one in found]
    table(
        ["host", "state", "since", "not there yet", "address"],
        rows,
        flexible=[0, 3, 4],
        folds=[3],
        least=LEAST,
    )


def add(session: Session, address: Address, voucher: Voucher = None) -> None:
    """Use a host: open an account there, and have it keep what the others keep."""
    body = {"address": address} | ({"voucher": voucher} if voucher is not None else {})
    found = session.post("/local/hosts", **body)
    asked = "is asked for an account once your node runs" if session.closed else "is asked for an account"
    _told(session, found, f"{asked}; see: mailio host list")


def remove(session: Session, peer: Peer) -> None:
    """Use a host no longer. Letters that wait there are fetched first."""
    found = session.call(Question("DELETE", f"/local/hosts/{quote(peer, safe='')}"))
    _told(session, found, "is left: what waits there is fetched, then what it keeps is taken back")


def voucher(session: Session) -> None:
    """Make a code that lets one owner use this node as a host."""
    try:
        found = session.post("/local/hosting/voucher")
    except NodeError as fault:
        if fault.code != "no-identity":  # of a public node, which has none, while it does not run
            raise
        raise NodeError("node-silent", f"no node runs in {session.home.path}", "start it first") from None
    if session.json:
        write_json(found)
        return
    write_line(found["voucher"])
    note("for one account, once: mailio host add ADDRESS --voucher CODE")


def _told(session: Session, host: dict[str, Any], what: str) -> None:
    write_json(host) if session.json else note(f"{host['peerId']} {what}")


def _open(host: dict[str, Any]) -> str:
    """What is not there as it is to be, or why it is no host of ours."""
    if host["text"]:
        return str(host["text"])
    revocations = many(host["revocations"], "revocation") if host["revocations"] else ""
    items = many(host["behind"], "item") if host["behind"] else ""
    files = many(host["files"], "file") if host["files"] else ""
    return ", ".join(filter(None, (items, revocations and f"of {revocations}", files)))


def _address(host: dict[str, Any]) -> str:
    """The first of its addresses, without the id that stands in front."""
    return str(host["addrs"][0]).partition("/p2p/")[0] if host["addrs"] else ""
