"""The owner's providers in the store: which they are, how far each folder is fetched, and what is to be
deleted there. Nothing is fetched here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from node.pickup.errors import no_provider, too_many
from node.pickup.provider import Provider
from node.runtime.clock import Clock
from node.storage import Batch, Store
from node.storage.schema import FETCHED, PROVIDER, PROVIDER_DUE, PROVIDER_FOLDER
from node.users import Passwords
from protocol.cbor import Value
from protocol.fields import Fields

MAX_PROVIDERS: Final = 10
"""Mailboxes of one owner; each has a connection and now and then a thread."""

MAX_LATE: Final = 200
"""Letters of one folder that are tried again before more are fetched."""

MAX_LARGE: Final = 100
"""Letters of one folder that are too large; who has more hears of these."""

PAGE: Final = 500
"""Rows deleted in one batch."""


@dataclass(frozen=True, slots=True)
class Late:
    """A letter that could not be taken in yet: its UID, and when it was first tried (Unix ms)."""

    uid: int
    since: int


@dataclass(frozen=True, slots=True)
class Folder:
    """How far a folder is fetched: the numbering that this is about (RFC 3501 §2.3.1.1), the UID from which
    on nothing was looked at, the UID below which letters are old ones, those to be tried again, and those
    that are too large to be fetched.
    """

    validity: int
    next: int
    fence: int
    late: tuple[Late, ...] = ()
    large: tuple[int, ...] = ()


class Providers:
    """All of them. What takes a batch adds to it only: the caller writes it."""

    def __init__(self, store: Store, passwords: Passwords, clock: Clock) -> None:
        self._store = store
        self._passwords = passwords
        self._clock = clock

    # ---- which they are

    def all(self) -> list[Provider]:
        """In the order in which they were added."""
        rows = self._store.scan(PROVIDER, limit=MAX_PROVIDERS)
        return sorted((Provider.read(value) for _, value in rows), key=lambda one: (one.created, one.address))

    def find(self, address: str) -> Provider | None:
        row = self._store.get(PROVIDER, (self._place(address),))
        return None if row is None else Provider.read(row)

    def password(self, address: str) -> str:
        """For it; "" where none is kept."""
        return self._passwords.provider(self._place(address))

    def add(self, batch: Batch, provider: Provider, password: str) -> Provider:
        """Add it, or change the one of this address, which is fetched on where it was; as it is kept. Raises
        ProviderError, PasswordError.
        """
        before, now = self.find(provider.address), self._clock.now()
        if before is None and len(self.all()) >= MAX_PROVIDERS:
            raise too_many(MAX_PROVIDERS)
        kept = replace(provider, created=before.created if before else now, changed=now)
        place = self._place(provider.address)
        self._passwords.set_provider(batch, place, password)
        batch.put(PROVIDER, (place,), kept.value())
        return kept

    def remove(self, batch: Batch, address: str) -> None:
        """Fetch from it no more; what was fetched stays. Call `forget` after. Raises ProviderError."""
        if self.find(address) is None:
            raise no_provider(address)
        place = self._place(address)
        batch.delete(PROVIDER, (place,))
        self._passwords.unset_provider(batch, place)
        for key, _ in self._store.walk(PROVIDER_FOLDER, (place,)):
            batch.delete(PROVIDER_FOLDER, key)

    async def forget(self, address: str) -> None:
        """Forget which letters of a removed provider are here, in batches: they can be many."""
        place = self._place(address)
        for space in (FETCHED, PROVIDER_DUE):
            while self.find(address) is None and (rows := self._store.scan(space, (place,), limit=PAGE)):
                batch = Batch()
                for key, _ in rows:
                    batch.delete(space, key)
                await self._store.write(batch, sync=False)

    # ---- how far they are fetched

    def folder(self, provider: Provider, folder: str) -> Folder | None:
        row = self._store.get(PROVIDER_FOLDER, self._folder_place(provider, folder))
        return None if row is None else _read(row)

    async def keep(self, provider: Provider, name: str, folder: Folder, batch: Batch | None = None) -> None:
        """How far it is, and what stands in `batch`, once that is on disk. Nothing where the provider is not
        what it was.
        """
        batch = batch or Batch()
        if self.find(provider.address) == provider:
            if self.folder(provider, name) != folder:
                self.put(batch, provider, name, folder)
            await self._store.write(batch)

    def put(self, batch: Batch, provider: Provider, name: str, folder: Folder) -> None:
        batch.put(PROVIDER_FOLDER, self._folder_place(provider, name), _value(folder))

    def has(self, provider: Provider, digest: bytes) -> bool:
        """Whether the letter with this digest was fetched from there once, under whatever number."""
        return self._store.get(FETCHED, (self._place(provider.address), self._letter(digest))) is not None

    def note(
        self, batch: Batch, provider: Provider, name: str, validity: int, uid: int, digest: bytes
    ) -> None:
        """The letter is on disk here, so it is known again, and may be deleted there if that is asked for."""
        place, folder = self._folder_place(provider, name)
        batch.put(FETCHED, (place, self._letter(digest)), 1)
        if provider.delete_after is not None:
            batch.put(PROVIDER_DUE, (place, folder, self._clock.now(), uid), validity)

    def due(self, provider: Provider, name: str, most: int) -> list[tuple[int, int, int]]:
        """What is to be deleted there now, by what the owner says now: since when it is on disk here, UID,
        UIDVALIDITY.
        """
        if provider.delete_after is None:
            return []
        place, until = self._folder_place(provider, name), self._clock.now() - provider.delete_after
        rows = self._store.scan(PROVIDER_DUE, place, before=(*place, max(until, -1) + 1), limit=most)
        return [(int(key[2]), int(key[3]), value) for key, value in rows if isinstance(value, int)]

    async def deleted(self, provider: Provider, name: str, rows: Sequence[tuple[int, int, int]]) -> None:
        """That is done."""
        batch, place = Batch(), self._folder_place(provider, name)
        for since, uid, _ in rows:
            batch.delete(PROVIDER_DUE, (*place, since, uid))
        await self._store.write(batch)

    def _place(self, address: str) -> bytes:
        return self._store.index("provider", address.encode())

    def _folder_place(self, provider: Provider, folder: str) -> tuple[bytes, bytes]:
        return self._place(provider.address), self._store.index("provider-folder", folder.encode())

    def _letter(self, digest: bytes) -> bytes:
        return self._store.index("provider-letter", digest)


def _value(folder: Folder) -> dict[str, Value]:
    return {
        "validity": folder.validity,
        "next": folder.next,
        "fence": folder.fence,
        "late": [[one.uid, one.since] for one in folder.late],
        "large": list(folder.large),
    }


def _read(value: Value) -> Folder:
    fields = Fields(value, "folder")
    late: list[Late] = []
    for row in fields.list("late", MAX_LATE):
        assert isinstance(row, list)
        late.append(Late(*row))
    large = tuple(uid for uid in fields.list("large", MAX_LARGE) if isinstance(uid, int))
    return Folder(fields.int("validity"), fields.int("next"), fields.int("fence"), tuple(late), large)
