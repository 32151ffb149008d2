"""The public-node role: first peer to dial, DHT server, host. Its rooms stand here; opening them is app's."""

from __future__ import annotations

import logging
from functools import partial

import trio

from node.app.hosting import record_at
from node.app.public import PublicNode, Ready, make_home, run_public
from node.app.tidying import EVERY_S
from node.identity import PeerClocks, serve_identity
from node.runtime.config import Config
from node.runtime.home import Home
from node.storage import StoreUnavailable

log = logging.getLogger(__name__)


async def run_bootstrap(
    home: Home, config: Config, passphrase: str | None, *, stop: trio.Event, ready: Ready | None = None
) -> None:
    """Run a public node until `stop` is set; its keys are made at the first start. Raises NodeError."""
    await make_home(home, passphrase)
    await run_public(home, config, passphrase, rooms=ROOMS, stop=stop, ready=ready)


async def serve_owners(public: PublicNode) -> None:
    """Keep handshakes and letters for owners who sleep, unless the operator wants none of that; tell the
    records that we know, and the time (protocol.md §6, §8).
    """
    network, hosting = public.network, public.hosting
    serve_identity(network, partial(record_at, hosting, network), public.ground.clock)
    if hosting is not None:
        hosting.serve()
        await hosting.run()
    await trio.sleep_forever()


async def watch_clock(public: PublicNode) -> None:
    """Compare our clock with those of the peers that come (protocol.md §3)."""
    clocks = PeerClocks(public.network, public.ground.watch)
    public.network.on_connected(clocks.connected)
    await clocks.run()


async def serve_files(public: PublicNode) -> None:
    """Serve what accounts have us keep, and remove what nobody needs any more."""
    public.network.bitswap.serve(public.files.blocks)
    while True:
        try:
            await public.files.collect()
            await public.files.sweep()
        except StoreUnavailable as fault:
            log.warning("what nobody needs stays for now: %s", fault)
        await trio.sleep(EVERY_S)


ROOMS = (serve_owners, watch_clock, serve_files)
