"""How an entry of ours changes at each event of protocol.md §5, as values in and out.

The table of states is protocol.handshake's; where entries are kept is book.py's.
"""

import unicodedata
from dataclasses import replace
from typing import Final

from node.consent.entries import Counterpart, Grant, Ours, Rules
from node.runtime.clock import DAY_MS
from protocol.handshake import (
    DEFAULT_LIFE_MS,
    RENEW_BELOW_MS,
    SUPERSEDED_GRANT_MS,
    Event,
    Handshake,
    Level,
    State,
    Terms,
    accept,
    revoke,
    transition,
)
from protocol.keys import SigningKey
from protocol.offer import MAX_NOTE_BYTES

REQUEST_LIFE_MS: Final = 60 * DAY_MS  # As long as letters wait in the folder `handshake` (§6).
MAX_EARLIER: Final = 4  # Superseded grants kept: those that hold, and enough to know a revoked sender by.
# The last way back rides in every letter for as long as one of them may still be on its way: letters
# arrive in any order, and the first may fail.
RIDES_MS: Final = 5 * DAY_MS

WAY_BACK_LEVEL: Final = Level.NONE
OWNERS_LEVEL: Final = Level.PERSONAL  # The owner, or an invitation of the owner's, has decided.

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def state_of(entry: Ours | None, now: int | None) -> State:
    """Where the sender stands at `now`; with None, a doubtful clock, nothing has expired."""
    if entry is None:
        return State.NONE
    ends = entry.state in (State.REQUEST, State.ACCEPTED) and entry.until
    return State.NONE if ends and now is not None and entry.until <= now else entry.state


def accepted(
    entry: Ours,
    who: Counterpart,
    terms: Terms,
    key: SigningKey,
    fresh_grant: bytes,
    now: int,
    *,
    automatic: bool,
) -> Ours:
    """The owner accepts, or writes to someone not judged yet. A new grant only where the sender was not
    accepted; the one before then holds 30 days more, unless it was revoked. Raises LocalProtocolError for
    an e-mail address whose hash neither `who` nor the entry has.
    """
    state = state_of(entry, now)
    entry = replace(entry, email_hash=who.email_hash or entry.email_hash)
    handshake = accept(key, entry.sender, terms, previous=entry.handshake, fresh_grant=fresh_grant, now=now)
    grant = handshake.grant or b""
    earlier = entry.earlier
    if entry.grant and grant != entry.grant:
        holds_until = 0 if state is State.REVOKED else now + SUPERSEDED_GRANT_MS
        earlier = (Grant(entry.grant, holds_until), *earlier)[:MAX_EARLIER]
    return replace(
        entry,
        state=transition(state, Event.OWNER_ACCEPTS),
        terms=terms,
        until=terms.expires or 0,
        created=handshake.created,
        automatic=automatic,
        record=handshake.record,
        grant=grant,
        earlier=earlier,
        public_key=who.public_key,
        pair_key=who.pair_key,
    )


def revoked(entry: Ours, key: SigningKey, now: int) -> Ours:
    """The owner revokes: no grant holds any longer, and nothing expires. Raises LocalProtocolError for an
    e-mail address not hashed yet.
    """
    handshake = revoke(key, entry.sender, previous=entry.handshake, now=now)
    return replace(
        entry,
        state=transition(state_of(entry, now), Event.OWNER_REVOKES),
        terms=handshake.terms,
        until=0,
        created=handshake.created,
        automatic=False,
        record=handshake.record,
        grant=handshake.grant or entry.grant,
        earlier=tuple(Grant(e.grant, 0) for e in entry.earlier),
    )


def recovered(entry: Ours, handshake: Handshake) -> Ours:
    """After a disk was lost: our handshake about this sender, as a host held it, is newer than the entry."""
    grant, revoked = handshake.grant or entry.grant, handshake.status is State.REVOKED
    earlier = entry.earlier
    if entry.grant and grant != entry.grant:
        until = 0 if entry.state is State.REVOKED else handshake.created + SUPERSEDED_GRANT_MS
        earlier = (Grant(entry.grant, until), *earlier)[:MAX_EARLIER]
    return replace(
        entry,
        state=handshake.status,
        terms=handshake.terms,
        until=handshake.terms.expires or 0,
        created=handshake.created,
        automatic=not revoked and handshake.terms.level is WAY_BACK_LEVEL,
        record=handshake.record,
        grant=grant,
        earlier=tuple(Grant(e.grant, 0) for e in earlier) if revoked else earlier,
    )


def requested(entry: Ours, who: Counterpart, note: str, now: int) -> Ours:
    """A letter came from someone not accepted. Asking again merges: the first time and the last word stay."""
    before = state_of(entry, now)
    state = transition(before, Event.REQUEST_ARRIVES)
    if state is not State.REQUEST:
        return entry
    again = before is State.REQUEST
    return replace(
        entry,
        state=state,
        terms=Terms(),
        until=now + REQUEST_LIFE_MS,
        created=entry.created if again else now,
        automatic=False,
        public_key=who.public_key,
        pair_key=who.pair_key,
        asked=entry.asked if again else now,
        note=clean_note(note) or (entry.note if again else ""),
    )


def expired(entry: Ours) -> Ours | None:
    """What is left of an entry whose time is over: the grants and the last record, if there were any."""
    state = transition(entry.state, Event.EXPIRES)
    if not entry.record:
        return None
    return replace(entry, state=state, until=0, automatic=False, asked=0, note="")


def way_back_terms(now: int) -> Terms:
    """What whoever we write to may do without having been accepted (§5)."""
    return Rules(until=now + DEFAULT_LIFE_MS).terms(WAY_BACK_LEVEL)


def needs_way_back(entry: Ours | None, now: int) -> bool:
    """Whether a letter to them has to make or renew the way back."""
    state = state_of(entry, now)
    if entry is None or state in (State.NONE, State.REQUEST):
        return True
    return state is State.ACCEPTED and entry.automatic and entry.until - now < RENEW_BELOW_MS


def rides(entry: Ours, now: int) -> bool:
    """Whether the way back goes along with a letter written now."""
    fresh = entry.created <= now < entry.created + RIDES_MS
    return entry.automatic and fresh and state_of(entry, now) is State.ACCEPTED


def clean_note(text: str) -> str:
    """A note as it may be shown on one screen: no control or invisible characters, bounded."""
    seen = "".join(c if unicodedata.category(c) not in _UNSEEN else " " for c in text[:MAX_NOTE_BYTES])
    return " ".join(seen.split()).encode()[:MAX_NOTE_BYTES].decode(errors="ignore")
