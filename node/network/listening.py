"""Where this node listens, and which addresses that makes it have. What comes in is the swarm's."""

import logging
from collections.abc import Sequence

import trio

from node.network.errors import NoSuchFamily
from node.network.host import NodeSwarm
from node.network.interfaces import expand
from node.network.limits import LOOK_AGAIN

log = logging.getLogger(__name__)


class Listening:
    """The listeners of one swarm."""

    def __init__(self, swarm: NodeSwarm) -> None:
        self._swarm = swarm
        self._looked, self._found = -LOOK_AGAIN, list[str]()

    async def start(self, addrs: Sequence[str], nursery: trio.Nursery) -> None:
        """Listen on every one of these multiaddrs that this machine can have; on one at least, if any is
        asked for. Raises ListenFailed.
        """
        missing = None
        for addr in addrs:
            try:
                listener = await self._swarm.open_listener(addr)
            except NoSuchFamily as fault:
                log.warning("%s", fault)
                missing = fault
                continue
            nursery.start_soon(listener.serve)
        if missing is not None and not self._swarm.listeners:
            raise missing

    def addrs(self) -> list[str]:
        """Our multiaddrs, without `/p2p/`; wildcards are replaced by this machine's addresses."""
        now = trio.current_time()
        if now >= self._looked + LOOK_AGAIN:
            listeners = self._swarm.listeners.values()
            found = [str(addr) for listener in listeners for addr in listener.get_addrs()]
            self._found = list(dict.fromkeys(addr for text in found for addr in expand(text)))
            self._looked = now
        return self._found
