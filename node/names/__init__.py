"""The address book, what is pinned of each owner, and finding them. How peers are reached is network's."""

from node.names.contacts import Contact
from node.names.errors import ContactError, KeyChanged, NotFoundYet, UnknownRecipient
from node.names.names import Names, Target
from node.names.pins import Pin

__all__ = [
    "Contact",
    "ContactError",
    "KeyChanged",
    "Names",
    "NotFoundYet",
    "Pin",
    "Target",
    "UnknownRecipient",
]
