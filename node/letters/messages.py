"""Where messages lie: what is large of them in `files`, the rest here, in pieces where it is large still, so
that neither trio's thread nor the database is held up by one value of many megabytes. What a list shows of
them is the shelf's.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import trio

from node.files import FOR_EVER, Files, Pin, PinKind
from node.letters.desk import Desk
from node.letters.errors import NoSuchLetter
from node.letters.reduced import Reduced
from node.letters.transport import Transport
from node.storage import Batch
from node.storage.schema import BODY, LETTER

PIECE: Final = 1_048_576
"""Bytes of a piece: read, opened and copied within some 3 ms. A letter between nodes is below it; 25 MB in
one value took 80."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it is kept; `smtp`, how it came, if it came so. `sound`: whether the whole message is
    known to be what its author signed, None while nobody has looked.
    """

    reduced: Reduced
    smtp: dict[str, Any] | None = None
    sound: bool | None = None


class MessageBook:
    """Messages by their letters' ids, and the pins that keep what lies outside of them."""

    def __init__(self, desk: Desk, files: Files) -> None:
        self._store = desk.store
        self._files = files

    def put(
        self,
        batch: Batch,
        letter: bytes,
        reduced: Reduced,
        transport: Transport | None,
        keep: Collection[bytes],
        *,
        sound: bool | None,
    ) -> int:
        """Keep a message, and of what lies outside the contents named in `keep` for as long as it is there;
        in how many pieces it lies, 0 for one.
        """
        value: dict[str, Any] = reduced.outside()
        if value and sound is not None:
            value["sound"] = sound
        if transport is not None:
            value["smtp"] = transport.stored()
        pieces, raw = 0, reduced.message
        if len(raw) > PIECE:
            for start in range(0, len(raw), PIECE):
                batch.put(BODY, (letter, pieces), raw[start : start + PIECE])
                pieces += 1
        batch.put(LETTER, (letter,), value | ({"pieces": pieces} if pieces else {"raw": raw}))
        for name in keep:
            self._files.pin(batch, name, _pin(letter), FOR_EVER)
        return pieces

    def delete(self, batch: Batch, letter: bytes, pieces: int) -> None:
        """It is gone with the batch; `pieces` is what `put` said."""
        batch.delete(LETTER, (letter,))
        for number in range(pieces):
            batch.delete(BODY, (letter, number))
        self._files.unpin(batch, _pin(letter))

    def let_go(self, batch: Batch, letter: bytes, name: bytes) -> None:
        """This content is not needed for it any more."""
        self._files.unpin(batch, _pin(letter), [name])

    def judge(self, batch: Batch, letter: bytes, *, sound: bool) -> None:
        """Note whether the whole message is what its author signed. Raises NoSuchLetter."""
        batch.put(LETTER, (letter,), self._value(letter) | {"sound": sound})

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
    return Message(Reduced.load(raw, value), value.get("smtp"), value.get("sound"))


def _pin(letter: bytes) -> Pin:
    return Pin(PinKind.KEEP, letter)


def gone() -> NoSuchLetter:
    """What to raise where there is no letter of that id."""
    return NoSuchLetter("no-letter", "there is no such letter", "see: mailio list")
