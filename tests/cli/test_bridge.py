"""Ordinary e-mail in words: how it stands, where mail programs connect, what is proven of a letter."""

import sys
from typing import Any

import pytest

from node.cli.bridge import Server, coming_in, going_out, handing_in, out_by, sending_of, server_of
from node.cli.delivery import outcome
from node.cli.handshakes import _accepted, _who
from node.cli.mailbox import _author, _show_letter, _show_list
from node.cli.users import _show

MAILIO = "0x" + "ab" * 20
EVE = "eve@example.org"


def status(mail: dict[str, Any] | None = None, **listen: Any) -> dict[str, Any]:
    return {"running": True, "listen": {"smtp": None, "submission": None} | listen, "smtp": mail}


def test_mailboxes_elsewhere_stand_with_what_comes_in() -> None:
    there = {"address": "you@gmail.com", "imap": "imaps://you%40gmail.com@imap.gmail.com", "text": "no"}
    fetching = there | {"state": "ok", "fetched": 7}
    found = status({}) | {"providers": [fetching, there | {"state": "fault"}]}
    place = "you@gmail.com from imap.gmail.com"
    assert [f"{place}: 7 letters fetched since the start", f"{place}: does not come"] == [*coming_in(found)][
        :2
    ]


@pytest.mark.parametrize(
    ("where", "server"),
    [
        ("127.0.0.1:2587", Server("127.0.0.1", 2587)),
        ("[::1]:2587", Server("::1", 2587)),
        ("0.0.0.0:587", Server("", 587)),
        ("[::]:587", Server("", 587)),
        ("127.0.0.1:0", None),
        ("127.0.0.1", None),
        ("", None),
        (None, None),
    ],
)
def test_where_mail_programs_connect(where: str | None, server: Server | None) -> None:
    assert server == server_of(where)


@pytest.mark.parametrize(
    ("server", "encryption", "kind"),
    [
        (Server("127.0.0.9", 1), "none needed: nothing leaves this machine", "none"),
        (Server("::1", 1), "none needed: nothing leaves this machine", "none"),
        (Server("192.0.2.1", 1), "STARTTLS", "starttls"),
        (Server("", 1), "STARTTLS", "starttls"),
    ],
)
def test_a_password_crosses_no_network_in_the_clear(server: Server, encryption: str, kind: str) -> None:
    assert (encryption, kind) == (server.encryption, server.document()["encryption"])


def test_how_a_bridge_stands_that_delivers_itself() -> None:
    faults = [{"domain": f"d{n}.example", "text": "mx can't be reached", "since": 0} for n in range(5)]
    direct = {"state": "ok", "faults": faults}
    assert [
        "straight to its recipients' own mail servers",
        *(f"waits for d{n}.example: mx can't be reached" for n in range(3)),
        "and for 2 more (status --json lists them)",
    ] == list(going_out(status({"direct": direct})))
    sending = sending_of(status({"direct": direct}))
    assert ("ok", "straight to its recipients' own mail servers") == (sending["state"], out_by(sending))


def test_how_a_bridge_stands_that_does_all() -> None:
    smtp = {
        "addresses": ["alice@example.org", "*@example.net"],
        "received": 12,
        "refused": 1,
        "smarthost": {"state": "ok", "host": "mail.example.org:587", "text": "", "password": "kept"},
    }
    found = status(smtp, smtp="127.0.0.1:2525", submission="127.0.0.1:2587")
    assert [
        "taken at 127.0.0.1:2525, for alice@example.org, *@example.net",
        "12 came in, 1 refused since the start",
    ] == list(coming_in(found))
    assert ["through mail.example.org:587, which works"] == list(going_out(found))
    assert ["hand in at 127.0.0.1, port 2587 (password: mailio user add NAME)"] == list(handing_in(found))


@pytest.mark.parametrize("smtp", [None, {}, {"smarthost": {"state": "none"}}])
def test_what_is_not_set_comes_with_its_command(smtp: dict[str, Any] | None) -> None:
    found = status(smtp, smtp="0.0.0.0:25")
    assert ["for nobody yet: mailio config set mail.addresses you@example.org"] == list(coming_in(found))
    assert ["nowhere yet: mailio config set smtp.smarthost smtp://USER@HOST:587"] == list(going_out(found))
    assert ["hand in nowhere (submission.host)"] == list(handing_in(found))


def test_a_smarthost_that_fails_says_how() -> None:
    sending = {
        "state": "fault",
        "host": "h:587",
        "text": "h refuses\x1b your password",
        "password": "missing",
    }
    assert [
        "through h:587",
        "which fails: h refuses\ufffd your password",
        "its password is not set: mailio config set --secret smtp.smarthost",
    ] == list(going_out(status({"smarthost": sending})))


def test_all_of_this_machine_is_said_so() -> None:
    found = status({"addresses": ["a@example.org"]}, smtp="[::]:25")
    assert ["taken at port 25 of this machine, for a@example.org"] == list(coming_in(found))


def test_a_closed_node_promises_nothing() -> None:
    found = status({"addresses": ["a@example.org"]}) | {"running": False}
    assert (["not now"], ["not now"]) == (list(coming_in(found)), list(handing_in(found)))


