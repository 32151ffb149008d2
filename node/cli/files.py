"""`mailio save`: from the node to a disk, piece by piece, with progress on a terminal."""

from __future__ import annotations

import errno
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, Final
from urllib.parse import quote

import typer

from node.cli.attaching import SLOWEST
from node.cli.client import Question
from node.cli.output import note, progress, write_json, write_line
from node.cli.session import INTERRUPTED, Session, command
from node.cli.text import clean, duration_ms, size
from node.runtime.errors import NodeError, UsageError
from node.runtime.rooms import many

STEP_S: Final = 1.0
"""Seconds of one question to the node while files are fetched."""

MAX_SAME: Final = 1_000
"""Files of one name in a directory; then another directory is the better way."""

MAX_NAME_BYTES: Final = 255
"""Of a file's name on the disks that there are."""

MAX_ENDING_BYTES: Final = 20
"""Of what is taken for a name's ending; what is longer is a name with a dot in it."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

LetterId = Annotated[
    str, typer.Argument(metavar="ID", help="A letter's id, or how it begins; see: mailio list.")
]
Directory = Annotated[
    str, typer.Argument(metavar="DIR", help="Where the files go. Nothing there is replaced.")
]
Wait = Annotated[str, typer.Option("--wait", metavar="D", help="How long to wait while nothing comes.")]


def register(app: typer.Typer) -> None:
    command(app, "save")(save)


def save(session: Session, letter: LetterId, directory: Directory, wait: Wait = "30s") -> None:
    """Save a letter's files, and have fetched what is not here.

    A file whose name is taken gets a number: a.pdf, then a (2).pdf. What is not what its name says, or runs
    when it is opened, is saved as it is, and you are told.
    """
    target, patience = _directory(directory), duration_ms(wait) / 1000
    found = session.get(f"/api/v1/message/{quote(letter, safe='')}")
    path, files = f"/api/v1/message/{found['id']}", found["attachments"]
    if any(lacking(one) for one in files) and not session.closed:
        files = _fetch(session, path, patience)
    saved = [_save(session, path, one, target) for one in files]
    if session.json:
        write_json(saved)
    elif not files:
        note("the letter has no files")
    if left := [one for one in saved if not one["path"]]:
        for one in left:
            note(f"not saved: {in_line(one)}")
        for remedy in ways_out(left):
            note(remedy)
        if session.closed:
            note("what is not here is fetched while the node runs: mailio run")
        raise typer.Exit(1)


def _directory(text: str) -> Path:
    """Where files can go. Raises UsageError."""
    try:
        if Path(text).is_dir():
            return Path(text)
    except OSError as error:
        raise UsageError("directory", f"can't look at {text}: {error.strerror or error}") from error
    raise UsageError("directory", f"{text} is no directory", "make it, or name another")


def in_line(attachment: dict[str, Any]) -> str:
    """A file and how it stands, in one line."""
    told = _told(attachment["state"], attachment["fetched"] * 100 // max(attachment["size"], 1))
    detail = clean(attachment.get("detail", "")) if attachment["state"] != "complete" else ""
    if detail:
        told = detail if attachment["state"] == "expired" else f"{told}: {detail}"
    standing = ", ".join(part for part in (size(attachment["size"]), told) if part)
    return f"{clean(attachment['filename'])} ({standing})"


def to_mind(attachment: dict[str, Any]) -> list[str]:
    """What to mind of a file before it is opened, a line each."""
    return [f"mind: {clean(one['text'])}" for one in attachment.get("warnings", ())]


def _told(state: str, share: int) -> str:
    """A state in words, with the percentage that has come."""
    return {
        "complete": "",
        "fetching": f"on its way, {share} %",
        "missing": "not here",
        "expired": "no longer kept",
    }.get(state, state)


def ways_out(attachments: list[dict[str, Any]]) -> list[str]:
    """What to do about files that are fetched in vain."""
    return list(dict.fromkeys(one["remedy"] for one in attachments if one["remedy"]))


def lacking(attachment: dict[str, Any]) -> bool:
    """Whether not all of it is here."""
    return bool(attachment["state"] != "complete")


def _fetch(session: Session, path: str, patience: float) -> list[dict[str, Any]]:
    """Have it fetched and wait, as long as something comes. Raises NodeError."""
    files: list[dict[str, Any]] = session.call(Question("POST", f"{path}/fetch"))
    before, since, whole = _come(files), time.monotonic(), sum(one["size"] for one in files)
    told: set[str] = set()
    try:
        with progress(session, f"fetching {_named(files)}", whole, done=before) as advance:
            while any(one["state"] == "fetching" for one in files):
                if time.monotonic() - since > patience:
                    break
                question = Question("GET", f"{path}/attachment", {"wait": STEP_S}, patience=STEP_S)
                files = session.call(question)
                come = _come(files)
                advance(come - before)
                if come != before:
                    before, since = come, time.monotonic()
                for line in sorted(_waited_for(files) - told):
                    advance.aside(line)
                    told.add(line)
    except KeyboardInterrupt:
        note("")  # after the terminal's ^C
        note("no longer followed; it goes on by itself while the node runs")
        raise typer.Exit(INTERRUPTED) from None
    if any(one["state"] == "fetching" for one in files):
        note("nothing more comes now; the rest is fetched by itself as soon as it can be")
    return files


def _named(files: list[dict[str, Any]]) -> str:
    """What is fetched: the one file's name, or how many there are."""
    names = [one["filename"] for one in files if lacking(one)]
    return str(names[0]) if len(names) == 1 else many(len(names), "file")


