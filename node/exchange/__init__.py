"""Sealed letters, out and in, over `/mailio/letter/1` (protocol.md §6, §8).

Consent, storing and queueing are decided in the rooms below; here they meet on the wire.
"""

from node.exchange.acquaintances import Acquaintances
from node.exchange.fetched import Fetched
from node.exchange.fetching import Fetcher
from node.exchange.intake import Intake
from node.exchange.recalls import Recaller
from node.exchange.receipts import Receipts
from node.exchange.receiver import Receiver
from node.exchange.sender import SealedCarrier

__all__ = [
    "Acquaintances",
    "Fetched",
    "Fetcher",
    "Intake",
    "Recaller",
    "Receipts",
    "Receiver",
    "SealedCarrier",
]
