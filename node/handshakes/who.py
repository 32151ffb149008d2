"""Whom a command means: a name, an address, a link, or a handshake from the list."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from node.consent import Ours
from node.handshakes.errors import ambiguous, no_mailio_address, oneself
from node.names import Names, UnknownRecipient
from protocol.link import ContactLink

# Of a handshakeId: 24 bits, enough among thousands, and hardly a name.
_PREFIX: Final = re.compile(r"[0-9a-f]{6,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Person:
    """One Mailio owner, as typed and as resolved. `name` is what people call them, or the address."""

    typed: str
    address: str
    name: str
    link: ContactLink | None = None


def person(text: str, names: Names, entries: Iterable[Ours], own_address: str) -> Person:
    """The owner that is meant. Raises NodeError with the way out."""
    try:
        target = names.resolve(text)
    except UnknownRecipient:
        address = _by_id(text.strip().lower(), entries, own_address)
        if address is None:
            raise
        return Person(text, address, names.name_of(address) or address)
    if target.kind != "mailio":
        raise no_mailio_address(target.address)
    if target.address == own_address:
        raise oneself()
    return Person(text, target.address, target.name or target.address, target.link)


def _by_id(prefix: str, entries: Iterable[Ours], own_address: str) -> str | None:
    if _PREFIX.fullmatch(prefix) is None:
        return None
    found = [e.address for e in entries if e.handshake_id(own_address).startswith(prefix)]
    if len(found) > 1:
        raise ambiguous(prefix)
    return found[0] if found else None
