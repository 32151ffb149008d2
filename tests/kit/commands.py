"""Runs the `mailio` command with a home and an environment of its own, here or in a process of its own."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.cli.main import run

COMMAND = [sys.executable, "-c", "import sys; sys.argv[0] = 'mailio'; from node.cli.main import main; main()"]

PATIENCE_S = 120
"""Seconds after which a command is taken to hang, on the busiest machine."""

PASSWORD = "correct horse 7"
"""What a person gives a command to keep, and none may show."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its one JSON value."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error that it told, which is one line for the person too."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("mailio: ")
        return self.json["error"]


def environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """No settings of whoever runs the tests; a free port on loopback; nobody to join."""
    # A process without compiled modules spends seconds on compiling them.
    unwanted = ("MAILIO_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    ours = {
        "MAILIO_HOME": str(home),
        "MAILIO_NETWORK_LISTEN": "/ip4/127.0.0.1/tcp/0",
        "MAILIO_SMTP_PORT": "0",
        "MAILIO_SUBMISSION_PORT": "0",
        "MAILIO_HTTP_PORT": "0",
        "MAILIO_NETWORK_BOOTSTRAP": "",
        "PYTHONPATH": str(Path.cwd()),
        "COLUMNS": "80",
    }
    return kept | ours | dict(extra or {})


class Commands:
    """Runs commands in this process, one after the other: quick. Only a node needs a process of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(
        self, home: Path, *arguments: str, stdin: str = "", extra: Mapping[str, str] | None = None
    ) -> Done:
        """Run a command to its end."""
        with self._monkeypatch.context() as patch:
            for name, value in environment(home, extra).items():
                patch.setenv(name, value)
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            self._capsys.readouterr()
            code = run(arguments)
        captured = self._capsys.readouterr()
        return Done(code, captured.out, captured.err)


@contextmanager
def running(home: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[bytes]", Any]]:
    """A node in a process of its own, and what it said when it was up. Killed at the end if it still runs."""
    command = [*COMMAND, *(arguments or ("run",)), "--json"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(home),
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.stderr.read().decode() if process.stderr else ""
            yield process, json.loads(line)
        finally:
            process.kill()
