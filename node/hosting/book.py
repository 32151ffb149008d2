"""The rows of all accounts, read and changed: every act is one Change, whose sums are right when it is
written. What may be changed is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from node.hosting.rows import Account, Kept, Known, Letter, Totals, Use
from node.storage import Batch, Store
from node.storage.codec import as_bytes, as_int
from node.storage.schema import (
    HOST_ACCOUNT,
    HOST_BODY,
    HOST_ENTRY,
    HOST_ENVELOPE,
    HOST_ITEM,
    HOST_LETTER,
    HOST_OWNER,
    HOST_USE,
    ITEM_SPACE,
    META,
)
from protocol.account import KeyRule, Space
from protocol.identity import IdentityRecord
from protocol.keys import address_of

TOTALS: Final = (b"hosting",)
"""Where the totals stand, so that nothing has to be counted at a start."""


class Book:
    """Reads. Belongs to trio's thread, as the store does."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def totals(self) -> Totals:
        return Totals.from_row(self.store.get(META, TOTALS))

    def account(self, key: bytes) -> Account | None:
        row = self.store.get(HOST_ACCOUNT, (key,))
        return None if row is None else Account.from_row(key, row)

    def record(self, address: str) -> IdentityRecord | None:
        """The newest record that any account of this owner brought, its times not judged."""
        data = self.store.get(HOST_OWNER, self.owner_place(address))
        return IdentityRecord.parse(data, None) if isinstance(data, bytes) else None

    def record_of(self, account: Account) -> IdentityRecord:
        """The record of an account's owner."""
        record = self.record(address_of(account.owner))
        assert record is not None  # it is written with the account
        return record

    def owner_place(self, address: str) -> tuple[bytes]:
        return (self.store.index("host-owner", address.encode()),)

    def kept(self, account: bytes, space: Space, item: bytes) -> Kept | None:
        row = self.store.get(HOST_ENTRY, (account, ITEM_SPACE[space], item))
        return None if row is None else Kept.from_row(item, row)

    def data(self, account: bytes, space: Space, item: bytes) -> bytes | None:
        """An item's bytes."""
        data = self.store.get(HOST_ITEM, (account, ITEM_SPACE[space], item))
        return data if isinstance(data, bytes) else None

    def rule(self, account: bytes, key: bytes) -> KeyRule | None:
        """What is said of a delivery key, whether it has run out or not."""
        data = self.data(account, Space.KEY, key)
        return None if data is None else KeyRule.parse(data)

    def page(self, account: bytes, space: Space, after: bytes | None, limit: int) -> list[Kept]:
        """Items in order of ids, from the first after `after` on."""
        prefix = (account, ITEM_SPACE[space])
        start = None if after is None else (*prefix, after + b"\0")
        rows = self.store.scan(HOST_ENTRY, prefix, start=start, limit=limit)
        return [Kept.from_row(as_bytes(key[2]), row) for key, row in rows]

    def walk(self, account: bytes, space: Space) -> Iterator[Kept]:
        """All items in order of ids, read in pages."""
        for key, row in self.store.walk(HOST_ENTRY, (account, ITEM_SPACE[space])):
            yield Kept.from_row(as_bytes(key[2]), row)

    def letter(self, account: bytes, n: int) -> Letter | None:
        row = self.store.get(HOST_LETTER, (account, n))
        return None if row is None else Letter.from_row(n, row)

    def letters(self, account: bytes, after: int, limit: int) -> list[Letter]:
        """Letters that wait, in order of numbers."""
        rows = self.store.scan(HOST_LETTER, (account,), start=(account, after + 1), limit=limit)
        return [Letter.from_row(as_int(key[1]), row) for key, row in rows]

    def newest(self, account: bytes) -> int:
        """The number of the newest letter that waits, 0 where none does."""
        rows = self.store.scan(HOST_LETTER, (account,), reverse=True, limit=1)
        return as_int(rows[0][0][1]) if rows else 0

    def known(self, account: bytes, envelope_id: bytes) -> Known | None:
        row = self.store.get(HOST_ENVELOPE, (account, envelope_id))
        return None if row is None else Known.from_row(row)

    def by_envelope(self, account: bytes, envelope_id: bytes) -> Letter | None:
        """The letter with this envelope, if it waits still."""
        known = self.known(account, envelope_id)
        return None if known is None else self.letter(account, known.n)

    def body(self, account: bytes, n: int) -> bytes | None:
        data = self.store.get(HOST_BODY, (account, n))
        return data if isinstance(data, bytes) else None

    def use(self, account: bytes, key: bytes) -> Use:
        return Use.from_row(self.store.get(HOST_USE, (account, key)))


class Change:
    """One act on one account: rows that go into `batch` at once, and the account with its sums, which go in
    with `done`. From its making until its batch is written there is no await.
    """

    def __init__(self, book: Book, account: Account) -> None:
        self.book = book
        self.batch = Batch()
        self.account = account
        self.before = book.account(account.key)
        self._uses: dict[bytes, Use] = {}

    def use(self, key: bytes) -> Use:
        """What a delivery key has used, with what this act changes of it."""
        found = self._uses.get(key)
        return self.book.use(self.account.key, key) if found is None else found

    def set_use(self, key: bytes, use: Use) -> None:
        self._uses[key] = use

    def done(self) -> Batch:
        """The batch, ready to be written; empty where nothing has changed."""
        for key, use in self._uses.items():
            place = (self.account.key, key)
            if use == Use() or (not use.waiting and self.book.rule(*place) is None):
                self.batch.delete(HOST_USE, place)
            else:
                self.batch.put(HOST_USE, place, use.to_row())
        if self.account != self.before:
            self.batch.put(HOST_ACCOUNT, (self.account.key,), self.account.to_row())
            self._sum_up()
        return self.batch

    def _sum_up(self) -> None:
        before, after, totals = self.before, self.account, self.book.totals()
        sums = Totals(
            totals.accounts + (before is None),
            totals.letters + after.letters - (before.letters if before else 0),
            totals.size + after.size - (before.size if before else 0),
        )
        if sums != totals:
            self.batch.put(META, TOTALS, sums.to_row())
