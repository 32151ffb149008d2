"""The queue of letters on their way: each recipient's state, the timetable, notices (protocol.md §6).

Knows carriers only by the small interface `Carrier`; how a letter travels is theirs.
"""

from node.outbox.judging import ANOTHER_WAY_MS
from node.outbox.letter import (
    DIRECT,
    MAILIO,
    SMARTHOST,
    SMTP,
    Carrier,
    Cause,
    Consignment,
    Delivery,
    Letter,
    Outgoing,
    Recipient,
    Result,
    State,
)
from node.outbox.outbox import Outbox
from node.outbox.sizes import Sizes
from node.outbox.timetable import GIVE_UP_MS

__all__ = [
    "ANOTHER_WAY_MS",
    "DIRECT",
    "GIVE_UP_MS",
    "MAILIO",
    "SMARTHOST",
    "SMTP",
    "Carrier",
    "Cause",
    "Consignment",
    "Delivery",
    "Letter",
    "Outbox",
    "Outgoing",
    "Recipient",
    "Result",
    "Sizes",
    "State",
]
