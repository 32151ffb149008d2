"""What the address book calls the people in an answer, for those who read it. Who they are is the rooms'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from node.names import Names
from protocol.email import normal_email
from protocol.errors import RemoteProtocolError

Book = Mapping[str, str]
"""Names by Mailio address, and by e-mail address in its normal form."""

_MAILIO: Final = "mailio.alt"


def book_of(names: Names) -> Book:
    """The whole address book, read once for an answer."""
    book: dict[str, str] = {}
    for one in names.contacts():
        book.update(dict.fromkeys(one.emails, one.name))
        if one.address:
            book[one.address] = one.name
    return book


def with_names(book: Book, letter: dict[str, Any]) -> dict[str, Any]:
    """A letter of the mailbox with `fromName` and `toNames`; None for who is no contact. The first goes
    by who is proven to have written it, and neither by what the letter says of itself.
    """
    return letter | {
        "fromName": book.get(letter["author"] or ""),
        "toNames": [_name(book, one) for one in letter["to"]],
    }


def _name(book: Book, mailbox: str) -> str | None:
    """The contact that a mailbox of a letter's head names, whatever stands beside its address."""
    address = mailbox.strip()
    if address.endswith(">"):
        address = address[address.rfind("<") + 1 : -1]
    if address.isascii():  # in its normal form then, but for capitals; lists hold thousands of them
        local, _, domain = address.lower().rpartition("@")
        return book.get(local if domain == _MAILIO and "@" not in local else f"{local}@{domain}")
    try:
        return book.get(normal_email(address))
    except RemoteProtocolError:
        return None
