"""Attacks on a mail listener on loopback, each bounded in time and bytes, told afterwards as JSON.

A process of its own, so that it does not share the tests' interpreter:
`python -m tests.kit.floods KIND HOST PORT [--seconds N] [--count N] [--bytes N] [--recipient R]`
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import trio

from tests.kit import masses, tricks
from tests.kit.masses import Flood

MAX_SECONDS: Final = 120.0
MAX_BYTES: Final = 1_000_000_000
LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
"""Whom these attacks may be turned on: ourselves."""

ROOT: Final = Path(__file__).parents[2]

KINDS: Final[dict[str, tuple[Callable[[Flood], Awaitable[None]], int]]] = {
    "endless-body": (masses.endless_body, 1),
    "endless-lines": (masses.endless_lines, 1),
    "endless-command": (masses.endless_command, 1),
    "slow-bodies": (masses.slow_bodies, 100),
    "slow-commands": (masses.slow_commands, 100),
    "idle": (masses.idle, 1_000),
    "keep-alive": (masses.keep_alive, 100),
    "unread": (masses.unread, 4),
    "smuggling": (tricks.smuggling, 1),
    "bare-ends": (tricks.bare_ends, 1),
    "junk": (tricks.junk, 100),
    "greetings": (masses.greetings, 10_000),
    "recipients": (masses.recipients, 10_000),
    "auth": (masses.auth, 50),
    "starttls-injection": (tricks.starttls_injection, 1),
    "starttls-hang": (masses.starttls_hang, 100),
    "half-closed": (tricks.half_closed, 1),
    "drops": (tricks.drops, 10),
    "hostile-letters": (tricks.hostile_letters, 1),
}
"""Name to attack and how many it has unless told otherwise."""


async def launch(kind: str, port: int, *arguments: str) -> dict[str, Any]:
    """Attack this port of 127.0.0.1 from another process, with arguments as of the command; what it told.
    Cancelling ends it.
    """
    command = [sys.executable, "-m", "tests.kit.floods", kind, "127.0.0.1", str(port), *arguments]
    done = await trio.run_process(command, capture_stdout=True, cwd=ROOT)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


async def run(kind: str, flood: Flood) -> dict[str, Any]:
    """The attack, and what it was answered."""
    begun = time.perf_counter()
    with trio.move_on_after(flood.seconds) as limit:
        await KINDS[kind][0](flood)
    told = {"kind": kind, "seconds": round(time.perf_counter() - begun, 3), "timeUp": limit.cancelled_caught}
    tally = flood.tally
    counted = {"connections": tally.connections, "sent": tally.sent}
    return {**told, **counted, "answers": tally.answers, "ends": tally.ends, "notes": flood.notes}


def main() -> None:
    parser = argparse.ArgumentParser(description="Attack a mail listener on loopback.")
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("host", choices=sorted(LOOPBACK))
    parser.add_argument("port", type=int)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--count", type=int)
    parser.add_argument("--bytes", type=int, default=200_000_000)
    parser.add_argument("--recipient", default="owner@home.example")
    parser.add_argument("--sender", default="flood@flood.example")
    asked = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8_192) if hard > 0 else 8_192, hard))
    flood = Flood(
        asked.host,
        asked.port,
        min(asked.seconds, MAX_SECONDS),
        asked.count or KINDS[asked.kind][1],
        min(asked.bytes, MAX_BYTES),
        asked.recipient,
        asked.sender,
    )
    json.dump(trio.run(run, asked.kind, flood), sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
