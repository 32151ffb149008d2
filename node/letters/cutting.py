"""Which parts are taken out of a message, and its bytes without them (protocol.md §6). Any range of bytes
goes back exactly where it was; that it is a part's body decides what is shown without it. `find_cuts` is for
the worker process: its input is hostile, it raises RemoteProtocolError or returns.
"""

import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from node.letters.limits import LARGE_PART, LEAST_CUT, MAX_HOLES
from node.letters.outline import Leaf, Outline, read_outline
from node.letters.parse import file_name, file_type, is_body
from protocol.errors import RemoteProtocolError
from protocol.place import MAX_LINE_LENGTH, Encoder, Encoding, Place
from protocol.status import TOO_LARGE

REF_BYTES: Final = 320
"""Of a ref in a letter, its names aside: 257 in the form that it has now."""

PIECE: Final = 1_048_576
"""Stored bytes that are made at once, some more or less."""

_MAX_BLANK: Final = 512
"""Bytes of line ends before or behind base64 that stay in the message; with more it is taken as it stands."""

_BLANK: Final = re.compile(rb"[\r\n]*+")


@dataclass(frozen=True, slots=True)
class Cut:
    """Bytes `start` to `end` of a message, to be stored as `size` bytes. Line ends behind base64 stay in the
    message, so none is its last.

    `filename` is "" for what a reader shows as text, and for a whole body of many parts, of which nothing is
    seen without it. It and `media_type` are safe to show, of 255 bytes at most.
    """

    start: int
    end: int
    size: int
    filename: str
    media_type: str
    encoding: Encoding = Encoding.IDENTITY
    line_length: int = 0
    last_line_end: bool = False

    @property
    def cost(self) -> int:
        """Bytes of its ref at most."""
        return REF_BYTES + len(self.filename.encode()) + len(self.media_type.encode())

    def place(self, offset: int) -> Place:
        """Where it goes, given the offset in the reduced message."""
        return Place(offset, self.encoding, self.line_length, self.last_line_end)


def find_cuts(raw: bytes, room: int) -> tuple[Cut, ...]:
    """The parts to take out, in order: all that are large, then the largest, until what is left and the refs
    have `room` bytes at most; if that is not enough, all that is behind the header. In time linear in the
    message's size. Raises RemoteProtocolError, TOO_LARGE where nothing is enough.
    """
    outline = read_outline(raw)
    named = _named(outline)
    named.sort(key=lambda each: each[0].end - each[0].start, reverse=True)
    cuts: list[Cut] = []
    used = len(raw)
    for leaf, filename in named[:MAX_HOLES]:
        size = leaf.end - leaf.start
        if size < LEAST_CUT or (size <= LARGE_PART and used <= room):
            break
        cut = _cut(raw, leaf, filename)
        used += cut.cost - (cut.end - cut.start)
        cuts.append(cut)
    if used > room:
        return (_whole_body(raw, outline, room),)
    return tuple(sorted(cuts, key=lambda cut: cut.start))


def _named(outline: Outline) -> list[tuple[Leaf, str]]:
    """Every leaf with the name that it is shown by."""
    found, n = [], 0
    for leaf in outline.leaves:
        body = is_body(leaf.part)
        n += not body
        found.append((leaf, "" if body else file_name(leaf.part, n)))
    return found


def _whole_body(raw: bytes, outline: Outline, room: int) -> Cut:
    size = len(raw) - outline.body
    cut = Cut(outline.body, len(raw), size, "", file_type(outline.root))
    if size < LEAST_CUT or outline.body + cut.cost > room:
        raise RemoteProtocolError("the message's header is too large for a letter", TOO_LARGE)
    return cut


def _cut(raw: bytes, leaf: Leaf, filename: str) -> Cut:
    cut = Cut(leaf.start, leaf.end, leaf.end - leaf.start, filename, file_type(leaf.part))
    if leaf.part.encoding != "base64":
        return cut
    start, end = _without_blank(raw, leaf.start, leaf.end)
    length = _line_length(raw, start, end)
    encoded = replace(cut, start=start, end=end, encoding=Encoding.BASE64, line_length=length)
    size = _checked_size(raw, encoded) if length else 0
    return replace(encoded, size=size) if size else cut


def _without_blank(raw: bytes, start: int, end: int) -> tuple[int, int]:
    """The range without the line ends around its text, unless these are very many."""
    blank = _BLANK.match(raw, start, min(end, start + _MAX_BLANK))
    assert blank is not None
    tail = raw[max(blank.end(), end - _MAX_BLANK) : end]
    return blank.end(), end - len(tail) + len(tail.rstrip(b"\r\n"))


def _line_length(raw: bytes, start: int, end: int) -> int:
    """Characters in the first line; 0 where it is longer than lines may be."""
    first = raw.find(b"\r\n", start, min(end, start + MAX_LINE_LENGTH + 2))
    length = (first if first >= 0 else end) - start
    return length if length <= MAX_LINE_LENGTH else 0


def _checked_size(raw: bytes, cut: Cut) -> int:
    """Bytes that its base64 stands for; 0 unless encoding them gives all of it again, byte for byte."""
    encoder, position, size = Encoder(cut.place(0)), cut.start, 0
    try:
        for piece in decoded(raw, cut):
            text = encoder.feed(piece)
            if not raw.startswith(text, position, cut.end):
                return 0
            position += len(text)
            size += len(piece)
    except binascii.Error:
        return 0
    text = encoder.end()
    return size if raw[position : cut.end] == text else 0


def decoded(raw: bytes, cut: Cut) -> Iterator[bytes]:
    """The bytes to be stored of a cut that `find_cuts` made in this message, in pieces of about 1 MiB."""
    if cut.encoding is Encoding.IDENTITY:
        for start in range(cut.start, cut.end, PIECE):
            yield raw[start : min(start + PIECE, cut.end)]
        return
    # Four lines of any length have a number of characters that can be decoded by itself.
    lines = max(1, PIECE // 3 // (cut.line_length + 2)) * 4
    step = lines * (cut.line_length + 2)
    for start in range(cut.start, cut.end, step):
        text = raw[start : min(start + step, cut.end)].translate(None, b"\r\n")
        yield binascii.a2b_base64(text, strict_mode=True)


def reduce(raw: bytes, cuts: Sequence[Cut]) -> bytes:
    """The message without them."""
    view, position, pieces = memoryview(raw), 0, []
    for cut in cuts:
        pieces.append(view[position : cut.start])
        position = cut.end
    return b"".join([*pieces, view[position:]])


def places(cuts: Sequence[Cut]) -> tuple[Place, ...]:
    """Where each of them goes in the reduced message."""
    found, gone = [], 0
    for cut in cuts:
        found.append(cut.place(cut.start - gone))
        gone += cut.end - cut.start
    return tuple(found)
