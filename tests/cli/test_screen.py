"""The first screen says what a newcomer must know, at any width."""

from typing import Any

import pytest

from node.cli.screen import Choices, Line, first_screen, public_screen

LINK = "mailio:0x" + "a" * 40 + "?k=" + "b" * 43 + "&h=/ip4/192.0.2.1/tcp/4101/p2p/" + "c" * 52
IDENTITY = {"address": "0x" + "a" * 40, "addrs": ["/ip4/192.0.2.1/tcp/4101/p2p/" + "c" * 52], "link": LINK}
WARNING = {
    "code": "words-unconfirmed",
    "text": "you have not confirmed your words",
    "remedy": "mailio words confirm",
}


def status(**changes: Any) -> dict[str, Any]:
    found = {"listen": {"libp2p": IDENTITY["addrs"]}, "peers": 0, "reachability": "unknown", "warnings": []}
    return found | changes


def text(lines: list[Line]) -> str:
    return " ".join(" ".join(line.text for line in lines).split())


@pytest.mark.parametrize("width", [1, 40, 47, 60, 64, 80, 200])
@pytest.mark.parametrize("announce", ["all", "contacts"])
def test_it_fits_and_what_is_copied_stays_whole(width: int, announce: str) -> None:
    lines = first_screen(status(warnings=[WARNING]), IDENTITY, Choices(announce), width)
    assert LINK in [line.text for line in lines if line.kind == "copy"]
    limit = max(40, min(width, 80))
    for line in lines:
        alone = line.text.strip()
        is_command = alone.startswith("mailio ") and "  " not in alone
        assert line.kind == "copy" or is_command or len(line.text) <= limit


def test_a_newcomer_learns_what_to_do_next() -> None:
    said = text(first_screen(status(), IDENTITY, Choices(), 80))
    for command in (
        "mailio handshake link",
        "mailio handshake open",
        "mailio send",
        "mailio list",
        "mailio status",
    ):
        assert command in said
    assert "There is no public network yet, and none is needed" in said
    assert "mailio config set network.bootstrap ADDRESS" in said
    assert "mailio bootstrap run" in said
    assert "Ctrl-C" in said


def test_another_terminal_is_told_where_everything_is() -> None:
    first = ("export PATH=/opt/mailio/.venv/bin:$PATH", "export MAILIO_HOME='/tmp/a b'")
    lines = first_screen(status(), IDENTITY, Choices(first_of_all=first), 40)
    assert [f"  {one}" for one in first] == [
        line.text for line in lines if line.kind == "copy" and "export" in line.text
    ]
    assert "export" not in text(first_screen(status(), IDENTITY, Choices(), 80))


def test_what_is_not_done_comes_with_its_command() -> None:
    said = text(first_screen(status(warnings=[WARNING]), IDENTITY, Choices(), 80))
    assert "You have not confirmed your words. mailio words confirm" in said
    assert "Not done yet" not in text(first_screen(status(), IDENTITY, Choices(), 80))


def test_what_others_can_see_follows_the_settings() -> None:
    public = text(first_screen(status(), IDENTITY, Choices("all"), 80))
    assert "its public internet address" in public
    assert "mailio config set network.announce contacts" in public
    hidden = text(first_screen(status(), IDENTITY, Choices("contacts"), 80))
    assert "and not where you are" in hidden
    assert "network.announce" not in hidden


@pytest.mark.parametrize(
    ("peers", "first", "said"),
    [
        (1, 1, "Connected to 1 other node."),
        (2, 1, "Connected to 2 other nodes."),
        (0, 1, "No other node has answered yet; it keeps trying."),
    ],
)
def test_the_network(peers: int, first: int, said: str) -> None:
    shown = text(first_screen(status(peers=peers), IDENTITY, Choices(first_peers=first), 80))
    assert said in shown
    assert "public network" not in shown


def test_a_node_that_listens_nowhere_is_told() -> None:
    assert "listens nowhere" in text(first_screen(status(listen={"libp2p": []}), IDENTITY, Choices(), 80))


def test_a_public_node_says_how_others_join() -> None:
    lines = public_screen(IDENTITY, Choices(), 80)
    assert f"mailio config set network.bootstrap {IDENTITY['addrs'][0]}" in [line.text for line in lines]
    assert "listens nowhere" in text(public_screen(IDENTITY | {"addrs": []}, Choices(), 80))


MAIL = {"addresses": ["alice@example.org"], "smarthost": {"state": "unknown", "host": "mail.example.org:587"}}


@pytest.mark.parametrize("width", [1, 40, 60, 80, 200])
@pytest.mark.parametrize("smtp", [None, MAIL])
def test_ordinary_e_mail_fits_too(width: int, smtp: dict[str, Any] | None) -> None:
    listen = {"libp2p": [], "smtp": "127.0.0.1:2525", "submission": "0.0.0.0:587"}
    for line in first_screen(status(listen=listen, smtp=smtp), IDENTITY, Choices(), width):
        alone = line.text.strip()
        is_command = alone.startswith("mailio ") and "  " not in alone
        assert line.kind == "copy" or is_command or len(line.text) <= max(40, min(width, 80))


def test_ordinary_e_mail_wants_setting_up() -> None:
    said = text(first_screen(status(), IDENTITY, Choices(), 80))
    assert "Ordinary e-mail is not sealed" in said
    assert "mailio provider add you@example.org with a mailbox at a provider, this is all" in said
    assert "mailio domain add example.org with a domain of your own: what its DNS needs" in said
    assert "mailio config set mail.addresses you@example.org your e-mail address" in said
    assert "mailio config set smtp.smarthost smtp://USER@HOST:587 who sends your mail" in said
    assert "mailio user add" not in said  # nothing listens for mail programs


def test_ordinary_e_mail_that_is_set_up() -> None:
    listen = {"libp2p": [], "smtp": "127.0.0.1:2525", "submission": "127.0.0.1:2587"}
    missing = MAIL | {
        "smarthost": {"state": "unknown", "host": "mail.example.org:587", "password": "missing"}
    }
    said = text(first_screen(status(listen=listen, smtp=missing), IDENTITY, Choices(), 80))
    assert "Mail to alice@example.org is taken at 127.0.0.1:2525." in said
    assert "Yours goes out through mail.example.org:587." in said
    assert "mailio config set --secret smtp.smarthost its password" in said
    assert "server 127.0.0.1, port 2587, no encryption needed on this machine" in said
    assert "mailio user add NAME" in said
    assert "mail.addresses" not in said
    assert "provider" not in said
    done = text(first_screen(status(listen=listen, smtp=MAIL), IDENTITY, Choices(), 80))
    assert "--secret" not in done
