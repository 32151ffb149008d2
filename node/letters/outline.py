"""Where a message's parts begin and end in its bytes, which the standard parser does not tell. Hostile input:
run it in the worker process; it imports little. It finds just the leaves that structure.py finds.
"""

import email.policy
import re
from dataclasses import dataclass
from email.feedparser import BytesFeedParser
from typing import Final

from node.letters import limits
from node.letters.structure import Budget, Part, header_end
from protocol.errors import RemoteProtocolError

_DASHES: Final = b"--"
_LINE: Final = re.compile(rb"([^\r\n]*+)(?:\r\n|\r|\n)?")
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_HEADER_LINE: Final = re.compile(rb"(?:From |[\x21-\x39\x3b-\x7e]*+:|[\t ])[^\r\n]*+(?:\r\n|\r|\n)?")
"""What the standard parser takes for a line of a header."""

_MAX_BLOCK: Final = 2 * limits.MAX_ALL_HEADER_BYTES
"""Of one header block: more than the limit of all, in which not all of a line is counted."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that holds something. `part` has its header only, its bytes are `start` to `end`."""

    part: Part
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Outline:
    """A message's leaves in order; `root` is its own header, from `body` on it has none."""

    root: Part
    body: int
    leaves: tuple[Leaf, ...]


def read_outline(raw: bytes) -> Outline:
    """In time linear in its size. Raises RemoteProtocolError beyond a limit."""
    limits.check_size(raw)
    header_end(raw)
    return _Scan(raw).outline()


@dataclass(frozen=True, slots=True)
class _Mark:
    """A line that is a boundary of the multipart `depth`."""

    start: int
    end: int
    depth: int
    closing: bool


@dataclass(slots=True)
class _Multipart:
    """One that is open. `body` is where it begins, `found` whether a part of it was."""

    part: Part
    body: int
    texts: tuple[bytes, ...]
    found: bool = False


class _Scan:
    """Goes through a message from boundary to boundary. As the standard parser has it, an outer boundary
    counts before an inner one, and behind the closing line of a multipart only outer ones count.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._budget = Budget()
        self._open: list[_Multipart] = []
        self._known: dict[bytes, tuple[int, bool]] = {}  # text behind the dashes → (depth, closing)
        self._next_lf = self._next_cr = -1
        self._leaves: list[Leaf] = []

    def outline(self) -> Outline:
        root, body = self._header(0)
        mark = self._body(root, body)
        while mark is not None:
            mark = self._go_on(mark)
        self._close(0, len(self._raw))
        return Outline(root, body, tuple(self._leaves))

    def _go_on(self, mark: _Mark) -> _Mark | None:
        """What begins behind a boundary line, up to the next one."""
        self._close(mark.depth + 1, mark.start)
        if mark.closing:
            self._close(mark.depth, mark.start)
            return self._next(mark.end)
        self._open[mark.depth].found = True
        position = mark.end
        while (again := self._mark(position)) is not None and again.depth == mark.depth:
            position = again.end
        return self._body(*self._header(position))

    def _close(self, depth: int, end: int) -> None:
        """Multiparts from `depth` on are over. One in which no part was found is a leaf."""
        for multipart in self._open[depth:]:
            if not multipart.found:
                self._leaves.append(Leaf(multipart.part, multipart.body, end))
            for text in multipart.texts:
                del self._known[text]
        del self._open[depth:]

    def _body(self, part: Part, start: int) -> _Mark | None:
        """Takes in a part whose body begins at `start`; the boundary line behind it, or before its first."""
        multipart = part.media_type.startswith("multipart/")
        boundary = part.get_boundary() if multipart else None
        if boundary is not None:
            self._enter(part, start, boundary.encode("ascii", "surrogateescape"))
            return self._next(start)
        mark = self._next(start)
        end = len(self._raw) if mark is None else mark.start
        if self._open and not multipart:  # the line end before a boundary belongs to it (RFC 2046 §5.1.1)
            end = max(start, self._before_line_end(end))
        self._leaves.append(Leaf(part, start, end))
        return mark

    def _enter(self, part: Part, body: int, boundary: bytes) -> None:
        depth = len(self._open)
        texts = tuple(text for text in (boundary, boundary + _DASHES) if text not in self._known)
        self._known.update((text, (depth, text != boundary)) for text in texts)
        self._open.append(_Multipart(part, body, texts))

    def _before_line_end(self, end: int) -> int:
        tail = self._raw[max(0, end - 2) : end]
        return end - len(tail) if tail == b"\r\n" else end - tail.endswith((b"\r", b"\n"))

    def _header(self, start: int) -> tuple[Part, int]:
        """The part that begins at `start`, and where its body does. Raises RemoteProtocolError."""
        if len(self._open) > limits.MAX_DEPTH:
            raise RemoteProtocolError(f"the message is nested more than {limits.MAX_DEPTH} deep")
        last = position = start
        while (line := _HEADER_LINE.match(self._raw, position)) and self._mark(position) is None:
            last, position = position, line.end()
            if position - start > _MAX_BLOCK:
                raise RemoteProtocolError("a part's header is too long")
        block = self._raw[start:position]
        if last > start and self._raw.startswith(b"From ", last):  # taken for the body's first line
            return self._parsed(block), last
        separator = _LINE_END.match(self._raw, position)
        return self._parsed(block), separator.end() if separator else position

    def _parsed(self, block: bytes) -> Part:
        parser = BytesFeedParser(lambda: Part(self._budget), policy=email.policy.compat32)
        parser.feed(block + b"\r\n\r\n")
        part = parser.close()
        assert isinstance(part, Part)
        return part

    def _next(self, line: int) -> _Mark | None:
        """The first boundary line from the line on that begins at `line`."""
        while self._known and line < len(self._raw):
            mark = self._mark(line)
            if mark is not None:
                return mark
            if self._next_lf < line:
                self._next_lf = self._find(b"\n--", line)
            if self._next_cr < line:  # looked for apart, so that no byte is looked at twice
                self._next_cr = self._find(b"\r--", line)
            line = min(self._next_lf, self._next_cr) + 1
        return None

    def _find(self, needle: bytes, start: int) -> int:
        found = self._raw.find(needle, start)
        return found if found >= 0 else len(self._raw)

    def _mark(self, start: int) -> _Mark | None:
        """The line that begins at `start`, if it is a boundary of any multipart that is open."""
        if not self._raw.startswith(_DASHES, start):
            return None
        line = _LINE.match(self._raw, start)
        assert line is not None
        known = self._known.get(line[1].rstrip(b" \t")[len(_DASHES) :])
        return None if known is None else _Mark(start, line.end(), *known)
