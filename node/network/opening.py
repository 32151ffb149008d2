"""Building a network from its parts, running it and ending it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from node.network.admission import Admission, Bodies
from node.network.host import build_host
from node.network.muxer import Buffers
from node.network.network import Network
from node.network.records import Records, RecordStore, Validator
from node.network.settings import NetworkSettings, PeerBook
from node.runtime.clock import Clock


@asynccontextmanager
async def open_network(
    settings: NetworkSettings,
    key_seed: bytes,
    validator: Validator,
    records: RecordStore,
    clock: Clock,
    *,
    book: PeerBook,
    doubtful: Callable[[], bool] = lambda: False,
) -> AsyncIterator[Network]:
    """A running network. `key_seed` is the 32-byte Ed25519 seed of the peer key; `doubtful` says whether
    our clock is not to be believed. Raises ListenFailed.
    """
    admission = Admission(settings.max_connections)
    host, swarm = build_host(key_seed, admission, Buffers())
    held = Records(host.get_id().to_bytes(), validator, records, clock, doubtful)
    network = Network(settings, host, swarm, admission, held, Bodies(), clock)
    try:
        async with host.run([]), trio.open_nursery() as nursery:
            try:
                await network.start(nursery, book)
                yield network
            finally:
                with trio.CancelScope() as scope:
                    scope.shield = True
                    await network.stop()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        only = _only(group)
        if only is None:
            raise
        raise only from only.__cause__


def _only(error: BaseException) -> BaseException | None:
    """The one exception in nested groups: nurseries wrap what their caller wants to catch by type."""
    while isinstance(error, BaseExceptionGroup):
        if len(error.exceptions) != 1:
            return None
        error = error.exceptions[0]
    return error
