"""The hosts that keep our handshakes and letters while we sleep, and what we leave at those of others
(protocol.md §5, §6). Being a host is node.hosting's.
"""

from node.hosts.draining import Taken
from node.hosts.errors import HostError, HostRefused
from node.hosts.planning import Pages
from node.hosts.room import Hosts
from node.hosts.talk import Talk

__all__ = ["HostError", "HostRefused", "Hosts", "Pages", "Taken", "Talk"]
