"""How fast files go between two processes on loopback by what lies below attachments: a bare Yamux stream,
the library's own Bitswap, and node.network's; and how fast CIDs are made. Nodes are attachment_bench.py's.
For scripts/bench, and `python -m tests.kit.files_bench`.
"""

import json
import logging
import secrets
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import trio
from libp2p.abc import INetStream
from libp2p.bitswap.client import BitswapClient
from libp2p.bitswap.dag import MerkleDag
from libp2p.custom_types import TProtocol
from libp2p.host.basic_host import BasicHost
from libp2p.peer.peerinfo import PeerInfo, info_from_p2p_addr
from multiaddr import Multiaddr

from node.network import parse_peer
from protocol.unixfs import LEAF_BYTES, Shape, raw_cid
from tests.kit.dags import planted
from tests.kit.network import Shelf, a_leaf, a_network
from tests.kit.network_bench import LISTEN, SWITCH, bare_host

SIZE: Final = 100_000_000
"""Bytes of a file."""

WRITE: Final = 262_144
READ: Final = 65_536
"""Bytes at a time: a sealed chunk, and what one frame of Noise holds."""

ROUNDS: Final = 3
"""Fetches over a connection of their own; the best counts, for others use this machine too."""

AT_ONCE: Final = 16
"""Blocks asked for and not there yet, as in node/files/fetching.py."""

PROTOCOL: Final = TProtocol("/mailio/bench/files/1")

Figures = dict[str, Any]
Fetch = Callable[[BasicHost, PeerInfo, str, int], Awaitable[float]]


def bare_stream(size: int = SIZE) -> Figures:
    """One stream that its server fills, Noise and Yamux alone below it."""
    return _rate("bare_stream", size)


def bare_bitswap(size: int = SIZE) -> Figures:
    """A file by the library's own client and its own walk of the tree, from memory to memory. It asks for 32
    blocks at a time, and its reader may close the stream on which it has just asked: then it waits a second.
    """
    return _rate("bare_bitswap", size)


def network_bitswap(size: int = SIZE) -> Figures:
    """A file's leaves over node.network, their CIDs known before, from memory to memory."""
    return _rate("network_bitswap", size)


def cids(size: int = SIZE) -> Figures:
    """A file's whole tree from its leaves, on one thread."""
    leaf = secrets.token_bytes(LEAF_BYTES)
    start = time.perf_counter()
    shape = Shape(size)
    planted(shape, (raw_cid(leaf[: shape[number].size]) for number in range(shape.leaves)))
    return _figure("cids", size, time.perf_counter() - start)


def _figure(name: str, size: int, seconds: float) -> Figures:
    return {"name": name, "value": round(size / seconds / 1e6, 1), "unit": "MB/s", "bytes": size}


def _rate(name: str, size: int) -> Figures:
    with served(name, size) as fetch:
        return _figure(name, size, min(fetch() for _ in range(ROUNDS)))


@contextmanager
def served(name: str, size: int = SIZE) -> Iterator[Callable[[], float]]:
    """A server of its own process for one of the figures. What is given fetches everything over a connection
    of its own, and returns the seconds that it took.
    """
    command = [sys.executable, "-m", __spec__.name, name, str(size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            addr, what = server.stdout.readline().split()
            fetch = _fetch_network if name == "network_bitswap" else partial(_fetch, name)
            yield lambda: trio.run(fetch, addr, what, size)
        finally:
            server.kill()


async def _fetch(name: str, addr: str, what: str, size: int) -> float:
    """Seconds that it took, without connecting."""
    sys.setswitchinterval(SWITCH)
    host, peer = bare_host(), info_from_p2p_addr(Multiaddr(addr))
    async with host.run([Multiaddr(LISTEN)]):
        await host.connect(peer)
        return await _FETCHES[name](host, peer, what, size)


async def _serve_network(size: int) -> None:
    sys.setswitchinterval(SWITCH)
    async with a_network(server=False) as network:
        network.bitswap.serve(Shelf(a_leaf(number) for number in range(size // LEAF_BYTES)))
        print(network.listen_addrs()[0], "leaves", flush=True)
        await trio.sleep_forever()


async def _fetch_network(addr: str, _: str, size: int) -> float:
    sys.setswitchinterval(SWITCH)
    left = [raw_cid(a_leaf(number)) for number in range(size // LEAF_BYTES)]
    async with a_network(server=False) as network, network.bitswap.session(parse_peer(addr)) as session:
        start, due = time.perf_counter(), 0
        while left or due:
            if due <= AT_ONCE // 2:
                more = [left.pop() for _ in range(min(AT_ONCE - due, len(left)))]
                await session.want(more)
                due += len(more)
            await session.receive()
            due -= 1
        return time.perf_counter() - start


async def _serve(name: str, size: int) -> None:
    """Say where this is and what there is to fetch, then serve it."""
    sys.setswitchinterval(SWITCH)
    logging.getLogger("libp2p").addHandler(logging.NullHandler())  # it dials those who have gone, and says so
    host = bare_host()
    async with host.run([Multiaddr(LISTEN)]), trio.open_nursery() as nursery:
        what = await _SERVERS[name](host, nursery, size)
        print(host.get_addrs()[0], what, flush=True)
        await trio.sleep_forever()


async def _serve_stream(host: BasicHost, _: trio.Nursery, size: int) -> str:
    data = secrets.token_bytes(WRITE)

    async def fill(stream: INetStream) -> None:
        for start in range(0, size, WRITE):
            await stream.write(data[: size - start])

    host.set_stream_handler(PROTOCOL, fill)
    return "stream"


async def _fetch_stream(host: BasicHost, peer: PeerInfo, _: str, size: int) -> float:
    start = time.perf_counter()
    stream = await host.new_stream(peer.peer_id, [PROTOCOL])
    left = size
    while left:
        left -= len(await stream.read(min(READ, left)))
    return time.perf_counter() - start


async def _bitswap(host: BasicHost, nursery: trio.Nursery) -> MerkleDag:
    client = BitswapClient(host)
    client.set_nursery(nursery)
    await client.start()
    return MerkleDag(client)


async def _serve_bitswap(host: BasicHost, nursery: trio.Nursery, size: int) -> str:
    dag = await _bitswap(host, nursery)
    cid: bytes = await dag.add_bytes(secrets.token_bytes(size))
    return cid.hex()


async def _fetch_bitswap(host: BasicHost, peer: PeerInfo, cid: str, size: int) -> float:
    async with trio.open_nursery() as nursery:
        dag = await _bitswap(host, nursery)
        start = time.perf_counter()
        data, _ = await dag.fetch_file(bytes.fromhex(cid), peer.peer_id)
        seconds = time.perf_counter() - start
        nursery.cancel_scope.cancel()
    if len(data) != size:
        raise RuntimeError(f"{len(data)} bytes of {size} came")
    return seconds


_SERVERS: Final[Mapping[str, Callable[[BasicHost, trio.Nursery, int], Awaitable[str]]]] = {
    "bare_stream": _serve_stream,
    "bare_bitswap": _serve_bitswap,
}
_FETCHES: Final[Mapping[str, Fetch]] = {"bare_stream": _fetch_stream, "bare_bitswap": _fetch_bitswap}


if __name__ == "__main__":
    if sys.argv[1:]:
        name, size = sys.argv[1], int(sys.argv[2])
        trio.run(_serve_network, size) if name == "network_bitswap" else trio.run(_serve, name, size)
    else:
        for measure in (bare_stream, bare_bitswap, network_bitswap, cids):
            print(json.dumps(measure()))
