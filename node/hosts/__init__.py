"""The hosts that keep our handshakes and letters while we sleep, and what we leave at those of others
(protocol.md §5, §6). Being a host is node.hosting's.
"""

from node.hosts.errors import HostRefused
from node.hosts.talk import Talk

__all__ = ["HostRefused", "Talk"]
