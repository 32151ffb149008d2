"""Passwords that this node shows others, sealed in its store: never in config.toml, an argument or a log."""

from collections.abc import Callable, Mapping
from typing import Final

from node.runtime.settings_files import authorization
from node.storage import Batch, Store
from node.storage.schema import META
from node.users.errors import bad_form, bad_password, has_no_password

SMARTHOST: Final = "smtp.smarthost"
"""The setting that names the mail server which takes our mail to others."""

KUBO: Final = "files.kubo_api"
"""The setting that says where the owner's IPFS daemon is."""

_KEYS: Final = {SMARTHOST: b"smarthost-password", KUBO: b"kubo-secret"}

_FORMS: Final[Mapping[str, Callable[[str], object]]] = {KUBO: authorization}
"""Where not everything is one: what raises ValueError, and says why."""

_PROVIDER: Final = b"provider-password:"
"""What stands before the key of a provider."""

MAX_PASSWORD: Final = 1_000
"""Characters; tokens of mail providers reach some hundreds."""


class Passwords:
    """The passwords by the settings that they belong to. What takes a batch adds to it only: the caller
    writes it and then calls `refresh`, from which on `get` gives it. All but `get` belong to trio's thread.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: Mapping[str, str] = {}
        self.refresh()

    def refresh(self) -> None:
        """Go by what the store holds now."""
        found = {setting: self._store.get(META, (key,)) for setting, key in _KEYS.items()}
        # One assignment: another thread sees the old table or the new one.
        self._kept = {setting: value for setting, value in found.items() if isinstance(value, str)}

    def get(self, setting: str) -> str:
        """The password, "" where none is kept. Waits for nothing and may be called in any thread."""
        return self._kept.get(setting, "")

    def smarthost(self) -> str:
        """The password for the mail server that takes our mail to others, as `get` gives it."""
        return self.get(SMARTHOST)

    def kubo(self) -> str:
        """What the owner's IPFS daemon wants to hear, as `get` gives it."""
        return self.get(KUBO)

    def provider(self, place: bytes) -> str:
        """The password of the owner's mailbox at a provider, "" where none is kept. On trio's thread only."""
        found = self._store.get(META, (_PROVIDER + place,))
        return found if isinstance(found, str) else ""

    def set_provider(self, batch: Batch, place: bytes, password: str) -> None:
        """Keep it; `place` is the provider's key in the store. Raises PasswordError where it is none."""
        _require(password)
        batch.put(META, (_PROVIDER + place,), password)

    def unset_provider(self, batch: Batch, place: bytes) -> None:
        """Forget it."""
        batch.delete(META, (_PROVIDER + place,))

    def kept(self) -> dict[str, bool]:
        """Of each setting that has a password whether one is kept."""
        return {setting: setting in self._kept for setting in _KEYS}

    def set(self, batch: Batch, setting: str, password: str) -> None:
        """Keep a password. Raises PasswordError for a setting that has none, and for what is no password."""
        key = _key(setting)
        _require(password)
        try:
            _FORMS.get(setting, str)(password)
        except ValueError as error:
            raise bad_form(setting, str(error)) from None  # its cause would show the password
        batch.put(META, (key,), password)

    def unset(self, batch: Batch, setting: str) -> bool:
        """Forget a password; whether one was kept. Raises PasswordError."""
        key = _key(setting)
        if self._store.get(META, (key,)) is None:
            return False
        batch.delete(META, (key,))
        return True


def _require(password: str) -> None:
    if not 0 < len(password) <= MAX_PASSWORD:
        raise bad_password(f"a password has from 1 to {MAX_PASSWORD} characters")
    if not password.isprintable():
        raise bad_password("a password holds no line ends, control or invisible characters")


def _key(setting: str) -> bytes:
    try:
        return _KEYS[setting]
    except KeyError:
        raise has_no_password(setting[:100], _KEYS) from None
