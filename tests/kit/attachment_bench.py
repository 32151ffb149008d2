"""How fast a file goes with a letter from one node to another, both processes of their own, beside what lies
below in the same run; and what memory that takes. Called by scripts/bench.
"""

import filecmp
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio

from node.cli.client import Question, ask
from node.runtime.home import Home
from tests.kit import files_bench, helia_bench
from tests.kit.bulk import random_file
from tests.kit.people import require
from tests.kit.processes import Process, Unmet, a_village, cpu_seconds, machine_seconds
from tests.kit.traffic_bench import asking, friends

ROUNDS: Final = 3
"""Of everything, one after the other, so that what else the machine does falls on all alike."""

LARGE: Final = 2_000_000_000
"""Bytes of the file whose way is watched for memory."""

NEEDED: Final = 7_000_000_000
"""Bytes free on the disk for that: it lies at the author, at the recipient, and where it is saved; and a node
leaves some free.
"""

SETTLED_S: Final = 30.0
"""Seconds until a node that has just started is taken to be idle."""

LOOK_S: Final = 0.01
"""Seconds between two looks at an inbox."""

STANDING_S: Final = 0.05
"""Seconds between two looks at how a file stands: each takes the node some 2 ms."""

LONGEST_S: Final = 600.0
"""Seconds for one file."""

RESET_PEAK: Final = "5"
"""Written to clear_refs, makes the highest memory that of now (proc(5))."""

_WHO: Final = ("sender", "recipient")

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of each stage of one file's way, and of processor time."""

    hand_in: float
    compose: float
    arrive: float
    save: float
    sender: float
    recipient: float
    elsewhere: float


@asynccontextmanager
async def two_friends(directory: Path, fetch: int) -> AsyncIterator[tuple[Process, Process]]:
    """Alice and bob, who fetches up to `fetch` bytes unasked."""
    async with a_village(directory) as village:
        await village.open_bootstrap()
        alice = await village.owner("alice")
        bob = await village.owner("bob", MAILIO_FILES_FETCH=str(fetch))
        await friends(asking(alice), alice.address, bob)
        yield alice, bob


async def files(directory: Path, size: int = files_bench.SIZE) -> list[Figures]:
    """A file's way: handed in, put into a letter, fetched and checked by the recipient's node, saved; and how
    that compares with what lies below, and with Helia where that is here.
    """
    below = ("bare_stream", "bare_bitswap", "network_bitswap")
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    rounds: list[Round] = []
    with ExitStack() as servers:
        fetches = {name: servers.enter_context(files_bench.served(name, size)) for name in below}
        fetches |= helia_bench.fetches(size)
        async with two_friends(directory, size) as (alice, bob):
            await _round(alice, bob, random_file(directory / "warms streams and caches", size))
            for number in range(ROUNDS):
                path = random_file(directory / f"file {number}", size)
                rounds.append(await _round(alice, bob, path))
                for name, fetch in fetches.items():
                    seconds[name].append(await trio.to_thread.run_sync(fetch))
    return [*_stages(rounds, size), *_beside(rounds, seconds, size)]


def _stages(rounds: Sequence[Round], size: int) -> Iterable[Figures]:
    elsewhere = round(statistics.median(one.elsewhere for one in rounds), 2)
    yield _rates("attachment", size, [one.arrive for one in rounds]) | {"cores_busy_elsewhere": elsewhere}
    yield _rates("hand_in", size, [one.hand_in for one in rounds])
    yield _spread("compose", "s", [one.compose for one in rounds], 3)
    yield _rates("save", size, [one.save for one in rounds])
    yield _spread("attachment_cpu_sender", "s", [one.sender for one in rounds])
    yield _spread("attachment_cpu_recipient", "s", [one.recipient for one in rounds])


def _beside(rounds: Sequence[Round], seconds: Mapping[str, list[float]], size: int) -> Iterable[Figures]:
    for name, found in seconds.items():
        yield _rates(name, size, found)
        ratios = [bare / one.arrive for bare, one in zip(found, rounds, strict=True)]
        yield _spread(f"attachment_to_{name}", "ratio", ratios)


def _rates(name: str, size: int, seconds: Iterable[float]) -> Figures:
    return _spread(name, "MB/s", [size / one / 1e6 for one in seconds], 1) | {"bytes": size}


def _spread(name: str, unit: str, values: Sequence[float], digits: int = 2) -> Figures:
    """The median, with the least and the most beside it."""
    middle, low, high = (round(one, digits) for one in (statistics.median(values), min(values), max(values)))
    return {"name": name, "value": middle, "unit": unit, "min": low, "max": high}


async def _round(alice: Process, bob: Process, path: Path) -> Round:
    begun = time.perf_counter()
    handed = await trio.to_thread.run_sync(hand_in, alice, path)
    in_hand = time.perf_counter()
    await trio.to_thread.run_sync(write, alice, bob, path.name, handed)
    composed, cpu = time.perf_counter(), await _cpu(alice, bob)
    letter = await trio.to_thread.run_sync(arrived, bob, path.name)
    there = time.perf_counter()
    sender, recipient, machine = (
        after - before for after, before in zip(await _cpu(alice, bob), cpu, strict=True)
    )
    elsewhere = (machine - sender - recipient) / (there - composed)
    stages = (in_hand - begun, composed - in_hand, there - composed, await save(bob, letter, path))
    return Round(*stages, sender, recipient, elsewhere)


