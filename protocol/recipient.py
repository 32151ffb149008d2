"""What a person types as a recipient, told apart by its form alone; looking it up happens elsewhere."""

import unicodedata
from dataclasses import dataclass
from typing import Final, TypeAlias

from protocol.email import normal_domain, normal_email
from protocol.errors import RemoteProtocolError
from protocol.keys import address_of_mailbox, parse_address
from protocol.link import MAX_LINK, SCHEME, ContactLink

MAX_NAME: Final = 200  # bytes of a contact's name

_DID: Final = "did:"
_DID_MAILIO: Final = "did:mailio:"
_DID_WEB: Final = "did:web:"


@dataclass(frozen=True, slots=True)
class EmailRecipient:
    """An e-mail address in its normal form."""

    email: str


@dataclass(frozen=True, slots=True)
class AddressRecipient:
    """A Mailio address, from itself, its DID, or its @mailio.alt mailbox."""

    address: str


@dataclass(frozen=True, slots=True)
class LinkRecipient:
    """A contact link."""

    link: ContactLink


@dataclass(frozen=True, slots=True)
class NameRecipient:
    """A contact's name, to be found in the address book."""

    name: str


Recipient: TypeAlias = EmailRecipient | AddressRecipient | LinkRecipient | NameRecipient


def parse_recipient(text: str) -> Recipient:
    """E-mail address, Mailio address, DID, contact link, else a contact's name.

    RemoteProtocolError where the text starts as one of these and is not one, or can't be a name.
    """
    text = text.strip()
    if len(text) > MAX_LINK:
        raise RemoteProtocolError("too long for a recipient")
    lower = text.lower()
    if lower.startswith(SCHEME):
        return LinkRecipient(ContactLink.parse(text))
    if lower.startswith(_DID):
        return AddressRecipient(_did(text))
    if "@" in text:
        email = normal_email(text)
        address = address_of_mailbox(email)
        return EmailRecipient(email) if address is None else AddressRecipient(address)
    if lower.startswith("0x"):
        return AddressRecipient(parse_address(text))
    return NameRecipient(_name(text))


def _did(text: str) -> str:
    """The address in `did:mailio:<address>` or `did:web:<domain>#<address>` (§2)."""
    if text.startswith(_DID_MAILIO):
        return parse_address(text.removeprefix(_DID_MAILIO))
    if text.startswith(_DID_WEB):
        domain, _, fragment = text.removeprefix(_DID_WEB).partition("#")
        normal_domain(domain)
        return parse_address(fragment)
    raise RemoteProtocolError("a DID is did:mailio:<address> or did:web:<domain>#<address>")


def _name(text: str) -> str:
    name = unicodedata.normalize("NFC", text)
    if not name or not name.isprintable() or len(name.encode("utf-8", "replace")) > MAX_NAME:
        raise RemoteProtocolError("not an e-mail address, Mailio address, DID, contact link or name")
    return name
