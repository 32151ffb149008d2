"""How fast a file goes between two Helias, and between one and node.network, to where it is only counted.
Each fetch is one of fresh ends, for Helia keeps what it has fetched. For attachment_bench.py.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import trio

from protocol.unixfs import cid_text, parse_cid
from tests.kit.bulk import random_file
from tests.kit.helia import a_helia, why_no_helia
from tests.kit.network import a_network
from tests.kit.trees import OnDisk, had


def fetches(size: int) -> Mapping[str, Callable[[], float]]:
    """By name, what fetches a file and returns the seconds that it took, without connecting; none where there
    is no Helia.
    """
    if why_no_helia():
        return {}
    ways = {"helia": _between, "from_helia": _from, "to_helia": _to}
    return {name: partial(_timed, way, size) for name, way in ways.items()}


def _timed(way: Callable[[Path, int], Awaitable[float]], size: int) -> float:
    with tempfile.TemporaryDirectory(prefix="mailio-bench-") as directory:
        return trio.run(way, random_file(Path(directory) / "file", size), size)


async def _between(path: Path, size: int) -> float:
    async with a_helia() as one, a_helia() as other:
        cid = await one.add(path)
        await other.dial(one.addr)
        return (await other.cat(cid)).seconds


async def _from(path: Path, size: int) -> float:
    async with a_helia() as one, a_network(server=False) as network:
        root = parse_cid(await one.add(path))
        async with network.bitswap.session(one.peer) as session:
            begun = time.perf_counter()
            await had(session, root, size)
            return time.perf_counter() - begun


async def _to(path: Path, size: int) -> float:
    async with a_helia() as other, a_network(server=False) as network:
        network.bitswap.serve(served := OnDisk(path))
        await other.dial(network.listen_addrs()[0])
        return (await other.cat(cid_text(served.root))).seconds
