"""`mailio save` and `mailio files`, and the files that `send` takes along: between a disk and the node, piece
by piece, with progress on a terminal.
"""

from __future__ import annotations

import mimetypes
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Final
from urllib.parse import quote

import typer

from node.cli.client import Question
from node.cli.output import note, pairs, progress, write_json, write_line
from node.cli.session import INTERRUPTED, Session, command, group
from node.cli.text import clean, duration_ms, size
from node.runtime.errors import NodeError, UsageError

STEP_S: Final = 1.0
"""Seconds of one question to the node while files are fetched."""

MAX_SAME: Final = 1_000
"""Files of one name in a directory; then another directory is the better way."""

LetterId = Annotated[
    str, typer.Argument(metavar="ID", help="A letter's id, or how it begins; see: mailio list.")
]
Directory = Annotated[
    str, typer.Argument(metavar="DIR", help="Where the files go. Nothing there is replaced.")
]
Wait = Annotated[
    str, typer.Option("--wait", metavar="D", help="How long to wait for a sender who sends nothing.")
]


@dataclass(frozen=True, slots=True)
class Handed:
    """A file to be handed in; opened, so that it is the same one to the end."""

    name: str
    size: int
    file: IO[bytes]


def register(app: typer.Typer) -> None:
    command(app, "save")(save)
    inner = group("files", "Attachments that this node keeps.", app)
    command(inner, "stat")(stat)


# ---- handing in


def opened(paths: Sequence[str]) -> list[Handed]:
    """The files that go with a letter. Raises UsageError for one that can't be read."""
    return [_open(Path(path).expanduser()) for path in paths]


def _open(path: Path) -> Handed:
    try:
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "is no file" if path.exists() else "is not there"
            raise UsageError("attachment", f"{path} {what}", "name a file; a directory goes as an archive")
        file = path.open("rb")
    except OSError as error:
        raise UsageError("attachment", f"can't read {path}: {error.strerror or error}") from error
    return Handed(path.name, os.fstat(file.fileno()).st_size, file)


def hand_in(session: Session, files: Sequence[Handed]) -> list[str]:
    """Give them to the node; their ids. Raises NodeError."""
    ids = []
    for one in files:
        kind = mimetypes.guess_type(one.name)[0] or ""
        with progress(session, f"reading {one.name}", one.size) as advance, one.file:
            question = Question(
                "POST",
                "/api/v1/attachment",
                {"filename": one.name.encode(errors="replace").decode(), "mediaType": kind},
                file=_Counted(one.file, advance),
                size=one.size,
                patience=STEP_S,
            )
            ids.append(session.call(question)["id"])
    return ids


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, file: IO[bytes], advance: Callable[[int], None]) -> None:
        self._file = file
        self._advance = advance

    def read(self, length: int) -> bytes:
        piece = self._file.read(length)
        self._advance(len(piece))
        return piece


# ---- saving


def save(session: Session, letter: LetterId, directory: Directory, wait: Wait = "30s") -> None:
    """Save a letter's files, fetching what is missing."""
    target, patience = Path(directory).expanduser(), duration_ms(wait) / 1000
    if not target.is_dir():
        raise UsageError("directory", f"{target} is no directory", "make it, or name another")
    found = session.get(f"/api/v1/message/{quote(letter, safe='')}")
    path, files = f"/api/v1/message/{found['id']}", found["attachments"]
    if any(_lacking(one) for one in files):
        files = _fetch(session, path, patience)
    saved = [_save(session, path, one, target) for one in files]
    if session.json:
        write_json(saved)
    elif not files:
        note("the letter has no files")
    for one in saved:
        if not session.json and one["path"]:
            write_line(one["path"])
    for one in saved:
        if not one["path"]:
            note(f"not saved: {in_line(one)}")
    if any(not one["path"] for one in saved):
        raise typer.Exit(1)


