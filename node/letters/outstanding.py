"""What letters refer to, on its way here: which of it is fetched by itself, and what follows when it has come
or can't come. Who gets it is the exchange's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from node.files import Files, Wanted
from node.letters.errors import NoSuchLetter
from node.letters.messages import MessageBook
from node.letters.missing import Missing, MissingBook, State
from node.letters.rebuilding import Rebuilder
from node.letters.reduced import Reduced, wanted
from node.storage import Batch, Store

RECENT: Final = 4
"""Letters whose refs are remembered, a megabyte each at most: as many as are fetched for at once."""

UNASKED: Final = 100_000_000
"""Bytes of an attachment that is fetched without being asked for, and kept with the copy of what was sent."""


class Outstanding:
    """The one view of it for who fetches. What takes a batch adds to it only."""

    def __init__(
        self, store: Store, messages: MessageBook, files: Files, rebuilder: Rebuilder, unasked: int
    ) -> None:
        self._store = store
        self._messages = messages
        self._files = files
        self._rebuilder = rebuilder
        self._unasked = unasked
        self._recent: dict[bytes, Reduced] = {}
        self.book = MissingBook(store)

    def want(self, batch: Batch, letter: bytes, message: Reduced, author: str) -> None:
        """A letter comes with this: it is had by itself up to a size, beyond that when it is asked for."""
        for n, (ref, name) in enumerate(zip(message.refs, message.names, strict=True)):
            state: State = "wanted" if ref.size <= self._unasked else "waiting"
            detail = "" if state == "wanted" else "larger than what is fetched unasked"
            self._files.want(batch, wanted(ref, name))
            self.book.put(batch, Missing(letter, n, author, state, detail=detail))

    def small(self, message: Reduced) -> list[bytes]:
        """The names of what the copy of a letter that was sent keeps for itself."""
        parts = zip(message.refs, message.names, strict=True)
        return [name for ref, name in parts if ref.size <= self._unasked]

    def wanted(self, missing: Missing) -> Wanted | None:
        """What is to be fetched for it; None where its letter is gone."""
        try:
            message = self._reduced(missing.letter)
        except NoSuchLetter:
            return None
        return wanted(message.refs[missing.n], message.names[missing.n])

    def _reduced(self, letter: bytes) -> Reduced:
        """Read once for all that is fetched for it: a thousand refs take 20 ms."""
        if letter not in self._recent:
            self._recent[letter] = self._messages.get(letter).reduced
            if len(self._recent) > RECENT:
                del self._recent[next(iter(self._recent))]
        return self._recent[letter]

    def ask_for(self, batch: Batch, letter: bytes) -> Sequence[Missing]:
        """Have everything of it fetched that is not here, whatever became of that before."""
        asked = [
            replace(missing, state="wanted", detail="")
            for missing in self.book.of(letter).values()
            if missing.state != "damaged"
        ]
        for missing in asked:
            self.book.put(batch, missing)
        return asked

    def came(self, batch: Batch, missing: Missing) -> bool:
        """Its content is here, checked; whether the letter has everything with that."""
        self.book.drop(batch, missing.letter, missing.n)
        return not self.book.others(missing)

    def give_up(self, batch: Batch, missing: Missing, name: bytes) -> None:
        """Its content is not what the letter says, and is of no use."""
        self.book.put(batch, missing)
        self._messages.let_go(batch, missing.letter, name)

    async def prove(self, letter: bytes) -> bool:
        """Now that everything of it is here, see whether that makes the message that its author signed.
        Raises NoSuchLetter, ContentMissing, ContentDamaged, StoreUnavailable.
        """
        message = (await self._messages.load(letter)).reduced
        sound, batch = await self._rebuilder.digest(message) == message.hash, Batch()
        self._messages.judge(batch, letter, sound=sound)
        await self._store.write(batch)
        return sound
