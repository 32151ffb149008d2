"""Commands, run in this process."""

import pytest

from tests.kit.commands import Commands


@pytest.fixture
def mailio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(monkeypatch, capsys)
