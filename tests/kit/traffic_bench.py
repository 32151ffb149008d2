"""How fast letters go between two real nodes, and how long they take with bad company around.

Called by scripts/bench. The sending node runs in this process, since a command for each letter would be
what is measured; the receiving one is a process of its own.
"""

import os
import secrets
import signal
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import trio

from node.api import Desk
from node.app import run_node
from node.letters import Draft, Reduced, new_message_id, render_draft
from node.network import NetworkError, parse_peer
from node.outbox import Letter, Outgoing, Recipient
from node.outbox.submission import Message
from node.runtime.config import load
from node.runtime.home import Home
from node.storage import Batch
from protocol.errors import ProtocolError
from protocol.keys import mailbox_of
from tests.kit.client import open_client
from tests.kit.people import counted, require
from tests.kit.processes import Process, Village, a_village, cpu_seconds, machine_seconds, until

TEXT_BYTES: Final = 10_000
"""Of a letter's text; 12.5 KB sealed."""

SUBMITTERS: Final = 8
"""Tasks that hand letters in side by side, as a busy program would."""

ROUNDS: Final = 3
"""Measurements of a rate."""

LOOK_S: Final = 0.01
"""Seconds between two looks at the outbox: a hundredth of a second is nothing to the whole."""

LONGEST_S: Final = 300.0
"""Seconds for all letters of one measurement."""

PAUSE_S: Final = 1.0
"""Seconds between two letters in bad company, so that they meet all of what it does."""

RUBBISH_S: Final = 0.02
"""Seconds between two pieces of rubbish, from one sender after the other."""

