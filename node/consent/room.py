"""The gate's face: each act of the owner, of a letter or of time is one method that adds to a batch.

How an entry changes is rules.py's, who gets in gate.py's, what a stranger pays stamps.py's.
"""

import secrets as chance
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from node.consent.book import Book
from node.consent.entries import Counterpart, Invitation, Limits, Ours, Rules, Theirs, Verdict
from node.consent.gate import Gate
from node.consent.grants import Permits
from node.consent.rules import (
    OWNERS_LEVEL,
    accepted,
    expired,
    needs_way_back,
    requested,
    revoked,
    rides,
    state_of,
    way_back_terms,
)
from node.consent.stamps import Challenges, Threads
from node.runtime.clock import Clock
from node.runtime.errors import NodeError
from node.storage import Batch, Store
from protocol.errors import RemoteProtocolError
from protocol.handshake import State, Terms
from protocol.identity import IdentityRecord
from protocol.keys import Secrets, SigningKey
from protocol.link import INVITATION_LIFE_MS
from protocol.offer import Challenge, Stamp
from protocol.pair import GRANT_BYTES, INVITATION_SECRET_BYTES
from protocol.status import TIME

EXPIRE_AT_ONCE: Final = 500
"""Ends that one call of `expire` deals with: a batch that is written in milliseconds."""

MAKE_ROOM: Final = 100
"""Oldest requests that go at once when there are too many, so that the count is taken only now and then."""


