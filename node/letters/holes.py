"""Parts that lie outside of a message, while it is read: what of them is at hand is put in, the places of the
others are marked, so that its tree of parts is found as if all of it were there. Runs in the worker process.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from node.letters.limits import MAX_HOLES
from node.letters.structure import Part
from protocol.errors import RemoteProtocolError
from protocol.place import Encoding

_TOKEN_BYTES: Final = 16
"""Of chance in a mark: nobody can write one into a message."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A ref as a reader needs it. `fill`, where it is at hand, is what stood in the message (encoded); `size`
    counts stored bytes, which `encoding` is to be applied to. `filename` and `media_type` are hostile.
    """

    offset: int
    size: int
    filename: str
    media_type: str
    fill: bytes | None = None
    encoding: Encoding = Encoding.IDENTITY


@dataclass(frozen=True, slots=True)
class Found:
    """What a leaf has to do with holes: it is the hole of that index, or it has others `within`, or
    neither.
    """

    hole: int | None = None
    within: bool = False


class Gaps:
    """A message with its holes filled or marked: parse `raw`, then show every leaf to `take`.

    Raises RemoteProtocolError for holes that no letter can have.
    """

    def __init__(self, raw: bytes, holes: Sequence[Hole]) -> None:
        if len(holes) > MAX_HOLES or any(not 0 <= hole.offset <= len(raw) for hole in holes):
            raise RemoteProtocolError(
                "the message has more parts outside of it than can be, or beyond its end"
            )
        token = secrets.token_hex(_TOKEN_BYTES).encode()
        self._mark = re.compile(token + rb"(\d{1,4})\.")
        self._alone = re.compile(rb"[\r\n]*+" + self._mark.pattern + rb"[\r\n]*+")
        self._left = {index for index, hole in enumerate(holes) if hole.fill is None}
        self.raw = b"".join(_pieces(raw, holes, token)) if holes else raw

    def take(self, part: Part) -> Found:
        """What is known of a leaf. Marks that it has among other content are taken out of it."""
        if not self._left:
            return Found()
        data = part.encoded()
        if self._mark.search(data) is None:
            return Found()
        if alone := self._alone.fullmatch(data):
            index = int(alone[1])
            self._left.discard(index)
            return Found(hole=index)
        part.set_payload(self._mark.sub(b"", data).decode("ascii", "surrogateescape"))
        return Found(within=True)

    def left(self) -> list[int]:
        """The indices of holes that no leaf was."""
        return sorted(self._left)


def _pieces(raw: bytes, holes: Sequence[Hole], token: bytes) -> Iterator[bytes]:
    position = 0
    for index, hole in sorted(enumerate(holes), key=lambda each: each[1].offset):
        yield raw[position : hole.offset]
        yield token + b"%d." % index if hole.fill is None else hole.fill
        position = hole.offset
    yield raw[position:]
