"""What every node stands on: the database key, the open store, clock, events, workers. No room above it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Final

from node.files import Files, Kubo, Threads
from node.runtime.clock import Clock, ClockWatch, SystemClock
from node.runtime.config import Config
from node.runtime.events import Events
from node.runtime.home import Home
from node.runtime.worker import Worker, open_worker
from node.storage import DatabaseKey, Store, open_store, unlock
from node.users import Passwords

BUILD_DATE_MS: Final = 1_795_305_600_000
"""22 November 2026: a clock before it is wrong (protocol §3). Moved with each release."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Opened by `open_ground`. `reader` parses letters between nodes; `porter` what anyone may bring by SMTP,
    and large messages; `searcher` finds stamps; `viewer` makes pictures small. None of them holds up another.
    `threads` are the files'.
    """

    home: Home
    config: Config
    key: DatabaseKey
    store: Store
    reader: Worker
    porter: Worker
    searcher: Worker
    viewer: Worker
    clock: Clock
    watch: ClockWatch
    events: Events
    threads: Threads
    passwords: Passwords

    def doubtful(self) -> bool:
        return self.watch.doubtful is not None


@asynccontextmanager
async def open_ground(
    home: Home, config: Config, passphrase: str | None, *, inline: bool = False
) -> AsyncIterator[Ground]:
    """Unlock and open what lies in the home; `inline` for a command, which needs no writer thread.
    Raises NodeError: locked by another process, wrong passphrase, damaged.
    """
    key = await unlock(home, passphrase)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        opened = open_store(home.database, key, reserve=config.limits.free_disk, inline=inline)
        store = await stack.enter_async_context(opened)
        reader = await stack.enter_async_context(open_worker())
        porter = await stack.enter_async_context(open_worker())
        searcher = await stack.enter_async_context(open_worker())
        viewer = await stack.enter_async_context(open_worker())
        workers, watch = (reader, porter, searcher, viewer), ClockWatch(clock, BUILD_DATE_MS)
        events, threads, passwords = Events(), Threads(), Passwords(store)
        yield Ground(home, config, key, store, *workers, clock, watch, events, threads, passwords)


def files_of(ground: Ground) -> Files:
    """The room of attachments; `start` it."""
    files = ground.config.files
    return Files(
        ground.store,
        ground.home.files,
        quota=files.quota,
        clock=ground.clock,
        doubtful=ground.doubtful,
        threads=ground.threads,
        rpc=Kubo(files.kubo_api, ground.passwords.kubo),
        kubo=files.backend == "kubo",
    )


def first_peers(config: Config) -> tuple[str, ...]:
    """The peers to join through: those of the settings, else the shipped list."""
    if config.network.bootstrap is not None:
        return config.network.bootstrap
    shipped = json.loads(resources.files("bootstrap").joinpath("peers.json").read_text())
    return tuple(shipped)