class Consent:
    """What senders may do here, and what we may do at other owners. Methods that take a batch add to it
    and do not wait; within one batch they see each other's changes where it is handed to them.
    """

    def __init__(
        self,
        store: Store,
        secrets: Secrets,
        own_peer_id: bytes,
        clock: Clock,
        threads: Threads,
        *,
        limits: Limits = Limits(),
        doubtful: Callable[[], bool] = lambda: False,
        fullness: Callable[[], float] = lambda: 0.0,
        forgotten: Callable[[Batch, str], None] = lambda batch, address: None,
    ) -> None:
        """`forgotten` is told of a stranger of whom nothing stays here, with the batch in which it goes."""
        self._store = store
        self._clock = clock
        self._limits = limits
        self._doubtful = doubtful
        self._forgotten = forgotten
        self._book = Book(store, secrets, own_peer_id)
        self._gate = Gate(store, self._book, limits, doubtful)
        self._permits = Permits(self._book, clock, doubtful)
        self._challenges = Challenges(threads, fullness, limits.price)
        self._most_requests: int | None = None  # Never fewer than there are; None until counted.

    @property
    def address(self) -> str:
        return self._book.address

    async def start(self) -> None:
        """Make the index of delivery keys this node's, where it is another's (new, restored, cloned)."""
        if self._book.moved():
            batch = Batch()
            self._book.rebuild(batch)
            await self._store.write(batch)

    # ---- verdicts

    def judge_key(self, key: bytes, size: int, service: bool, now: int) -> Verdict:
        """What to say to an offer under this delivery key, before its body (§6). `size` in bytes."""
        return self._gate.judge_key(key, size, service, now)

    def judge_author(
        self, address: str, now: int, *, service: bool = False, batch: Batch | None = None
    ) -> Verdict:
        """What to say once the author is proven. OK for a stranger too: a first contact."""
        return self._gate.judge_author(address, service, now, batch)

    def count(self, batch: Batch, address: str, service: bool, now: int) -> None:
        """Note that a letter of this author is taken with this batch."""
        self._gate.count(batch, address, service, now)

    def challenge(self, peer_id: bytes, now: int, weeks: range) -> Challenge:
        """What a stranger at this peer has to work on; `weeks`: of the prekeys that we hold."""
        return self._challenges.give(peer_id, now, weeks.start, len(weeks))

    async def check_stamp(self, peer_id: bytes, stamp: Stamp, now: int) -> None:
        """Return if the work was done; RemoteProtocolError with the status to answer otherwise."""
        await self._challenges.check(peer_id, stamp, now)

    @property
    def price(self) -> int:
        """Bits asked of a stranger now."""
        return self._challenges.price(self._clock.now())

    # ---- what we let them do

    def ours(self, address: str, batch: Batch | None = None) -> Ours | None:
        return self._book.ours(address, batch)

    def state(self, address: str, now: int, batch: Batch | None = None) -> State:
        """Where a sender stands now."""
        return state_of(self._book.ours(address, batch), self._gate.believed(now))

    def list(self) -> Iterator[Ours]:
        """Everyone judged or asking, in no order that means anything; read in pages."""
        return self._book.all_ours()

    def accept(self, batch: Batch, who: Counterpart, rules: Rules, now: int) -> bytes:
        """The owner accepts, or changes the rules; returns the handshake to send.

        Raises NodeError while the clock is doubtful: a handshake from the future binds nobody.
        """
        self._refuse_doubt()
        return self._accept(batch, who, rules.terms(OWNERS_LEVEL), now, automatic=False).record

    def revoke(self, batch: Batch, address: str, now: int) -> bytes | None:
        """The owner revokes, from now on; returns the handshake to tell of it, if they were accepted."""
        before = self._book.ours(address, batch)
        state = state_of(before, self._gate.believed(now))
        if state is State.REVOKED:
            return None
        last = before.handshake if before is not None else None
        # A wrong clock must not keep a revocation from taking effect, nor put its seq out of reach.
        when = last.seq + 1 if last is not None and self._doubtful() else now
        after = revoked(before or Ours(address), self._book.key, when)
        self._book.put_ours(batch, before, after)
        return after.record if state is State.ACCEPTED else None

    def request_arrived(self, batch: Batch, author: IdentityRecord, note: str, now: int) -> bool:
        """A letter came from someone not accepted; True if it is a new request."""
        before = self._book.ours(author.address, batch)
        state = state_of(before, self._gate.believed(now))
        after = requested(before or Ours(author.address), Counterpart.of(author), note, now)
        if after == before or after.state is not State.REQUEST:
            return False
        self._book.put_ours(batch, before, after)
        if state is not State.REQUEST:
            self._make_room(batch)
        return state is not State.REQUEST

    def way_back(self, batch: Batch, who: IdentityRecord, now: int) -> tuple[bytes, ...]:
        """What goes along with a letter to them, so that an answer needs no stamp (§5); it is made or
        renewed where it has to be. Nothing new is signed while the clock is doubtful.
        """
        entry = self._book.ours(who.address, batch)
        if needs_way_back(entry, now) and not self._doubtful():
            entry = self._accept(batch, Counterpart.of(who), way_back_terms(now), now, automatic=True)
        return (entry.record,) if entry is not None and rides(entry, now) else ()

    def expire(self, batch: Batch, now: int) -> int:
        """End what has run out, up to EXPIRE_AT_ONCE of it; returns how much. Nothing while in doubt."""
        if self._doubtful():
            return 0
        due = self._book.due(now, EXPIRE_AT_ONCE)
        for end in due:
            if end.invitation is not None:
                self._book.drop_invitation(batch, end.invitation, end.when)
            elif end.entry is not None:
                self._end(batch, end.entry)
        return len(due)

    # ---- invitations of ours

    def new_invitation(self, batch: Batch, now: int) -> bytes:
        """The secret of a one-time invitation, good for 72 hours (§5). Raises NodeError."""
        self._refuse_doubt()
        if self._book.count_invitations(self._limits.invitations) >= self._limits.invitations:
            text = f"{self._limits.invitations} invitations are open already"
            raise NodeError("invitations-full", text, "give out those, or wait 72 hours")
        secret = chance.token_bytes(INVITATION_SECRET_BYTES)
        self._book.put_invitation(batch, Invitation(secret, now + INVITATION_LIFE_MS))
        return secret

    def use_invitation(self, batch: Batch, index: bytes, author: IdentityRecord, now: int) -> bool:
        """Whether the author may use it: the first who does is accepted, and may use it again; nobody
        else, and no revoked sender.
        """
        invitation = self._book.invitation(index)
        believed = self._gate.believed(now)
        if invitation is None or (believed is not None and invitation.until <= believed):
            return False
        before = self._book.ours(author.address, batch)  # an owner's own rules stay as they are
        if state_of(before, believed) is State.REVOKED or invitation.user not in ("", author.address):
            return False
        if invitation.user:
            return True
        if before is None or before.automatic or state_of(before, believed) is not State.ACCEPTED:
            if self._doubtful():
                raise RemoteProtocolError("our clock is in doubt, and an acceptance carries the time", TIME)
            self._accept(batch, Counterpart.of(author), Terms(level=OWNERS_LEVEL), now, automatic=False)
        self._book.put_invitation(batch, replace(invitation, user=author.address))
        return True

    # ---- what they let us do

    def theirs(self, address: str) -> Theirs | None:
        return self._book.theirs(address)

    def list_theirs(self) -> Iterator[Theirs]:
        return self._book.all_theirs()

    def learn(self, batch: Batch, records: Sequence[bytes], author: IdentityRecord, now: int) -> bool:
        """Take the newest of an owner's handshakes about us; True if it changes what we may do.

        Raises RemoteProtocolError for one that is not the author's own, or from the future.
        """
        return self._permits.learn(batch, records, author, now)

    def learn_invitation(self, batch: Batch, address: str, secret: bytes) -> None:
        """Use this invitation of theirs, until a handshake comes or 72 hours are over."""
        self._permits.learn_invitation(batch, address, secret, INVITATION_LIFE_MS)

    def asked(self, batch: Batch, address: str, now: int) -> None:
        """Note that a request to them is on its way."""
        self._permits.asked(batch, address, now)

    def delivery_key(self, address: str, peer_id: bytes) -> SigningKey | None:
        """The key that names us to a node of theirs, if they accept us or have revoked us."""
        return self._permits.delivery_key(address, peer_id)

    def accepted_by(self, address: str) -> bool:
        """Whether, as far as we know, that owner accepts letters of ours."""
        return self._permits.accepted(address)

    def _accept(self, batch: Batch, who: Counterpart, terms: Terms, now: int, *, automatic: bool) -> Ours:
        before = self._book.ours(who.address, batch)
        grant = chance.token_bytes(GRANT_BYTES)
        after = accepted(
            before or Ours(who.address), who, terms, self._book.key, grant, now, automatic=automatic
        )
        self._book.put_ours(batch, before, after)
        return after

    def _make_room(self, batch: Batch) -> None:
        """Let the oldest requests go when there are too many (§6: what strangers send has bounds)."""
        most = self._limits.requests
        if self._most_requests is None or self._most_requests >= most:
            self._most_requests = self._book.count_requests(most + MAKE_ROOM)
        self._most_requests += 1  # the one in this batch
        if self._most_requests > most:
            for entry in self._book.requests(min(MAKE_ROOM, most)):
                self._end(batch, entry)

    def _end(self, batch: Batch, entry: Ours) -> None:
        """An entry's time is over. Of a stranger whom the owner never answered nothing stays."""
        after = expired(entry)
        self._book.put_ours(batch, entry, after)
        if after is None and self._permits.forget(batch, entry.address):
            self._forgotten(batch, entry.address)

    def _refuse_doubt(self) -> None:
        if self._doubtful():
            text = "the clock of this machine can't be believed, and handshakes carry the time"
            raise NodeError("clock-doubtful", text, "set the clock, then try again")
