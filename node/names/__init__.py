"""The address book, what is pinned of each owner, and finding them. How peers are reached is network's."""

from node.names.bindings import Bindings, Discovered, Found, Held, Later, No
from node.names.contacts import Contact
from node.names.errors import ContactError, KeyChanged, NotFoundYet, UnknownRecipient
from node.names.names import Names, Target
from node.names.pins import Pin

__all__ = [
    "Bindings",
    "Contact",
    "ContactError",
    "Discovered",
    "Found",
    "Held",
    "KeyChanged",
    "Later",
    "Names",
    "No",
    "NotFoundYet",
    "Pin",
    "Target",
    "UnknownRecipient",
]
