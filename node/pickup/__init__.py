"""The owner's mailboxes at providers: mail is fetched from them by IMAP.

What becomes of a letter is the taker's business.
"""

from node.pickup.book import Providers
from node.pickup.errors import ProviderError
from node.pickup.fetching import Found, Pace
from node.pickup.judging import Judge
from node.pickup.provider import Provider, address_of, folders_of, servers_of
from node.pickup.room import Pickup, status_of, try_out

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
    "status_of",
    "try_out",
]
