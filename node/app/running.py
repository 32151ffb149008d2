"""What an owner's node and a public one have in common while they run: how the network is opened, what their
tasks and the API live in, and how both end. Which rooms there are is node.py's and public.py's.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import trio
from starlette.types import ASGIApp

import node
from node.api import serve_api
from node.app.directory import IdentityRules, StoredPeers, StoredRecords
from node.app.ground import Ground, first_peers
from node.identity import load_peer_key
from node.network import Network, NetworkSettings, open_network

SWITCH_INTERVAL_S: Final = 0.0005
"""With a busy thread beside trio, wake-ups fall from 5.5 ms to 0.8 ms (measured)."""

M_MMAP_THRESHOLD: Final = -3
"""Of glibc's malloc.h."""

LARGE_BUFFER: Final = 1_048_576
"""Bytes from which a buffer goes back to the system once it is free. glibc raises that to 32 MB itself after
the first large one: ten mails of 23 MB left 315 MB behind in place of 90.
"""

DRAIN_S: Final = 10.0
"""Seconds in which everything must have ended after the order to stop."""

Task = Callable[[], Awaitable[None]]


@asynccontextmanager
async def open_peers(ground: Ground, role: str) -> AsyncIterator[tuple[Network, StoredRecords]]:
    """The network of this home, and the DHT records that it holds for others. `role` is the program's name
    as other nodes see it. Raises NodeError.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    with suppress(OSError, AttributeError):  # glibc's alone
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BUFFER)
    config, rules = ground.config, IdentityRules(ground.clock, ground.watch)
    settings = NetworkSettings(
        listen=config.network.listen,
        bootstrap=first_peers(config),
        dht_server=True,
        max_connections=config.limits.peers,
        agent=f"{role}/{node.__version__}",
    )
    seed, records = load_peer_key(ground.home, ground.key), StoredRecords(ground.store, rules)
    async with open_network(
        settings,
        seed,
        rules,
        records,
        ground.clock,
        book=StoredPeers(ground.store),
        doubtful=ground.doubtful,
    ) as network:
        yield network, records


async def work_until(
    stop: trio.Event, ground: Ground, api: ASGIApp, tasks: Iterable[Task], ready: Task | None
) -> None:
    """Run the tasks and the API; `ready` once the API answers. At `stop` the tasks end first, and answers
    under way get half of DRAIN_S.
    """
    async with trio.open_nursery() as answering:
        async with trio.open_nursery() as work:
            for task in tasks:
                work.start_soon(task)
            await answering.start(partial(serve_api, api, ground.home, shutdown=stop.wait))
            if ready is not None:
                await ready()
            await stop.wait()
            work.cancel_scope.cancel()
        answering.cancel_scope.deadline = trio.current_time() + DRAIN_S / 2
