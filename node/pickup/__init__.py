"""The owner's mailboxes at providers: mail is fetched from them by IMAP.

What becomes of a letter is the taker's business. What speaks IMAP is loaded when first asked for: commands
that only look at what is kept do without.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from node.pickup.book import Providers
from node.pickup.errors import ProviderError
from node.pickup.provider import Provider, address_of, folders_of, servers_of

if TYPE_CHECKING:
    from node.pickup.judging import Judge
    from node.pickup.room import Pickup, try_out
    from node.pickup.terms import Found, Pace

_MODULES = {"Found": "terms", "Judge": "judging", "Pace": "terms", "Pickup": "room", "try_out": "room"}

__all__ = [
    "Found",
    "Judge",
    "Pace",
    "Pickup",
    "Provider",
    "ProviderError",
    "Providers",
    "address_of",
    "folders_of",
    "servers_of",
    "try_out",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
