"""Being a host: blinded handshakes, letters that wait, pages of vaults and sealed files of other owners,
while they sleep (protocol.md §5, §6). Using the hosts of others is node.hosts'.
"""

from node.hosting.hosting import Hosting
from node.hosting.ports import Keeper, Session
from node.hosting.rows import Limits

__all__ = ["Hosting", "Keeper", "Limits", "Session"]
