"""What a host with a hundred thousand letters of a thousand owners costs: start, list, deposits, memory.
Called by scripts/bench. The store is filled directly; what is measured runs in a process of its own.
"""

import json
import secrets
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import trio

from node.hosting import Hosting, Limits
from node.hosting.book import Book, Change
from node.hosting.letters import Letters, Times
from node.hosting.rows import Account
from node.hosts import Talk
from node.runtime.clock import SystemClock
from node.runtime.worker import open_worker
from node.storage import Store, open_store
from node.storage.schema import HOST_OWNER
from protocol.account import Item, KeyRule, Space
from protocol.host import Digest, List, Put
from protocol.identity import IdentityRecord, build_identity
from protocol.keys import Secrets, SigningKey
from protocol.letter import envelope_id
from protocol.offer import Result, prove_offer
from protocol.prekeys import Chain
from protocol.status import OK
from tests.kit.hosting import PREFIX, Inn, an_offer, talking
from tests.kit.people import require
from tests.kit.stores import KEY
from tests.kit.wires import Wire, Wires

OWNERS: Final = 1_000
LETTERS: Final = 100_000

SIZE: Final = 4_600
"""Bytes of an envelope: a short letter."""

PAGE: Final = 500
"""Letters of one owner who has been away for long: a whole page."""

LARGE: Final = 10_000
"""Bytes of each deposit."""

DEPOSITS: Final = 2_000
AT_ONCE: Final = 8
"""Senders side by side, as many as one network may be."""

LISTS: Final = 50
HOST_SEED: Final = bytes(range(32))
ROOM: Final = Limits(accounts=OWNERS + 10, account_size=10**9, size=10**11)

Figures = dict[str, Any]


def hosting(directory: Path) -> list[Figures]:
    """Every figure, of an empty host and of a full one."""
    full, empty = directory / "full", directory / "empty"
    begun = time.perf_counter()
    trio.run(_fill, full, OWNERS, LETTERS)
    filled = time.perf_counter() - begun
    trio.run(_fill, empty, 1, 0)
    alone, found = _measured(empty), _measured(full)
    context = {"letters": LETTERS + PAGE, "owners": OWNERS}
    return [
        *(figure | context for figure in found["figures"]),
        _figure("host_rss", found["rss"], "MB", **context),
        _figure("host_own_memory", found["own"], "MB", empty=alone["own"], **context),
        _figure("host_fill", round(LETTERS / filled), "1/s"),
    ]


