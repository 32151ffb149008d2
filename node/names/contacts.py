"""The address book: names for people, unique whatever their case. Keys and whereabouts are pins' business."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import nacl.utils

from node.names.errors import ContactError
from node.storage import Batch, Kind, Store, note_change
from node.storage.schema import CONTACT, CONTACT_INDEX
from protocol.cbor import Value
from protocol.email import MAX_EMAIL
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields
from protocol.recipient import MAX_NAME, NameRecipient, Recipient, parse_recipient

MAX_CONTACTS: Final = 5_000
"""Entries; reading all of them takes 0.1 s."""

MAX_EMAILS: Final = 20
"""E-mail addresses of one contact; few people have more."""

ID_BYTES: Final = 12

_Mark: TypeAlias = tuple[Literal["name", "address", "email"], str]
"""Something by which a contact is found."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One entry. `address` is a Mailio address; `created` in Unix ms."""

    id: bytes
    name: str
    address: str | None
    emails: tuple[str, ...]
    created: int


class Contacts:
    """Reads and changes the address book. What takes a batch adds to it only; the caller writes it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self) -> "list[Contact]":
        """All contacts by name."""
        rows = self._store.scan(CONTACT, limit=MAX_CONTACTS)
        found = [contact_of(key, value) for (key,), value in rows if isinstance(key, bytes)]
        return sorted(found, key=lambda one: same_name(one.name))

    def all(self) -> Iterator[Contact]:
        """All contacts in no order that means anything, read in pages as they are asked for."""
        for (key,), value in self._store.walk(CONTACT):
            assert isinstance(key, bytes)
            yield contact_of(key, value)

    def restore(self, batch: Batch, contact: Contact) -> bool:
        """Put a contact back as it was before a disk was lost, unless it is here; whether it was. Raises
        ContactError where another has its name or one of its addresses.
        """
        if self._store.get(CONTACT, (contact.id,)) is not None:
            return False
        self._put(batch, contact)
        return True

    def named(self, name: str) -> Contact | None:
        """The contact of that name, in any case."""
        return self._find(_by_name(name))

    def with_address(self, address: str) -> Contact | None:
        """The contact with this Mailio address."""
        return self._find(_by_address(address))

    def with_email(self, email: str) -> Contact | None:
        """The contact with this e-mail address, in its normal form."""
        return self._find(_by_email(email))

    def add(
        self, batch: Batch, name: str, address: str | None, emails: Sequence[str], created: int
    ) -> Contact:
        """Add an entry. `address` and `emails` are in their normal forms. Raises ContactError."""
        if len(self._store.scan(CONTACT, limit=MAX_CONTACTS)) >= MAX_CONTACTS:
            raise ContactError("contacts-full", f"an address book holds {MAX_CONTACTS} names", "remove some")
        found = _emails(address, emails)
        contact = Contact(nacl.utils.random(ID_BYTES), clean_name(name), address, found, created)
        self._put(batch, contact)
        return contact

    def change(
        self,
        batch: Batch,
        contact: Contact,
        *,
        name: str | None = None,
        whereabouts: tuple[str | None, Sequence[str]] | None = None,
    ) -> Contact:
        """Change what is given of an entry (`whereabouts`: Mailio address and e-mail addresses); it keeps
        its id. Raises ContactError.
        """
        address, emails = whereabouts or (contact.address, contact.emails)
        changed = replace(
            contact,
            name=contact.name if name is None else clean_name(name),
            address=address,
            emails=_emails(address, emails),
        )
        self._take_out(batch, contact)
        self._put(batch, changed)
        return changed

    def remove(self, batch: Batch, contact: Contact) -> None:
        """Take an entry out; what is pinned for its address stays."""
        self._take_out(batch, contact)
        batch.delete(CONTACT, (contact.id,))
        note_change(batch, Kind.CONTACT, contact.id, contact.name)

    def _find(self, mark: _Mark) -> Contact | None:
        identifier = self._store.get(CONTACT_INDEX, self._place(mark))
        if not isinstance(identifier, bytes):
            return None
        value = self._store.get(CONTACT, (identifier,))
        return None if value is None else contact_of(identifier, value)

    def _put(self, batch: Batch, contact: Contact) -> None:
        marks = _marks(contact)
        for mark in marks:
            other = self._find(mark)
            if other is not None and other.id != contact.id:
                raise ContactError(
                    "contact-exists",
                    f"{mark[1]} is the contact {other.name} already",
                    f"edit or remove that one, as in: mailio contact edit {other.name!r} …",
                )
        batch.put(CONTACT, (contact.id,), value_of(contact))
        note_change(batch, Kind.CONTACT, contact.id, contact.name)
        for mark in marks:
            batch.put(CONTACT_INDEX, self._place(mark), contact.id)

    def _take_out(self, batch: Batch, contact: Contact) -> None:
        for mark in _marks(contact):
            batch.delete(CONTACT_INDEX, self._place(mark))

    def _place(self, mark: _Mark) -> tuple[bytes]:
        kind, text = mark
        return (self._store.index(f"contact-{kind}", text.encode()),)


def clean_name(text: str) -> str:
    """The name as it is kept: NFC, single spaces. Raises ContactError for one that is empty, too long,
    holds characters that no one sees, or would be taken for an address.
    """
    name = " ".join(part for part in unicodedata.normalize("NFC", text).split(" ") if part)
    if not name or len(name.encode("utf-8", "replace")) > MAX_NAME:
        raise ContactError("contact-name", f"a contact's name has from 1 to {MAX_NAME} bytes")
    # Controls could rewrite a terminal's line; bidirectional and other invisible marks make one name
    # look like another.
    if not name.isprintable():
        raise ContactError("contact-name", "a contact's name holds no control or invisible characters")
    try:
        found: Recipient | None = parse_recipient(name)
    except RemoteProtocolError:
        found = None
    if found != NameRecipient(name):
        raise ContactError("contact-name", f"{name!r} looks like an address, not like a name")
    return name


def same_name(name: str) -> str:
    """What two names have in common that are taken as the same."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def _emails(address: str | None, emails: Sequence[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(emails))
    if address is None and not found:
        raise ContactError(
            "contact-empty", "a contact needs an e-mail address, Mailio address or contact link"
        )
    if len(found) > MAX_EMAILS:
        raise ContactError("contact-emails", f"a contact has at most {MAX_EMAILS} e-mail addresses")
    return found


def _by_name(name: str) -> _Mark:
    # What is typed may hold anything; a lone surrogate names nobody.
    return "name", same_name(name).encode("utf-8", "replace").decode()


def _by_address(address: str) -> _Mark:
    return "address", address


def _by_email(email: str) -> _Mark:
    return "email", email


def _marks(contact: Contact) -> list[_Mark]:
    """All by which a contact is found; each belongs to one contact only."""
    marks = [_by_name(contact.name), *map(_by_email, contact.emails)]
    return marks if contact.address is None else [*marks, _by_address(contact.address)]


def value_of(contact: Contact) -> dict[str, Value]:
    """A contact as it lies in the store, and in the vault."""
    value: dict[str, Value] = {
        "name": contact.name,
        "emails": list(contact.emails),
        "created": contact.created,
    }
    if contact.address is not None:
        value["address"] = contact.address
    return value


def contact_of(identifier: bytes, value: Value) -> Contact:
    """What `value_of` made."""
    fields = Fields(value, "contact")
    return Contact(
        id=identifier,
        name=fields.text("name", MAX_NAME),
        address=fields.optional_text("address"),
        emails=fields.texts("emails", MAX_EMAILS, MAX_EMAIL),
        created=fields.int("created"),
    )
