"""What one node costs: sealing, a large mailbox, its start, its memory, a command. For scripts/bench."""

import secrets
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import trio

from node.app import open_desk
from node.letters import Arrival, Reduced
from node.letters.parse import summarize
from node.runtime.config import load
from node.runtime.home import Home
from node.storage import Batch
from protocol.folder import INBOX
from protocol.identity import build_identity
from protocol.keys import Secrets, mailbox_of, verify
from protocol.letter import Inner, envelope_id, open_envelope, read_inner, seal, sign_inner
from protocol.offer import offer_proof_message, prove_offer
from protocol.prekeys import Chain
from protocol.record import Record, signed_message
from protocol.status import OK
from tests.kit.people import require
from tests.kit.processes import MAILIO, Process, a_village

NOW: Final = 1_795_000_000_000
SMALL, LARGE = 10_000, 900_000
"""Bytes of a message: an ordinary one, and nearly the largest."""

ROUND_S: Final = 1.0
"""Seconds for each rate; the best of three rounds counts, for others use this machine too."""

SETTLED_S: Final = 30.0
"""Seconds after its start at which a node's memory is read."""

Figures = dict[str, Any]


def crypto() -> list[Figures]:
    """Seal (once signed), open with every check, and verify alone, a second on one core."""
    return [figure for size in (SMALL, LARGE) for figure in _crypto_of(size)] + _offers()


