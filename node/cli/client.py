"""Asks the running node over its Unix socket: one request, one answer. What is asked is the commands'.

Written by hand over a socket: the standard client costs a command 40 ms of imports.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from node.runtime.errors import NodeError, UsageError
from node.runtime.home import Home

TIMEOUT_S: Final = 30.0
"""Seconds without a byte after which the node is taken to hang; it answers in milliseconds."""

MAX_ANSWER: Final = 64 * 1024 * 1024
"""Bytes of an answer: a message of 32 MiB with its text in JSON's longer spelling."""

MAX_HEAD: Final = 65_536
"""Bytes of an answer's head."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request; `params` go into the address, `body` as JSON. `patience` in seconds is added to the
    time an answer may take.
    """

    method: str
    path: str
    params: dict[str, Any] | None = None
    body: Any = None
    patience: float = 0.0

    @property
    def target(self) -> str:
        given = {name: _param(value) for name, value in (self.params or {}).items() if value is not None}
        return self.path + (f"?{urlencode(given)}" if given else "")

    @property
    def content(self) -> bytes:
        return b"" if self.body is None else json.dumps(self.body).encode()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    content: bytes

    def value(self) -> Any:
        """The answer's JSON. Raises the error that it carries."""
        if self.status < 400:
            return json.loads(self.content)
        raise self.fault()

    def fault(self) -> NodeError:
        try:
            error = json.loads(self.content)["error"]
            code, text, remedy = (str(error[name]) for name in ("code", "text", "remedy"))
        except (ValueError, KeyError, TypeError):
            return NodeError("answer", f"the node answered with an error ({self.status}) and no reason")
        return (UsageError if self.status == 400 else NodeError)(code, text, remedy)


class NotRunning(Exception):  # noqa: N818 - a state, not a mistake
    """Nobody listens on the home's socket."""


def ask(home: Home, question: Question) -> Answer:
    """Ask the node that runs in this home. Raises NotRunning, NodeError."""
    with _connect(home.socket_path, question.patience) as connection:
        try:
            connection.sendall(_head(question) + question.content)
            return _read(connection)
        except TimeoutError:
            raise NodeError(
                "node-hangs", "the node does not answer", "look at its log, or restart it"
            ) from None
        except OSError as error:
            raise NodeError(
                "node-gone", f"the node ended while it was asked ({error.strerror or error})", "mailio status"
            ) from error


def _connect(path: Path, patience: float) -> socket.socket:
    _require_ours(path)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(TIMEOUT_S + patience)
    try:
        connection.connect(os.fspath(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        raise NotRunning from None
    except OSError as error:
        connection.close()
        raise NodeError("socket", f"can't reach the node at {path}: {error.strerror or error}") from error
    return connection


def _require_ours(path: Path) -> None:
    """A socket of someone else would get our letters to read."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        raise NotRunning from None
    except OSError as error:
        remedy = "choose another --home, or ask whose this one is"
        raise NodeError("socket", f"can't look at {path}: {error.strerror or error}", remedy) from error
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.getuid():
        raise NodeError("socket", f"{path} is not a socket of yours", "remove it, or choose another --home")


def _head(question: Question) -> bytes:
    lines = [
        f"{question.method} {question.target} HTTP/1.1",
        "Host: mailio",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(question.content)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _read(connection: socket.socket) -> Answer:
    data = bytearray()
    while chunk := connection.recv(65_536):
        data += chunk
        if len(data) > MAX_ANSWER:
            raise NodeError("answer", "the node's answer is too large")
    head, gap, content = bytes(data).partition(b"\r\n\r\n")
    words = head[:MAX_HEAD].split(b" ", 2)
    fields = dict(_fields(head))
    if not gap or len(words) < 3 or not words[1].isdigit():
        raise NodeError("answer", "the node's answer broke off", "look at its log")
    if fields.get(b"transfer-encoding") == b"chunked":
        content = _unchunked(content)
    elif int(fields.get(b"content-length", b"-1")) not in (-1, len(content)):
        raise NodeError("answer", "the node's answer broke off", "look at its log")
    return Answer(int(words[1]), content)


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    found = []
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        found.append((name.strip().lower(), value.strip().lower()))
    return found


def _unchunked(data: bytes) -> bytes:
    parts: list[bytes] = []
    position = 0
    with suppress(ValueError):
        while True:
            end = data.index(b"\r\n", position)
            length = int(data[position:end], 16)
            if length == 0:
                return b"".join(parts)
            parts.append(data[end + 2 : end + 2 + length])
            position = end + 2 + length + 2
    raise NodeError("answer", "the node's answer broke off", "look at its log")


def _param(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
