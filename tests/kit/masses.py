"""Attacks on a mail listener by sheer mass: bytes, connections, slowness, repetition. All are bounded.

Those by form are in tricks.py; floods.py runs either.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from tests.kit.talk import Gone, Talk, Tally, talk

PIECE: Final = 262_144
"""Bytes pushed at a time."""


@dataclass
class Flood:
    """What is attacked, how much of it, and what came of it."""

    host: str
    port: int
    seconds: float
    count: int
    size: int
    recipient: str
    sender: str
    tally: Tally = field(default_factory=Tally)
    notes: dict[str, Any] = field(default_factory=dict)

    async def at_once(self, count: int, one: Callable[[Talk], Awaitable[None]]) -> None:
        """So many connections at the same time, each until it is closed or the time is up."""
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(self.once, one)

    async def once(self, one: Callable[[Talk], Awaitable[None]]) -> bool:
        """One connection; whether the other side let it come to its end."""
        with suppress(Gone):
            async with talk(self.host, self.port, self.tally) as conversation:
                await one(conversation)
                return True
        return False

    async def over_and_over(self, one: Callable[[Talk], Awaitable[None]], side_by_side: int = 10) -> None:
        """Connection after connection, until the time or the count is up."""
        left = iter(range(self.count))

        async def lane() -> None:
            for _ in left:
                await self.once(one)

        async with trio.open_nursery() as nursery:
            for _ in range(side_by_side):
                nursery.start_soon(lane)

    async def pour(self, conversation: Talk, piece: bytes) -> None:
        """`size` bytes, made of this piece."""
        for _ in range(max(1, self.size // len(piece))):
            await conversation.push(piece)


async def endless_body(flood: Flood) -> None:
    """DATA without a line's end: 200 MB unless told otherwise."""

    async def one(conversation: Talk) -> None:
        await conversation.until_data(flood.sender, flood.recipient)
        await flood.pour(conversation, b"a" * PIECE)
        await conversation.push(b"\r\n.\r\n")
        await conversation.reply()

    await flood.once(one)


async def endless_lines(flood: Flood) -> None:
    """DATA far above any SIZE, in proper lines."""

    async def one(conversation: Talk) -> None:
        await conversation.until_data(flood.sender, flood.recipient)
        await flood.pour(conversation, (b"a" * 76 + b"\r\n") * (PIECE // 78))
        await conversation.push(b".\r\n")
        await conversation.reply()

    await flood.once(one)


async def endless_command(flood: Flood) -> None:
    """A command line that does not end."""

    async def one(conversation: Talk) -> None:
        await conversation.reply()
        await flood.pour(conversation, b"EHLO " + b"a" * PIECE)
        await conversation.push(b"\r\n")
        await conversation.reply()

    await flood.once(one)


async def slow_bodies(flood: Flood) -> None:
    """`count` bodies at once, a byte a second each."""

    async def one(conversation: Talk) -> None:
        await conversation.until_data(flood.sender, flood.recipient)
        for byte in b"Subject: slow\r\n\r\n" + b"x" * 100_000:
            await conversation.push(bytes([byte]))
            await trio.sleep(1)

    await flood.at_once(flood.count, one)


async def slow_commands(flood: Flood) -> None:
    """`count` command lines at once, a byte a second each."""

    async def one(conversation: Talk) -> None:
        await conversation.reply()
        for byte in b"EHLO " + b"x" * 100_000:
            await conversation.push(bytes([byte]))
            await trio.sleep(1)

    await flood.at_once(flood.count, one)


async def idle(flood: Flood) -> None:
    """`count` connections that say nothing."""

    async def one(conversation: Talk) -> None:
        while True:
            await conversation.reply(flood.seconds)

    await flood.at_once(flood.count, one)


async def keep_alive(flood: Flood) -> None:
    """`count` connections that restart the clock with a NOOP each second."""

    async def one(conversation: Talk) -> None:
        await conversation.reply()
        while True:
            await conversation.say("NOOP")
            await trio.sleep(1)

    await flood.at_once(flood.count, one)


async def unread(flood: Flood) -> None:
    """Commands in one stream, whose answers are never read."""

    async def one(conversation: Talk) -> None:
        await flood.pour(conversation, b"EHLO flood.example\r\n" * 100)

    await flood.at_once(4, one)


async def greetings(flood: Flood) -> None:
    """EHLO over and over."""

    async def one(conversation: Talk) -> None:
        await conversation.reply()
        for _ in range(flood.count):
            await conversation.say("EHLO flood.example")

    await flood.once(one)


async def recipients(flood: Flood) -> None:
    """`count` RCPT in one transaction, the owner's and strangers' in turn."""

    async def one(conversation: Talk) -> None:
        await conversation.reply()
        await conversation.say("EHLO flood.example")
        await conversation.say(f"MAIL FROM:<{flood.sender}>")
        for number in range(flood.count):
            who = flood.recipient if number % 2 else f"nobody{number}@elsewhere.example"
            await conversation.say(f"RCPT TO:<{who}>")

    await flood.once(one)


async def auth(flood: Flood) -> None:
    """Wrong passwords in every form, oversized and broken ones among them."""
    plain = base64.b64encode(b"\0alice\0wrong").decode()
    tries = (
        f"AUTH PLAIN {plain}",
        "AUTH PLAIN ====",
        f"AUTH PLAIN {'A' * 1_500}",
        "AUTH CRAM-MD5",
        "AUTH LOGIN",
    )

    async def one(conversation: Talk) -> None:
        await conversation.reply()
        await conversation.say("EHLO flood.example")
        for attempt in tries:
            said = await conversation.say(attempt)
            while said.startswith("334"):
                said = await conversation.say("d3Jvbmc=")

    await flood.over_and_over(one)


async def starttls_hang(flood: Flood) -> None:
    """`count` connections that ask for TLS and then say nothing."""

    async def one(conversation: Talk) -> None:
        await conversation.reply()
        await conversation.say("EHLO flood.example")
        await conversation.say("STARTTLS")
        await conversation.reply(flood.seconds)

    await flood.at_once(flood.count, one)
