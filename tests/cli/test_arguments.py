"""Where options may stand, and what is said of those that can't be."""

import json
from pathlib import Path

import pytest

import node
from node.cli.main import run


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json", "--home", "{}", "config", "path"),
        ("config", "--json", "--home={}", "path"),
        ("config", "path", "--home", "{}", "--json"),
        ("--home", "{}", "config", "path", "--json"),
        ("--json", "config", "--home", "{}", "path"),
        ("--home", "/elsewhere", "config", "path", "--home", "{}", "--json"),
    ],
)
def test_home_and_json_stand_anywhere(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    code, out, _ = ran(capsys, *(one.format(tmp_path) for one in arguments))
    assert (0, {"path": str(tmp_path / "config.toml")}) == (code, json.loads(out))


def test_the_environment_names_the_home(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILIO_HOME", str(tmp_path))
    assert (0, f"{tmp_path / 'config.toml'}\n", "") == ran(capsys, "config", "path")


def test_an_option_of_a_command_may_look_like_ours(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = ran(capsys, "--home", str(tmp_path), "send", "bob", "--subject", "--json", "--body", "x")
    assert (1, "") == (code, out)
    assert "there is no node in" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("list", "--nonsense"),
        ("read",),
        ("list", "--limit", "x"),
        ("list", "--limit", "0"),
        ("folder",),
        ("handshake",),
        ("folder", "nonsense"),
        ("send", "bob", "--wait", "soon"),
        ("config", "set", "network.nonsense", "1"),
        ("config", "set", "log.level", "loud"),
        ("config", "show", "nonsense"),
    ],
    ids=" ".join,
)
def test_what_is_no_command_is_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    code, out, err = ran(capsys, "--home", str(tmp_path), *arguments)
    assert (2, "") == (code, out)
    assert (1, True) == (err.count("\n"), err.startswith("mailio: "))
    code, out, again = ran(capsys, "--home", str(tmp_path), *arguments, "--json")
    assert (2, err) == (code, again)
    assert {"code", "text", "remedy"} == json.loads(out)["error"].keys()


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert (0, f"mailio {node.__version__}\n", "") == ran(capsys, "--version")
    assert (0, {"version": node.__version__}) == (ran(capsys, "--version", "--json")[0], _version(capsys))
    for arguments in ((), ("--help",), ("send", "--help"), ("handshake", "accept", "--help")):
        code, out, err = ran(capsys, *arguments)
        assert (0, True, "") == (code, "Usage: mailio" in out, err)


def _version(capsys: pytest.CaptureFixture[str]) -> object:
    return json.loads(ran(capsys, "--json", "--version")[1])


def test_settings_are_set_shown_and_taken_back(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def shown() -> dict[str, object]:
        _, out, _ = ran(capsys, "--home", str(tmp_path), "config", "show", "network.bootstrap", "--json")
        found: dict[str, object] = json.loads(out)["network.bootstrap"]
        return found

    def change(*arguments: str) -> int:
        return ran(capsys, "--home", str(tmp_path), "config", *arguments)[0]

    first = "/ip4/192.0.2.1/tcp/4101/p2p/12D3KooWLSQcqhJ18fUQ9PkFxuQC3qzY8infGG69voNXYdaUj3RW"
    before = shown()
    assert {"value", "default", "source", "help"} == before.keys()
    assert change("set", "network.bootstrap", f"{first},{first}") == 0
    assert shown()["value"] == [first, first]
    assert change("unset", "network.bootstrap") == 0
    assert shown() == before


def test_a_fault_nobody_foresaw_shows_no_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILIO_DEBUG", raising=False)
    monkeypatch.setattr("node.runtime.config.describe", lambda _: 1 / 0)
    code, out, err = ran(capsys, "--home", str(tmp_path), "config", "show", "--json")
    assert (1, "internal") == (code, json.loads(out)["error"]["code"])
    assert ("Traceback" in err, err.count("\n")) == (False, 1)
