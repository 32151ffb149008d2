"""What the address book calls the people in an answer, for those who read it. Who they are is the rooms'."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from node.names import Names

Book = Mapping[str, str]
"""Names by Mailio address."""

_MAILBOX: Final = re.compile(r"(?:[^<]*<)?(0x[0-9a-f]{40})@mailio\.alt>?", re.IGNORECASE)
"""A Mailio mailbox as a letter's head has it, with or without what its author calls himself."""


def book_of(names: Names) -> Book:
    """The whole address book, read once for an answer."""
    return {one.address: one.name for one in names.contacts() if one.address}


def with_names(book: Book, letter: dict[str, Any]) -> dict[str, Any]:
    """A letter of the mailbox with `fromName` and `toNames`; None for who is no contact. The first goes
    by who signed the letter, and neither by what the letter says of itself.
    """
    return letter | {
        "fromName": book.get(letter["author"] or ""),
        "toNames": [_name(book, one) for one in letter["to"]],
    }


def _name(book: Book, mailbox: str) -> str | None:
    found = _MAILBOX.fullmatch(mailbox.strip())
    return book.get(found[1].lower()) if found else None
