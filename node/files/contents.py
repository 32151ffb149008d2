"""What is known of each content: where it is from, who still needs it and until when, where its blocks lie.

Only reads, and additions to batches. The bytes are disk.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any, Final

from node.storage import Batch, Store
from node.storage.codec import Key
from node.storage.schema import BLOCK, CONTENT, HOLD, PIN_UNTIL
from protocol.unixfs import Shape

NAME_BYTES: Final = 16
"""Of a content's name: a keyed hash, so that neither keys nor file names tell its CID."""

FOR_EVER: Final = 2**53 - 1
"""Until when what a letter in the mailbox needs is pinned (Unix ms)."""


PINS_STEP: Final = 128
"""Pins read, or taken away, in one batch: a few ms of trio's thread."""

INDEX_STEP: Final = 512
"""Rows of the index in one batch: the same."""


FLAGS: Final = ("whole", "indexed", "hosted", "daemon")
"""Of a content; only those that hold are written."""


class PinKind(IntEnum):
    """Why somebody needs a content: a letter in the mailbox, a recipient who may fetch it, a letter that is
    still being written, one on its way by ordinary mail, an account at us whose owner sent it. Numbers stand
    in keys of the store.
    """

    KEEP = 0
    OUT = 1
    DRAFT = 2
    SEND = 3
    HOST = 4


@dataclass(frozen=True, slots=True)
class Pin:
    """One who needs contents: `who` is a keyed hash of a recipient's address, `letter` a letter's id; of an
    account at us, keyed hashes of its key and of the CID that it named.
    """

    kind: PinKind
    letter: bytes
    who: bytes = b""

    @property
    def key(self) -> tuple[int, bytes, bytes]:
        return int(self.kind), self.who, self.letter


@dataclass(frozen=True)
class Content:
    """A file as it lies on IPFS; `size` are its bytes there, encrypted and padded. `whole`: all of it is
    here, and was what a letter says. `indexed`: its blocks are found by their CIDs, since others fetch them
    from us. `hosted`: it is kept for accounts at us, and nobody here can open it. `daemon`: as a whole it
    lies at the owner's IPFS daemon.
    """

    name: bytes
    cid: bytes
    size: int
    whole: bool
    indexed: bool
    hosted: bool = False
    daemon: bool = False

    @cached_property
    def shape(self) -> Shape:
        return Shape(self.size)


