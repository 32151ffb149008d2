"""What passes through takes no memory that grows with it."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SIZE = 300_000_000
MOST = 100_000_000  # bytes more than at the start; some 15 MB are seen

CHILD = """
import hashlib, json, resource, sys, trio
from contextlib import aclosing
from pathlib import Path
from node.files.threads import STEP
from tests.kit.blocks import AUTHOR, a_place, keep, out, peer

def most():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

async def source(size):
    for start in range(0, size, STEP):
        yield start.to_bytes(8, "big") * (min(STEP, size - start) // 8)

async def main():
    path, size = Path(sys.argv[1]), int(sys.argv[2])
    async with a_place(path / "there", inline=False) as sender, a_place(path / "here", inline=False) as place:
        marks = [most()]
        async with sender.files.workspace() as workspace:
            put = await workspace.put(AUTHOR, source(size), size)
            await sender.pin(put.content.name, out())
        marks.append(most())
        wanted = place.wanted(put)
        await place.want(wanted)
        await place.files.fetch(wanted, peer(sender.files))
        marks.append(most())
        found = hashlib.blake2b(digest_size=32)
        async with aclosing(place.files.read(wanted.name, wanted.key, size)) as pieces:
            async for piece in pieces:
                found.update(piece)
        marks.append(most())
        await place.unpin(keep())
        await place.files.collect()
        place.consistent()
        marks.append(most())
    print(json.dumps([found.digest() == put.hash, [mark - marks[0] for mark in marks]]))

trio.run(main)
"""


def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path), str(SIZE)]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    right, marks = json.loads(ended.stdout)
    assert right
    assert max(marks) < MOST, marks
