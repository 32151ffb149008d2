"""The one gate: who may deliver what, on which grounds, and what it costs a stranger (protocol.md §5, §6).

Knows neither the network nor the letters; acts that touch more than this room are node.handshakes'.
"""

from node.consent.entries import Counterpart, Limits, Ours, Rules, Theirs, Verdict
from node.consent.hashing import hash_emails
from node.consent.hosted import Kept, KeptKey, Place
from node.consent.room import Consent
from node.consent.stamps import Challenges
from node.consent.threads import Threads

__all__ = [
    "Challenges",
    "Consent",
    "Counterpart",
    "Kept",
    "KeptKey",
    "Limits",
    "Ours",
    "Place",
    "Rules",
    "Theirs",
    "Threads",
    "Verdict",
    "hash_emails",
]
