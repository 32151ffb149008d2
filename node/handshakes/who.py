"""Whom a command means: a name, an address, a link, an e-mail address, or a handshake from the list."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from node.consent import Ours
from node.consent.entries import is_email
from node.handshakes.errors import ambiguous, oneself
from node.names import Names, UnknownRecipient
from protocol.addresses import OwnEmails
from protocol.errors import RemoteProtocolError
from protocol.link import ContactLink
from protocol.recipient import EmailRecipient, parse_recipient

# Of a handshakeId: 24 bits, enough among thousands, and hardly a name.
_PREFIX: Final = re.compile(r"[0-9a-f]{6,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as typed and as resolved: one Mailio owner, or where `emails` are given whoever writes from
    these. `name` is what people call them, or the address.
    """

    typed: str
    address: str
    name: str
    link: ContactLink | None = None
    emails: tuple[str, ...] = ()


def person(text: str, names: Names, entries: Iterable[Ours], own: str, own_emails: OwnEmails) -> Person:
    """Who is meant; `own` and `own_emails` are the owner's. An e-mail address is that address alone,
    whoever the address book says has it: what is said of one name must not open another. A contact's name
    means the Mailio address, where there is one, else all the e-mail addresses. Raises NodeError with the
    way out.
    """
    found = _found(text, names, entries, own)
    if found.address == own or any(email in own_emails for email in found.emails):
        raise oneself()
    return found


def name_of(who: str, names: Names) -> str:
    """What the address book calls a Mailio or e-mail address; without an entry the address itself."""
    name = names.resolve(who).name if is_email(who) else names.name_of(who)
    return name or who


def _found(text: str, names: Names, entries: Iterable[Ours], own: str) -> Person:
    if (email := _email(text)) is not None:
        return _of_emails(text, (email,), name_of(email, names))
    try:
        target = names.resolve(text)
    except UnknownRecipient:
        who = _by_id(text.strip().lower(), entries, own)
        if who is None:
            raise
        name = name_of(who, names)
        return _of_emails(text, (who,), name) if is_email(who) else Person(text, who, name)
    if target.kind == "email":  # a contact without a Mailio address
        contact = names.contact(text)
        return _of_emails(text, contact.emails, contact.name)
    return Person(text, target.address, target.name or target.address, target.link)


def _of_emails(text: str, emails: tuple[str, ...], name: str) -> Person:
    return Person(text, emails[0], name, emails=emails)


def _email(text: str) -> str | None:
    try:
        recipient = parse_recipient(text)
    except RemoteProtocolError:
        return None  # names.resolve says what is wrong with it
    return recipient.email if isinstance(recipient, EmailRecipient) else None


def _by_id(prefix: str, entries: Iterable[Ours], own: str) -> str | None:
    if _PREFIX.fullmatch(prefix) is None:
        return None
    found = [e.address for e in entries if e.handshake_id(own).startswith(prefix)]
    if len(found) > 1:
        raise ambiguous(prefix)
    return found[0] if found else None
