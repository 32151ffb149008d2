"""`mailio doctor`: looks at everything that can be wrong, and says what mends it."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from textwrap import wrap
from typing import Any, Final

import typer

from node.cli.client import Question, by_line
from node.cli.output import INTERRUPT, folded, show, text, write_json, write_line
from node.cli.session import Session, command
from node.cli.text import clean

TITLES: Final = {"node": "This node", "network": "Other nodes", "mail": "Ordinary e-mail"}

STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}

NARROW: Final = 64
"""Columns of a terminal below which what was found stands under its name."""

STATE: Final = 6
"""Columns of a state and the space behind it."""

RECORD: Final = "publish: "
"""What comes before a record of the DNS, which is copied as it is and so is never broken."""


def register(app: typer.Typer) -> None:
    command(app, "doctor")(doctor)


def doctor(session: Session) -> None:
    """Look at what can be wrong, from the clock to the DNS, and say what mends it. Sends no mail."""
    found = _examined(session)
    if session.json:
        write_json(found)
    else:
        _show(found)
    if any(check["state"] == "fail" for check in found):
        raise typer.Exit(1)


def _examined(session: Session) -> list[dict[str, str]]:
    """All checks, in the order in which they are read."""
    progress = _Progress() if sys.stderr.isatty() and not session.json else None
    names: list[str] = []
    checks: dict[str, list[dict[str, str]]] = {}

    def heard(line: Any) -> None:
        if "looks" in line:
            names.extend(line["looks"])
        else:
            checks[line["look"]] = line["checks"]
        if progress:
            progress.say(names, [name for name in names if name not in checks])

    try:
        session.take(Question("GET", "/local/doctor"), by_line(heard))
    finally:
        if progress:
            progress.clear()
    return [check for name in names for check in checks.get(name, [])]


class _Progress:
    """One line that says what is still waited for."""

    def __init__(self) -> None:
        self._width = 0

    def say(self, names: list[str], waiting: list[str]) -> None:
        done = len(names) - len(waiting)
        left = f", waiting for {', '.join(waiting)}" if waiting else ""
        line = f"{done} of {len(names)} looked at{left}"
        room = shutil.get_terminal_size().columns - INTERRUPT
        self._write(clean(line if len(line) <= room else line[: room - 1] + "…"))

    def clear(self) -> None:
        self._write("")
        sys.stderr.write("\r")
        sys.stderr.flush()

    def _write(self, line: str) -> None:
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)


def _show(found: list[dict[str, str]]) -> None:
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    for about, group in groupby(found, lambda check: check["check"].partition("/")[0]):
        checks = list(group)
        name_width = max(len(_name(check)) for check in checks) + 2
        write_line(clean(TITLES.get(about, about)))
        for check in checks:
            _show_check(check, name_width, columns)
        write_line()
    write_line(folded(_summary(found), sys.stdout))


def _show_check(check: dict[str, str], name_width: int, columns: int) -> None:
    state, name = check["state"], _name(check)
    head = text("  ").append(text(state.ljust(STATE), STYLES.get(state, "")))
    indent = 2 + STATE + (name_width if columns >= NARROW else 0)
    lines = _folded(clean(check["text"]), indent, columns)
    lines += _remedy(clean(check["remedy"]), indent, columns)
    head.append(name.ljust(name_width) + lines.pop(0).lstrip() if columns >= NARROW else name)
    show(head) if sys.stdout.isatty() else write_line(head.plain)
    for line in lines:
        write_line(line)


def _remedy(remedy: str, indent: int, columns: int) -> Iterator[str]:
    """A record of the DNS has a line of its own, whole: it is copied from there."""
    if not remedy:
        return
    before, mark, record = remedy.partition(RECORD)
    yield from _folded(f"→ {before}{mark}".rstrip(), indent, columns, more="  ", whole=True)
    if record:
        yield record


def _folded(words: str, indent: int, columns: int, more: str = "", *, whole: bool = False) -> list[str]:
    """`whole`: words longer than a line stay in one piece, as commands and names are copied."""
    space = " " * indent
    if columns == sys.maxsize:
        return [space + words]
    return wrap(
        words,
        columns,
        initial_indent=space,
        subsequent_indent=space + more,
        break_long_words=not whole,
        break_on_hyphens=False,
    )


def _summary(found: list[dict[str, str]]) -> str:
    counts = Counter(check["state"] for check in found)
    words = {"fail": "to mend", "warn": "to look at"}
    wrong = [f"{counts[state]} {word}" for state, word in words.items() if counts[state]]
    skipped = f"; {counts['skip']} skipped, for what is not set up" if counts["skip"] else ""
    return (", ".join(wrong) or "Nothing to mend") + skipped + "."


def _name(check: dict[str, str]) -> str:
    return clean(check["check"].partition("/")[2])
