"""Killed at any moment, whatever it was at: what was promised is there, and nothing is half there."""

import hashlib
import json
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import trio

from node.files import Wanted
from node.files.parts import Part
from protocol.stream import CHUNK_BYTES
from tests.kit.blocks import Place, a_place, made, peer
from tests.kit.daemons import RealDaemon
from tests.kit.jsipfs import a_jsipfs, needs_jsipfs
from tests.kit.peers import STOP_S

ROOT = Path(__file__).parents[2]
KILLS = 20
FEWER = 8
MOST_LINES = 40  # of a child before it is killed: each of its tasks has come round several times

DATA = Random(77).randbytes(2 * CHUNK_BYTES)
FILE = made(DATA)

CHILD = """
import json, sys, trio
from contextlib import suppress
from pathlib import Path
from random import Random
from node.files import in_pieces
from node.files.contents import FOR_EVER
from node.storage import Batch
from protocol.stream import CHUNK_BYTES
from node.files import KuboAway
from tests.kit.blocks import AUTHOR, a_place, keep, made, peer
from tests.kit.daemons import RealDaemon

chance = Random(int(sys.argv[2]))

def say(**what):
    shown = {name: value.hex() if isinstance(value, bytes) else value for name, value in what.items()}
    print(json.dumps(shown), flush=True)

async def put(place):
    size = chance.choice([0, 5_000, CHUNK_BYTES, 3 * CHUNK_BYTES])
    letter, data = chance.randbytes(12), chance.randbytes(size)
    async with place.files.workspace() as workspace:
        put = await workspace.put(AUTHOR, in_pieces(data), size)
        await place.pin(put.content.name, keep(letter))
    say(kept=put.content.name, letter=letter, key=put.key, hash=put.hash, size=size, cid=put.content.cid)

async def fetch(place):
    seed = chance.randrange(4)
    file = made(Random(seed).randbytes((seed + 1) * CHUNK_BYTES), bytes([seed]) * 32)
    wanted, letter = file.wanted(place), chance.randbytes(12)
    await place.want(wanted, keep(letter))
    await place.files.fetch(wanted, peer(file, chance=chance))
    say(kept=wanted.name, letter=letter, key=wanted.key, hash=wanted.hash, size=wanted.size, cid=wanted.cid)

async def delete(place):
    for (kind, who, letter), name in place.all_pins():
        if chance.random() < 0.5:
            say(letting=letter)
            await place.unpin(keep(letter))
    await place.files.collect()

async def move(place):
    with suppress(KuboAway):  # a pin that another task took back while its file was on its way
        await place.files.move(lambda moved: None)
        await place.files.sweep()

async def repeat(work, place):
    while True:
        await work(place)
        await trio.lowlevel.checkpoint()

async def main():
    api = sys.argv[3]
    where = {"rpc": RealDaemon(api), "kubo": chance.random() < 0.5} if api else {}
    async with a_place(Path(sys.argv[1]), inline=False, **where) as place, trio.open_nursery() as nursery:
        await place.files.sweep()
        await place.files.collect()
        for work in (put, put, fetch, fetch, delete, *([move] if api else [])):
            nursery.start_soon(repeat, work, place)

trio.run(main)
"""


