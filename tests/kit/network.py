"""Networks for tests: real TCP on loopback with free ports, stores in memory, everything valid that
the test does not say otherwise.
"""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import trio

from node.network import (
    MemoryPeerBook,
    MemoryRecords,
    Network,
    NetworkSettings,
    PeerAddress,
    PeerBook,
    RecordStore,
    Validator,
    open_network,
    parse_peer,
)
from node.runtime.clock import Clock, SystemClock
from protocol.errors import RemoteProtocolError
from protocol.unixfs import LEAF_BYTES, raw_cid

LISTEN = "/ip4/127.0.0.1/tcp/0"
BOUND = 20.0
"""Seconds within which a test on real sockets ends, on a busy machine too."""


class AnyValue:
    """Values are `seq:text`, the higher seq wins, the last among equals; `!` makes one invalid and
    `*` a stamped one.
    """

    def validate(self, address: str, value: bytes) -> None:
        if b"!" in value:
            raise RemoteProtocolError("a value that is marked as forged")

    def select(self, address: str, values: list[bytes]) -> int:
        return max(range(len(values)), key=lambda index: (_seq(values[index]), index))

    def is_stamped(self, address: str, value: bytes) -> bool:
        return b"*" in value


def _seq(value: bytes) -> int:
    head = value.partition(b":")[0]
    return int(head) if head.isdigit() else 0


@asynccontextmanager
async def a_network(
    *bootstrap: Network,
    server: bool = True,
    listen: tuple[str, ...] = (LISTEN,),
    settings: NetworkSettings | None = None,
    seed: bytes | None = None,
    validator: Validator | None = None,
    records: RecordStore | None = None,
    clock: Clock | None = None,
    book: PeerBook | None = None,
) -> AsyncIterator[Network]:
    """A network that knows `bootstrap` as its first peers."""
    first = tuple(addr for network in bootstrap for addr in network.listen_addrs())
    settings = settings or NetworkSettings(listen=listen, bootstrap=first, dht_server=server)
    async with open_network(
        settings,
        seed or secrets.token_bytes(32),
        validator or AnyValue(),
        records or MemoryRecords(),
        clock or SystemClock(),
        book=book or MemoryPeerBook(),
    ) as network:
        yield network


@asynccontextmanager
async def another_process(boot: Network) -> AsyncIterator[tuple[PeerAddress, int]]:
    """A DHT server that joined by `boot`; its address and process id."""
    command = [sys.executable, "-m", "tests.kit.network_node", boot.listen_addrs()[0]]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        line = b""
        with trio.fail_after(2 * BOUND):
            while not line.endswith(b"\n"):
                line += await process.stdout.receive_some(4096)
        yield parse_peer(line.decode().strip()), process.pid
    finally:
        os.kill(process.pid, signal.SIGKILL)
        with trio.CancelScope() as scope:
            scope.shield = True
            await process.wait()
        await process.stdout.aclose()


async def until(true: Callable[[], bool]) -> None:
    """Let the other tasks run until this holds, or fail after BOUND."""
    with trio.fail_after(BOUND):
        while not true():  # noqa: ASYNC110 - what it waits for happens in another process or the kernel
            await trio.sleep(0.005)  # real sockets have no event to wait for


def a_leaf(number: int, size: int = LEAF_BYTES) -> bytes:
    """A block of a file, another one for each number."""
    return (number.to_bytes(4, "big") * (size // 4 + 1))[:size]


class Shelf:
    """Raw blocks that are served. `read_so_far` is what was taken from it, in order; `gate` is waited for
    before each.
    """

    def __init__(self, blocks: Iterable[bytes] = ()) -> None:
        self.held = {raw_cid(block): block for block in blocks}
        self.read_so_far: list[bytes] = []
        self.gate = trio.Event()
        self.gate.set()

    async def size(self, cid: bytes) -> int | None:
        await trio.lowlevel.checkpoint()
        return len(self.held[cid]) if cid in self.held else None

    async def read(self, cid: bytes) -> bytes | None:
        self.read_so_far.append(cid)
        await self.gate.wait()
        await trio.lowlevel.checkpoint()
        return self.held.get(cid)
