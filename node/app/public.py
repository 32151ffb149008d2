"""A node without an owner: network, DHT and API only. Which rooms it has is bootstrap.service's to say."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import trio

import node
from node.api import Base, make_public_api, serve_api
from node.app.directory import IdentityRules, StoredPeers, StoredRecords
from node.app.ground import Ground, first_peers, open_ground
from node.app.node import DRAIN_S, SWITCH_INTERVAL_S
from node.app.status import status_of
from node.identity import create_peer_key, load_peer_key
from node.network import Network, NetworkSettings, open_network
from node.runtime.config import Config
from node.runtime.home import Home
from node.storage import create_key


@dataclass(frozen=True, slots=True)
class PublicNode:
    """What the rooms of a public node are given."""

    ground: Ground
    network: Network


Room = Callable[[PublicNode], Awaitable[None]]
"""A room of a public node: fits itself to the network, then runs until it is cancelled."""

Ready = Callable[[Base], Awaitable[None]]


async def make_home(home: Home, passphrase: str | None) -> None:
    """Make keys where there are none. Raises NodeError."""
    home.create()
    if home.peer_key_file.exists():
        return
    if home.key_file.exists():
        from node.storage import unlock

        create_peer_key(home, await unlock(home, passphrase))
    else:
        create_peer_key(home, await create_key(home, passphrase))


async def run_public(
    home: Home,
    config: Config,
    passphrase: str | None,
    *,
    rooms: Sequence[Room],
    stop: trio.Event,
    ready: Ready | None = None,
) -> None:
    """Run until `stop` is set. Raises NodeError when it can't start."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    async with open_ground(home, config, passphrase) as ground:
        rules = IdentityRules(ground.clock, ground.watch)
        settings = NetworkSettings(
            listen=config.network.listen,
            bootstrap=first_peers(config),
            dht_server=True,
            max_connections=config.limits.peers,
            agent=f"mailio-bootstrap/{node.__version__}",
        )
        async with open_network(
            settings,
            load_peer_key(home, ground.key),
            rules,
            StoredRecords(ground.store, rules),
            ground.clock,
            book=StoredPeers(ground.store),
        ) as network:
            await _work(PublicNode(ground, network), rooms, stop, ready)


async def _work(public: PublicNode, rooms: Sequence[Room], stop: trio.Event, ready: Ready | None) -> None:
    base = Base(
        home=public.ground.home,
        peer_id=public.network.peer_id_text,
        network=public.network,
        status=lambda: status_of(public.ground, public.network),
        stop=stop.set,
    )
    async with trio.open_nursery() as api:
        async with trio.open_nursery() as work:
            for room in rooms:
                work.start_soon(room, public)
            await api.start(partial(serve_api, make_public_api(base), public.ground.home, shutdown=stop.wait))
            if ready is not None:
                await ready(base)
            await stop.wait()
            work.cancel_scope.cancel()
        api.cancel_scope.deadline = trio.current_time() + DRAIN_S / 2
