"""Where messages lie: as they came, large ones in pieces, so that neither trio's thread nor the database is
held up by one value of many megabytes. What a list shows of them is the shelf's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import trio

from node.letters.desk import Desk
from node.letters.errors import NoSuchLetter
from node.letters.transport import Transport
from node.storage import Batch
from node.storage.schema import BODY, LETTER
from protocol.stream import ContentRef

PIECE: Final = 1_048_576
"""Bytes of a piece: read, opened and copied within some 3 ms. A letter between nodes is below it; 25 MB in
one value took 80."""


@dataclass(frozen=True, slots=True)
class Message:
    """`raw` exactly as it came; `refs` to content outside of it; `smtp`, how it came, if it came so."""

    raw: bytes
    refs: Sequence[dict[str, Any]] = ()
    smtp: dict[str, Any] | None = None


class MessageBook:
    """Messages by their letters' ids."""

    def __init__(self, desk: Desk) -> None:
        self._store = desk.store

    def put(
        self,
        batch: Batch,
        letter: bytes,
        raw: bytes,
        refs: Sequence[ContentRef] = (),
        transport: Transport | None = None,
    ) -> int:
        """Keep a message; in how many pieces, 0 where it is in one."""
        value: dict[str, Any] = {}
        if refs:
            value["refs"] = [ref.to_value() for ref in refs]
        if transport is not None:
            value["smtp"] = transport.stored()
        pieces = 0
        if len(raw) > PIECE:
            for start in range(0, len(raw), PIECE):
                batch.put(BODY, (letter, pieces), raw[start : start + PIECE])
                pieces += 1
        batch.put(LETTER, (letter,), value | ({"pieces": pieces} if pieces else {"raw": raw}))
        return pieces

    def delete(self, batch: Batch, letter: bytes, pieces: int) -> None:
        """It is gone with the batch; `pieces` is what `put` said."""
        batch.delete(LETTER, (letter,))
        for number in range(pieces):
            batch.delete(BODY, (letter, number))

    def get(self, letter: bytes) -> Message:
        """At once, as is right for small ones. Raises NoSuchLetter."""
        value = self._value(letter)
        return _message(value, list(self._pieces(letter, value)))

    async def load(self, letter: bytes) -> Message:
        """Piece by piece, so that others get their turn between. Raises NoSuchLetter."""
        value, pieces = self._value(letter), []
        for piece in self._pieces(letter, value):
            pieces.append(piece)
            await trio.lowlevel.checkpoint()
        return _message(value, pieces)

    def _value(self, letter: bytes) -> dict[str, Any]:
        value = self._store.get(LETTER, (letter,))
        if value is None:
            raise gone()
        assert isinstance(value, dict)
        return value

    def _pieces(self, letter: bytes, value: dict[str, Any]) -> Iterator[bytes]:
        for number in range(value.get("pieces", 0)):
            piece = self._store.get(BODY, (letter, number))
            if piece is None:  # erased while it was read
                raise gone()
            assert isinstance(piece, bytes)
            yield piece


def _message(value: dict[str, Any], pieces: Sequence[bytes]) -> Message:
    raw = b"".join(pieces) if pieces else value["raw"]
    return Message(raw, value.get("refs", ()), value.get("smtp"))


def gone() -> NoSuchLetter:
    """What to raise where there is no letter of that id."""
    return NoSuchLetter("no-letter", "there is no such letter", "see: mailio list")
