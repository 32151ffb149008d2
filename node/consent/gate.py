"""The verdicts: before a letter's body by its delivery key, after opening by its author, and of mail by the
names that it proves and claims (protocol.md §6).

What was taken is counted here, for the pause between two letters and for service letters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from node.consent.book import Book, index_of
from node.consent.entries import Limits, Ours, Verdict
from node.consent.rules import OWNERS_LEVEL, state_of
from node.runtime.clock import DAY_MS
from node.storage import Batch, Store
from node.storage.schema import ALLOWANCE
from protocol.fields import Fields
from protocol.handshake import State, Type
from protocol.offer import MAX_SERVICE_BYTES
from protocol.pair import invitation_delivery_key
from protocol.status import MALFORMED, OK, REVOKED, TOO_LARGE, TOO_OFTEN, UNKNOWN_SENDER, Status

MINUTE_MS: Final = 60_000

LIMITED_TYPES: Final = frozenset({Type.SIGNUP, Type.SERVER})
"""Handshakes whose `signupRules` bind: personal ones have no pause."""


@dataclass(frozen=True, slots=True)
class Count:
    """What was taken from one sender: when the last letter (Unix ms), and service letters on `day`."""

    last: int = 0
    day: int = 0
    service: int = 0


class Gate:
    """Judges; changes nothing but counts. `doubtful` says whether our clock can't be believed."""

    def __init__(self, store: Store, book: Book, limits: Limits, doubtful: Callable[[], bool]) -> None:
        self._store = store
        self._book = book
        self._limits = limits
        self._doubtful = doubtful

    def believed(self, now: int) -> int | None:
        """The time by which something may expire; None while the clock is doubtful (§3)."""
        return None if self._doubtful() else now

    def judge_key(self, key: bytes, size: int, service: bool, now: int) -> Verdict:
        found = self._book.by_delivery_key(key)
        if found is None:
            return self._judge_invitation(key, size, service, now)
        entry, grant = found
        state = state_of(entry, self.believed(now))
        if state is State.REVOKED:
            return _verdict(entry, state, REVOKED)
        if state is not State.ACCEPTED or not entry.holds(grant, now):
            return Verdict(UNKNOWN_SENDER)
        return self._judge_rules(entry, size, service, now, current=grant == entry.grant)

    def judge_author(
        self, address: str, service: bool, now: int, batch: Batch | None, *, paced: bool
    ) -> Verdict:
        entry = self._book.ours(address, batch)
        state = state_of(entry, self.believed(now))
        if entry is None or state in (State.NONE, State.REQUEST):
            return Verdict(OK, state, address)
        if state is State.REVOKED:
            return _verdict(entry, state, REVOKED)
        if not paced:
            return _verdict(entry, state, OK)
        return self._judge_rules(entry, 0, service, now)

    def judge_mail(
        self, proven: Sequence[str], claimed: Sequence[str], now: int, batch: Batch | None
    ) -> Verdict:
        believed = self.believed(now)
        names = dict.fromkeys((*proven, *claimed))
        entries = {name: self._book.ours(name, batch) for name in names}
        states = {name: state_of(entry, believed) for name, entry in entries.items()}
        for name, entry in entries.items():
            if entry is not None and states[name] is State.REVOKED:
                return _verdict(entry, State.REVOKED, REVOKED)
        for name in proven:
            entry = entries[name]
            if entry is not None and states[name] is State.ACCEPTED:
                return self._judge_rules(entry, 0, service=False, now=now)
        first = proven[0] if proven else None
        return Verdict(OK, states[first] if first is not None else State.NONE, first)

    def count(self, batch: Batch, address: str, service: bool, now: int) -> None:
        """Note that a letter was taken. Nothing is written where nothing is limited: strangers pay stamps."""
        entry = self._book.ours(address, batch)
        if entry is None or entry.state is not State.ACCEPTED or not (service or _pause(entry)):
            return
        count, day = self._count(address), now // DAY_MS
        if service:
            count = Count(count.last, day, count.service + 1 if count.day == day else 1)
        else:
            count = Count(now, count.day, count.service)
        row = {"last": count.last, "day": count.day, "service": count.service}
        batch.put(ALLOWANCE, (self._book.place(address),), row)

    def _judge_invitation(self, key: bytes, size: int, service: bool, now: int) -> Verdict:
        index = index_of(key)
        invitation = self._book.invitation(index)
        if invitation is None or self._past(invitation.until, now):
            return Verdict(UNKNOWN_SENDER)
        if invitation_delivery_key(invitation.secret, self._book.address).public != key:
            return Verdict(UNKNOWN_SENDER)
        user = self._book.ours(invitation.user) if invitation.user else None
        state = state_of(user, self.believed(now))
        if user is not None and state is State.REVOKED:
            return _verdict(user, state, REVOKED)
        status = self._judge_size(size, service)
        # Who uses it is known after opening only; Consent.use_invitation then refuses all but one.
        return Verdict(status, state, level=OWNERS_LEVEL, invitation=index)

    def _judge_rules(
        self, entry: Ours, size: int, service: bool, now: int, *, current: bool = False
    ) -> Verdict:
        status = self._judge_size(size, service)
        if status != OK:
            return _verdict(entry, State.ACCEPTED, status)
        until = self._next_service(entry, now) if service else self._next_letter(entry, now)
        status = TOO_OFTEN if until else OK
        return _verdict(entry, State.ACCEPTED, status, until or None, current=current)

    def _judge_size(self, size: int, service: bool) -> Status:
        if service and size > MAX_SERVICE_BYTES:
            return MALFORMED
        return TOO_LARGE if size > self._limits.letter_bytes else OK

    def _next_letter(self, entry: Ours, now: int) -> int:
        """When the pause between two letters is over (Unix ms); 0 if it is."""
        pause = _pause(entry)
        last = self._count(entry.address).last if pause else 0
        # A last letter in the future was counted by a wrong clock: it must not shut the sender out.
        return last + pause if last <= now < last + pause else 0

    def _next_service(self, entry: Ours, now: int) -> int:
        """When the next service letter will be taken (Unix ms); 0 for now."""
        count, day = self._count(entry.address), now // DAY_MS
        spent = count.day == day and count.service >= self._limits.service_daily
        return (day + 1) * DAY_MS if spent else 0

    def _count(self, address: str) -> Count:
        row = self._store.get(ALLOWANCE, (self._book.place(address),))
        if row is None:
            return Count()
        fields = Fields(row, "allowance")
        return Count(fields.int("last"), fields.int("day"), fields.int("service"))

    def _past(self, until: int, now: int) -> bool:
        believed = self.believed(now)
        return believed is not None and until <= believed


def _pause(entry: Ours) -> int:
    return entry.terms.frequency_minutes * MINUTE_MS if entry.terms.type in LIMITED_TYPES else 0


def _verdict(
    entry: Ours, state: State, status: Status, until: int | None = None, *, current: bool = False
) -> Verdict:
    return Verdict(status, state, entry.address, entry.terms.type, entry.terms.level, until, current=current)
