"""What of the gate's memory stands in the vault, and how it comes back from there (protocol.md §3).

Requests are not kept: strangers decide how many there are, and their letters are not in the vault either.
"""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from node.consent.book import Book
from node.consent.entries import Ours, Theirs
from node.consent.rows import ours_of, row_of_ours, row_of_theirs, theirs_of
from node.consent.rules import expired, recovered
from node.storage import Batch
from protocol.cbor import Value, decode, encode
from protocol.errors import RemoteProtocolError
from protocol.handshake import Handshake, State
from protocol.held import Held, open_held
from protocol.record import newer
from protocol.vault import Entry

OURS: Final = "ours/1"
THEIRS: Final = "theirs/1"

_T = TypeVar("_T", Ours, Theirs)


class Keeping:
    """Reads the book for the vault, and writes into it what the vault had."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def entries(self) -> Iterator[Entry]:
        """All handshakes that were ever made, read in pages as they are asked for."""
        for ours in self._book.all_ours():
            kept = _lasting(ours)
            if kept is not None:
                yield Entry(OURS, kept.address.encode(), encode(row_of_ours(kept)))
        for theirs in self._book.all_theirs():
            if self._lasts(theirs):
                yield Entry(THEIRS, theirs.address.encode(), encode(row_of_theirs(theirs)))

    def keeps(self, address: str) -> bool:
        """Whether the vault has anything of this counterpart."""
        ours, theirs = self._book.ours(address), self._book.theirs(address)
        return (ours is not None and bool(ours.record)) or (theirs is not None and self._lasts(theirs))

    def restore(self, batch: Batch, entry: Entry) -> bool:
        """Put an entry back unless what is here is as new; whether it was. Raises RemoteProtocolError for
        one that we did not write.
        """
        if entry.kind == OURS:
            return self._restore_ours(batch, _read(entry, ours_of))
        if entry.kind == THEIRS:
            return self._restore_theirs(batch, _read(entry, theirs_of))
        return False

    def tags(self) -> Iterator[tuple[bytes, str, int]]:
        """Under which tag hosts keep each of our handshakes, with its sender's address and its seq."""
        for ours in self._book.all_ours():
            handshake = ours.handshake
            if handshake is not None and ours.pair_key:
                pair = self._book.pair(ours.pair_key, ours.address, owner_is_us=True)
                yield pair.tag, ours.address, handshake.seq

    def restore_held(self, batch: Batch, address: str, held: Held) -> bool:
        """Take what a host holds about this sender, where that is newer than what is here; whether it was.
        Raises RemoteProtocolError for what is not our handshake about them.
        """
        entry = self._book.ours(address, batch)
        if entry is None or not entry.pair_key:
            return False
        handshake = open_held(held, self._book.pair(entry.pair_key, address, owner_is_us=True))
        if handshake.sender.address != address:
            raise RemoteProtocolError("a held handshake about someone else")
        return self.adopt(batch, handshake)

    def adopt(self, batch: Batch, handshake: Handshake) -> bool:
        """Take a handshake of ours about a sender who is known, where it is newer than what is here; whether
        it was. Raises RemoteProtocolError for one that we have not signed.
        """
        # Whoever shares the pair secret could seal one; only we could sign it.
        if handshake.owner_public_key != self._book.key.public:
            raise RemoteProtocolError("a held handshake of someone else")
        entry = self._book.ours(handshake.sender.address or "", batch)
        if entry is None or (entry.handshake is not None and not _newer(handshake, entry.handshake)):
            return False
        self._book.put_ours(batch, entry, recovered(entry, handshake))
        return True

    def _lasts(self, theirs: Theirs) -> bool:
        """What strangers let us do of themselves comes and goes with their requests."""
        if theirs.asked or theirs.invitation:
            return True
        ours = self._book.ours(theirs.address)
        return ours is not None and bool(ours.record)

    def _restore_ours(self, batch: Batch, entry: Ours) -> bool:
        handshake, before = entry.handshake, self._book.ours(entry.address, batch)
        if handshake is None or handshake.owner_public_key != self._book.key.public:
            raise RemoteProtocolError("the vault holds a handshake that is not ours")
        known = before.handshake if before is not None else None
        if known is not None and not _newer(handshake, known):
            return False
        self._book.put_ours(batch, before, entry)
        return True

    def _restore_theirs(self, batch: Batch, entry: Theirs) -> bool:
        handshake, before = entry.handshake, self._book.theirs(entry.address, batch)
        if before is not None:
            known = before.handshake
            if handshake is None or (known is not None and not _newer(handshake, known)):
                return False
        self._book.put_theirs(batch, entry)
        return True


def _lasting(entry: Ours) -> Ours | None:
    """What is left of an entry without a request that waits; None of one who was never judged."""
    if not entry.record:
        return None
    return expired(entry) if entry.state is State.REQUEST else entry


def _newer(a: Handshake, b: Handshake) -> bool:
    return newer(a.seq, a.payload, b.seq, b.payload)


def _read(entry: Entry, read: Callable[[Value], _T]) -> _T:
    """The entry as it was written; RemoteProtocolError for anything else."""
    try:
        found = read(decode(entry.value))
    except ValueError as fault:  # a state, type or level that is none
        raise RemoteProtocolError(f"{entry.kind}: {fault}") from fault
    if found.address.encode() != entry.name:
        raise RemoteProtocolError(f"{entry.kind}: another one's entry")
    return found
