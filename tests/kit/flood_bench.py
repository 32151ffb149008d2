"""How long good letters take while a node's mail listener is attacked: by SMTP, and between two nodes.
Called by scripts/bench.
"""

import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import trio

from tests.kit.floods import KINDS, launch
from tests.kit.mailnode import OWNER, MailNode, a_mail_node
from tests.kit.people import require
from tests.kit.processes import Process, a_village
from tests.kit.talk import Tally, talk

LETTERS: Final = 10
"""Each way in each state; the slowest counts."""

UNDER_WAY_S: Final = 1.2
"""Seconds after which an attacking process has started and is at it."""

LOOK_S: Final = 0.005

Figures = dict[str, Any]

_ELSEWHERE: Final = frozenset({"auth", "starttls-injection"})
"""Attacks that are no load on the receiver."""


async def floods(directory: Path) -> list[Figures]:
    """The slowest letters, in milliseconds, undisturbed and under each attack (over and over), and the most
    memory that the node's main process took in all that.
    """
    (directory / "other").mkdir()
    async with a_mail_node(directory) as node, a_village(directory / "other") as village:
        other = await village.owner("other", MAILIO_SMTP_HOST="", MAILIO_SUBMISSION_HOST="")
        link = (await node.process.mailio("handshake", "link"))["link"]
        await other.mailio("handshake", "open", link, "--wait", "30s")
        numbers = count()
        await _slowest(node, other, numbers)  # warms the worker and the connection
        idle = round(node.process.rss / 1e6, 1)
        figures = _figures("none", await _slowest(node, other, numbers))
        for kind in KINDS:
            if kind not in _ELSEWHERE:
                figures += _figures(kind, await _attacked(node, other, numbers, kind))
        peak = round(node.process.peak_rss / 1e6, 1)
    return [*figures, {"name": "flood_peak_rss", "value": peak, "unit": "MB", "idle": idle}]


async def _attacked(node: MailNode, other: Process, numbers: Iterator[int], kind: str) -> tuple[float, float]:
    async def attack() -> None:
        while True:
            await launch(kind, node.receiver.port, "--seconds", "20")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attack)
        await trio.sleep(UNDER_WAY_S)
        slowest = await _slowest(node, other, numbers)
        nursery.cancel_scope.cancel()
    return slowest


async def _slowest(node: MailNode, other: Process, numbers: Iterator[int]) -> tuple[float, float]:
    """Seconds of the slowest letter by SMTP, and between the nodes."""
    smtp = [await _timed(_by_smtp, node, next(numbers)) for _ in range(LETTERS)]
    sealed = [await _timed(_sealed, other, node.process.address) for _ in range(LETTERS)]
    return max(smtp), max(sealed)


async def _timed(act: Callable[..., Awaitable[None]], *arguments: object) -> float:
    begun = time.perf_counter()
    await act(*arguments)
    return time.perf_counter() - begun


async def _by_smtp(node: MailNode, number: int) -> None:
    raw = f"From: good{number}@example.org\r\nTo: {OWNER}\r\nSubject: good\r\n\r\nHello.\r\n.\r\n"
    async with talk("127.0.0.1", node.receiver.port, Tally()) as conversation:
        await conversation.until_data(f"good{number}@example.org", OWNER)
        await conversation.push(raw.encode())
        require("answer to a good letter", await conversation.reply(), "250 2.0.0")


async def _sealed(sender: Process, recipient: str) -> None:
    """From its submission until the receipt is here."""
    letter = sender.ask("POST", "/api/v1/message", {"to": [recipient], "subject": "good", "text": "Hello."})
    while letter["recipients"][0]["state"] != "delivered":
        await trio.sleep(LOOK_S)
        letter = sender.ask("GET", f"/api/v1/outbox/{letter['id']}")


def _figures(kind: str, slowest: tuple[float, float]) -> list[Figures]:
    return [
        {
            "name": f"flood_{kind}_{way}_max",
            "value": round(seconds * 1_000, 1),
            "unit": "ms",
            "letters": LETTERS,
        }
        for way, seconds in zip(("smtp", "sealed"), slowest, strict=True)
    ]
