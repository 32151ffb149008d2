"""Asks the running node over its Unix socket: one request, one answer. What is asked is the commands'.

Written by hand over a socket: the standard client costs a command 40 ms of imports.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from node.runtime.errors import NodeError, UsageError
from node.runtime.home import Home

TIMEOUT_S: Final = 30.0
"""Seconds without a byte after which the node is taken to hang; it answers in milliseconds."""

MAX_ANSWER: Final = 64 * 1024 * 1024
"""Bytes of an answer that is held: the text of a message of 32 MiB in JSON's longer spelling."""

MAX_HEAD: Final = 65_536
"""Bytes of an answer's head."""

PIECE: Final = 262_144
"""Bytes sent or read at once."""

Take = Callable[[bytes], None]
"""Is given an answer's content piece by piece."""


def by_line(heard: Callable[[Any], None]) -> Take:
    """Hands each line of an answer on, as JSON. Raises NodeError for one that tells of a fault."""
    rest = bytearray()

    def take(piece: bytes) -> None:
        rest.extend(piece)
        while (end := rest.find(b"\n")) >= 0:
            line = json.loads(rest[:end])
            del rest[: end + 1]
            if "error" in line:
                raise NodeError(*(str(line["error"][name]) for name in ("code", "text", "remedy")))
            heard(line)

    return take


class Source(Protocol):
    """A file, as far as it is sent."""

    def read(self, length: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Question:
    """One request; `params` go into the address, `body` as JSON. In place of a body it may have a `file` of
    which `size` bytes are sent. `patience` in seconds is added to the time an answer may take.
    """

    method: str
    path: str
    params: dict[str, Any] | None = None
    body: Any = None
    patience: float = 0.0
    file: Source | None = None
    size: int = 0

    @property
    def target(self) -> str:
        query = self.query
        return f"{self.path}?{query}" if query else self.path

    @property
    def query(self) -> str:
        given = {name: _param(value) for name, value in (self.params or {}).items() if value is not None}
        return urlencode(given)

    @property
    def kind(self) -> str:
        return "application/json" if self.file is None else "application/octet-stream"

    @property
    def content(self) -> bytes:
        return b"" if self.body is None else json.dumps(self.body).encode()

    @property
    def length(self) -> int:
        return self.size if self.file is not None else len(self.content)

    def pieces(self) -> Iterator[bytes]:
        """The request's content. Raises NodeError where the file has become shorter."""
        if self.file is None:
            yield self.content
            return
        left = self.size
        while left:
            try:
                piece = self.file.read(min(PIECE, left))
            except OSError as error:
                raise NodeError("file", f"the file can't be read: {error.strerror or error}") from error
            if not piece:
                raise NodeError("file", "the file became shorter while it was read", "try again")
            left -= len(piece)
            yield piece


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


def ask(home: Home, question: Question, take: Take | None = None) -> Answer:
    """Ask the node that runs in this home. `take` gets the content of a good answer, which is not held then.
    Raises NotRunning, NodeError, and what `take` does.
    """
    with _connect(home.socket_path, question.patience) as connection:
        _send(connection, question)
        return _receive(connection, take)


@contextmanager
def _talking() -> Iterator[None]:
    """What goes wrong on the socket, as a fault of the node."""
    try:
        yield
    except TimeoutError:
        raise NodeError("node-hangs", "the node does not answer", "look at its log, or restart it") from None
    except OSError as error:
        text = f"the node ended while it was asked ({error.strerror or error})"
        raise NodeError("node-gone", text, "mailio status") from error


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


def _send(connection: socket.socket, question: Question) -> None:
    """A node that refuses in the middle of a file has said why before it hangs up."""
    with _talking():
        connection.sendall(_head(question))
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in question.pieces():
                connection.sendall(piece)


def _head(question: Question) -> bytes:
    lines = [
        f"{question.method} {question.target} HTTP/1.1",
        "Host: mailio",
        "Connection: close",
        f"Content-Type: {question.kind}",
        f"Content-Length: {question.length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _receive(connection: socket.socket, take: Take | None) -> Answer:
    status, fields, rest = _read_head(connection)
    pieces = _content(connection, fields, rest)
    if take is None or status >= 400:
        return Answer(status, _held(pieces))
    for piece in pieces:
        take(piece)
    return Answer(status, b"")


def _more(connection: socket.socket) -> bytes:
    with _talking():
        return connection.recv(PIECE)


def _held(pieces: Iterator[bytes]) -> bytes:
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > MAX_ANSWER:
            raise NodeError("answer", "the node's answer is too large")
    return bytes(data)


def _read_head(connection: socket.socket) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, fields, and what came behind the head."""
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        chunk = _more(connection)
        if not chunk or len(data) > MAX_HEAD:
            raise _broken()
        data += chunk
    lines = bytes(data[:end]).split(b"\r\n")
    words = lines[0].split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        raise _broken()
    split = (line.partition(b":") for line in lines[1:])
    fields = {name.strip().lower(): value.strip().lower() for name, _, value in split}
    return int(words[1]), fields, bytes(data[end + 4 :])


def _content(connection: socket.socket, fields: dict[bytes, bytes], rest: bytes) -> Iterator[bytes]:
    """The content, whole. Raises NodeError where it breaks off."""
    if fields.get(b"transfer-encoding") == b"chunked":
        yield from _unchunked(connection, rest)
        return
    length = fields.get(b"content-length", b"")
    left = int(length) if length.isdigit() else None
    while left != 0:
        piece = rest or _more(connection)
        rest = b""
        if not piece and left is None:
            return
        if not piece or (left is not None and len(piece) > left):
            raise _broken()
        left = None if left is None else left - len(piece)
        yield piece


def _unchunked(connection: socket.socket, rest: bytes) -> Iterator[bytes]:
    data = bytearray(rest)

    def fill(length: int) -> None:
        while len(data) < length:
            chunk = _more(connection)
            if not chunk:
                raise _broken()
            data.extend(chunk)

    while True:
        while (end := data.find(b"\r\n")) < 0:
            fill(len(data) + 1)
        length = _hexadecimal(bytes(data[:end]))
        fill(end + 2 + length + 2)
        if length == 0:
            return
        yield bytes(data[end + 2 : end + 2 + length])
        del data[: end + 2 + length + 2]


def _hexadecimal(text: bytes) -> int:
    try:
        length = int(text.partition(b";")[0], 16)
    except ValueError:
        raise _broken() from None
    if not 0 <= length <= MAX_ANSWER:
        raise _broken()
    return length


def _broken() -> NodeError:
    return NodeError("answer", "the node's answer broke off", "look at its log")


def _param(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
