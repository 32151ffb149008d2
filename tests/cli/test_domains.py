"""The owner's domains by commands, on a closed home and on a running node."""

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from node.cli.domains import _signing, _standing
from node.cli.text import date
from tests.kit.commands import Commands, running

NOW, LATER = 1_800_000_000_000, 1_800_604_800_000
KEYS = {"selector", "algorithm", "state", "made", "used", "until", "name", "value", "zone"}
DOMAIN = {"domain", "source", "host", "added", "keys"}


def states(domain: Any) -> list[str]:
    return [key["state"] for key in domain["keys"]]


def test_a_domain_comes_and_goes(mailio: Commands, home: Path) -> None:
    assert "mailio domain add DOMAIN" in mailio(home, "domain", "list").err
    added = mailio(home, "domain", "add", "Example.org", "--host", "mx.example.net", "--json").json
    assert (DOMAIN | {"records"}, "example.org", "mx.example.net") == (
        added.keys(),
        added["domain"],
        added["host"],
    )
    assert all(key.keys() == KEYS for key in added["keys"])
    assert all(record.keys() == {"name", "type", "value", "zone", "why"} for record in added["records"])
    assert added == mailio(home, "domain", "list", "example.org", "--json").json
    assert mailio(home, "domain", "add", "example.org", "--json").error["code"] == "domain-exists"
    (row,) = mailio(home, "domain", "list").out.splitlines()
    said = "not signed: keys not in the DNS yet"
    assert ["example.org", "mx.example.net", said, "domain add"] == row.split("\t")
    gone = mailio(home, "domain", "remove", "example.org")
    assert "nothing is signed in its name" in gone.err
    assert mailio(home, "domain", "list", "--json").json == []
    assert mailio(home, "domain", "add", "you@example.org", "--json").error["code"] == "domain-name"


def test_what_to_publish_can_be_copied(mailio: Commands, home: Path) -> None:
    done = mailio(home, "domain", "add", "example.org")
    found = mailio(home, "domain", "list", "example.org", "--json").json
    lines = done.out.splitlines()
    for record in found["records"]:
        at = lines.index(f"  name   {record['name']}", lines.index(f"{_said(record['why'])}:"))
        value = record["value"] or "(the public address of that server)"
        assert [f"  type   {record['type']}", f"  value  {value}"] == [lines[at - 1], lines[at + 1]]
    assert "  mailio config set mail.addresses you@example.org" == lines[-1]
    zone = mailio(home, "domain", "list", "example.org", "--zone").out.splitlines()
    assert [one["zone"] for one in found["records"] if one["zone"]] == [
        line for line in zone if not line.startswith(";")
    ]
    assert "; mail.example.org. IN A (the public address of that server)" in zone


def test_who_has_an_address_there_is_not_told_to_set_one(mailio: Commands, home: Path) -> None:
    known = {"MAILIO_MAIL_ADDRESSES": "a@example.net,*@example.org"}
    assert "mail.addresses" not in mailio(home, "domain", "add", "example.org", extra=known).out
    other = mailio(home, "domain", "add", "example.com", extra=known).out.splitlines()[-1]
    assert other.endswith("mail.addresses a@example.net,*@example.org,you@example.com")


def test_who_sends_for_a_domain_is_in_its_spf_record(mailio: Commands, home: Path, file: Path) -> None:
    """A provider's server too, where letters go out through it; not a server that is passed by."""
    spf = "v=spf1 mx include:_spf.google.com -all"
    mailio(home, "provider", "add", "you@gmail.com", "--from-file", str(file), "--no-check")
    mailio(home, "domain", "add", "example.org")
    for extra, value in (({}, spf), ({"MAILIO_SMTP_DIRECT": "true"}, "v=spf1 mx -all")):
        records = mailio(home, "domain", "list", "example.org", "--json", extra=extra).json["records"]
        assert [value] == [one["value"] for one in records if one["value"].startswith("v=spf1")]


