"""The gate's memory in the store, with the indexes that keep each look-up at one read or two.

One method writes each kind of entry, so that no index is forgotten. When what changes is rules.py's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from node.consent.entries import Invitation, Ours, Theirs, is_email
from node.consent.rows import (
    invitation_of,
    ours_of,
    row_of_invitation,
    row_of_ours,
    row_of_theirs,
    theirs_of,
)
from node.storage import Batch, Kind, Space, Store, note_change
from node.storage.codec import Key, as_bytes, as_int
from node.storage.schema import CONSENT_DUE, DELIVERY, INVITATION, OURS, REQUEST, THEIRS
from protocol.email import email_index
from protocol.fields import Fields
from protocol.handshake import State
from protocol.kdf import KEY_BYTES, kdf
from protocol.keys import Secrets
from protocol.pair import GRANT_BYTES, Pair, invitation_delivery_key

INDEX_BYTES: Final = 16  # Of keyed hashes and of delivery keys: enough that two never meet.

_MARKER: Final = bytes(KEY_BYTES)  # No Ed25519 key: stands for the node that the delivery keys are of.
_OURS, _INVITATION = 0, 1  # Kinds of ends in CONSENT_DUE.


@dataclass(frozen=True, slots=True)
class End:
    """Something whose time has come: an entry, or an invitation's index."""

    when: int
    entry: Ours | None = None
    invitation: bytes | None = None


