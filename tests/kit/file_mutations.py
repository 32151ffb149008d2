"""Files bent by chance, through what looks into them: python -m tests.kit.file_mutations COUNT [SEED]

All are looked at for what they are, in a worker process, and of half of them, pictures, a small one is made.
Prints how many there were, what came of them, the slowest, and the memory that it took; exit 1 where one
broke a promise.
"""

from __future__ import annotations

import io
import json
import random
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

import trio
from PIL import Image

from node.kinds import Sort, Want, small_picture, told
from node.kinds.finding import find, first
from node.kinds.pictures import MAX_MADE, SIDE
from node.kinds.sample import MAX_ASKED, Piece
from node.runtime.worker import open_worker
from tests.kit.samples import picture, png, samples

SLOW_S: Final = 1.0
"""Seconds that no small file may take."""

BATCH: Final = 500
"""Files of one job."""


@dataclass
class Tally:
    """What came of them; `memory` in bytes is the worker's at its most."""

    outcomes: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    memory: int = 0

    def add(self, other: Tally) -> None:
        self.outcomes += other.outcomes
        self.broken += other.broken
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.memory = max(self.memory, other.memory)


@cache
def pictures() -> list[bytes]:
    """Pictures of every form that is decoded."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a camera"
    return [
        picture("JPEG", exif=exif, icc_profile=bytes(range(200))),
        picture("JPEG", progressive=True),
        picture("JPEG", mode="CMYK"),
        picture("JPEG", mode="L"),
        picture("MPO", save_all=True, append_images=[Image.new("RGB", (60, 40))]),
        *(picture("PNG", mode=mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        png(40, 30, bits=16, colour=6),
        picture("PNG", save_all=True, append_images=[Image.new("RGB", (60, 40), "red")]),
        picture("GIF", mode="P"),
        picture("GIF", save_all=True, append_images=[Image.new("RGB", (60, 40), "red")] * 3),
        picture("WEBP", exif=exif),
        picture("WEBP", lossless=True, mode="RGBA"),
        picture("WEBP", save_all=True, append_images=[Image.new("RGB", (60, 40), "red")]),
    ]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """With up to eight places changed, half of them near its beginning, where the measures are."""
    raw = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = (
            chance.randrange(len(raw) + 1)
            if chance.random() < 0.5
            else chance.randrange(min(len(raw), 64) + 1)
        )
        match chance.randrange(10):
            case 0 | 6 | 7 | 8 | 9:
                raw[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                raw[at : at + 4] = chance.choice(
                    (b"\x00" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x00\x00\x40\x00")
                )
            case 2:
                del raw[at : at + chance.choice((1, 10, 1_000))]
            case 3:
                raw[at:at] = raw[at : at + chance.choice((1, 100, 1_000))]
            case 4:
                raw[at:at] = chance.randbytes(chance.choice((1, 16, 300)))
            case _:
                del raw[at:]
    return bytes(raw)


def batch(seed: int, count: int) -> Tally:
    """Runs in the worker: so many, one after the other; the same for a seed."""
    chance, tally = random.Random(seed), Tally()
    files = list(samples().items())
    for number in range(count):
        pictured = number % 2 == 0
        name, data = ("a.jpg", chance.choice(pictures())) if pictured else chance.choice(files)
        data = mutated(data, chance)
        begun = time.perf_counter()
        try:
            tally.outcomes[_seen(name, data)] += 1
            if pictured:
                tally.outcomes["small picture" if _small(data) else "no small picture"] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, is what is looked for
            tally.broken.append(f"{seed}/{number}: {error!r}")
        tally.slowest_s = max(tally.slowest_s, time.perf_counter() - begun)
    tally.memory = _peak()
    return tally


def _peak() -> int:
    """Bytes of this process at most; what getrusage(2) says on Linux is that of whoever started it, too."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def pulled(data: bytes) -> tuple[Sort, int]:
    """What a file is, found as the node does it, that is by asking for ranges; and how many those were."""
    pieces: list[Piece] = []
    want: Sort | Want = first(len(data))
    while isinstance(want, Want):
        assert 0 <= want.start <= want.stop <= len(data), want
        assert want.stop - want.start <= MAX_ASKED, want
        pieces.append((want.start, data[want.start : want.stop]))
        want = find(len(data), pieces)
    return want, len(pieces)


def _seen(name: str, data: bytes) -> str:
    sort, _ = pulled(data)
    shown = told(name, "text/html", sort)
    assert shown.media_type != "text/html", shown
    assert shown.media_type.isascii(), shown
    return sort.kind


def _small(data: bytes) -> bool:
    made = small_picture(io.BytesIO(data))
    if made is None:
        return False
    assert len(made) <= MAX_MADE
    with Image.open(io.BytesIO(made), formats=["WEBP"]) as image:
        assert max(image.size) <= SIDE
        assert not {"exif", "icc_profile", "xmp"} & set(image.info)
    return True


async def play(count: int, seed: int) -> Tally:
    """So many through a worker of its own."""
    tally = Tally()
    async with open_worker() as worker:
        for number in range(0, count, BATCH):
            size = min(BATCH, count - number)
            tally.add(await worker.run(batch, seed * 1_000_003 + number, size, deadline=SLOW_S * BATCH))
    return tally


def main(arguments: list[str]) -> int:
    count, seed = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 1
    begun = time.perf_counter()
    tally = trio.run(play, count, seed)
    figures = {
        "files": count,
        "seed": seed,
        "seconds": round(time.perf_counter() - begun, 1),
        "slowest_s": round(tally.slowest_s, 3),
        "worker_mb": tally.memory // 1_000_000,
    }
    print(json.dumps(figures | {"broken": tally.broken, "outcomes": tally.outcomes}, indent=1))
    return 1 if tally.broken or tally.slowest_s > SLOW_S else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
