"""`mailio domain` and `mailio dkim`: the owner's own domains, and what their DNS has to have."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from node.cli.bridge import addresses_of
from node.cli.client import Question
from node.cli.output import folded, note, table, write_json, write_line
from node.cli.session import Session, command, group
from node.cli.text import clean, date

Name = Annotated[str, typer.Argument(metavar="DOMAIN", help="The domain, such as example.org.")]
Which = Annotated[
    str | None, typer.Argument(metavar="DOMAIN", help="One domain of yours.", show_default=False)
]
Host = Annotated[
    str | None,
    typer.Option(
        "--host",
        metavar="NAME",
        help="The public name of the server that takes its mail; mail.DOMAIN unless given.",
        show_default=False,
    ),
]
Zone = Annotated[
    bool,
    typer.Option("--zone", help="Only the records, as lines of a zone file.", show_default=False),
]
Now = Annotated[
    bool, typer.Option("--now", help="Sign with them at once, whatever the DNS has.", show_default=False)
]

ALGORITHMS: Final = {"rsa-sha256": "RSA", "ed25519-sha256": "Ed25519"}

UNKNOWN: Final = "(the public address of that server)"
"""In place of a value that only the owner knows."""


def register(app: typer.Typer) -> None:
    inner = group("domain", "Your own domains: whose mail comes here, and what their DNS has to have.", app)
    command(inner, "list")(listing)
    command(inner, "add")(add)
    command(inner, "remove")(remove)
    inner = group("dkim", "The keys that sign what you write from your own domains.", app)
    command(inner, "show")(show)
    command(inner, "rotate")(rotate)


def listing(session: Session, name: Which = None, zone: Zone = False) -> None:
    """Your domains; of one of them all records that its DNS has to have."""
    if name is not None:
        _show_domain(session, session.get(_path(name)), zone=zone)
        return
    found = session.get("/local/domains")
    if session.json:
        write_json(found)
    elif not found:
        note("none yet; give your node one with: mailio domain add DOMAIN")
    else:
        rows = [[one["domain"], one["host"], _signing(one), _source(one)] for one in found]
        table(["domain", "server", "letters", "from"], rows, flexible=[0, 1, 2], folds=[2])


def add(session: Session, name: Name, host: Host = None, zone: Zone = False) -> None:
    """Give your node a domain, or the domain another server, and say what to put into its DNS."""
    found = session.post("/local/domains", name=name, **({"host": host} if host is not None else {}))
    if not (session.json or zone):
        write_line(folded(f"{found['domain']} is a domain of your node.", sys.stdout))
        write_line()
    _show_domain(session, found, zone=zone)
    if not (session.json or zone):
        _say_addresses(found["domain"], addresses_of(session.get("/api/v1/status")))


def remove(session: Session, name: Name) -> None:
    """Give a domain up. Its keys are destroyed."""
    found = session.call(Question("DELETE", _path(name)))
    if session.json:
        write_json(found)
        return
    gone = found["domain"]
    note(f"{gone} is no domain of your node any more: its keys are gone, and nothing is signed in its name")
    note(
        "take its records out of the DNS, else its mail goes on coming here; it is taken for addresses in "
        "mail.addresses only"
    )


def show(session: Session, name: Which = None, zone: Zone = False) -> None:
    """The records of your DKIM keys, and how each key stands."""
    found = [session.get(_path(name))] if name is not None else session.get("/local/domains")
    for one in found:
        one.pop("records", None)
    if session.json:
        write_json(found)
        return
    if not found:
        note("none yet; keys come with a domain: mailio domain add DOMAIN")
    _show_keys([key for one in found for key in one["keys"]], zone=zone)


def rotate(session: Session, name: Which = None, now: Now = False) -> None:
    """Make new DKIM keys. They sign once the DNS shows them; the old ones stay published for a week."""
    found = session.post("/local/domains/keys", now=now, **({"name": name} if name is not None else {}))
    if session.json:
        write_json(found)
        return
    _show_keys(found["keys"], zone=False)
    if now:
        note(f"letters from {found['domain']} are signed with the new keys from now on")
    elif all(key["state"] == "waiting" for key in found["keys"]):
        note("none signs yet, so these stay: your node signs with them as soon as the DNS shows them")
    else:
        note(
            "put the new records beside the old ones; your node signs with them as soon as the DNS shows them"
        )


def _path(name: str) -> str:
    return f"/local/domains/{quote(name, safe='')}"


def _show_domain(session: Session, found: dict[str, Any], *, zone: bool) -> None:
    if session.json:
        write_json(found)
        return
    if zone:
        for record in found["records"]:
            _zone_line(record, record["why"])
        return
    name = found["domain"]
    said = f"Enter these records where its DNS is kept. Many forms want names without .{name}, and @ for it."
    write_line(folded(said, sys.stdout))
    for record in found["records"]:
        write_line()
        _show_record(record, record["why"])
    write_line()
    write_line(folded("Each value is one line, however long. The same as lines of a zone file:", sys.stdout))
    write_line(clean(f"  mailio domain list {name} --zone"))


def _show_keys(keys: Iterable[Mapping[str, Any]], *, zone: bool) -> None:
    for n, key in enumerate(keys):
        if n and not zone:
            write_line()
        record = {"type": "TXT", "name": key["name"], "value": key["value"], "zone": key["zone"]}
        _zone_line(record, _standing(key)) if zone else _show_record(record, _standing(key))


def _show_record(record: Mapping[str, Any], why: str) -> None:
    """In parts, as forms want them; the value in one piece, to be copied."""
    write_line(folded(clean(why[:1].upper() + why[1:] + ":"), sys.stdout))
    write_line(clean(f"  type   {record['type']}"))
    write_line(clean(f"  name   {record['name']}"))
    write_line(clean(f"  value  {record['value'] or UNKNOWN}"))


def _zone_line(record: Mapping[str, Any], why: str) -> None:
    write_line(clean(f"; {why}"))
    write_line(clean(record["zone"] or f"; {record['name']}. IN {record['type']} {UNKNOWN}"))


def _standing(key: Mapping[str, Any]) -> str:
    kind = ALGORITHMS.get(key["algorithm"], key["algorithm"])
    return {
        "waiting": f"{kind} key, which signs once it is seen in the DNS",
        "used": f"{kind} key, signing since {date(key['used'])}",
        "retired": f"{kind} key that was replaced: leave it in the DNS until {date(key['until'])}",
        "remove": f"{kind} key that was replaced: take it out of the DNS",
    }[key["state"]]


def _signing(domain: Mapping[str, Any]) -> str:
    """Whether its letters are signed."""
    states = [key["state"] for key in domain["keys"]]
    if "used" not in states:
        return "not signed: keys not in the DNS yet"
    return "signed, new keys wait for the DNS" if "waiting" in states else "signed"


def _source(domain: Mapping[str, Any]) -> str:
    return "smtp.domains" if domain["source"] == "settings" else "domain add"


def _say_addresses(domain: str, addresses: list[str]) -> None:
    """What takes mail for names there."""
    if any(one.endswith(f"@{domain}") for one in addresses):
        return
    write_line()
    said = "Mail is taken for names that are in mail.addresses (from the node's next start on):"
    write_line(folded(said, sys.stdout))
    write_line(clean(f"  mailio config set mail.addresses {','.join([*addresses, f'you@{domain}'])}"))
