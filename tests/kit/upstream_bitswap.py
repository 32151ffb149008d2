"""libp2p's own Bitswap on a host of its own: a peer to talk to, and faults to look at. None of ours here."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from libp2p import new_host
from libp2p.bitswap import BitswapClient
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import X25519PrivateKey
from libp2p.custom_types import TProtocol
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux
from multiaddr import Multiaddr

from node.network import PeerAddress, parse_peer
from tests.kit.network import LISTEN


def a_client() -> BitswapClient:
    """One whose host does not run: it knows nobody."""
    keys = create_new_key_pair(secrets.token_bytes(32))
    noise = NoiseTransport(keys, noise_privkey=X25519PrivateKey.new())
    return BitswapClient(new_host(key_pair=keys, sec_opt={NOISE: noise}, muxer_opt={TProtocol(YAMUX): Yamux}))


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
