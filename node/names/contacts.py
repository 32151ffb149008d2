"""The address book: names for people, unique whatever their case. Keys and whereabouts are pins' business."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import nacl.utils

from node.names.errors import ContactError
from node.storage import Batch, Store
from node.storage.schema import CONTACT
from protocol.cbor import Value
from protocol.email import MAX_EMAIL
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields
from protocol.recipient import MAX_NAME, NameRecipient, Recipient, parse_recipient

MAX_CONTACTS: Final = 5_000
"""Entries; they are read through to find a name, which then takes up to 0.1 s."""

MAX_EMAILS: Final = 20
"""E-mail addresses of one contact; few people have more."""

ID_BYTES: Final = 12


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
        return sorted((_read(key, value) for key, value in rows), key=lambda one: same_name(one.name))

    def named(self, name: str) -> Contact | None:
        """The contact of that name, in any case."""
        wanted = same_name(name)
        return next((one for one in self.list() if same_name(one.name) == wanted), None)

    def with_address(self, address: str) -> Contact | None:
        """The first contact (by name) with this Mailio address."""
        return next((one for one in self.list() if one.address == address), None)

    def with_email(self, email: str) -> Contact | None:
        """The first contact (by name) with this e-mail address, in its normal form."""
        return next((one for one in self.list() if email in one.emails), None)

    def add(
        self, batch: Batch, name: str, address: str | None, emails: Sequence[str], created: int
    ) -> Contact:
        """Add an entry. `address` and `emails` are in their normal forms. Raises ContactError."""
        everyone = self.list()
        if len(everyone) >= MAX_CONTACTS:
            raise ContactError("contacts-full", f"an address book holds {MAX_CONTACTS} names", "remove some")
        contact = Contact(
            nacl.utils.random(ID_BYTES), clean_name(name), address, _emails(address, emails), created
        )
        _must_be_unique(contact, everyone)
        _put(batch, contact)
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
        _must_be_unique(changed, self.list())
        _put(batch, changed)
        return changed

    def remove(self, batch: Batch, contact: Contact) -> None:
        """Take an entry out; what is pinned for its address stays."""
        batch.delete(CONTACT, (contact.id,))


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
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _emails(address: str | None, emails: Sequence[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(emails))
    if address is None and not found:
        raise ContactError(
            "contact-empty", "a contact needs an e-mail address, Mailio address or contact link"
        )
    if len(found) > MAX_EMAILS:
        raise ContactError("contact-emails", f"a contact has at most {MAX_EMAILS} e-mail addresses")
    return found


def _must_be_unique(contact: Contact, everyone: Sequence[Contact]) -> None:
    wanted = same_name(contact.name)
    if any(same_name(one.name) == wanted and one.id != contact.id for one in everyone):
        raise ContactError(
            "contact-exists",
            f"there is a contact called {contact.name} already",
            "choose another name, or edit that contact",
        )


def _put(batch: Batch, contact: Contact) -> None:
    value: dict[str, Value] = {
        "name": contact.name,
        "emails": list(contact.emails),
        "created": contact.created,
    }
    if contact.address is not None:
        value["address"] = contact.address
    batch.put(CONTACT, (contact.id,), value)


def _read(key: tuple[int | bytes, ...], value: Value) -> Contact:
    fields = Fields(value, "contact")
    identifier = key[0]
    assert isinstance(identifier, bytes)
    return Contact(
        id=identifier,
        name=fields.text("name", MAX_NAME),
        address=fields.optional_text("address"),
        emails=fields.texts("emails", MAX_EMAILS, MAX_EMAIL),
        created=fields.int("created"),
    )
