"""libp2p's own Bitswap on a host of its own: a peer to talk to, and faults to look at. None of ours here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from libp2p.bitswap import BitswapClient
from multiaddr import Multiaddr

from node.network import PeerAddress, parse_peer
from tests.kit.network import LISTEN
from tests.kit.network_bench import bare_host


def a_client() -> BitswapClient:
    """One whose host does not run: it knows nobody."""
    return BitswapClient(bare_host())


@asynccontextmanager
async def an_upstream_peer() -> AsyncIterator[tuple[BitswapClient, PeerAddress]]:
    """One that runs, and where it is."""
    client = a_client()
    async with client.host.run([Multiaddr(LISTEN)]), trio.open_nursery() as nursery:
        client.set_nursery(nursery)
        await client.start()
        yield client, parse_peer(str(client.host.get_addrs()[0]))
        await client.stop()
        nursery.cancel_scope.cancel()
