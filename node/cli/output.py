"""The one place that writes to standard output: JSON for programs, tables and sentences for people."""

from __future__ import annotations

import json as codec
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from node.cli.text import ago, clean, date

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

COLUMN_GAP: Final = 2
"""Spaces between two columns of a table."""

LEAST_COLUMN: Final = 8
"""Characters that a column keeps however narrow the terminal is."""

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
    """A line for the person, beside the result."""
    sys.stderr.write(clean(text) + "\n")


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


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, flexible: Sequence[int] = ()) -> None:
    """A table on a terminal; elsewhere tab-separated lines without a head, for cut and awk. Columns in
    `flexible` give way first where the terminal is narrow.
    """
    if not sys.stdout.isatty():
        for row in rows:
            write_line("\t".join(clean(cell) for cell in row))
        return
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    cells = [[one if isinstance(one, Text) else text(one) for one in row] for row in rows]
    needs = [max(cell_len(str(one)) for one in column) for column in zip(columns, *cells, strict=True)]
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name, width in zip(columns, widths(needs, flexible, console().width), strict=True):
        shown.add_column(name, width=width, overflow="ellipsis", no_wrap=True)
    for row in cells:
        shown.add_row(*row)
    show(shown)


def widths(needs: Sequence[int], flexible: Sequence[int], width: int) -> list[int]:
    """Columns' widths: all that they need where there is room, else the widest flexible ones give way."""
    found = list(needs)
    over = sum(found) + COLUMN_GAP * (len(found) - 1) - width
    while over > 0:
        widest = max(flexible, key=lambda n: found[n], default=None)
        if widest is None or found[widest] <= LEAST_COLUMN:
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
