"""Request, accept, revoke: each one act, one batch, and the letters that carry them (protocol.md §5).

Who may deliver is node.consent's; how letters travel is node.outbox's and its carriers'.
"""

from node.handshakes.room import Handshakes
from node.handshakes.views import Mailroom, Queue, Signer

__all__ = ["Handshakes", "Mailroom", "Queue", "Signer"]
