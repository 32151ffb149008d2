"""Mailboxes at providers by commands, on a closed home and on a running node with a real Dovecot."""

from pathlib import Path

from tests.kit.commands import PASSWORD, Commands

NOBODY = "you@nobody.example"
IMAP = "imaps://you%40nobody.example@imap.nobody.example:993"


def test_a_provider_comes_and_goes(mailio: Commands, home: Path, file: Path) -> None:
    assert "mailio provider add ADDRESS" in mailio(home, "provider", "list").err
    add = ("provider", "add", "You@gmail.com", "--from-file", str(file), "--no-check", "--folder", "Löschen")
    added = mailio(home, *add, "--since", "30d", "--delete-after", "90d", "--json").json
    assert {
        "address": "you@gmail.com",
        "imap": "imaps://you%40gmail.com@imap.gmail.com",
        "smtp": "smtps://you%40gmail.com@smtp.gmail.com",
        "folders": ["INBOX", "Löschen"],
        "since": added["since"],
        "deleteAfter": 90 * 86_400_000,
        "created": added["created"],
        "note": added["note"],
        "state": "unknown",
        "text": "",
    } == added
    assert 31 * 86_400_000 > added["created"] - added["since"] > 29 * 86_400_000
    status = mailio(home, "status", "--json").json
    assert [added] == status["providers"] == mailio(home, "provider", "list", "--json").json
    assert ["you@gmail.com"] == status["smtp"]["addresses"]
    sending = {"state": "unknown", "host": "smtp.gmail.com:465", "text": "", "password": "kept"}
    assert sending == status["smtp"]["smarthost"]
    assert PASSWORD.encode() not in b"".join(one.read_bytes() for one in home.rglob("*") if one.is_file())
    changed = mailio(home, *add[:-2])
    assert "app password" in changed.err
    assert "What comes from now on is fetched. Everything stays there as it is." in " ".join(
        changed.out.split()
    )
    (row,) = mailio(home, "provider", "list").out.splitlines()
    assert ["you@gmail.com", "imap.gmail.com", "smtp.gmail.com", "the node is not running"] == row.split("\t")
    assert "nothing is fetched" in mailio(home, "provider", "remove", "YOU@gmail.com").err
    assert mailio(home, "provider", "list", "--json").json == []
    assert mailio(home, "status", "--json").json["smtp"]["smarthost"]["state"] == "none"


FAULTS = [
    (("add", NOBODY), "provider-unknown", "--imap imaps://HOST"),
    (("add", "you@outlook.com"), "provider-closed", "forwarded"),
    (("add", "nonsense"), "provider-address", "the whole address"),
    (("add", NOBODY, "--imap", "http://x"), "provider-server", "imaps://USER@HOST:993"),
    (("add", NOBODY, "--imap", IMAP, "--smtp", "imap://x"), "provider-server", "smtps://USER@HOST:465"),
    (("add", NOBODY, "--imap", "imaps://a:hidden7@x"), "provider-server", "imaps://USER@HOST:993"),
    (("add", "you@gmail.com", "--all", "--since", "30d"), "usage", "one of them"),
    (("add", "you@gmail.com", "--folder", "a\tb"), "provider-folder", "--folder NAME"),
    (("remove", "you@gmail.com"), "no-such-provider", "mailio provider list"),
]


def test_what_can_not_be_is_said(mailio: Commands, home: Path, file: Path) -> None:
    for arguments, code, way_out in FAULTS:
        given = [*arguments, *(("--from-file", str(file), "--no-check") if arguments[0] == "add" else ())]
        error = mailio(home, "provider", *given, "--json").error
        assert code == error["code"]
        assert way_out in error["remedy"]
        assert "hidden7" not in str(error)
    error = mailio(home, "provider", "add", "you@gmail.com", "--json").error
    assert ("no-terminal", "use --from-file FILE") == (error["code"], error["remedy"])