def in_line(attachment: dict[str, Any]) -> str:
    """A file and how it stands, in one line."""
    whole, state, detail = attachment["size"], attachment["state"], clean(attachment.get("detail", ""))
    if state == "complete":
        told = ""
    elif state == "fetching":
        told = f", on its way ({attachment['fetched'] * 100 // max(whole, 1)} %)"
    else:
        told = {"missing": ", not here", "expired": ", no longer to be had"}.get(state, f", {state}")
    why = f": {detail}" if detail and state != "complete" else ""
    return f"{clean(attachment['filename'])} ({size(whole)}{told}{why})"


def _lacking(attachment: dict[str, Any]) -> bool:
    return bool(attachment["state"] != "complete")


def _fetch(session: Session, path: str, patience: float) -> list[dict[str, Any]]:
    """Have it fetched and wait, as long as something comes. Raises NodeError where no node runs."""
    files: list[dict[str, Any]] = session.call(Question("POST", f"{path}/fetch"))
    before, since = _come(files), time.monotonic()
    with progress(session, "fetching", sum(one["size"] for one in files), done=before) as advance:
        while any(one["state"] == "fetching" for one in files):
            try:
                question = Question("GET", f"{path}/attachment", {"wait": STEP_S}, patience=STEP_S)
                files = session.call(question)
            except KeyboardInterrupt:
                note("\nno longer followed; it goes on by itself while the node runs")
                raise typer.Exit(INTERRUPTED) from None
            come = _come(files)
            advance(come - before)
            if come != before:
                before, since = come, time.monotonic()
            if time.monotonic() - since > patience:
                note("nothing comes; it is fetched by itself once its sender's node is there")
                break
    return files


def _come(files: list[dict[str, Any]]) -> int:
    return sum(one["fetched"] for one in files)


def _save(session: Session, path: str, attachment: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Save one file, if it is here; the document with its path, "" where it is not."""
    if _lacking(attachment):
        return attachment | {"path": ""}
    name, whole = attachment["filename"], attachment["size"]
    with _new_file(directory, name) as (target, file), progress(session, f"saving {name}", whole) as advance:

        def take(piece: bytes) -> None:
            file.write(piece)
            advance(len(piece))

        session.take(Question("GET", f"{path}/attachment/{attachment['n']}", patience=STEP_S), take)
    return attachment | {"path": str(target)}


@contextmanager
def _new_file(directory: Path, name: str) -> Iterator[tuple[Path, IO[bytes]]]:
    """A file that was not there before, and is not there if the block fails. Its name came from a stranger
    and was made safe by the node; that it stays in its directory is looked at here once more.
    """
    if Path(name).name != name or name in ("", ".", ".."):
        raise NodeError("file-name", "the node gave a name that is no file's", "please report it")
    target, file = _created(directory, name)
    try:
        with file:
            yield target, file
    except OSError as error:
        target.unlink(missing_ok=True)
        raise NodeError(
            "file", f"can't write {target}: {error.strerror or error}", "free some space"
        ) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _created(directory: Path, name: str) -> tuple[Path, IO[bytes]]:
    stem, suffix = Path(name).stem, Path(name).suffix
    for n in range(1, MAX_SAME):
        target = directory / (name if n == 1 else f"{stem[: 255 - len(suffix) - 7]} ({n}){suffix}")
        try:
            return target, target.open("xb")
        except FileExistsError:
            continue
        except OSError as error:
            raise NodeError("file", f"can't make {target}: {error.strerror or error}") from error
    raise NodeError("file", f"{directory} has {MAX_SAME} files of that name", "choose another directory")


# ---- the store


def stat(session: Session) -> None:
    """What attachments take, and of how much."""
    found = session.get("/local/files")
    if session.json:
        write_json(found)
        return
    share = found["used"] * 100 // max(found["quota"], 1)
    rows: list[tuple[str, object]] = [
        ("used", f"{size(found['used'])} of {size(found['quota'])} ({share} %); files.quota sets it"),
        ("files", found["files"]),
        ("not whole yet", found["incomplete"]),
        ("served", f"{found['blocksServed']} blocks, {size(found['bytesServed'])}, since the start"),
    ]
    pairs(rows)
    sys.stdout.flush()