class Ledger:
    """Contents, pins and the index of blocks in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.watched: set[bytes] | None = None
        """What is pinned while somebody watches."""
        self.outgoing: Callable[[Batch, bytes], None] = _nobody_asks
        """Told of each content that others may fetch, or may no more, in the batch that says so."""

    def name(self, scope: bytes, cid: bytes) -> bytes:
        """What a content is called here. Contents of different scopes (whose letters they belong to) have
        nothing to do with each other, though their CIDs be the same: nobody learns or spoils what another
        sent by referring to it.
        """
        return self._store.index("content", scope + cid)

    def hosted_name(self, cid: bytes, size: int) -> bytes:
        """What a content of accounts at us is called: one, however many name it. Whoever gives a wrong size
        means another, which no blocks will fit.
        """
        return self._store.index("hosted", size.to_bytes(8) + cid)

    def hosted_pin(self, account: bytes, cid: bytes) -> Pin:
        """Why an account at us needs what has this CID."""
        who, letter = self._store.index("account", account), self._store.index("hosted-cid", cid)
        return Pin(PinKind.HOST, letter, who)

    def get(self, name: bytes) -> Content | None:
        row: Any = self._store.get(CONTENT, (name,))
        return None if row is None else _content(name, row)

    def all(self) -> Iterator[Content]:
        """Every content, read in pages: have a checkpoint between any two."""
        rows: Any = self._store.walk(CONTENT)
        for key, row in rows:
            yield _content(key[0], row)

    def put(self, batch: Batch, content: Content) -> None:
        row: dict[str, Any] = {"cid": content.cid, "size": content.size}
        flags = {flag: getattr(content, flag) for flag in FLAGS}
        batch.put(CONTENT, (content.name,), row | {name: True for name, said in flags.items() if said})

    def drop(self, batch: Batch, content: Content) -> None:
        """Forget it; its blocks' rows are `unindex`'s."""
        batch.delete(CONTENT, (content.name,))

    # ---- pins

    def pin(self, batch: Batch, name: bytes, pin: Pin, until: int) -> None:
        """It is needed until then (Unix ms); a second pin of the same holder replaces the first."""
        if self.watched is not None:
            self.watched.add(name)
        batch.put(PIN_UNTIL, (name, *pin.key), until)
        batch.put(HOLD, (*pin.key, name), {})
        if pin.kind is PinKind.OUT:
            self.outgoing(batch, name)

    def needed(self, kind: PinKind) -> Iterator[bytes]:
        """The names of what anybody of that kind needs, once for each who does."""
        rows: Any = self._store.walk(HOLD, (int(kind),))
        return (key[3] for key, _ in rows)

    def held(self, pin: Pin) -> list[bytes]:
        """The names of what this holder needs. A pin without letter is everything of that kind and person."""
        return [name for name, _ in self._held(pin)]

    def unpin(self, batch: Batch, pin: Pin, names: Iterable[bytes] | None = None) -> list[bytes]:
        """Its holder needs it no more, or no more of it than what is not in `names`; what was let go."""
        wanted = None if names is None else set(names)
        gone = []
        for name, key in self._held(pin):
            if wanted is None or name in wanted:
                self._let_go(batch, name, key)
                gone.append(name)
        return gone

    def unpin_some(self, batch: Batch, pin: Pin, start: Key | None, most: int) -> list[Key]:
        """The same for the first of them, from the key `start` on; their keys."""
        prefix = pin.key if pin.letter else pin.key[:2]
        rows: Any = self._store.scan(HOLD, prefix, start=start, limit=most)
        for (*holder, name), _ in rows:
            self._let_go(batch, name, tuple(holder))
        return [key for key, _ in rows]

    def _held(self, pin: Pin) -> Iterator[tuple[bytes, tuple[int, bytes, bytes]]]:
        prefix = pin.key if pin.letter else pin.key[:2]
        rows: Any = self._store.walk(HOLD, prefix)
        for (kind, who, letter, name), _ in rows:
            yield name, (kind, who, letter)

    def _let_go(self, batch: Batch, name: bytes, holder: tuple[int, bytes, bytes]) -> None:
        batch.delete(HOLD, (*holder, name))
        batch.delete(PIN_UNTIL, (name, *holder))
        if holder[0] == PinKind.OUT:
            self.outgoing(batch, name)

    def pinned_until(self, name: bytes, pin: Pin) -> int:
        """Until when (Unix ms) this holder needs it; 0 where it does not."""
        row: Any = self._store.get(PIN_UNTIL, (name, *pin.key))
        return row or 0

    def until(self, name: bytes, kind: PinKind) -> int:
        """Until when (Unix ms) the last of that kind needs it; 0 where nobody does."""
        rows: Any = self._store.walk(PIN_UNTIL, (name, int(kind)))
        return max((until for _, until in rows), default=0)

    def pinned(self, name: bytes, now: int | None, kind: PinKind | None = None) -> bool:
        """Whether anybody needs it at `now` (Unix ms; None where no clock is to be believed)."""
        prefix = (name,) if kind is None else (name, int(kind))
        first: Any = self._store.scan(PIN_UNTIL, prefix, limit=1)  # mostly the only one, or as good as any
        if not first or now is None or first[0][1] > now:
            return bool(first)
        rows: Any = self._store.walk(PIN_UNTIL, prefix)
        return any(until > now for _, until in rows)

    def pins(self, start: Key, last: bytes, most: int) -> list[tuple[Key, int]]:
        """The first pins from the key `start` on, of contents up to `last` in order of names, and until when
        they are needed.
        """
        rows: Any = self._store.scan(PIN_UNTIL, start=start, before=(last + b"\0",), limit=most)
        return [(key, until) for key, until in rows]

    def lapse(self, batch: Batch, key: Key) -> None:
        """Take away a pin that `pins` gave."""
        batch.delete(PIN_UNTIL, key)
        batch.delete(HOLD, (*key[1:], key[0]))

    # ---- blocks

    def index(self, batch: Batch, content: Content, blocks: Iterable[tuple[int, bytes]]) -> None:
        """These blocks (number, CID) lie in this content."""
        for number, cid in blocks:
            batch.put(BLOCK, (self._place(cid, content.hosted),), [content.name, number])

    def unindex(self, batch: Batch, content: Content, cids: Iterable[bytes]) -> None:
        for cid in cids:
            batch.delete(BLOCK, (self._place(cid, content.hosted),))

    def find(self, cid: bytes, *, hosted: bool) -> tuple[bytes, int] | None:
        """The content and the number of a block; what is ours and what is kept for others are found apart,
        so that who has us keep or drop a CID changes nothing of what we send.
        """
        row: Any = self._store.get(BLOCK, (self._place(cid, hosted),))
        return None if row is None else (row[0], row[1])

    def _place(self, cid: bytes, hosted: bool) -> bytes:
        return self._store.index("hosted-block" if hosted else "block", cid)


def _content(name: bytes, row: Any) -> Content:
    return Content(name, row["cid"], row["size"], **{flag: row.get(flag, False) for flag in FLAGS})


def _nobody_asks(batch: Batch, name: bytes) -> None:
    """Told, and told no further."""
