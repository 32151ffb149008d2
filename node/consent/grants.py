"""What other owners let us do: their handshakes about us, and the keys that follow from them (§5)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from node.consent.book import Book
from node.consent.entries import Theirs
from node.runtime.clock import Clock
from node.storage import Batch
from protocol.errors import RemoteProtocolError
from protocol.handshake import Handshake, State, parse_handshake
from protocol.held import open_held, parse_held
from protocol.identity import IdentityRecord
from protocol.keys import SigningKey
from protocol.pair import invitation_delivery_key
from protocol.record import newer

MAX_DERIVED: Final = 512
"""Delivery keys kept in memory, 0.5 KB each: deriving one takes 0.2 ms, once a letter."""


class Permits:
    """Reads and learns; the newest record of an owner counts, whatever order they come in."""

    def __init__(self, book: Book, clock: Clock, doubtful: Callable[[], bool]) -> None:
        self._book = book
        self._clock = clock
        self._doubtful = doubtful
        self._derived = lru_cache(MAX_DERIVED)(self._derive)

    def learn(self, batch: Batch, records: Sequence[bytes], author: IdentityRecord, now: int) -> bool:
        entry = self._book.theirs(author.address) or Theirs(author.address)
        if entry.record and all(record == entry.record for record in records):
            return False  # the way back rides in many letters, and reading it costs half a millisecond
        known = newest = entry.handshake
        for record in records:
            found = self._read(record, author, now)
            if found is not None and (newest is None or _newer(found, newest)):
                newest = found
        if newest is None or newest is known:
            return False
        # A pair key of low order is refused here and not when a letter is to go.
        self._book.pair(author.pair_key, author.address, owner_is_us=False)
        after = replace(
            entry,
            status=newest.status,
            record=newest.record,
            grant=newest.grant or b"",
            expires=newest.terms.expires or 0,
            pair_key=author.pair_key,
            invitation=b"",
            invited_until=0,
        )
        self._book.put_theirs(batch, after)
        return True

    def held_tag(self, owner: IdentityRecord) -> bytes:
        return self._book.pair(owner.pair_key, owner.address, owner_is_us=False).tag

    def learn_held(self, batch: Batch, data: bytes, account: bytes, owner: IdentityRecord, now: int) -> bool:
        held = parse_held(data)
        if held.account != account:
            raise RemoteProtocolError("a held handshake of another account")
        pair = self._book.pair(owner.pair_key, owner.address, owner_is_us=False)
        return self.learn(batch, [open_held(held, pair).record], owner, now)

    def learn_invitation(self, batch: Batch, address: str, secret: bytes, life_ms: int) -> None:
        entry = self._book.theirs(address, batch) or Theirs(address)
        until = self._clock.now() + life_ms
        self._book.put_theirs(batch, replace(entry, invitation=secret, invited_until=until))

    def asked(self, batch: Batch, address: str, now: int) -> None:
        entry = self._book.theirs(address, batch) or Theirs(address)
        self._book.put_theirs(batch, replace(entry, asked=now))

    def forget(self, batch: Batch, address: str) -> bool:
        """Forget what a stranger lets us do; False where we have turned to them ourselves, and it stays."""
        entry = self._book.theirs(address, batch)
        if entry is not None and (entry.asked or entry.invitation):
            return False
        self._book.drop_theirs(batch, address)
        return True

    def accepted(self, address: str) -> bool:
        entry = self._book.theirs(address)
        return entry is not None and self._holds(entry)

    def delivery_key(self, address: str, peer_id: bytes) -> SigningKey | None:
        entry = self._book.theirs(address)
        if entry is None:
            return None
        # After a revocation the last grant still names us: its owner answers 5.8.2 before the body, and
        # that is a clearer word to the author than a letter that waits for ever.
        if entry.grant and (entry.status is State.REVOKED or self._holds(entry)):
            return self._derived(entry.pair_key, address, entry.grant, peer_id)
        if entry.invitation and entry.status is not State.REVOKED and self._before(entry.invited_until):
            return invitation_delivery_key(entry.invitation, address)
        return None

    def _derive(self, pair_key: bytes, address: str, grant: bytes, peer_id: bytes) -> SigningKey:
        return self._book.pair(pair_key, address, owner_is_us=False).delivery_key(grant, peer_id)

    def _holds(self, entry: Theirs) -> bool:
        ends = entry.expires and not self._before(entry.expires)
        return entry.status is State.ACCEPTED and not ends

    def _before(self, end: int) -> bool:
        return self._doubtful() or self._clock.now() < end

    def _read(self, record: bytes, author: IdentityRecord, now: int) -> Handshake | None:
        """The author's handshake about us; None for one that says nothing of what we may do."""
        handshake = parse_handshake(record, now)
        if handshake.owner_public_key != author.public_key:
            raise RemoteProtocolError("a handshake that is not its author's own")
        if handshake.status is State.REQUEST or handshake.sender.address is None:
            return None  # A request is not a permission, and e-mail hashes are for the bridge.
        if handshake.sender.address != self._book.address:
            raise RemoteProtocolError("a handshake about someone else")
        return handshake


def _newer(a: Handshake, b: Handshake) -> bool:
    return newer(a.seq, a.payload, b.seq, b.payload)
