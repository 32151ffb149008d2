"""Attacks on a mail listener by form: false line ends, junk, injection, bad letters, ends at any step."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from itertools import accumulate
from typing import Final

import trio

from tests.kit.bombs import bombs
from tests.kit.masses import Flood
from tests.kit.smuggling import FALSE_ENDS, smuggled
from tests.kit.talk import Gone, Talk

_JUNK: Final = 20261123
"""Seed of what is random, so that a run can be repeated."""


async def smuggling(flood: Flood) -> None:
    """Each false end of data; notes say how many replies came to it (one: nothing was smuggled) and which."""
    for name, end in FALSE_ENDS.items():
        replies: list[str] = []

        async def one(conversation: Talk, end: bytes = end, replies: list[str] = replies) -> None:
            await conversation.until_data(flood.sender, flood.recipient)
            await conversation.push(smuggled(end, flood.recipient) + b"QUIT\r\n")
            while not replies or not replies[-1].startswith("221"):
                replies.append(await conversation.reply())

        await flood.once(one)
        flood.notes[name] = replies


async def bare_ends(flood: Flood) -> None:
    """Commands and letters whose lines end in a bare CR or LF, and a NUL in each place."""
    head = "EHLO flood.example", f"MAIL FROM:<{flood.sender}>", f"RCPT TO:<{flood.recipient}>", "DATA"
    body = "From: a@example.org", "", "bare", ".", "QUIT", ""
    for name, end in {"CR": "\r", "LF": "\n", "NUL": "\0\r\n"}.items():
        replies: list[str] = []

        async def one(conversation: Talk, end: str = end, replies: list[str] = replies) -> None:
            replies.append(await conversation.reply())
            await conversation.push(end.join((*head, *body)).encode() + b"\r\nQUIT\r\n")
            while not replies[-1].startswith("221"):
                replies.append(await conversation.reply(5.0))

        await flood.once(one)
        flood.notes[name] = replies


async def junk(flood: Flood) -> None:
    """Random lines, pipelined, then a good command."""
    chance = random.Random(_JUNK)

    async def one(conversation: Talk) -> None:
        await conversation.reply()
        lines = b"".join(chance.randbytes(chance.randrange(1, 200)) + b"\r\n" for _ in range(1_000))
        await conversation.push(lines + b"QUIT\r\n")
        while not (await conversation.reply()).startswith("221"):
            pass

    await flood.over_and_over(one)


async def starttls_injection(flood: Flood) -> None:
    """Commands in the segment of STARTTLS: notes tell what was answered inside TLS (nothing may be)."""
    injected: list[str] = []

    async def one(conversation: Talk) -> None:
        await conversation.reply()
        await conversation.say("EHLO flood.example")
        hidden = f"EHLO injected.example\r\nMAIL FROM:<{flood.sender}>\r\n".encode()
        await conversation.start_tls(hidden)
        with suppress(Gone):
            injected.append(await conversation.reply(2.0))
        injected.append(await conversation.say(f"RCPT TO:<{flood.recipient}>"))

    await flood.once(one)
    flood.notes["insideTls"] = injected


async def half_closed(flood: Flood) -> None:
    """Our half closed at each step, and the answer still awaited."""
    for name, step in _STEPS.items():
        replies: list[str] = []

        async def one(conversation: Talk, step: bytes = step, replies: list[str] = replies) -> None:
            await conversation.push(_filled(step, flood))
            await conversation.half_close()
            while True:
                replies.append(await conversation.reply(10.0))

        await flood.once(one)
        flood.notes[name] = replies


async def drops(flood: Flood) -> None:
    """The connection dropped at each step, `count` times."""

    async def one(conversation: Talk, step: bytes) -> None:
        await conversation.push(_filled(step, flood))
        await trio.sleep(chance.random() / 20)

    chance = random.Random(_JUNK)
    for _ in range(flood.count):
        for step in _STEPS.values():
            await flood.once(lambda conversation, step=step: one(conversation, step))  # type: ignore[misc]


async def hostile_letters(flood: Flood) -> None:
    """Letters that break readers (tests.kit.bombs), one after another; notes tell each one's answer."""
    for name, letter in bombs().items():
        stuffed = letter.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        said: list[str] = []

        async def one(conversation: Talk, stuffed: bytes = stuffed, said: list[str] = said) -> None:
            await conversation.until_data(flood.sender, flood.recipient)
            await conversation.push(stuffed)
            said.append(await conversation.reply())

        begun = time.perf_counter()
        await flood.once(one)
        flood.notes[name] = {"answer": "".join(said), "seconds": round(time.perf_counter() - begun, 3)}


def _steps() -> dict[str, bytes]:
    """Name of a step to all that is said until then."""
    said = {
        "nothing": "",
        "half a command": "EH",
        "EHLO": "LO flood.example\r\n",
        "MAIL": "MAIL FROM:<{sender}>\r\n",
        "RCPT": "RCPT TO:<{recipient}>\r\n",
        "DATA": "DATA\r\n",
        "half a body": "From: <{sender}>\r\nSubject: dropped\r\n\r\nx",
        "a dot": "\r\n.",
        "a body": "\r\n",
    }
    return {name: text.encode() for name, text in zip(said, accumulate(said.values()), strict=True)}


_STEPS: Final = _steps()


def _filled(step: bytes, flood: Flood) -> bytes:
    return step.replace(b"{sender}", flood.sender.encode()).replace(b"{recipient}", flood.recipient.encode())
