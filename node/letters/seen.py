"""The book of what was taken: a letter is stored once, and its answer is repeated (protocol §6). Only class 2
is ever in it.
"""

from dataclasses import dataclass
from typing import Final

from node.letters.desk import Desk
from node.storage import Batch
from node.storage.schema import ENVELOPE, EXPIRY, SEEN
from protocol.status import Status

MAX_EXPIRED: Final = 500
"""Records purged by one call: a batch of some milliseconds."""

_AUTHOR: Final = 16
_LETTER: Final = 32


@dataclass(frozen=True, slots=True)
class Seen:
    """What was answered when the letter came: `receipt` is the signed record, if one was made."""

    status: Status
    receipt: bytes | None


class SeenBook:
    """What was taken, by (author, letterId) and by envelopeId. Authors are keyed hashes of 16 bytes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def letter(self, author: bytes, letter_id: bytes, batch: Batch | None = None) -> Seen | None:
        """What was answered to this letter of this author."""
        value = self._desk.get(batch, SEEN, (author, letter_id))
        return None if value is None else Seen(Status(value["status"]), value.get("receipt"))

    def envelope(self, envelope_id: bytes) -> Seen | None:
        """What was answered to this very envelope."""
        value = self._desk.get(None, ENVELOPE, (envelope_id,))
        return None if value is None else self.letter(value[:_AUTHOR], value[_AUTHOR:])

    def remember(
        self,
        batch: Batch,
        author: bytes,
        letter_id: bytes,
        envelope_id: bytes | None,
        seen: Seen,
        until: int,
    ) -> None:
        """Remember it until `until` (Unix ms). Another envelope of a known letter is remembered beside it."""
        if seen.status.category != 2:
            raise ValueError("only what was taken is remembered")
        value: dict[str, object] = {"status": seen.status.code, "until": until}
        known = self._desk.get(batch, SEEN, (author, letter_id)) or {}
        if receipt := seen.receipt or known.get("receipt"):
            value["receipt"] = receipt
        self._desk.put(batch, SEEN, (author, letter_id), value)
        if envelope_id:
            self._desk.put(batch, ENVELOPE, (envelope_id,), author + letter_id)
        batch.put(EXPIRY, (until, author + letter_id + (envelope_id or b"")), {})

    def forget(self, batch: Batch, author: bytes, letter_id: bytes) -> None:
        """Forget a letter that was remembered without an envelopeId."""
        value = self._desk.get(batch, SEEN, (author, letter_id))
        if value is not None:
            self._desk.delete(batch, SEEN, (author, letter_id))
            batch.delete(EXPIRY, (value["until"], author + letter_id))

    def expire(self, batch: Batch, now: int) -> int:
        """Forget what needs no more to be known, `MAX_EXPIRED` at most; how many there were."""
        rows = self._desk.store.scan(EXPIRY, before=(now + 1,), limit=MAX_EXPIRED)
        for key, _ in rows:
            batch.delete(EXPIRY, key)
            what = key[1]
            assert isinstance(what, bytes)
            author, letter = what[:_AUTHOR], what[_AUTHOR : _AUTHOR + _LETTER]
            if envelope := what[_AUTHOR + _LETTER :]:
                self._desk.delete(batch, ENVELOPE, (envelope,))
            value = self._desk.get(batch, SEEN, (author, letter))
            if value is not None and value["until"] <= now:
                self._desk.delete(batch, SEEN, (author, letter))
        return len(rows)
