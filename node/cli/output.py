"""The one place that writes to standard output: JSON for programs, tables and sentences for people."""

from __future__ import annotations

import json as codec
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO

from node.cli.text import ago, clean, date
from node.cli.text import size as size_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

NO_SUBJECT: Final = "(no subject)"
"""What stands for an empty subject in a list."""

FIRST_S: Final = 1.0
"""Seconds that work takes before anybody is told how far it is."""

AGAIN_S: Final = 0.2
"""Seconds between two writings of that line."""

RECENT_S: Final = 5.0
"""Seconds over which that line says how fast it is."""

INTERRUPT: Final = 3
"""Columns that a line leaves free: for the cursor, and for the terminal's ^C, which would break it."""

COLUMN_GAP: Final = 2
"""Spaces between two columns of a table."""

LEAST_COLUMN: Final = 8
"""Characters that a column keeps however narrow the terminal is."""

SENTENCE: Final = 12
"""Characters that a column with sentences gets more than one without, where room is short."""

PLAIN_WIDTH: Final = 1_000
"""Characters of a line where nobody's terminal bounds it: columns are not cut for a pipe."""


def write_json(value: Any) -> None:
    """One JSON value on a line; ASCII only, so that it can't steer a terminal."""
    write_line(codec.dumps(value))


def write_line(text: str = "") -> None:
    """A line that is safe as it stands."""
    sys.stdout.write(text + "\n")


def write_raw(data: bytes) -> None:
    """Bytes exactly as they are; on a terminal only what can't steer it."""
    if sys.stdout.isatty():
        sys.stdout.write(clean(data.decode(errors="replace"), lines=True))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(data)


def note(text: str) -> None:
    """A line for the person, beside the result; on a terminal it breaks between words."""
    sys.stderr.write(folded(clean(text), sys.stderr) + "\n")


