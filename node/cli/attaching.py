"""The files that `send` takes along: from a disk to the node, piece by piece, with progress on a terminal."""

from __future__ import annotations

import mimetypes
import os
import stat as modes
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from node.cli.client import Question
from node.cli.output import progress
from node.cli.session import Session
from node.runtime.errors import UsageError

MAX_FILES: Final = 100
"""Files of one letter, as many as the node takes."""

SLOWEST: Final = 20_000_000
"""Bytes of attachments a second that a slow machine reads once more, or brings to its disk."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A file to be handed in; opened, so that it is the same one to the end."""

    name: str
    size: int
    file: IO[bytes]


@contextmanager
def opened(paths: Sequence[str]) -> Iterator[list[Handed]]:
    """The files that go with a letter. Raises UsageError for one that can't be read."""
    if len(paths) > MAX_FILES:
        text = f"a letter has {MAX_FILES} attachments at most, and these are {len(paths)}"
        raise UsageError("attachment", text, "put them into an archive, or send several letters")
    with ExitStack() as files:
        yield [_open(Path(path), files) for path in paths]


def _open(path: Path, files: ExitStack) -> Handed:
    try:
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "is no file" if path.exists() else "is not there"
            raise UsageError("attachment", f"{path} {what}", "name a file; a directory goes as an archive")
        # What became a pipe since would wait for whoever writes into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        file = files.enter_context(os.fdopen(descriptor, "rb"))
        status = os.fstat(descriptor)
        ordinary = modes.S_ISREG(status.st_mode) and (status.st_size or not file.peek(1))
    except OSError as error:
        raise UsageError("attachment", f"can't read {path}: {error.strerror or error}") from error
    if not ordinary:  # some of the system's files say that they are empty
        raise UsageError("attachment", f"{path} is no ordinary file", "copy it into one")
    return Handed(path.name, status.st_size, file)


def hand_in(session: Session, files: Sequence[Handed]) -> list[str]:
    """Give them to the node; their ids. Raises NodeError."""
    ids = []
    for one in files:
        with progress(session, f"reading {one.name}", one.size) as advance:
            question = Question(
                "POST",
                "/api/v1/attachment",
                {"filename": one.name.encode(errors="replace").decode(), "mediaType": _kind(one.name)},
                file=_Counted(one.file, advance),
                size=one.size,
                patience=one.size / SLOWEST,
            )
            ids.append(session.call(question)["id"])
    return ids


def _kind(name: str) -> str:
    """The media type that a name's ending stands for; "" where that is compressed, or not known."""
    kind, compressed = mimetypes.guess_type(name)
    return "" if compressed or kind is None else kind


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, file: IO[bytes], advance: Callable[[int], None]) -> None:
        self._file = file
        self._advance = advance

    def read(self, length: int) -> bytes:
        piece = self._file.read(length)
        self._advance(len(piece))
        return piece
