"""Rows of `mailio handshake list` (interface.md), and the event that says that one has changed. Nothing is
changed here.
"""

from collections.abc import Iterable, Mapping

from node.consent import Consent, Ours
from node.handshakes.views import Mailroom
from node.handshakes.who import name_of
from node.names import Names
from node.runtime.clock import Clock
from node.runtime.events import Events
from protocol.handshake import State

_ORDER = {State.REQUEST: 0, State.ACCEPTED: 1, State.REVOKED: 2, State.NONE: 3}


class Listing:
    """What is shown of handshakes. Times in Unix ms, `expires` None: never; `theirs` is what that owner
    lets us do, "none" for e-mail addresses; `handshakeId` is "" while an e-mail address only asks.
    """

    def __init__(
        self, consent: Consent, mailbox: Mailroom, names: Names, events: Events, clock: Clock
    ) -> None:
        self._consent = consent
        self._mailbox = mailbox
        self._names = names
        self._events = events
        self._clock = clock

    def all(self) -> list[dict[str, object]]:
        """Everyone judged, asking, or letting us write: requests first, then the newest of each state
        first.
        """
        entries = {e.address: e for e in self._consent.list()}
        for theirs in self._consent.list_theirs():
            entries.setdefault(theirs.address, Ours(theirs.address))
        now = self._clock.now()
        judged = [(self._consent.state(e.address, now), e) for e in entries.values()]
        judged.sort(key=lambda pair: (_ORDER[pair[0]], -pair[1].created, pair[1].address))
        names = self._contacts()
        return [self._row(state, entry, names.get(entry.address, entry.address)) for state, entry in judged]

    def row(self, who: str) -> dict[str, object]:
        """The row of one Mailio or e-mail address, known or not."""
        entry = self._consent.ours(who) or Ours(who)
        return self._row(self._consent.state(who, self._clock.now()), entry, name_of(who, self._names))

    def publish(self, who: str) -> None:
        """Tell that this handshake may have changed."""
        entry = self._consent.ours(who) or Ours(who)
        state = self._consent.state(who, self._clock.now())
        handshake_id = entry.handshake_id(self._consent.address)
        self._events.publish(
            "handshake", {"handshakeId": handshake_id, "address": who, "status": state.value}
        )

    def publish_all(self, names: Iterable[str]) -> None:
        for who in names:
            self.publish(who)

    def _contacts(self) -> Mapping[str, str]:
        names: dict[str, str] = {}
        for contact in self._names.contacts():
            names.update(dict.fromkeys(contact.emails, contact.name))
            if contact.address is not None:
                names[contact.address] = contact.name
        return names

    def _row(self, state: State, entry: Ours, who: str) -> dict[str, object]:
        waits = state in (State.REQUEST, State.NONE)
        return {
            "handshakeId": entry.handshake_id(self._consent.address),
            "who": who,
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
            "waiting": self._mailbox.waiting(entry.address) if waits else 0,
            "theirs": self._their_word(entry.address).value,
        }

    def _their_word(self, who: str) -> State:
        """What they let us do now: an acceptance may have run out."""
        theirs = self._consent.theirs(who)
        if theirs is None or (theirs.status is State.ACCEPTED and not self._consent.accepted_by(who)):
            return State.NONE
        return theirs.status
