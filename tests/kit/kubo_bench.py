"""How fast a file goes into an IPFS daemon and out of it by node.files, and by bare ipfshttpclient to the
same daemon. For scripts/bench, and `python -m tests.kit.kubo_bench`.
"""

from __future__ import annotations

import json
import secrets
import sys
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import ipfshttpclient
import trio

from node.files.kubo import Kubo
from node.files.threads import STEP
from protocol.unixfs import cid_text, parse_cid
from tests.kit.jsipfs import a_jsipfs, why_no_jsipfs
from tests.kit.network_bench import SWITCH
from tests.kit.processes import Unmet

SIZE: Final = 100_000_000
"""Bytes of a file."""

ROUNDS: Final = 5
"""Of everything in turns, each with a new file; the best counts, for others use this machine too."""

ASKS: Final = 200
"""Small questions, one after the other."""

_OPTIONS: Final = {"cid-version": 1, "raw-leaves": "true", "cid-base": "base32", "pin": "false"}

_DEADLINE: Final = {"timeout": "35s"}
"""As node.files asks; with one js-ipfs reads a quarter more slowly."""

Figures = dict[str, Any]


class Ours:
    """By node.files, in steps as it works in."""

    def __init__(self, api: str) -> None:
        self._kubo = Kubo(api)

    async def add(self, data: bytes) -> bytes:
        async with self._kubo.adding() as adding:
            for start in range(0, len(data), STEP):
                await adding.write(data[start : start + STEP])
            return await adding.finish()

    async def read(self, cid: bytes, size: int) -> None:
        for start in range(0, size, STEP):
            await self._kubo.read(cid, start, min(STEP, size - start))

    async def ask(self, cid: bytes) -> None:
        for _ in range(ASKS):
            await self._kubo.block(cid)


class Bare:
    """By the library alone, in one session and one thread: the same questions, and a file in one go."""

    def __init__(self, api: str) -> None:
        self._api = api

    async def add(self, data: bytes) -> bytes:
        return parse_cid(await self._in_thread(lambda client: client.add_bytes(data, opts=_OPTIONS)))

    async def read(self, cid: bytes, size: int) -> None:
        def read(client: ipfshttpclient.Client) -> None:
            for start in range(0, size, STEP):
                length = min(STEP, size - start)
                opts = {"offset": start, "length": length, **_DEADLINE}
                assert length == len(client.cat(cid_text(cid), opts=opts))

        await self._in_thread(read)

    async def read_whole(self, cid: bytes, size: int) -> None:
        assert size == len(await self._in_thread(lambda client: client.cat(cid_text(cid))))

    async def ask(self, cid: bytes) -> None:
        await self._in_thread(
            lambda client: [client.block.get(cid_text(cid), opts=_DEADLINE) for _ in range(ASKS)]
        )

    async def _in_thread(self, work: Callable[[ipfshttpclient.Client], Any]) -> Any:
        def run() -> Any:
            with ipfshttpclient.Client(self._api) as client:
                return work(client)

        return await trio.to_thread.run_sync(run)


async def kubo(directory: Path, size: int = SIZE) -> list[Figures]:
    """Raises Unmet where there is no daemon."""
    if why_not := why_no_jsipfs():
        raise Unmet(why_not)
    sys.setswitchinterval(SWITCH)
    warnings.filterwarnings("ignore", "The 'strict' parameter", FutureWarning)  # of the library's own session
    took: dict[str, float] = {}
    async with a_jsipfs(directory) as daemon:
        for _ in range(ROUNDS):
            await _clock("kubo", Ours(daemon.api), took, size)
            await _clock("kubo_bare", Bare(daemon.api), took, size)
    return list(_figures(took, size))


async def _clock(name: str, way: Ours | Bare, took: dict[str, float], size: int) -> None:
    """Note the least seconds that each took yet."""

    async def clock(what: str, work: Callable[[], Awaitable[Any]]) -> Any:
        start = time.perf_counter()
        found = await work()
        took[f"{name}_{what}"] = min(took.get(f"{name}_{what}", 1e9), time.perf_counter() - start)
        return found

    cid = await clock("add", partial(way.add, secrets.token_bytes(size)))
    await clock("read", partial(way.read, cid, size))
    await clock("block", partial(way.ask, cid))
    if isinstance(way, Bare):  # all of it lies in memory then
        await clock("read_whole", partial(way.read_whole, cid, size))


def _figures(took: dict[str, float], size: int) -> Iterator[Figures]:
    for what in ("add", "read", "block"):
        ours, bare = took[f"kubo_{what}"], took[f"kubo_bare_{what}"]
        work, unit, scale = (ASKS, "1/s", 1.0) if what == "block" else (size, "MB/s", 1e6)
        for name, seconds in (("kubo", ours), ("kubo_bare", bare)):
            yield {"name": f"{name}_{what}", "value": round(work / seconds / scale, 1), "unit": unit}
        yield {"name": f"kubo_{what}_to_bare", "value": round(bare / ours, 3), "unit": "ratio"}
    whole = round(size / took["kubo_bare_read_whole"] / 1e6, 1)
    yield {"name": "kubo_bare_read_whole", "value": whole, "unit": "MB/s"}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="mailio-bench-") as place:
        for figure in trio.run(kubo, Path(place)):
            print(json.dumps(figure))