def test_keys_are_shown_and_changed(mailio: Commands, home: Path) -> None:
    assert mailio(home, "dkim", "rotate", "--json").error["code"] == "no-such-domain"
    added = mailio(home, "domain", "add", "example.org", "--json").json
    text = mailio(home, "dkim", "show", "example.org").out
    assert all(f"  value  {key['value']}\n" in text for key in added["keys"])
    assert "signs once it is seen in the DNS" in text
    assert "so these stay" in mailio(home, "dkim", "rotate").err
    assert ["used"] * 2 == states(mailio(home, "dkim", "rotate", "example.org", "--now", "--json").json)
    assert "put the new records beside the old ones" in mailio(home, "dkim", "rotate").err
    (shown,) = mailio(home, "dkim", "show", "--json").json
    assert (DOMAIN, ["used", "used", "waiting", "waiting"]) == (shown.keys(), states(shown))
    assert "from now on" in mailio(home, "dkim", "rotate", "--now").err
    zone = mailio(home, "dkim", "show", "--zone").out.splitlines()
    assert ([key["zone"] for key in shown["keys"]], "; RSA key that was replaced: leave") == (
        zone[1::2],
        zone[0].partition(" it in")[0],
    )


def test_domains_of_the_settings_have_keys_without_a_command(mailio: Commands, home: Path) -> None:
    named = {"MAILIO_SMTP_DOMAINS": "example.org"}
    (found,) = mailio(home, "domain", "list", "--json", extra=named).json
    assert ("example.org", "settings", 2) == (found["domain"], found["source"], len(found["keys"]))
    done = mailio(home, "domain", "remove", "example.org", "--json", extra=named)
    assert done.error["code"] == "domain-in-settings"
    assert mailio(home, "status", "--json", extra=named).json["smtp"]["domains"] == ["example.org"]


def test_a_running_node_takes_a_domain_at_once(mailio: Commands, home: Path) -> None:
    mailio(home, "config", "set", "mail.addresses", "you@example.org")
    with running(home) as (_, up), _talking(up["listen"]["smtp"]) as smtp:
        assert (550, b"5.7.1") == _asked(smtp, "nobody@example.org")
        assert mailio(home, "domain", "add", "example.org", "--json").json["domain"] == "example.org"
        assert (550, b"5.1.1") == _asked(smtp, "nobody@example.org")
        assert ["example.org"] == mailio(home, "status", "--json").json["smtp"]["domains"]
        assert ["used"] * 2 == states(mailio(home, "dkim", "rotate", "--now", "--json").json)
        assert mailio(home, "domain", "remove", "example.org").code == 0
        assert (550, b"5.7.1") == _asked(smtp, "nobody@example.org")


@contextmanager
def _talking(where: str) -> Iterator[smtplib.SMTP]:
    host, _, port = where.rpartition(":")
    with smtplib.SMTP(host, int(port), local_hostname="client.example") as smtp:
        smtp.ehlo()
        yield smtp


def _asked(smtp: smtplib.SMTP, recipient: str) -> tuple[int, bytes]:
    """What is said to a letter for it: code and enhanced code."""
    smtp.mail("eve@example.net")
    code, text = smtp.rcpt(recipient)
    smtp.rset()
    return code, text.split()[0]


def _said(why: str) -> str:
    return why[:1].upper() + why[1:]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("waiting", "RSA key, which signs once it is seen in the DNS"),
        ("used", f"RSA key, signing since {date(NOW)}"),
        ("retired", f"RSA key that was replaced: leave it in the DNS until {date(LATER)}"),
        ("remove", "RSA key that was replaced: take it out of the DNS"),
    ],
)
def test_how_a_key_stands_in_words(state: str, said: str) -> None:
    key = {"algorithm": "rsa-sha256", "state": state, "used": NOW, "until": LATER}
    assert said == _standing(key)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (["waiting"], "not signed: keys not in the DNS yet"),
        (["used", "used"], "signed"),
        (["retired", "used", "waiting"], "signed, new keys wait for the DNS"),
    ],
)
def test_whether_letters_are_signed_in_words(found: list[str], said: str) -> None:
    assert said == _signing({"keys": [{"state": state} for state in found]})