_LINES: Final = "\n".join(secrets.token_hex(36) for _ in range(TEXT_BYTES // 73 - 1))

Figures = dict[str, Any]


def text() -> str:
    """The text of a letter, in lines, no two alike; making it is not to be part of what is measured."""
    return secrets.token_hex(36) + "\n" + _LINES


async def friends(asks: Callable[[str, str, Any], Awaitable[Any]], one: str, other: Process) -> None:
    """Let the owner `one`, whose API is `asks`, and the node `other` accept each other."""

    async def published() -> bool | None:
        both = [
            await asks("GET", "/api/v1/status", None),
            await asking(other)("GET", "/api/v1/status", None),
        ]
        return True if all(status["published"]["stored"] for status in both) else None

    await until("that both are in the DHT", published, 60)
    await asks("POST", "/api/v1/handshake/request", {"who": other.address})

    async def asked() -> bool | None:
        rows = await trio.to_thread.run_sync(other.ask, "GET", "/api/v1/handshake")
        return True if any(row["address"] == one for row in rows) else None

    await until("the request", asked, 60)
    await trio.to_thread.run_sync(other.ask, "POST", "/api/v1/handshake/accept", {"who": one})

    async def heard() -> bool | None:
        rows = await asks("GET", "/api/v1/handshake", None)
        return (
            True if any(r["address"] == other.address and r["theirs"] == "accepted" for r in rows) else None
        )

    await until("the acceptance", heard, 60)


@asynccontextmanager
async def a_sender(directory: Path) -> AsyncIterator[tuple[Desk, Process]]:
    """A node in this process that bob's node in another one has accepted, with a warm connection."""
    async with a_village(directory) as village:
        await village.open_bootstrap()
        bob, alice = await village.owner("bob"), village.node("alice")
        await alice.init()
        config = load(alice.home, alice.environment)
        stop, desks = trio.Event(), trio.open_memory_channel[Desk](1)
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                await run_node(Home(alice.home), config, None, stop=stop, ready=desks[0].send)

            nursery.start_soon(run)
            desk = await desks[1].receive()

            async def asks(method: str, path: str, body: Any) -> Any:
                return await trio.to_thread.run_sync(alice.ask, method, path, body)

            await friends(asks, alice.address, bob)
            yield desk, bob
            stop.set()


async def letters(directory: Path, count: int) -> list[Figures]:
    """Letters a second, from the first hand-in to the last receipt; and for letters already queued. The
    median of ROUNDS, since other work on the machine comes and goes.
    """
    async with a_sender(directory) as (desk, bob):
        await _submit(desk, bob, 50)  # warms worker, streams and caches
        before, cpu, begun = await counted(bob), await _cpu(bob), time.perf_counter()
        submitted = [count / await _submit(desk, bob, count) for _ in range(ROUNDS)]
        took = time.perf_counter() - begun
        *spent, machine = (after - before for after, before in zip(await _cpu(bob), cpu, strict=True))
        queued = [count / await _drain(desk, bob, count) for _ in range(ROUNDS)]
        after = await counted(bob)
        require("letters that bob's node took", after["taken"] - before["taken"], 2 * ROUNDS * count)
        require("first contacts", after["firstContacts"], before["firstContacts"])
    elsewhere = round((machine - sum(spent)) / took, 2)
    each = [seconds / ROUNDS / count * 1000 for seconds in spent]
    context = {"letters": count, "text_bytes": TEXT_BYTES}
    return [
        _rate("letters", submitted, context | {"cores_busy_elsewhere": elsewhere}),
        _rate("letters_queued", queued, context),
        {"name": "letters_cpu_sender", "value": round(each[0], 2), "unit": "ms", **context},
        {"name": "letters_cpu_receiver", "value": round(each[1], 2), "unit": "ms", **context},
    ]


def _rate(name: str, rates: list[float], context: Figures) -> Figures:
    low, middle, high = (round(one, 1) for one in (min(rates), statistics.median(rates), max(rates)))
    return {"name": name, "value": middle, "unit": "1/s", "min": low, "max": high, **context}


async def _cpu(bob: Process) -> list[float]:
    """Seconds of processor time that this process, bob's, and the whole machine have used."""
    assert bob.running is not None
    pids = (os.getpid(), bob.running.pid)
    return await trio.to_thread.run_sync(lambda: [*map(cpu_seconds, pids), machine_seconds()])


async def _submit(desk: Desk, bob: Process, count: int) -> float:
    """Write letters as a person's program does; seconds until all are delivered."""
    todo, done = list(range(count)), []
    begun = time.perf_counter()

    async def work() -> None:
        while todo:
            message = Message((bob.address,), subject=f"letter {todo.pop()}", text=text())
            done.append(await desk.submission.send(message))

    async with trio.open_nursery() as nursery:
        for _ in range(SUBMITTERS):
            nursery.start_soon(work)
    await _all_delivered(desk, done)
    return time.perf_counter() - begun


async def _drain(desk: Desk, bob: Process, count: int) -> float:
    """Seconds from the word to go until letters that lie in the queue are delivered."""
    made = []
    for number in range(count):
        raw = render_draft(_draft(desk, bob, f"queued {number}"), desk.clock.now(), new_message_id())
        recipient = Recipient(bob.address, "mailio", bob.address)
        outgoing = Outgoing(
            "letter", "queued", desk.clock.now(), (recipient,), bodies={"mailio": Reduced(raw)}
        )
        batch = Batch()
        made.append(desk.outbox.submit(batch, outgoing))
        await desk.store.write(batch, sync=False)
    begun = time.perf_counter()
    for letter in made:
        desk.outbox.started(letter)
    await _all_delivered(desk, made)
    return time.perf_counter() - begun


def _draft(desk: Desk, bob: Process, subject: str) -> Draft:
    return Draft(
        from_name="",
        from_mailbox=mailbox_of(desk.identity.address),
        to=(("", mailbox_of(bob.address)),),
        cc=(),
        subject=subject,
        text=text(),
    )


async def _all_delivered(desk: Desk, made: list[Letter]) -> None:
    with trio.fail_after(LONGEST_S):
        for one in made:
            while not (letter := desk.outbox.get(one.id)) or not letter.ended:  # noqa: ASYNC110
                await trio.sleep(LOOK_S)
            require("state of a letter", [d.state for d in letter.deliveries], ["delivered"])


# Bad company


async def delay(directory: Path, count: int) -> list[Figures]:
    """The longest that a letter takes between two nodes while a third, to which letters wait too, is
    suspended, and a fourth sends rubbish to both.
    """
    async with a_village(directory) as village:
        await village.open_bootstrap()
        alice, bob, carol = [await village.owner(name) for name in ("alice", "bob", "carol")]
        for friend in (bob, carol):
            await friends(asking(alice), alice.address, friend)
        calm = await _times(alice, bob, count, pause=0)
        carol.send_signal(signal.SIGSTOP)
        for number in range(count):
            await trio.to_thread.run_sync(_write, alice, carol, f"to carol {number}")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_rubbish, village, [alice, bob])
            busy = await _times(alice, bob, count, pause=PAUSE_S)
            nursery.cancel_scope.cancel()
        counters = (await bob.mailio("status"))["network"]
        carol.send_signal(signal.SIGCONT)
    blamed = sum(number for name, number in counters.items() if name.startswith("fault:"))
    return [
        {"name": "delay_calm", "value": round(max(calm), 3), "unit": "s", "letters": count},
        {"name": "delay", "value": round(max(busy), 3), "unit": "s", "letters": count, "faults": blamed},
    ]


def asking(who: Process) -> Callable[[str, str, Any], Awaitable[Any]]:
    """The API of a node, as `friends` takes it."""

    async def asks(method: str, path: str, body: Any) -> Any:
        return await trio.to_thread.run_sync(who.ask, method, path, body)

    return asks


def _write(who: Process, to: Process, subject: str) -> str:
    letter = who.ask("POST", "/api/v1/message", {"to": [to.address], "subject": subject, "text": text()})
    return str(letter["id"])


async def _times(alice: Process, bob: Process, count: int, *, pause: float) -> list[float]:
    """Seconds from the hand-in of each letter to its receipt."""
    found = []
    for number in range(count):
        await trio.sleep(pause)
        found.append(await trio.to_thread.run_sync(_time, alice, bob, number))
    return found


def _time(alice: Process, bob: Process, number: int) -> float:
    begun = time.perf_counter()
    name = _write(alice, bob, f"letter {number}")
    while alice.ask("GET", f"/api/v1/outbox/{name}", wait=10)["recipients"][0]["state"] != "delivered":
        if time.perf_counter() - begun > LONGEST_S:
            raise TimeoutError(f"letter {number} was not delivered")
    return time.perf_counter() - begun


async def _rubbish(village: Village, targets: list[Process]) -> None:
    """Noise of every kind, under a new name whenever the last is refused."""
    peers = [(await one.mailio("id"))["addrs"][0] for one in targets]
    while True:
        async with open_client(village.bootstrap) as client:
            with suppress(NetworkError, ProtocolError):
                for number in range(40):
                    await _one_piece(client, peers[number % len(peers)], number)
                    await trio.sleep(RUBBISH_S)


async def _one_piece(client: Any, address: str, number: int) -> None:
    _, _, host, _, port, *_ = address.split("/")
    if number % 3 == 0:  # no libp2p at all
        stream = await trio.open_tcp_stream(host, int(port))
        async with stream:
            await stream.send_all(os.urandom(65_536))
        return
    async with client.channel(parse_peer(address)) as channel:
        if number % 3 == 1:  # frames of noise
            await channel.send(os.urandom(10_000))
        else:  # a frame larger than any of this protocol
            await channel.send(bytes(2 * 1_048_576))
        await channel.receive()
