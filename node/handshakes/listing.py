"""Rows of `mailio handshake list` (interface.md). Nothing is changed here."""

from collections.abc import Iterable, Mapping

from node.consent import Consent, Ours
from node.handshakes.views import Mailroom
from protocol.handshake import State

_ORDER = {State.REQUEST: 0, State.ACCEPTED: 1, State.REVOKED: 2, State.NONE: 3}


def listing(
    consent: Consent, mailbox: Mailroom, entries: Iterable[Ours], names: Mapping[str, str], now: int
) -> list[dict[str, object]]:
    """Requests first, then the newest of each state first. Times in Unix ms, `expires` None: never;
    `theirs` is what that owner lets us do.
    """
    judged = [(consent.state(e.address, now), e) for e in entries]
    judged.sort(key=lambda pair: (_ORDER[pair[0]], -pair[1].created, pair[1].address))
    return [_row(consent, mailbox, state, entry, names) for state, entry in judged]


def _row(
    consent: Consent, mailbox: Mailroom, state: State, entry: Ours, names: Mapping[str, str]
) -> dict[str, object]:
    theirs = consent.theirs(entry.address)
    waits = state in (State.REQUEST, State.NONE)
    return {
        "handshakeId": entry.handshake_id(consent.address),
        "who": names.get(entry.address, entry.address),
        "address": entry.address,
        "status": state.value,
        "type": entry.terms.type.value,
        "level": entry.terms.level.value,
        "subtype": entry.terms.signup_subtype,
        "every": entry.terms.frequency_minutes,
        "created": entry.created,
        "expires": entry.until or None,
        "automatic": entry.automatic,
        "note": entry.note,
        "waiting": mailbox.waiting(entry.address) if waits else 0,
        "theirs": _their_word(consent, entry.address, theirs.status if theirs else State.NONE),
    }


def _their_word(consent: Consent, address: str, status: State) -> str:
    """What they let us do now: an acceptance may have run out."""
    if status is State.ACCEPTED and not consent.accepted_by(address):
        return State.NONE.value
    return status.value
