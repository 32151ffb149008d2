"""What looking at files takes: python -m tests.kit.kinds_bench

Through the API of a store in this process, so with reading, decrypting and handing over: what a letter's
files are, and pictures in small. Prints JSON; seconds are medians.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx
import trio
from PIL import Image

from node.api import make_api
from node.app import open_desk
from node.kinds.finding import find_whole
from node.runtime.config import Config
from tests.kit.homes import new_home
from tests.kit.owners import owner
from tests.kit.samples import samples, saved

ROUNDS: Final = 5


def photograph(width: int, height: int) -> Image.Image:
    """Something between noise and one colour, as photographs are."""
    small = Image.frombytes(
        "RGB", (width // 4, height // 4), random.Random(1).randbytes(width * height // 16 * 3)
    )
    return small.resize((width, height), Image.Resampling.BICUBIC)


def pictures() -> dict[str, bytes]:
    twelve, fifty = photograph(4_000, 3_000), photograph(8_000, 6_000)
    return {
        "jpeg-12": saved(twelve, "JPEG", quality=85),
        "jpeg-12-progressive": saved(twelve, "JPEG", quality=85, progressive=True),
        "png-12": saved(twelve, "PNG", compress_level=1),
        "webp-12": saved(twelve, "WEBP", method=0),
        "jpeg-48": saved(fifty, "JPEG", quality=75),
    }


async def seconds(call: Callable[[], Awaitable[Any]]) -> float:
    begun = time.perf_counter()
    await call()
    return time.perf_counter() - begun


async def measure(path: Path) -> dict[str, Any]:
    files = pictures()
    told: dict[str, Any] = {"find_ms": round(_find_ms(), 3)}
    async with open_desk(await new_home(path / "home"), Config(), None) as desk:
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(make_api(desk)), base_url="http://mailio/api/v1"
        )
        ids = [
            (await http.post("/attachment", content=data, params={"filename": name})).json()["id"]
            for name, data in files.items()
        ]
        sent = await http.post("/message", json={"to": [owner("bob").address], "attachments": ids})
        assert sent.status_code == 202, sent.text
        letter = (await http.get("/message", params={"folder": "sent"})).json()[0]["id"]
        thumbnails, looker = desk.mailbox._thumbnails, desk.mailbox._shower._looker

        async def read() -> None:
            looker._known.clear()
            assert (await http.get(f"/message/{letter}")).status_code == 200

        await read()
        told["read_s"] = statistics.median([await seconds(read) for _ in range(ROUNDS)])
        told["read_again_s"] = await seconds(lambda: http.get(f"/message/{letter}"))
        await http.get(f"/message/{letter}/attachment/1/thumbnail")
        for n, (name, data) in enumerate(files.items(), 1):

            async def small(n: int = n) -> None:
                thumbnails.forget(bytes.fromhex(letter))
                answer = await http.get(f"/message/{letter}/attachment/{n}/thumbnail")
                assert answer.status_code == 200, answer.text
                told["bytes"] = len(answer.content)

            took = statistics.median([await seconds(small) for _ in range(ROUNDS)])
            told[name] = {"mb": round(len(data) / 1e6, 1), "s": round(took, 3), "bytes": told.pop("bytes")}
    return told


def _find_ms() -> float:
    """Of one file, here."""
    find_whole(samples()["a.png"])
    begun = time.perf_counter()
    for data in samples().values():
        find_whole(data)
    return (time.perf_counter() - begun) * 1_000 / len(samples())


async def main() -> None:
    with tempfile.TemporaryDirectory() as path:
        print(json.dumps(await measure(Path(path)), indent=1))


if __name__ == "__main__":
    trio.run(main)