class Book:
    """Reads at once; what takes a batch only adds to it. A read that is given a batch sees what lies in
    it and is not yet handed to the store.
    """

    def __init__(self, store: Store, secrets: Secrets, peer_id: bytes) -> None:
        self._store = store
        self._pair_private = secrets.pair_key
        self._pair_public = secrets.pair_public
        self._vault_key = secrets.vault_key
        self._index_key = kdf(secrets.vault_key, "consent-index")
        self._peer_id = peer_id
        self._ours: WeakKeyDictionary[Batch, dict[str, Ours | None]] = WeakKeyDictionary()
        self._theirs: WeakKeyDictionary[Batch, dict[str, Theirs]] = WeakKeyDictionary()
        self.key = secrets.signing_key
        self.address = secrets.address

    def place(self, address: str) -> bytes:
        """What stands for a name in store keys, which are not encrypted: whom one knows is secret. For an
        e-mail address it is the index of §2. Raises RemoteProtocolError for a text with an @ that is none.
        """
        if is_email(address):
            return email_index(self._vault_key, address)[:INDEX_BYTES]
        return kdf(self._index_key, "address", address)[:INDEX_BYTES]

    def ours(self, address: str, batch: Batch | None = None) -> Ours | None:
        if batch is not None and address in (staged := self._ours.get(batch, {})):
            return staged[address]
        return self._ours_at(self.place(address))

    def theirs(self, address: str, batch: Batch | None = None) -> Theirs | None:
        if batch is not None and address in (staged := self._theirs.get(batch, {})):
            return staged[address]
        row = self._store.get(THEIRS, (self.place(address),))
        return theirs_of(row) if row is not None else None

    def invitation(self, index: bytes) -> Invitation | None:
        row = self._store.get(INVITATION, (index,))
        return invitation_of(row) if row is not None else None

    def by_delivery_key(self, key: bytes) -> tuple[Ours, bytes] | None:
        """Whose delivery key this is, and of which grant: two reads, however many handshakes there are."""
        row = self._store.get(DELIVERY, (key,)) if key != _MARKER else None
        if row is None:
            return None
        fields = Fields(row, "delivery")
        entry = self._ours_at(fields.bytes("place", length=INDEX_BYTES))
        return (entry, fields.bytes("grant", length=GRANT_BYTES)) if entry is not None else None

    def all_ours(self) -> Iterator[Ours]:
        """Every entry of ours, read in pages as they are asked for."""
        for _, row in self._store.walk(OURS):
            yield ours_of(row)

    def all_theirs(self) -> Iterator[Theirs]:
        for _, row in self._store.walk(THEIRS):
            yield theirs_of(row)

    def all_invitations(self) -> Iterator[Invitation]:
        for _, row in self._store.walk(INVITATION):
            yield invitation_of(row)

    def put_ours(self, batch: Batch, before: Ours | None, after: Ours | None) -> None:
        """Replace an entry (None: there is none) together with its delivery keys and its end."""
        entry = after or before
        if entry is None:
            return
        place = self.place(entry.address)
        self._ours.setdefault(batch, {})[entry.address] = after
        if any(one is not None and one.record for one in (before, after)):  # of a request nobody is told
            note_change(batch, Kind.OURS, place, entry.address)
        old, new = self._delivery_keys(before), self._delivery_keys(after)
        for key in old.keys() - new.keys():
            batch.delete(DELIVERY, (key,))
        for key, grant in new.items():
            batch.put(DELIVERY, (key,), {"place": place, "grant": grant})
        if before is not None and before.until:
            batch.delete(*_end_of(before, place))
        if after is None:
            batch.delete(OURS, (place,))
            return
        if after.until:
            batch.put(*_end_of(after, place), {})
        batch.put(OURS, (place,), row_of_ours(after))

    def put_theirs(self, batch: Batch, entry: Theirs) -> None:
        self._theirs.setdefault(batch, {})[entry.address] = entry
        place = self.place(entry.address)
        batch.put(THEIRS, (place,), row_of_theirs(entry))
        note_change(batch, Kind.THEIRS, place, entry.address)

    def drop_theirs(self, batch: Batch, address: str) -> None:
        place = self.place(address)
        if self._store.get(THEIRS, (place,)) is not None:
            note_change(batch, Kind.THEIRS, place, address)
        batch.delete(THEIRS, (place,))

    def put_invitation(self, batch: Batch, entry: Invitation) -> None:
        """Write it under the index that its delivery key has."""
        key = invitation_delivery_key(entry.secret, self.address).public
        index = index_of(key)
        batch.put(INVITATION, (index,), row_of_invitation(entry))
        batch.put(CONSENT_DUE, (entry.until, _INVITATION, index), {})
        note_change(batch, Kind.INVITATION, index, key.hex())

    def drop_invitation(self, batch: Batch, index: bytes, until: int) -> None:
        entry = self.invitation(index)
        if entry is not None:
            key = invitation_delivery_key(entry.secret, self.address).public
            note_change(batch, Kind.INVITATION, index, key.hex())
        batch.delete(INVITATION, (index,))
        batch.delete(CONSENT_DUE, (until, _INVITATION, index))

    def requests(self, limit: int) -> list[Ours]:
        """Those who wait for the owner's decision, the one next to expire first."""
        return [e for e in map(self._ours_at, self._requests(limit)) if e is not None]

    def count_requests(self, limit: int) -> int:
        return len(self._requests(limit))

    def count_invitations(self, limit: int) -> int:
        return len(self._store.scan(INVITATION, limit=limit))

    def due(self, now: int, limit: int) -> list[End]:
        """At most `limit` ends that have come, the oldest requests first."""
        ends = [
            End(as_int(key[0]), self._ours_at(as_bytes(key[1])))
            for key, _ in self._store.scan(REQUEST, before=(now + 1,), limit=limit)
        ]
        for key, _ in self._store.scan(CONSENT_DUE, before=(now + 1,), limit=limit - len(ends)):
            when, kind, place = as_int(key[0]), key[1], as_bytes(key[2])
            ends.append(End(when, self._ours_at(place)) if kind == _OURS else End(when, invitation=place))
        return ends

    def pair(self, pair_key: bytes, address: str, *, owner_is_us: bool) -> Pair:
        """The pair secret with a counterpart, for one direction. Raises RemoteProtocolError for a bad key."""
        if owner_is_us:
            ends = (self._pair_public, pair_key, self.address, address)
        else:
            ends = (pair_key, self._pair_public, address, self.address)
        return Pair.derive(self._pair_private, pair_key, *ends)

    def moved(self) -> bool:
        """Whether the delivery keys in the store are of another node, as after a restore."""
        row = self._store.get(DELIVERY, (_MARKER,))
        return row is None or Fields(row, "delivery").bytes("peerId") != self._peer_id

    def rebuild(self, batch: Batch) -> None:
        """Replace the index of delivery keys by that of this node."""
        for key, _ in self._store.walk(DELIVERY):
            batch.delete(DELIVERY, key)
        for entry in self.all_ours():
            self.put_ours(batch, None, entry)
        batch.put(DELIVERY, (_MARKER,), {"peerId": self._peer_id})

    def _ours_at(self, place: bytes) -> Ours | None:
        row = self._store.get(OURS, (place,))
        return ours_of(row) if row is not None else None

    def _requests(self, limit: int) -> list[bytes]:
        return [as_bytes(key[1]) for key, _ in self._store.scan(REQUEST, limit=limit)]

    def _delivery_keys(self, entry: Ours | None) -> dict[bytes, bytes]:
        """Delivery key → grant, for every grant by which the sender is known at this node."""
        if entry is None or not entry.pair_key or not entry.grant:
            return {}
        pair = self.pair(entry.pair_key, entry.address, owner_is_us=True)
        grants = (entry.grant, *(e.grant for e in entry.earlier))
        return {pair.delivery_key(grant, self._peer_id).public: grant for grant in grants}


def index_of(delivery_key: bytes) -> bytes:
    """The store key of the invitation that this delivery key belongs to."""
    return delivery_key[:INDEX_BYTES]


def _end_of(entry: Ours, place: bytes) -> tuple[Space, Key]:
    """Where the end of an entry is noted. Requests wait in a queue of their own, whose length is bounded."""
    if entry.state is State.REQUEST:
        return REQUEST, (entry.until, place)
    return CONSENT_DUE, (entry.until, _OURS, place)
