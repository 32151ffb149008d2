"""Rows of a table of outcomes of SPF, DKIM and DMARC, each with what the DNS has. The RFCs' own are in
auth_rfcs.py, those of this project in auth_table.py.

A row's zone has a record a line, as `name TYPE text`; `expected` is what `shown` makes of the judgement.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from node.mailauth import Hop, Judgement
from tests.kit.dkim_keys import rsa_key, sign
from tests.kit.names_server import Fault, Names

PLAIN: Final = (
    b"From: Joe <joe@example.com>\r\nTo: ann@example.net\r\nSubject: dinner\r\n"
    b"Date: Fri, 15 Jan 2027 08:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nIs it ready?\r\n"
)
ELSEWHERE: Final = "203.0.113.9"  # a client that no zone here knows


@dataclass(frozen=True, slots=True)
class Row:
    """`sender` is MAIL FROM, `author` the domain in From."""

    zone: str
    expected: str
    client: str = ELSEWHERE
    sender: str = "joe@example.com"
    author: str = "example.com"
    raw: bytes = PLAIN
    helo: str = "mx.example.net"
    faults: Mapping[str, Fault] = field(default_factory=dict)

    @property
    def hop(self) -> Hop:
        return Hop(self.client, self.helo, self.sender)


def publish(names: Names, row: Row) -> None:
    """Into a server of the kit."""
    for line in filter(None, map(str.strip, row.zone.splitlines())):
        name, kind, text = line.split(" ", 2)
        if kind == "TXT":
            names.txt(name, text)
        else:
            names.add(name, kind, text)
    for name, fault in row.faults.items():
        names.fault(name, fault)


def shown(judgement: Judgement) -> str:
    """`spf RESULT`, `dkim DOMAINS` that hold, `dmarc RESULT` with what is asked for, `later DOMAINS`."""
    parts = [f"spf {judgement.spf.result}"]
    if judgement.proof.domains:
        parts.append("dkim " + " ".join(judgement.proof.domains))
    asked = judgement.dmarc.disposition
    parts.append(f"dmarc {judgement.dmarc.result}" + (f" {asked}" if asked != "none" else ""))
    if judgement.later:
        parts.append("later " + " ".join(judgement.later))
    return ", ".join(parts)


def spf(record: str, more: str = "") -> str:
    """A zone with it at example.com."""
    return f"example.com TXT {record}\n{more}"


def dmarc(record: str, more: str = "") -> str:
    """A zone with it for example.com."""
    return f"_dmarc.example.com TXT {record}\n{more}"


def signed(domain: str = "example.com", raw: bytes = PLAIN, **options: object) -> bytes:
    """The message under a signature of a domain."""
    return sign(raw, rsa_key(), domain, "sel", **options)  # type: ignore[arg-type]  # of sign()


def key(domain: str = "example.com") -> str:
    """What it is checked with."""
    return f"sel._domainkey.{domain} TXT {rsa_key().txt}\n"