@dataclass
class Promised:
    """What the children said: letters that hold a content, less those that they began to delete."""

    held: dict[str, dict[str, str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    kept: int = 0

    def hear(self, line: str) -> None:
        said = json.loads(line)
        if "letting" in said:
            self.gone.add(said["letting"])
            self.held.pop(said["letting"], None)
            return
        self.kept += 1
        if said["letter"] not in self.gone:  # another task may let go before this one says what it kept
            self.held[said["letter"]] = said

    def wanted(self) -> list[Wanted]:
        found = []
        for one in self.held.values():
            name, cid, key, digest = (bytes.fromhex(one[part]) for part in ("kept", "cid", "key", "hash"))
            found.append(Wanted(name, cid, key, digest, int(one["size"])))
        return found


def run_until_killed(path: Path, seed: int, promised: Promised, api: str = "") -> None:
    lines = Random(seed).randrange(1, MOST_LINES)
    command = [sys.executable, "-c", CHILD, str(path), str(seed), api]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(lines):
            promised.hear(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read()
        assert child.wait() == -signal.SIGKILL
    for line in rest.splitlines(keepends=True):
        if line.endswith("\n"):
            promised.hear(line)


async def in_order(place: Place) -> int:
    """Every content that is said to be whole has all its blocks; how many there are."""
    whole = [content for content in place.rows().values() if content.whole]
    for content in (one for one in whole if not one.daemon):
        part = Part(place.file(content.name), content)
        while not part.looked:
            part.look()
        part.close()
        assert part.missing == []
    return len(whole)


async def look(path: Path, promised: Promised, daemon: RealDaemon | None = None) -> int:
    async with a_place(path, rpc=daemon) as place:
        found = await in_order(place)
        for wanted in promised.wanted():
            data = await place.read(wanted)
            assert hashlib.blake2b(data, digest_size=32).digest() == wanted.hash
        await place.files.sweep()
        await place.files.collect()
        place.consistent()
        pinned = {name for _, name in place.all_pins()}
        assert {wanted.name for wanted in promised.wanted()} <= pinned == set(place.rows())
        if daemon is not None:
            await swept(place, daemon)
        await place.files.fetch(wanted_again(place), peer(FILE))
        assert await place.read(wanted_again(place)) == DATA
        return found


async def swept(place: Place, daemon: RealDaemon) -> None:
    """Nothing is pinned that no row knows, once the daemon has done what the killed one had asked for."""
    with trio.fail_after(STOP_S):
        while daemon.pins != {row.cid for row in place.rows().values() if row.daemon and row.whole}:
            await trio.sleep(0.01)  # in another process
            await place.files.sweep()


def wanted_again(place: Place) -> Wanted:
    return FILE.wanted(place, b"an author of our own")


def test_killed_at_any_moment(tmp_path: Path) -> None:
    promised, whole = Promised(), 0
    for seed in range(KILLS):
        run_until_killed(tmp_path, seed, promised)
        whole += trio.run(look, tmp_path, promised)
    assert whole > KILLS
    assert promised.kept


@needs_jsipfs
async def test_killed_at_any_moment_with_a_daemon(tmp_path: Path) -> None:
    """At one time new contents go there, at another they come back; afterwards nothing else is pinned."""
    promised, whole = Promised(), 0
    async with a_jsipfs(tmp_path) as ipfs:
        daemon = RealDaemon(ipfs.api)
        for seed in range(FEWER):
            await trio.to_thread.run_sync(run_until_killed, tmp_path / "here", seed, promised, ipfs.api)
            whole += await look(tmp_path / "here", promised, daemon)
    assert whole > FEWER
    assert promised.kept


FETCHER = """
import sys, trio
from pathlib import Path
from random import Random
from protocol.stream import CHUNK_BYTES
from tests.kit.blocks import a_place, made, peer

async def main():
    file = made(Random(78).randbytes(60 * CHUNK_BYTES))
    async with a_place(Path(sys.argv[1])) as place:
        wanted = file.wanted(place)
        await place.want(wanted)
        one = peer(file, before=lambda sent: print(sent, flush=True))
        await place.files.fetch(wanted, one)
        place.consistent()
        assert await place.files.collect() == 0

trio.run(main)
"""


def test_killed_in_the_middle_of_a_fetch_it_goes_on(tmp_path: Path) -> None:
    """A block that had come before the kill does not come again."""
    command = [sys.executable, "-c", FETCHER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        while int(child.stdout.readline()) < 30:
            pass
        child.send_signal(signal.SIGKILL)
        come = 31 + len(child.stdout.readlines())
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    count = len(ended.stdout.splitlines())
    blocks = made(bytes(60 * CHUNK_BYTES)).count
    assert blocks - come <= count <= blocks - come + 1  # the last that came may not have been kept