def _waited_for(files: list[dict[str, Any]]) -> set[str]:
    """What keeps files away that do not come now."""
    waiting = (one for one in files if one["state"] == "fetching" and one["detail"])
    return {f"waiting for {clean(one['filename'])}: {clean(one['detail'])}" for one in waiting}


def _come(files: list[dict[str, Any]]) -> int:
    return sum(one["fetched"] for one in files)


def _save(session: Session, path: str, attachment: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Save one file, if it is here, and say where; the document with its path, "" where it is not."""
    if lacking(attachment):
        return attachment | {"path": ""}
    name, whole = attachment["filename"], attachment["size"]
    with _new_file(directory, name) as (target, file), progress(session, f"saving {name}", whole) as advance:

        def take(piece: bytes) -> None:
            file.write(piece)
            advance(len(piece))

        session.take(Question("GET", f"{path}/attachment/{attachment['n']}", patience=whole / SLOWEST), take)
    if not session.json:
        write_line(clean(target))
        for line in to_mind(attachment):
            note(f"{clean(target.name)}: {line}")
    return attachment | {"path": str(target)}


@contextmanager
def _new_file(directory: Path, name: str) -> Iterator[tuple[Path, IO[bytes]]]:
    """A file that was not there before, and is not there if the block fails. Its name came from a stranger
    and was made safe by the node; that it stays in its directory is looked at here once more.
    """
    if Path(name).name != name or name in ("", ".", "..") or "\0" in name:
        raise NodeError("file-name", "the node gave a name that is no file's", "please report it")
    target = _taken(directory, name)
    part = directory / f".{secrets.token_hex(8)}.part"
    try:
        with part.open("xb") as file:
            yield target, file
        part.replace(target)
    except BaseException as error:
        part.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(target, error) from error
        raise


def _taken(directory: Path, name: str) -> Path:
    """A name that was free, and is ours: an empty file, in whose place the whole one is put. So one that was
    interrupted is never taken for a whole one.
    """
    for n in range(1, MAX_SAME):
        target = directory / _numbered(name, n)
        try:
            target.open("xb").close()
        except FileExistsError:
            continue
        except OSError as error:
            raise _unwritable(target, error) from error
        return target
    raise NodeError("file", f"{directory} has {MAX_SAME} files of that name", "choose another directory")


def _numbered(name: str, n: int) -> str:
    """The name itself, then with a number before its ending, in the bytes that a name may have."""
    if n == 1:
        return name
    stem, ending = Path(name).stem, Path(name).suffix
    if len(ending.encode()) > MAX_ENDING_BYTES:
        stem, ending = name, ""
    ending = f" ({n}){ending}"
    return stem.encode()[: MAX_NAME_BYTES - len(ending.encode())].decode(errors="ignore") + ending


def _unwritable(target: Path, error: OSError) -> NodeError:
    remedy = "free some space" if error.errno in _FULL else "choose another directory"
    return NodeError("file", f"can't write {target}: {error.strerror or error}", remedy)