def folded(text: str, stream: TextIO) -> str:
    """A sentence broken between words where it is longer than the terminal is wide. What has no space,
    such as a link, stays in one piece.
    """
    if not stream.isatty():
        return text
    columns = shutil.get_terminal_size().columns
    if len(text) <= columns:
        return text
    from textwrap import fill

    indent = text[: len(text) - len(text.lstrip())]
    return fill(text, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def when(then: int) -> str:
    """A time (Unix ms) for the reader: as one says it on a terminal, elsewhere as a date."""
    if not then:
        return ""
    return ago(then, int(time.time() * 1000)) if sys.stdout.isatty() else date(then)


def console(*, error: bool = False) -> Console:
    """Rich's console, which is told nothing about markup: text is text."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width, soft_wrap=False)


def show(*renderables: RenderableType) -> None:
    """Print for a person."""
    output = console()
    for one in renderables:
        output.print(one)


def text(value: object, style: str = "") -> Text:
    """Text from anyone, made harmless."""
    from rich.text import Text

    return Text(clean(value), style=style)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    flexible: Sequence[int] = (),
    folds: Sequence[int] = (),
    least: Mapping[int, int] | None = None,
) -> None:
    """A table on a terminal; elsewhere tab-separated lines without a head, for cut and awk. Where the
    terminal is narrow, columns in `flexible` give way first, but keep the characters in `least`; those of
    them that are in `folds` go on in the next line. Columns in which nothing stands are left out, and where
    even so there is no room, each row becomes a few lines.
    """
    if not sys.stdout.isatty():
        for row in rows:
            write_line("\t".join(clean(cell) for cell in row))
        return
    from rich.text import Text

    cells = [[one if isinstance(one, Text) else text(one) for one in row] for row in rows]
    kept = [n for n in range(len(columns)) if any(str(row[n]) for row in cells)]
    names = [columns[n] for n in kept]
    cells = [[row[n] for n in kept] for row in cells]
    gives = [kept.index(n) for n in flexible if n in kept]
    needs = [max(len(name), *(row[n].cell_len for row in cells)) for n, name in enumerate(names)]
    folding = [kept.index(n) for n in folds if n in kept]
    floors = {kept.index(n): floor for n, floor in (least or {}).items() if n in kept}
    width = console().width
    found = widths(needs, gives, width, folding, floors)
    if sum(found) + COLUMN_GAP * (len(found) - 1) > width:
        _blocks(names, cells, width, folding)
    else:
        _grid(names, cells, found, folding)


def _grid(names: list[str], cells: list[list[Text]], found: list[int], folds: list[int]) -> None:
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for n, (name, width) in enumerate(zip(names, found, strict=True)):
        fold = n in folds
        shown.add_column(name, width=width, overflow="fold" if fold else "ellipsis", no_wrap=not fold)
    for row in cells:
        shown.add_row(*(_middle(one, width) for one, width in zip(row, found, strict=True)))
    show(shown)


def _blocks(names: list[str], cells: list[list[Text]], width: int, folds: list[int]) -> None:
    """Rows under each other, one value a line: what a narrow terminal can show of a wide table."""
    head = max(len(name) for name in names) + COLUMN_GAP
    room = max(LEAST_COLUMN, width - head)
    for n, row in enumerate(cells):
        if n:
            write_line()
        for column, (name, one) in enumerate(zip(names, row, strict=True)):
            if not str(one):
                continue
            shown = one
            if column not in folds:
                shown = _middle(one, room)
                shown.truncate(room, overflow="ellipsis")
            for m, line in enumerate(shown.wrap(console(), room)):
                show(text("" if m else name).append(" " * (head if m else head - len(name))) + line)


def _middle(cell: Text, width: int) -> Text:
    """What is one long word, as addresses and ids are, keeps its beginning and its end."""
    word = str(cell)
    if len(word) <= width or " " in word or not word.isascii():
        return cell
    tail = (width - 1) // 2
    return text(word[: width - 1 - tail] + "…" + word[len(word) - tail :], str(cell.style))


def widths(
    needs: Sequence[int],
    flexible: Sequence[int],
    width: int,
    folds: Sequence[int] = (),
    least: Mapping[int, int] | None = None,
) -> list[int]:
    """Columns' widths: all that they need where there is room, else the widest flexible ones give way,
    those that fold less than others, since sentences stand in them, and none below its `least`.
    """
    floors = least or {}
    found = list(needs)
    over = sum(found) + COLUMN_GAP * (len(found) - 1) - width
    while over > 0:
        widest = max(
            (n for n in flexible if found[n] > max(LEAST_COLUMN, floors.get(n, 0))),
            key=lambda n: found[n] - SENTENCE * (n in folds),
            default=None,
        )
        if widest is None:
            break
        found[widest] -= 1
        over -= 1
    return found


def pairs(rows: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line; a value that is a list continues on the next lines."""
    found = [(name, value if isinstance(value, list | tuple) else [value]) for name, value in rows]
    width = max((len(name) for name, _ in found), default=0) + 2
    for name, values in found:
        for n, value in enumerate(values or [""]):
            write_line(f"{(name if n == 0 else '').ljust(width)}{clean(value)}".rstrip())


@contextmanager
def progress(session: Reader, what: str, whole: int, done: int = 0) -> Iterator[Progress]:
    """A line on a person's terminal that says how far some work is, once it has taken a second; `whole` and
    `done` in bytes. Gives what is to be told of each piece.
    """
    bar = _Bar(clean(what), whole, done) if sys.stderr.isatty() and not session.json else Progress()
    try:
        yield bar
    finally:
        bar.clear()


class Reader(Protocol):
    """Who reads what is written."""

    @property
    def json(self) -> bool: ...


class Progress:
    """Of some work, where nobody sees it."""

    def __call__(self, size: int) -> None:
        """So many bytes more are done."""

    def aside(self, text: str) -> None:
        """A line for the person beside it."""

    def clear(self) -> None:
        """Nothing of it stands there any more."""


class _Bar(Progress):
    """One line, written anew a few times a second."""

    def __init__(self, what: str, whole: int, done: int) -> None:
        self._what = what
        self._whole = whole
        self._done = done
        self._seen = deque([(time.monotonic(), done)])
        self._next = time.monotonic() + FIRST_S
        self._width = 0

    def __call__(self, size: int) -> None:
        self._done += size
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + AGAIN_S
        share = min(100, self._done * 100 // max(self._whole, 1))
        line = f" {share:3} % of {size_of(self._whole)}, {size_of(self._rate(now))}/s"
        room = shutil.get_terminal_size().columns - len(line) - INTERRUPT
        what = self._what if len(self._what) <= room else self._what[: max(0, room - 1)] + "…"
        self._write(what + line)

    def aside(self, text: str) -> None:
        self.clear()
        note(text)

    def clear(self) -> None:
        if self._width:
            self._write("")
            sys.stderr.write("\r")
            sys.stderr.flush()

    def _rate(self, now: float) -> int:
        """Bytes a second, of late: what was waited for before is no part of it."""
        self._seen.append((now, self._done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - RECENT_S:
            self._seen.popleft()
        since, before = self._seen[0]
        return int((self._done - before) / max(now - since, 0.001))  # a clock's tick may pass between two

    def _write(self, line: str) -> None:
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)
