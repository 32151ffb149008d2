"""What domains have said before: their Mailio keys, and whose an e-mail address is. It is kept for ever, for
who was reached sealed once is never written to in the open unasked (protocol.md §4). Asking is bindings.py's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from node.storage import Batch, Store
from node.storage.schema import BOUND, DOMAIN_KEY
from protocol.cbor import Value
from protocol.fields import Fields
from protocol.kdf import KEY_BYTES
from protocol.keys import address_of


@dataclass(frozen=True, slots=True)
class Domain:
    """The key that a domain's record showed. `answered`: who has that key has answered for the domain, so it
    was no forgery of the DNS; before that another key takes its place.
    """

    key: bytes
    answered: bool


@dataclass(frozen=True, slots=True)
class Name:
    """Whose an e-mail address is: `owner` is an identity key, `key` the domain's that signed it, `expires` in
    Unix ms.
    """

    owner: bytes
    key: bytes
    expires: int

    @property
    def address(self) -> str:
        return address_of(self.owner)


class SeenBook:
    """Reads and changes both. What takes a batch adds to it only; the caller writes it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def domain(self, domain: str) -> Domain | None:
        """What this domain showed, if it ever did."""
        value = self._store.get(DOMAIN_KEY, self._place("domain", domain))
        if not isinstance(value, Mapping):
            return None
        fields = Fields(value, "domain")
        return Domain(fields.bytes("key", length=KEY_BYTES), fields.flag("answered"))

    def put_domain(self, batch: Batch, domain: str, seen: Domain) -> None:
        value: dict[str, Value] = {"key": seen.key, "answered": seen.answered}
        batch.put(DOMAIN_KEY, self._place("domain", domain), value)

    def name(self, email: str) -> Name | None:
        """Whose this address (in its normal form) was when its domain was asked last."""
        value = self._store.get(BOUND, self._place("bound", email))
        if not isinstance(value, Mapping):
            return None
        fields = Fields(value, "bound")
        return Name(
            fields.bytes("owner", length=KEY_BYTES),
            fields.bytes("key", length=KEY_BYTES),
            fields.int("expires"),
        )

    def put_name(self, batch: Batch, email: str, name: Name) -> None:
        value: dict[str, Value] = {"owner": name.owner, "key": name.key, "expires": name.expires}
        batch.put(BOUND, self._place("bound", email), value)

    def _place(self, context: str, text: str) -> tuple[bytes]:
        return (self._store.index(context, text.encode()),)
