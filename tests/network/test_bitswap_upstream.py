"""libp2p's own Bitswap as a peer, where it works: it asks, and we answer. What it does wrong is in
test_upstream.py.
"""

import trio
from libp2p.peer.id import ID

from protocol.unixfs import raw_cid
from tests.kit.network import BOUND, Shelf, a_leaf, a_network
from tests.kit.upstream_bitswap import an_upstream_peer

LEAVES = [a_leaf(number) for number in range(8)]
CIDS = [raw_cid(leaf) for leaf in LEAVES]


async def test_upstream_gets_blocks_from_us() -> None:
    with trio.fail_after(BOUND):
        async with a_network(server=False) as bob, an_upstream_peer() as (client, where):
            bob.bitswap.serve(Shelf(LEAVES))
            await bob.reach(where)
            us = ID(bob.peer_id)
            got = await client.new_session().get_blocks_batch(list(CIDS), us, timeout=BOUND)
            assert got == dict(zip(CIDS, LEAVES, strict=True))