async def _cpu(*nodes: Process) -> list[float]:
    """Seconds of processor time that these nodes and the whole machine have used."""
    pids = [one.running.pid for one in nodes if one.running is not None]
    return await trio.to_thread.run_sync(lambda: [*map(cpu_seconds, pids), machine_seconds()])


# Memory


async def memory(directory: Path, size: int = LARGE) -> list[Figures]:
    """By how much the main processes grow at most while a large file goes, stage by stage."""
    free = shutil.disk_usage(directory).free
    if free < NEEDED:
        reason = f"{NEEDED} bytes have to be free, {free} are"
        return [
            {"name": f"files_memory_{who}", "value": None, "unit": "MB", "reason": reason} for who in _WHO
        ]
    async with two_friends(directory, size) as (alice, bob):
        await trio.sleep(SETTLED_S)
        path, nodes = directory / "large", (alice, bob)
        _holes(path, size)
        peaks = {"idle": [one.rss for one in nodes]}
        with _peak(peaks, "hand_in", nodes):
            handed = await trio.to_thread.run_sync(hand_in, alice, path)
        with _peak(peaks, "compose", nodes):
            await trio.to_thread.run_sync(write, alice, bob, path.name, handed)
        begun = time.perf_counter()
        with _peak(peaks, "transfer", nodes):
            letter = await trio.to_thread.run_sync(arrived, bob, path.name)
        took = time.perf_counter() - begun
        with _peak(peaks, "save", nodes):
            await save(bob, letter, path)
    grown = [_growth(who, [peak[n] for peak in peaks.values()], list(peaks)) for n, who in enumerate(_WHO)]
    return [*(one | {"bytes": size} for one in grown), _rates("attachment_large", size, [took])]


def _holes(path: Path, size: int) -> None:
    """A file that takes no room; what is made of it is encrypted and takes all."""
    with path.open("wb") as file:
        file.truncate(size)


@contextmanager
def _peak(peaks: dict[str, list[int]], stage: str, nodes: Iterable[Process]) -> Iterator[None]:
    """The most memory that each of the main processes has during the block (Linux)."""
    pids = [one.running.pid for one in nodes if one.running is not None]
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text(RESET_PEAK)
    yield
    peaks[stage] = [one.peak_rss for one in nodes]


def _growth(who: str, peaks: Sequence[int], stages: Sequence[str]) -> Figures:
    in_mb = [round(one / 1e6, 1) for one in peaks]
    value = round(max(in_mb) - in_mb[0], 1)
    return {
        "name": f"files_memory_{who}",
        "value": value,
        "unit": "MB",
        **dict(zip(stages, in_mb, strict=True)),
    }


# The stages; all but `save` block


def hand_in(who: Process, path: Path) -> str:
    """Give a file to a node, as `mailio send` does; its id."""
    params, size = {"filename": path.name}, path.stat().st_size
    with path.open("rb") as file:
        question = Question("POST", "/api/v1/attachment", params, file=file, size=size, patience=LONGEST_S)
        return str(ask(Home(who.home), question).value()["id"])


def write(who: Process, to: Process, subject: str, handed: str) -> None:
    """Send a letter with it; it is in the outbox when this returns."""
    body = {"to": [to.address], "subject": subject, "text": "See there.", "attachments": [handed]}
    ask(Home(who.home), Question("POST", "/api/v1/message", body=body, patience=LONGEST_S)).value()


def arrived(who: Process, subject: str) -> str:
    """Wait until all of the letter's file is here, checked and on disk; the letter's id."""
    end = time.perf_counter() + LONGEST_S
    while (letter := _found(who, subject)) is None:
        _require_time(end, subject)
        time.sleep(LOOK_S)
    path = f"/api/v1/message/{letter}/attachment"
    standing = who.ask("GET", path)
    while standing[0]["state"] != "complete":
        _require_time(end, subject)
        standing = who.ask("GET", path, wait=STANDING_S)
    return letter


def _found(who: Process, subject: str) -> str | None:
    letters = who.ask("GET", "/api/v1/message")
    return next((str(one["id"]) for one in letters if one["subject"] == subject), None)


def _require_time(end: float, subject: str) -> None:
    if time.perf_counter() > end:
        raise Unmet(f"{subject} was not there within {LONGEST_S:.0f} s")


async def save(who: Process, letter: str, original: Path) -> float:
    """Save it by the command; seconds that took, process and all. Both are gone when this returns, having
    been looked at for whether they are the same.
    """
    target = original.parent / "saved"
    target.mkdir()
    begun = time.perf_counter()
    saved = await who.mailio("save", letter, str(target))
    took = time.perf_counter() - begun
    same = partial(filecmp.cmp, original, saved[0]["path"], shallow=False)
    require("whether what was saved is what was sent", await trio.to_thread.run_sync(same), expected=True)
    await trio.to_thread.run_sync(shutil.rmtree, target)
    await trio.to_thread.run_sync(original.unlink)
    return took
