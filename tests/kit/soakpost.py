"""The post of a soak: letters are handed in until a node has said that it has them, and looked for wherever
they lie. Who is hurt meanwhile, is soaking.py's.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from email.policy import SMTP
from functools import partial
from math import inf
from smtplib import SMTPException
from typing import Any, Final

import trio

from node.cli.client import NotRunning
from node.runtime.errors import NodeError
from tests.kit.outside import ALICE, STELLA, World, a_mail, by_provider, deliver
from tests.kit.processes import Process, Unmet, Village

AGAIN_S: Final = 0.5
"""Seconds until what a node did not take is handed in again."""

PAGE: Final = 500
"""Letters in one answer of the listing."""

TEXT: Final = "All is well here, and there is little to tell.\n" * 20


@dataclass(frozen=True, slots=True)
class Sent:
    """A letter that was acknowledged, `at` (Unix seconds)."""

    subject: str
    author: str
    to: str
    at: float


@dataclass(slots=True)
class Figures:
    """What came of it. `amiss` is what else should not be: letters that still wait, failure notices."""

    letters: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    at_hosts: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    amiss: list[str] = field(default_factory=list)
    repeated: int = 0
    slowest: float = 0.0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """`letters` by way; `repeated` are copies by SMTP of one Message-ID, which are allowed."""
        return {
            "letters": sum(self.letters.values()),
            "ways": dict(self.letters),
            "at_hosts": self.at_hosts,
            "kills": sum(self.kills.values()),
            "stops": sum(self.stops.values()),
            "lost": len(self.lost),
            "doubled": len(self.doubled),
            "amiss": len(self.amiss),
            "repeated_by_smtp": self.repeated,
            "slowest_s": round(self.slowest, 1),
            "seconds": round(self.seconds),
        }


class Post:
    """Of the nodes of a village, by their names, and of the world outside."""

    def __init__(self, village: Village, world: World) -> None:
        self.village, self.world = village, world

    @property
    def nodes(self) -> dict[str, Process]:
        return {one.name: one for one in self.village.nodes}

    async def ask(self, name: str, *question: Any, **params: Any) -> Any:
        return await trio.to_thread.run_sync(partial(self.nodes[name].ask, *question, **params))

    async def hand_in(self, author: str, to: str, subject: str) -> None:
        """As often as needed: a node that dies may have taken it without having said so."""
        who = self.nodes[to].address if to in self.nodes else to
        letter = {"to": [who], "subject": subject, "text": TEXT}
        while True:
            with suppress(NotRunning, NodeError):
                found = await self.ask(author, "GET", "/api/v1/message", None, folder="sent", limit=20)
                if subject not in [row["subject"] for row in found]:
                    await self.ask(author, "POST", "/api/v1/message", letter)
                return
            await trio.sleep(AGAIN_S)

    async def bring(self, subject: str) -> None:
        """As Stella's mail server does, until alice's node says that it has it."""
        raw = by_provider(a_mail(subject, STELLA, ALICE))
        while True:
            with suppress(NotRunning, NodeError, OSError, SMTPException):
                listen = (await self.ask("alice", "GET", "/api/v1/status"))["listen"]["smtp"]
                port = int(listen.rpartition(":")[2])
                code, text = await trio.to_thread.run_sync(deliver, port, STELLA, raw)
                if code == 250:
                    return
                if code >= 500:
                    raise Unmet(f"alice's node refused {subject!r}: {code} {text}")
            await trio.sleep(AGAIN_S)

    async def waiting(self, name: str) -> list[str]:
        """What its outbox still has to do; a receipt at a host is nobody's to wait for."""
        rows = await self.ask(name, "GET", "/api/v1/outbox", None, all=True)
        waits = {"queued", "held", "at-host"}
        return [
            f"{row['kind']} {row['subject']!r} of {name} is {one['state']} ({one['code']} {one['detail']})"
            for row in rows
            for one in row["recipients"]
            if one["state"] in waits and (row["kind"], one["state"]) != ("receipt", "at-host")
        ]

    async def came(self, name: str) -> dict[str, list[float]]:
        """Subject → when each letter of it arrived, wherever it lies."""
        found: dict[str, list[float]] = {}
        folders = [row["name"] for row in await self.ask(name, "GET", "/api/v1/folder")]
        for folder in folders:
            before = None
            while folder != "sent":
                page = await self.ask(
                    name, "GET", "/api/v1/message", None, folder=folder, limit=PAGE, before=before
                )
                for row in page:
                    found.setdefault(row["subject"], []).append(row["arrived"] / 1000)
                if len(page) < PAGE:
                    break
                before = page[-1]["id"]
        return found

    def outside(self) -> tuple[dict[str, list[float]], int]:
        """The same at the mail server, where copies of one Message-ID are one letter (protocol.md §6); and
        how many such copies there are.
        """
        found: dict[str, dict[str, float]] = {}
        repeated = 0
        for path in self.world.folder.glob("*.json"):
            eml = path.with_suffix(".eml")
            header = BytesHeaderParser(policy=SMTP).parsebytes(eml.read_bytes())
            copies = found.setdefault(str(header["Subject"]), {})
            repeated += str(header["Message-ID"]) in copies
            at = min(eml.stat().st_mtime, copies.get(str(header["Message-ID"]), inf))
            copies[str(header["Message-ID"])] = at
        return {subject: list(copies.values()) for subject, copies in found.items()}, repeated
