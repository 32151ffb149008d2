"""What one host is to keep of a sender or an invitation of ours: the blinded handshake, and whose deposits it
takes (protocol.md §5, §6). Nothing here is sent or kept.
"""

from dataclasses import dataclass

from node.consent.entries import Invitation, Ours
from node.consent.gate import LIMITED_TYPES, MINUTE_MS
from node.consent.rules import state_of
from protocol.account import Item, KeyRule
from protocol.handshake import Handshake, State
from protocol.held import held_nonce, seal_held
from protocol.keys import SigningKey
from protocol.link import INVITATION_LIFE_MS
from protocol.pair import Pair, invitation_delivery_key


@dataclass(frozen=True, slots=True)
class KeptKey:
    """A delivery key of which deposits are taken under this rule. `seq` grows when the rule changes."""

    id: bytes
    seq: int
    rule: KeyRule


@dataclass(frozen=True, slots=True)
class Kept:
    """`held` is the `held/1` item, None where there is to be none; `gone` are ids that must not be there: a
    tag in `no_tags`, delivery keys in `no_keys`. `revoked`: it says that the sender may do nothing.
    """

    held: Item | None = None
    keys: tuple[KeptKey, ...] = ()
    no_tags: tuple[bytes, ...] = ()
    no_keys: tuple[bytes, ...] = ()
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A host: its peer id, the account there, and how many bytes one sender's letters may take there."""

    peer_id: bytes
    account: SigningKey
    share: int


def kept_of(entry: Ours, pair: Pair, place: Place, now: int | None) -> Kept:
    """What is kept of a sender with a pair key at `now` (None: by a doubtful clock, nothing has ended)."""
    keys = {g: pair.delivery_key(g, place.peer_id).public for g in _grants(entry)}
    state, handshake = state_of(entry, now), entry.handshake
    if handshake is None or state not in (State.ACCEPTED, State.REVOKED):
        return Kept(no_tags=(pair.tag,), no_keys=tuple(keys.values()))
    item = Item(pair.tag, handshake.seq, _held(handshake, pair, place))
    if state is State.REVOKED:
        return Kept(item, no_keys=tuple(keys.values()), revoked=True)
    rules = _rules(entry, place.share, now)
    here = tuple(KeptKey(keys[grant], handshake.seq, rule) for grant, rule in rules.items())
    return Kept(item, here, no_keys=tuple(key for grant, key in keys.items() if grant not in rules))


def kept_of_invitation(entry: Invitation, owner: str, place: Place, now: int | None) -> Kept:
    """What is kept of an invitation: its key, until it ends."""
    key = invitation_delivery_key(entry.secret, owner).public
    if now is not None and entry.until <= now:
        return Kept(no_keys=(key,))
    rule = KeyRule(0, place.share, entry.until)
    return Kept(keys=(KeptKey(key, entry.until - INVITATION_LIFE_MS, rule),))


def _held(handshake: Handshake, pair: Pair, place: Place) -> bytes:
    return seal_held(handshake, pair, place.account, held_nonce(handshake, pair))


def _grants(entry: Ours) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(g for g in (entry.grant, *(e.grant for e in entry.earlier)) if g))


def _rules(entry: Ours, share: int, now: int | None) -> dict[bytes, KeyRule]:
    """Grant → rule, for those that hold."""
    pause = entry.terms.frequency_minutes * MINUTE_MS if entry.terms.type in LIMITED_TYPES else 0
    rules = {}
    for earlier in entry.earlier:
        if earlier.until and (now is None or now < earlier.until):
            until = min(earlier.until, entry.until or earlier.until)
            rules[earlier.grant] = KeyRule(pause, share, until)
    if entry.grant:
        rules[entry.grant] = KeyRule(pause, share, entry.until)
    return rules