def _measured(directory: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.kit.hosting_bench", str(directory)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _figure(name: str, value: float, unit: str, **context: Any) -> Figures:
    return {"name": name, "value": value, "unit": unit, **context}


# ---- filling


def _secrets(number: int) -> Secrets:
    return Secrets.derive(number.to_bytes(32, "big"))


def _record(now: int) -> IdentityRecord:
    """One for all: what it says does not matter here, and making one costs some ms."""
    return build_identity(_secrets(0), Chain.start(bytes(32)), price=6, created=now)


def _account(number: int) -> SigningKey:
    return SigningKey.from_seed(number.to_bytes(32, "big"))


async def _fill(directory: Path, owners: int, letters: int) -> None:
    """Accounts with equally many letters, and a page more for the first."""
    clock = SystemClock()
    record = _record(clock.now())
    async with open_store(directory, KEY, inline=True) as store:
        book = Book(store)
        room = Letters(book, Times(clock, lambda: False))
        for number in range(owners):
            owner = _account(number).public
            change = Change(book, Account(owner, record.public_key, (), 0))
            change.batch.put(HOST_OWNER, book.owner_place(record.address), record.record)
            for _ in range(letters // owners + (PAGE if letters and not number else 0)):
                blob = secrets.token_bytes(SIZE)
                room.add(change, an_offer(owner, blob), blob, clock.now())
            await store.write(change.done(), sync=False)


# ---- measuring, in a process of its own


async def _measure(directory: Path) -> dict[str, Any]:
    begun = time.perf_counter()
    async with open_store(directory, KEY) as store, open_worker() as worker, trio.open_nursery() as nursery:
        wires = Wires(SystemClock())
        peer_key = SigningKey.from_seed(HOST_SEED)
        network: Any = Wire(wires, PREFIX + peer_key.public, nursery)
        host = Hosting(
            store=store,
            network=network,
            peer_key=peer_key,
            clock=wires.clock,
            doubtful=lambda: False,
            threads=worker,
            policy="all",
            limits=ROOM,
        )
        host.serve()
        letters = host.status()["letters"]
        started = time.perf_counter() - begun
        inn = Inn(host, store, network, [False], set(), trio.Event(), trio.Event())
        guest = Wire(wires, PREFIX + secrets.token_bytes(32), nursery)
        figures = [_figure("host_start", round(started, 3), "s")]
        if letters:
            figures += await _lists(inn, guest)
        figures.append(await _deposits(store, inn, nursery, wires))
        nursery.cancel_scope.cancel()
    wires.frames.clear()
    return {"figures": figures} | _memory()


def _memory() -> dict[str, float]:
    """Megabytes of this process (Linux): at most, and its own now, without tables that LevelDB maps, which
    the system takes back as it likes.
    """
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    found = {words[0]: int(words[1]) for words in lines if words[0] in ("VmHWM:", "RssAnon:")}
    return {"rss": round(found["VmHWM:"] / 1000, 1), "own": round(found["RssAnon:"] / 1000, 1)}


async def _as(number: int, inn: Inn, guest: Wire, talk: Talk) -> None:
    require("account open", await talk.prove(_account(number), inn.peer_id, guest.peer_id), True)


async def _lists(inn: Inn, guest: Wire) -> list[Figures]:
    """From question to answer, of an owner as all are and of one with a page of letters."""
    ordinary = []
    async with talking(guest, inn) as talk:
        for number in range(1, LISTS + 1):
            await _as(number * (OWNERS // LISTS) % OWNERS, inn, guest, talk)
            ordinary.append(await _timed(talk, 0))
        await _as(0, inn, guest, talk)
        page = [await _timed(talk, 0) for _ in range(LISTS)]
        await talk.ask(Digest())
    return [_times("host_list", ordinary), _times("host_list_page", page)]


async def _timed(talk: Talk, after: int) -> float:
    begun = time.perf_counter()
    await talk._channel.send(List(after).encode())
    await talk._channel.receive()
    return time.perf_counter() - begun


def _times(name: str, times: list[float]) -> Figures:
    low, middle, high = (round(one * 1000, 2) for one in (min(times), statistics.median(times), max(times)))
    return _figure(name, middle, "ms", min=low, max=high, runs=len(times))


async def _deposits(store: Store, inn: Inn, nursery: trio.Nursery, wires: Wires) -> Figures:
    """Letters under a delivery key, each synced before it is answered."""
    account, key = _account(0), SigningKey.from_seed(secrets.token_bytes(32))
    guest = Wire(wires, PREFIX + secrets.token_bytes(32), nursery)
    async with talking(guest, inn) as talk:
        await _as(0, inn, guest, talk)
        rule = Item(key.public, wires.clock.now(), KeyRule(0, 10**9).encode())
        await talk.ask(Put(Space.KEY, (rule,)))
    week = wires.clock.now() // 604_800_000
    left = iter([secrets.token_bytes(LARGE) for _ in range(DEPOSITS)])

    async def send() -> None:
        async with talking(Wire(wires, PREFIX + secrets.token_bytes(32), nursery), inn) as talk:
            for blob in left:
                proof = prove_offer(key, account.public, envelope_id(blob))
                answer = await talk.offer(an_offer(account.public, blob, proof=proof, week=week), blob)
                wires.frames.clear()
                require("deposit", isinstance(answer, Result) and answer.status, OK)

    begun = time.perf_counter()
    async with trio.open_nursery() as senders:
        for _ in range(AT_ONCE):
            senders.start_soon(send)
    rate = DEPOSITS / (time.perf_counter() - begun)
    return _figure("host_deposits", round(rate, 1), "1/s", bytes=LARGE, at_once=AT_ONCE)


if __name__ == "__main__":
    print(json.dumps(trio.run(_measure, Path(sys.argv[1]))))