def _crypto_of(size: int) -> list[Figures]:
    root = secrets.token_bytes(32)
    keys, chain = Secrets.derive(root), Chain.start(root)
    record = build_identity(keys, chain, price=6, created=NOW)
    message = secrets.token_hex(size // 2).encode()
    inner = Inner(secrets.token_bytes(32), record.public_key, record, NOW, message=message)
    week, prekey = record.prekey_for(NOW)
    private = chain.private(week)
    signed = sign_inner(inner, keys.signing_key)
    envelope = seal(signed, week, prekey)
    letter = Record.decode(signed, len(signed))

    def open_() -> None:
        opened = open_envelope(envelope, lambda _: private)
        read_inner(opened, to=record.public_key, now=NOW)

    def check() -> None:
        if not verify(letter.public_key, signed_message(letter.kind, letter.payload), letter.signature):
            raise AssertionError("our own signature does not hold")

    context = {"message_bytes": size, "sealed_bytes": len(envelope)}
    return [
        _rate(f"sign_{size // 1000}kb", lambda: sign_inner(inner, keys.signing_key), context),
        _rate(f"seal_{size // 1000}kb", lambda: seal(signed, week, prekey), context),
        _rate(f"open_{size // 1000}kb", open_, context),
        _rate(f"verify_{size // 1000}kb", check, context),
    ]


def _offers() -> list[Figures]:
    key = Secrets.derive(secrets.token_bytes(32)).signing_key
    name = envelope_id(secrets.token_bytes(SMALL))
    proof = prove_offer(key, None, name)
    message = offer_proof_message(None, name)
    return [
        _rate("offer_prove", lambda: prove_offer(key, None, name), {}),
        _rate("offer_verify", lambda: verify(proof.key, message, proof.signature), {}),
    ]


def _rate(name: str, act: Callable[[], object], context: Figures) -> Figures:
    best = 0.0
    for _ in range(3):
        done, begun = 0, time.perf_counter()
        while (took := time.perf_counter() - begun) < ROUND_S / 3:
            act()
            done += 1
        best = max(best, done / took)
    return {"name": name, "value": round(best, 1), "unit": "1/s", **context}


async def mailbox(directory: Path, count: int) -> list[Figures]:
    """The first page of a large mailbox: in the process, over the socket, and as `mailio list`."""
    async with a_village(directory) as village:
        owner = village.node("owner")
        await owner.init()
        begun = time.perf_counter()
        filled = await fill(owner, count)
        took = time.perf_counter() - begun
        await owner.start()
        page = owner.ask("GET", "/api/v1/message")
        require("newest letter of the first page", page[0]["subject"], filled)
        over_socket = _times(lambda: owner.ask("GET", "/api/v1/message"), 20)
        command = await trio.to_thread.run_sync(_list_times, owner)
        rss = owner.rss
        await owner.stop()
        in_process = await _in_process(owner)
    context = {"letters": count, "page": len(page)}
    return [
        _times_figure("mailbox_page", in_process, "ms", context),
        _times_figure("mailbox_page_socket", over_socket, "ms", context),
        _times_figure("mailbox_list_command", command, "ms", context),
        {"name": "mailbox_rss", "value": round(rss / 1e6, 1), "unit": "MB", **context},
        {"name": "mailbox_fill", "value": round(count / took), "unit": "1/s", **context},
    ]


async def fill(owner: Process, count: int) -> str:
    """File letters in the inbox of a closed store as arriving ones are; the last one's subject."""
    author = "0x" + "ab" * 20
    async with open_desk(Home(owner.home), load(owner.home, owner.environment), None) as desk:
        for number in range(count):
            batch = Batch()
            desk.mailbox.take_in(batch, _arrival(author, owner.address, number))
            await desk.store.write(batch, sync=False)
    return f"letter {count - 1}"


def _arrival(author: str, to: str, number: int) -> Arrival:
    raw = (
        f"From: {mailbox_of(author)}\r\nTo: {mailbox_of(to)}\r\nSubject: letter {number}\r\n"
        f"Message-ID: <{secrets.token_hex(16)}@mailio.alt>\r\n\r\n{secrets.token_hex(200)}\r\n"
    ).encode()
    return Arrival(
        message=Reduced(raw),
        summary=summarize(raw),
        folder=INBOX,
        author=author,
        letter_id=secrets.token_bytes(32),
        envelope_id=secrets.token_bytes(32),
        status=OK,
        created=NOW + number,
        arrived=NOW + number,
        expires=NOW + number + 60 * 86_400_000,
    )


async def _in_process(owner: Process) -> list[float]:
    """The room alone, on a store that has just been opened: `max` is the first time, without a cache."""
    async with open_desk(Home(owner.home), load(owner.home, owner.environment), None) as desk:
        return _times(lambda: desk.mailbox.list(None, 50), 20)


async def start(directory: Path) -> list[Figures]:
    """From the start of the process to an answer on the socket; what `mailio list` takes; memory."""
    async with a_village(directory) as village:
        await village.open_bootstrap()
        owner = village.node("owner")
        await owner.init()
        times = []
        for _ in range(5):
            times.append(await owner.start())
            await owner.stop()
        await owner.start()
        await trio.sleep(SETTLED_S)
        rss = owner.rss
        peers = owner.ask("GET", "/api/v1/status")["peers"]
        commands = await trio.to_thread.run_sync(_list_times, owner)
    return [
        _times_figure("start", times, "s", {}),
        {
            "name": "idle_rss",
            "value": round(rss / 1e6, 1),
            "unit": "MB",
            "peers": peers,
            "after_s": SETTLED_S,
        },
        _times_figure("list_command", commands, "ms", {"letters": 0}),
    ]


def _list_times(owner: Process) -> list[float]:
    """Wall times of the whole command, process and all."""
    command = [*MAILIO, "--home", str(owner.home), "list"]

    def run() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return _times(run, 10)


def _times(act: Callable[[], object], count: int) -> list[float]:
    found = []
    for _ in range(count):
        begun = time.perf_counter()
        act()
        found.append(time.perf_counter() - begun)
    return found


def _times_figure(name: str, times: list[float], unit: str, context: Figures) -> Figures:
    """The median, with the least and the most beside it."""
    scale = 1000 if unit == "ms" else 1
    low, middle, high = (round(one * scale, 2) for one in (min(times), statistics.median(times), max(times)))
    return {
        "name": name,
        "value": middle,
        "unit": unit,
        "min": low,
        "max": high,
        "runs": len(times),
        **context,
    }
