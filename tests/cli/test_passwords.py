"""App passwords and the smarthost's password, by commands on a closed home and on a running node."""

import signal
import sys
from pathlib import Path

import pytest

from tests.kit.commands import PASSWORD, PATIENCE_S, Commands, running


def test_app_passwords(mailio: Commands, home: Path) -> None:
    assert "mailio user add NAME" in mailio(home, "user", "list").err
    made = mailio(home, "user", "add", "my phone", "--json", extra={"MAILIO_SUBMISSION_PORT": "2588"}).json
    assert (made["name"], len(made["password"])) == ("my phone", 29)
    assert {"host": "127.0.0.1", "port": 2588, "encryption": "none"} == made["server"]
    assert mailio(home, "user", "add", "MY PHONE", "--json").error["code"] == "user-exists"
    assert [{"name": "my phone", "created": made["created"]}] == mailio(home, "user", "list", "--json").json
    assert "my phone can't log in" in mailio(home, "user", "remove", "My Phone").err
    assert mailio(home, "user", "list", "--json").json == []
    assert mailio(home, "user", "remove", "My Phone", "--json").error["code"] == "no-such-user"


def test_a_password_is_shown_to_someone_or_not_made(mailio: Commands, home: Path) -> None:
    done = mailio(home, "user", "add", "phone")
    assert (done.code, done.out) == (1, "")
    assert "with --json" in done.err
    assert mailio(home, "user", "list", "--json").json == []


def test_a_node_that_takes_nothing_from_mail_programs(mailio: Commands, home: Path) -> None:
    for name, setting in (("a", {"MAILIO_SUBMISSION_HOST": ""}), ("b", {"MAILIO_SUBMISSION_PORT": "0"})):
        assert mailio(home, "user", "add", name, "--json", extra=setting).json["server"] is None


def test_the_smarthosts_password_is_kept_and_never_shown(mailio: Commands, home: Path, file: Path) -> None:
    def shown() -> object:
        return mailio(home, "config", "show", "smtp.smarthost", "--json").json["smtp.smarthost"]["secret"]

    set_ = ("config", "set", "--secret", "smtp.smarthost")
    assert mailio(home, "config", "set", "smtp.smarthost", "smtp://me@mail.example.org").code == 0
    assert shown() is False
    sending = mailio(home, "status", "--json").json["smtp"]["smarthost"]
    assert ("unknown", "mail.example.org:587", "missing") == tuple(
        sending[name] for name in ("state", "host", "password")
    )
    file.chmod(0o644)
    assert mailio(home, *set_, "--from-file", str(file), "--json").error["code"] == "file-not-private"
    file.chmod(0o600)
    done = mailio(home, *set_, "--from-file", str(file), "--json")
    assert {"key": "smtp.smarthost", "kept": True} == done.json
    assert shown() is True
    assert "kept" == mailio(home, "status", "--json").json["smtp"]["smarthost"]["password"]
    shown_to_all = mailio(home, "config", "show")
    assert "The password is set." in shown_to_all.out
    assert PASSWORD not in shown_to_all.out
    assert not [path for path in home.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    unset = mailio(home, "config", "unset", "--secret", "smtp.smarthost", "--json")
    assert {"key": "smtp.smarthost", "removed": True} == unset.json
    assert shown() is False
    assert "smtp://me@mail.example.org" in mailio(home, "config", "show", "smtp.smarthost").out


def test_a_password_is_typed_unseen(mailio: Commands, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.cli.settings.on_terminal", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: PASSWORD if stream is sys.stderr else "")
    done = mailio(home, "config", "set", "--secret", "smtp.smarthost")
    assert (0, "") == (done.code, done.out)
    assert "a running node uses it at once" in done.err
    assert mailio(home, "config", "show", "smtp.smarthost", "--json").json["smtp.smarthost"]["secret"] is True


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("set", "--secret", "smtp.smarthost", PASSWORD), "secret-argument"),
        (("set", "--secret", "smtp.host"), "no-secret-setting"),
        (("set", "--secret", "smtp.smarthost"), "no-terminal"),
        (("set", "--secret", "smtp.smarthost", "--from-file", "/nowhere"), "password-file"),
        (("unset", "--secret", "smtp.host"), "no-secret-setting"),
        (("set", "smtp.host"), "usage"),
    ],
)
def test_what_can_not_be_set(mailio: Commands, home: Path, arguments: tuple[str, ...], code: str) -> None:
    done = mailio(home, "config", *arguments, "--json")
    assert done.error["code"] == code
    assert PASSWORD not in done.out + done.err


def test_settings_are_shown_where_a_passphrase_would_be_needed(
    mailio: Commands, tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "locked"
    assert mailio(home, "init", "--json", "--passphrase-file", str(file)).code == 0
    mailio(home, "list", extra={"MAILIO_PASSPHRASE_FILE": str(file)})
    monkeypatch.setattr("node.cli.session.on_terminal", lambda: True)
    found = mailio(home, "config", "show", "smtp.smarthost", "--json")
    assert (0, None) == (found.code, found.json["smtp.smarthost"]["secret"])


def test_a_running_node_knows_them_at_once(mailio: Commands, home: Path, file: Path) -> None:
    with running(home) as (process, _):
        assert mailio(home, "user", "add", "phone", "--json").code == 0
        assert ["phone"] == [one["name"] for one in mailio(home, "user", "list", "--json").json]
        assert mailio(home, "config", "set", "--secret", "smtp.smarthost", "--from-file", str(file)).code == 0
        assert mailio(home, "config", "show", "smtp.smarthost", "--json").json["smtp.smarthost"]["secret"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert ["phone"] == [one["name"] for one in mailio(home, "user", "list", "--json").json]


def test_e_mail_senders_are_judged_on_a_closed_store(mailio: Commands, home: Path) -> None:
    done = mailio(home, "handshake", "revoke", "Eve@Example.org")
    assert "eve@example.org is revoked: mail that names this address" in done.err
    (row,) = mailio(home, "handshake", "list").out.splitlines()
    assert ("eve@example.org", "revoked", "") == tuple(row.split("\t")[1:4])
    done = mailio(home, "handshake", "accept", "eve@example.org")
    assert "eve@example.org is accepted" in done.err.splitlines()[0]
    assert mailio(home, "handshake", "accept", "eve@example.org", "--json").json["moved"] == 0
