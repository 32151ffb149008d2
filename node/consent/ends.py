"""What goes by itself: entries and invitations whose time is over, and the oldest requests when strangers
send too many. How an entry ends is rules.py's.
"""

from collections.abc import Callable
from typing import Final

from node.consent.book import Book
from node.consent.entries import Ours
from node.consent.grants import Permits
from node.consent.rules import expired
from node.storage import Batch

EXPIRE_AT_ONCE: Final = 500
"""Ends that one call of `expire` deals with: a batch that is written in milliseconds."""

MAKE_ROOM: Final = 100
"""Oldest requests that go at once when there are too many, so that the count is taken only now and then."""


class Ends:
    """Adds to batches. `forgotten` is told of a stranger of whom nothing stays; `most`: requests waiting."""

    def __init__(
        self, book: Book, permits: Permits, forgotten: Callable[[Batch, str], None], most: int
    ) -> None:
        self._book = book
        self._permits = permits
        self._forgotten = forgotten
        self._most = most
        self._most_requests: int | None = None  # Never fewer than there are; None until counted.

    def expire(self, batch: Batch, now: int) -> int:
        """End what has run out, up to EXPIRE_AT_ONCE of it; returns how much."""
        due = self._book.due(now, EXPIRE_AT_ONCE)
        for end in due:
            if end.invitation is not None:
                self._book.drop_invitation(batch, end.invitation, end.when)
            elif end.entry is not None:
                self._end(batch, end.entry)
        return len(due)

    def make_room(self, batch: Batch) -> None:
        """A new request is in the batch: let the oldest go when there are too many (§6: what strangers
        send has bounds).
        """
        if self._most_requests is None or self._most_requests >= self._most:
            self._most_requests = self._book.count_requests(self._most + MAKE_ROOM)
        self._most_requests += 1  # the one in this batch
        if self._most_requests > self._most:
            for entry in self._book.requests(min(MAKE_ROOM, self._most)):
                self._end(batch, entry)

    def _end(self, batch: Batch, entry: Ours) -> None:
        """An entry's time is over. Of a stranger whom the owner never answered nothing stays."""
        after = expired(entry)
        self._book.put_ours(batch, entry, after)
        if after is None and self._permits.forget(batch, entry.address):
            self._forgotten(batch, entry.address)