def letter(**changes: Any) -> dict[str, Any]:
    shown = {"id": "01" * 12, "from": f"Your Bank <{EVE}>", "to": ["alice@example.org"], "subject": "Offer"}
    times = {"created": 0, "arrived": 0, "read": False, "attachments": 0}
    return shown | times | {"fromName": None, "toNames": [None], "via": "smtp", "author": EVE} | changes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, EVE),
        ({"fromName": "Eve"}, "Eve"),
        ({"author": ""}, f"Your Bank <{EVE}>"),
        ({"author": "", "from": f"{MAILIO}@mailio.alt"}, f"{MAILIO}@mailio.alt"),
        ({"author": MAILIO, "via": "", "from": f"{MAILIO}@mailio.alt"}, MAILIO),
    ],
)
def test_nobody_names_himself_by_e_mail(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert said == _author(letter(**changes))


def test_a_list_marks_what_is_not_proven(capsys: pytest.CaptureFixture[str]) -> None:
    _show_list(
        [letter(), letter(author=""), letter(author="", via=""), letter(author="", read=True)], sent=False
    )
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert ["", "not proven", "", "not proven"] == [row[4] for row in rows]


def test_reading_tells_how_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    smtp = {"client": "192.0.2.1", "helo": "mx\x1b[2J", "tls": False, "signatures": ["example.org: pass"]}
    smtp |= {
        "recipients": ["you+shop@example.net"],
        "results": ["DKIM example.org: pass", "SPF x.example: fail"],
        "bulk": False,
        "automatic": False,
    }
    full = {"text": "Buy.\n", "html": "", "attachments": [], "smtp": smtp}
    _show_letter(letter(**full))
    _show_letter(
        letter(
            **full | {"author": "", "from": "", "smtp": smtp | {"helo": "", "signatures": [], "results": []}}
        )
    )
    shown = capsys.readouterr().out
    assert f"From:    Your Bank <{EVE}>\n" in shown
    assert "From:    nobody (not proven)\n" in shown
    assert "Came by: ordinary e-mail, not sealed\n" in shown
    assert "Server:  192.0.2.1, calls itself mx\ufffd[2J; not encrypted\n" in shown
    assert "Server:  192.0.2.1; not encrypted\n" in shown
    assert "For:     you+shop@example.net\n" in shown
    assert "Proof:   DKIM example.org: pass; SPF x.example: fail\n" in shown
    assert "Proof:   none\n" in shown


@pytest.mark.parametrize(
    ("bulk", "automatic", "said"),
    [(False, True, "; from a program, not a person"), (True, True, "; from a list"), (False, False, "")],
)
def test_reading_tells_whether_a_person_wrote_it(
    capsys: pytest.CaptureFixture[str], bulk: bool, automatic: bool, said: str
) -> None:
    smtp = {"client": "192.0.2.1", "helo": "", "tls": True, "signatures": [], "results": [], "recipients": []}
    smtp |= {"bulk": bulk, "automatic": automatic}
    _show_letter(letter(text="Buy.\n", html="", attachments=[], smtp=smtp))
    assert f"Came by: ordinary e-mail, not sealed{said}\n" in capsys.readouterr().out


def recipient(to: str, route: str, **changes: Any) -> dict[str, Any]:
    fields = {"to": to, "route": route, "address": to, "name": None, "state": "delivered", "code": ""}
    return fields | {"detail": "", "next": 0, "cause": ""} | changes


def test_one_letter_on_both_ways_says_which_is_sealed() -> None:
    recipients = [recipient(EVE, "smtp"), recipient(MAILIO, "mailio")]
    assert [
        f"{EVE}: taken by your mail server, open as all e-mail",
        f"{MAILIO}: delivered, sealed; they decide",
    ] == outcome({"id": "01" * 16, "recipients": recipients}, 0, "they decide")


def test_a_mail_server_that_is_down_is_no_matter_of_links() -> None:
    waiting = recipient(EVE, "smtp", state="queued", code="4.4.1", detail="h can't be reached", next=1)
    assert [
        f"{EVE}: waits, next try in a moment: h can't be reached [4.4.1]",
        "it is tried again by itself; to stop it: mailio outbox cancel 010101010101",
    ] == outcome({"id": "01" * 16, "recipients": [waiting]}, 0)


def test_accepting_an_e_mail_sender_says_what_it_does() -> None:
    row = {"address": EVE, "who": "Eve", "moved": 2}
    first, second = _accepted(row, EVE)
    assert first == (
        f"Eve <{EVE}> is accepted; mail that proves to be theirs comes to your inbox "
        "(2 letters that waited moved there)"
    )
    assert "nothing is sent to them" in second
    assert "mailio list handshake" in second
    (sealed,) = _accepted({"address": MAILIO, "who": MAILIO, "moved": 1}, "44e7cbfb")
    assert sealed.startswith("44e7cbfb is accepted and is told so")
    assert sealed.endswith("(1 letter that waited moved there)")
    assert _who({"address": EVE, "who": EVE}) == EVE


@pytest.mark.parametrize(
    ("addresses", "shown", "told"),
    [(["*@x.org", "a@x.org"], "E-mail address  a@x.org\n", False), ([], "", True)],
)
def test_what_to_enter_in_a_mail_program(
    capsys: pytest.CaptureFixture[str], addresses: list[str], shown: str, told: bool
) -> None:
    _show({"name": "my phone", "password": "abcde-fghjk"}, Server("127.0.0.1", 2587), addresses)
    out = capsys.readouterr().out
    for line in ("127.0.0.1\n", "2587\n", "my phone\n", "abcde-fghjk\n", "  mailio user remove 'my phone'\n"):
        assert line in out
    assert shown in out
    assert told == ("mailio config set mail.addresses" in out)
