"""Commands, run in this process, and what they are run on."""

from pathlib import Path

import pytest

from tests.kit.commands import PASSWORD, Commands


@pytest.fixture
def mailio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(monkeypatch, capsys)


@pytest.fixture
def home(tmp_path: Path, mailio: Commands) -> Path:
    """A home that was made."""
    path = tmp_path / "home"
    assert mailio(path, "init", "--json").code == 0
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """PASSWORD in a file for --from-file, which nobody else may read."""
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text(PASSWORD + "\n")
    return path
