"""App passwords: what a mail program shows to this node in place of its owner. Each has a name of its own, so
that a lost phone is taken out alone.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from node.runtime.clock import Clock
from node.storage import Batch, Store
from node.storage.schema import USER
from node.users.errors import bad_name, taken, too_many, unknown
from node.users.secret import MAX_TYPED, NOBODY, Hash, new_password
from protocol.cbor import Value
from protocol.fields import Fields
from protocol.kdf import KEY_BYTES

MAX_USERS: Final = 100
"""Mail programs of one owner; all of them are kept in memory."""

MAX_NAME: Final = 64
"""Characters of a name: a word, a device, an e-mail address."""


@dataclass(frozen=True, slots=True)
class User:
    """One mail program. `created` in Unix ms."""

    name: str
    created: int
    hash: Hash


class Users:
    """The owner's app passwords. What takes a batch adds to it only: the caller writes it and then calls
    `refresh`, from which on `check` goes by it. All but `check` belong to trio's thread.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._hashes: Mapping[str, Hash] = {}
        self.refresh()

    def refresh(self) -> None:
        """Go by what the store holds now."""
        # One assignment: another thread sees the old table or the new one.
        self._hashes = {_same(user.name): user.hash for user in self._all()}

    def check(self, name: str, password: str) -> bool:
        """Whether this password goes with this name. Waits for nothing and may be called in any thread; takes
        as long for a name that is not there.
        """
        known = len(name) <= MAX_TYPED and len(password) <= MAX_TYPED
        kept = self._hashes.get(_same(name)) if known else None
        fits = (kept or NOBODY).fits(password)
        return kept is not None and fits

    def known(self, name: str) -> bool:
        """Whether this mail program may still log in; any thread may ask, as of `check`."""
        return _same(name) in self._hashes

    def add(self, batch: Batch, name: str) -> str:
        """Add a mail program; its password, which is shown now and never again. Raises UserError."""
        name = clean_name(name)
        users = self._all()
        if any(_same(user.name) == _same(name) for user in users):
            raise taken(name)
        if len(users) >= MAX_USERS:
            raise too_many(MAX_USERS)
        password = new_password()
        batch.put(USER, self._place(name), _value(User(name, self._clock.now(), Hash.of(password))))
        return password

    def remove(self, batch: Batch, name: str) -> str:
        """Take a mail program out; its name as it was given. Raises UserError."""
        row = self._store.get(USER, self._place(name))
        if row is None:
            raise unknown(" ".join(name.split())[:MAX_NAME])
        batch.delete(USER, self._place(name))
        return _read(row).name

    def list(self) -> "list[dict[str, object]]":
        """All of them by name; `created` in Unix ms."""
        users = sorted(self._all(), key=lambda user: _same(user.name))
        return [{"name": user.name, "created": user.created} for user in users]

    def _all(self) -> tuple[User, ...]:
        return tuple(_read(value) for _, value in self._store.scan(USER, limit=MAX_USERS))

    def _place(self, name: str) -> tuple[bytes]:
        return (self._store.index("user", _same(name).encode("utf-8", "surrogatepass")),)


def clean_name(text: str) -> str:
    """A name as it is kept: NFC, single spaces. Raises UserError for one that is empty, too long, or holds
    what no one sees or types.
    """
    name = " ".join(part for part in unicodedata.normalize("NFC", text[:MAX_TYPED]).split(" ") if part)
    if not 0 < len(name) <= MAX_NAME:
        raise bad_name(f"a name for a mail program has from 1 to {MAX_NAME} characters")
    if not name.isprintable():
        raise bad_name("a name for a mail program holds no control or invisible characters")
    return name


def _same(name: str) -> str:
    """What two names have in common that are taken as one."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name[:MAX_TYPED]).casefold())
    return " ".join(folded.split())


def _value(user: User) -> dict[str, Value]:
    return {
        "name": user.name,
        "created": user.created,
        "salt": user.hash.salt,
        "digest": user.hash.digest,
    }


def _read(value: Value) -> User:
    fields = Fields(value, "app password")
    hash_ = Hash(fields.bytes("salt", length=KEY_BYTES), fields.bytes("digest", length=KEY_BYTES))
    return User(fields.text("name", 4 * MAX_NAME), fields.int("created"), hash_)
