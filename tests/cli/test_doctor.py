"""`mailio doctor` as a person and a program read it."""

import re
import sys
from pathlib import Path

import pytest

from node.cli.doctor import _show
from tests.cli.test_output import on_screen
from tests.kit.commands import Commands

ZONE = 's1._domainkey.example.org. IN TXT "v=DKIM1; k=rsa; p=' + "A" * 120 + '"'
FOUND = [
    {"check": "node/clock", "state": "ok", "text": "0 s from what other nodes say", "remedy": ""},
    {
        "check": "mail/certificate",
        "state": "skip",
        "text": "none: mail servers and programs talk to this node unencrypted",
        "remedy": "mailio config set tls.certificate FILE, and tls.key",
    },
    {"check": "example.org/dkim-s1", "state": "fail", "text": "not published", "remedy": f"publish: {ZONE}"},
    {"check": "example.org/spf", "state": "warn", "text": "\x1b[2Jv=spf1 " + "x" * 80, "remedy": "look"},
]


def shown(monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    with on_screen() as screen:
        monkeypatch.setenv("COLUMNS", str(columns))
        _show(FOUND)
    return re.sub(r"\x1b\[[\d;]*m", "", screen.getvalue()).splitlines()


def test_groups_with_a_remedy_under_each_fault_and_records_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [line.rstrip() for line in shown(monkeypatch, 80)] == [
        "This node",
        "  ok    clock  0 s from what other nodes say",
        "",
        "Ordinary e-mail",
        "  skip  certificate  none: mail servers and programs talk to this node",
        "                     unencrypted",
        "                     → mailio config set tls.certificate FILE, and tls.key",
        "",
        "example.org",
        "  fail  dkim-s1  not published",
        "                 → publish:",
        ZONE,
        "  warn  spf      \ufffd[2Jv=spf1 " + "x" * 52,
        "                 " + "x" * 28,
        "                 → look",
        "",
        "1 to mend, 1 to look at; 1 skipped, for what is not set up.",
    ]


def test_a_narrow_terminal_has_what_was_found_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, 44)
    assert lines[:8] == [
        "This node",
        "  ok    clock",
        "        0 s from what other nodes say",
        "",
        "Ordinary e-mail",
        "  skip  certificate",
        "        none: mail servers and programs talk",
        "        to this node unencrypted",
    ]
    assert [ZONE] == [line for line in lines if len(line) > 44]


def test_elsewhere_than_on_a_terminal_a_line_is_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    _show(FOUND)
    assert not sys.stdout.isatty()
    assert "  skip  certificate  none: mail servers and programs talk to this node unencrypted\n" in (
        capsys.readouterr().out
    )


def test_the_command(mailio: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.runtime.dns.DEADLINE_S", 0.1)
    home, nowhere = tmp_path / "home", {"MAILIO_DNS_NAMESERVERS": "127.0.0.1:1"}
    assert mailio(home, "init", "--json").code == 0
    said = mailio(home, "doctor", "--json", extra=nowhere)
    found = {check["check"]: check for check in said.json}
    assert 1 == said.code  # the name server does not answer
    assert {"check", "state", "text", "remedy"} == set.union(*(set(check) for check in said.json))
    assert ["node/dns"] == [name for name, check in found.items() if check["state"] == "fail"]
    assert "start the node: mailio run" == found["mail/receiver"]["remedy"]
    said = mailio(home, "doctor", extra=nowhere)
    assert (1, "") == (said.code, said.err)
    assert said.out.startswith("This node\n  ok    clock ")
    assert said.out.splitlines()[-1].startswith("1 to mend; ")
