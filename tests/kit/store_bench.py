"""Measures the store of attachments by itself: putting, and what many of them cost."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import trio

from node.files.threads import STEP
from tests.kit.blocks import AUTHOR, Place, a_place, keep
from tests.kit.network_bench import SWITCH

SIZE: Final = 100_000_000
ROUNDS: Final = 5
MANY: Final = 10_000
SMALL: Final = 5_000
"""Bytes of each of many files: what they cost is not their bytes."""
TICK_S: Final = 0.001

Figures = dict[str, Any]


async def putting(path: Path) -> list[Figures]:
    """A file of 100 MB from memory: padded, encrypted, hashed, written, synced."""
    sys.setswitchinterval(SWITCH)
    rates = sorted(await _putting(path))
    middle, least, most = (round(rates[n], 1) for n in (ROUNDS // 2, 0, -1))
    return [{"name": "put", "value": middle, "unit": "MB/s", "least": least, "most": most, "bytes": SIZE}]


async def _putting(path: Path) -> list[float]:
    async with a_place(path, quota=10 * SIZE, inline=False) as place:
        rates = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            async with place.files.workspace() as workspace:
                await workspace.put(AUTHOR, _pieces(SIZE), SIZE)
            rates.append(SIZE / (time.perf_counter() - begun) / 1e6)
            await place.files.collect()
        return rates


async def _pieces(size: int) -> AsyncIterator[bytes]:
    piece = secrets.token_bytes(STEP)
    for start in range(0, size, STEP):
        yield piece[: size - start]


async def many(path: Path) -> list[Figures]:
    """10,000 pinned files: the start of their store; a round that looks for what nobody needs and what
    crashes left, and how long something else waits meanwhile.
    """
    sys.setswitchinterval(SWITCH)
    await _fill(path)
    return await _many(path)


async def _fill(path: Path) -> None:
    async with a_place(path, quota=10**12, inline=False) as place, trio.open_nursery() as nursery:
        for first in range(0, MANY, MANY // 8):
            nursery.start_soon(_put_some, place, range(first, first + MANY // 8))


async def _put_some(place: Place, numbers: range) -> None:
    data = secrets.token_bytes(SMALL)
    for number in numbers:
        await place.put(data, keep(b"letter %05d" % number))


async def _many(path: Path) -> list[Figures]:
    begun = time.perf_counter()
    async with a_place(path, quota=10**12, inline=False) as place:
        started = time.perf_counter() - begun
        waits: list[float] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_tick, waits)
            begun = time.perf_counter()
            assert 0 == await place.files.collect()
            assert 0 == await place.files.sweep()
            took = time.perf_counter() - begun
            nursery.cancel_scope.cancel()
        assert MANY == (await place.files.stat())["files"]
    return [
        {"name": "start_with_many", "value": round(started, 3), "unit": "s", "files": MANY},
        {"name": "round_over_many", "value": round(took, 3), "unit": "s", "files": MANY},
        {"name": "longest_wait_in_it", "value": round(max(waits) * 1e3, 1), "unit": "ms", "files": MANY},
    ]


async def _tick(waits: list[float]) -> None:
    while True:
        begun = time.perf_counter()
        await trio.sleep(TICK_S)
        waits.append(time.perf_counter() - begun - TICK_S)
