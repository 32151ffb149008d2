"""The gate's face: each act of the owner, of a letter or of time is one method that adds to a batch.

How an entry changes is rules.py's, who gets in gate.py's, what a stranger pays stamps.py's. A sender has one
name everywhere: a Mailio address, or an e-mail address in its normal form.
"""

import secrets as chance
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from node.consent.book import Book, index_of
from node.consent.ends import Ends
from node.consent.entries import Counterpart, Invitation, Limits, Ours, Rules, Theirs, Verdict
from node.consent.gate import Gate
from node.consent.grants import Permits
from node.consent.hashing import hash_emails
from node.consent.hosted import Kept, Place, kept_of, kept_of_invitation
from node.consent.keeping import Keeping
from node.consent.rules import (
    OWNERS_LEVEL,
    accepted,
    needs_way_back,
    requested,
    revoked,
    rides,
    state_of,
    way_back_terms,
)
from node.consent.stamps import Challenges
from node.consent.threads import Threads
from node.runtime.clock import Clock
from node.runtime.errors import NodeError
from node.storage import Batch, Store
from protocol.errors import RemoteProtocolError
from protocol.handshake import Handshake, State, Terms
from protocol.held import Held, open_held
from protocol.identity import IdentityRecord
from protocol.keys import Secrets, SigningKey
from protocol.link import INVITATION_LIFE_MS
from protocol.offer import Challenge, Stamp
from protocol.pair import GRANT_BYTES, INVITATION_SECRET_BYTES, invitation_delivery_key
from protocol.status import TIME


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
        self._book = Book(store, secrets, own_peer_id)
        self._gate = Gate(store, self._book, limits, doubtful)
        self._permits = Permits(self._book, clock, doubtful)
        self._challenges = Challenges(threads, fullness, limits.price)
        self._ends = Ends(self._book, self._permits, forgotten, limits.requests)
        self._threads = threads
        self.keeping = Keeping(self._book)

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
        self,
        address: str,
        now: int,
        *,
        service: bool = False,
        batch: Batch | None = None,
        paced: bool = True,
    ) -> Verdict:
        """What to say once the author is proven. OK for a stranger too: a first contact. What was not `paced`
        here (it waited at a host, which counts for itself) may come at any time.
        """
        return self._gate.judge_author(address, service, now, batch, paced=paced)

    def judge_mail(
        self, proven: Sequence[str], claimed: Sequence[str], now: int, batch: Batch | None = None
    ) -> Verdict:
        """What to say to mail that came by SMTP; addresses in their normal form, as many as the caller lets
        in. `proven`: its From, where aligned DKIM holds; `claimed`: what it says of itself besides. Revoked
        under any of them counts, accepted only where proven (§6). OK for a stranger: a first contact.
        `address` is the name that counted, else the first proven one.
        """
        return self._gate.judge_mail(proven, claimed, now, batch)

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

    def revoke(self, batch: Batch, address: str, now: int, email_hash: str = "") -> bytes | None:
        """The owner revokes, from now on; returns the handshake to tell of it, if they were accepted. An
        e-mail address needs its hash where none is kept (`unhashed`), else LocalProtocolError.
        """
        before = self._book.ours(address, batch)
        state = state_of(before, self._gate.believed(now))
        if state is State.REVOKED:
            return None
        last = before.handshake if before is not None else None
        # A wrong clock must not keep a revocation from taking effect, nor put its seq out of reach.
        when = last.seq + 1 if last is not None and self._doubtful() else now
        entry = before or Ours(address)
        entry = replace(entry, email_hash=email_hash or entry.email_hash)
        after = revoked(entry, self._book.key, when)
        self._book.put_ours(batch, before, after)
        return after.record if state is State.ACCEPTED else None

    def request_arrived(self, batch: Batch, author: IdentityRecord, note: str, now: int) -> bool:
        """A letter came from someone not accepted; True if it is a new request."""
        return self._request(batch, Counterpart.of(author), note, now)

    def mail_requested(self, batch: Batch, email: str, note: str, now: int) -> bool:
        """Mail came from a proven e-mail address not accepted; True if it is a new request. Nothing is
        hashed nor signed: a stranger must not make us work.
        """
        return self._request(batch, Counterpart(email), note, now)

    def way_back(self, batch: Batch, who: IdentityRecord, now: int) -> tuple[bytes, ...]:
        """What goes along with a letter to them, so that an answer needs no stamp (§5); it is made or
        renewed where it has to be. Nothing new is signed while the clock is doubtful.
        """
        entry = self._book.ours(who.address, batch)
        if needs_way_back(entry, now) and not self._doubtful():
            entry = self._accept(batch, Counterpart.of(who), way_back_terms(now), now, automatic=True)
        return (entry.record,) if entry is not None and rides(entry, now) else ()

    def unhashed(self, emails: Sequence[str]) -> tuple[str, ...]:
        """Those e-mail addresses whose hash is not kept yet, each once."""
        entries = {email: self._book.ours(email) for email in emails}
        return tuple(email for email, entry in entries.items() if entry is None or not entry.email_hash)

    async def hashes(self, emails: Sequence[str]) -> dict[str, str]:
        """E-mail address → hash, for all of them: the kept ones, the others worked out in threads. To be
        called before the batch is begun, since it waits.
        """
        fresh = await hash_emails(self.unhashed(emails), self._threads)
        return {email: fresh.get(email) or self._kept_hash(email) for email in emails}

    def wrote_to(self, batch: Batch, email: str, email_hash: str, now: int) -> bool:
        """The owner writes to this e-mail address, so an answer is taken for 90 days (§5, the way back);
        True if that is new or renewed. The owner's own word stands, above all a revocation, and nothing
        is signed while the clock is doubtful.
        """
        if self._doubtful() or not needs_way_back(self._book.ours(email, batch), now):
            return False
        who = Counterpart(email, email_hash=email_hash)
        self._accept(batch, who, way_back_terms(now), now, automatic=True)
        return True

    def expire(self, batch: Batch, now: int) -> int:
        """End what has run out, up to some hundreds of it; returns how much. Nothing while in doubt."""
        return 0 if self._doubtful() else self._ends.expire(batch, now)

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

    def held_tag(self, owner: IdentityRecord) -> bytes:
        """Under which a host keeps that owner's handshake about us (§5)."""
        return self._permits.held_tag(owner)

    def learn_held(self, batch: Batch, data: bytes, account: bytes, owner: IdentityRecord, now: int) -> bool:
        """`learn` what a host keeps for the owner whose account there this is. Raises RemoteProtocolError
        for a record that is not the account's, can't be opened, or is not the owner's own.
        """
        return self._permits.learn_held(batch, data, account, owner, now)

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

    # ---- what hosts keep for us

    def kept(self, address: str, place: Place) -> Kept:
        """What this host is to keep of a sender; nothing of e-mail addresses, which have no keys."""
        entry, now = self._book.ours(address), self._clock.now()
        if entry is None or not entry.pair_key:
            return Kept()
        try:
            pair = self._book.pair(entry.pair_key, entry.address, owner_is_us=True)
        except RemoteProtocolError:  # a request's key that nothing can be shared with
            return Kept()
        return kept_of(entry, pair, place, self._gate.believed(now))

    def kept_invitation(self, key: bytes, place: Place) -> Kept:
        """What this host is to keep of the invitation with this delivery key."""
        entry = self._book.invitation(index_of(key))
        if entry is None:
            return Kept(no_keys=(key,))
        return kept_of_invitation(entry, self.address, place, self._gate.believed(self._clock.now()))

    def invitations(self) -> Iterator[bytes]:
        """The delivery keys of the invitations that are open."""
        for entry in self._book.all_invitations():
            yield invitation_delivery_key(entry.secret, self.address).public

    def open_held(self, address: str, held: Held) -> Handshake | None:
        """The handshake in a `held/1` record about this sender; None if we have not signed it."""
        entry = self._book.ours(address)
        if entry is None or not entry.pair_key:
            return None
        try:
            pair = self._book.pair(entry.pair_key, entry.address, owner_is_us=True)
            handshake = open_held(held, pair)
        except RemoteProtocolError:
            return None
        return handshake if handshake.owner_public_key == self._book.key.public else None

    def _accept(self, batch: Batch, who: Counterpart, terms: Terms, now: int, *, automatic: bool) -> Ours:
        before = self._book.ours(who.address, batch)
        grant = chance.token_bytes(GRANT_BYTES)
        after = accepted(
            before or Ours(who.address), who, terms, self._book.key, grant, now, automatic=automatic
        )
        self._book.put_ours(batch, before, after)
        return after

    def _request(self, batch: Batch, who: Counterpart, note: str, now: int) -> bool:
        before = self._book.ours(who.address, batch)
        state = state_of(before, self._gate.believed(now))
        after = requested(before or Ours(who.address), who, note, now)
        if after == before or after.state is not State.REQUEST:
            return False
        self._book.put_ours(batch, before, after)
        if state is not State.REQUEST:
            self._ends.make_room(batch)
        return state is not State.REQUEST

    def _kept_hash(self, email: str) -> str:
        entry = self._book.ours(email)
        return entry.email_hash if entry is not None else ""

    def _refuse_doubt(self) -> None:
        if self._doubtful():
            text = "the clock of this machine can't be believed, and handshakes carry the time"
            raise NodeError("clock-doubtful", text, "set the clock, then try again")
