"""The intake of ordinary mail of a house on a street, a table as its DNS, and what people send to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import trio

from node.app.mail import fit_intake
from node.consent import Rules
from node.runtime.errors import DnsLater
from node.smtp import Hops, MailIntake, Networks
from node.smtp.reply import Client, Envelope
from tests.kit.dkim_keys import ed25519_key, sign
from tests.kit.houses import House, Street

CLIENT = Client("127.0.0.1", "mx.stars.example", tls=False)
OWNER = "alice@home.example"
STELLA = "stella@stars.example"
FRIEND_OF_STELLA = "stella@mail.stars.example"
TAKEN = (250, "2.0.0")
REVOKED = (550, "5.7.1")


@dataclass
class Table:
    """What the DNS answers."""

    records: Mapping[str, tuple[bytes, ...]] = field(
        default_factory=lambda: {"sel._domainkey.stars.example": (ed25519_key().txt.encode(),)}
    )
    down: bool = False

    def say(self, name: str, text: str) -> None:
        self.records = {**self.records, name: (text.encode(),)}

    async def txt(self, name: str) -> tuple[bytes, ...]:
        await trio.lowlevel.checkpoint()
        if self.down:
            raise DnsLater("dns", "nobody answers")
        return self.records.get(name, ())

    async def mx(self, name: str) -> tuple[tuple[int, str], ...]:
        return ()

    async def a(self, name: str) -> tuple[str, ...]:
        return ()

    async def aaaa(self, name: str) -> tuple[str, ...]:
        return ()

    async def ptr(self, ip: str) -> tuple[str, ...]:
        return ()


@dataclass
class Post:
    """The intake of a house, and what people send to it."""

    street: Street
    house: House
    table: Table
    intake: MailIntake
    client: Client = CLIENT
    to: str = OWNER

    async def send(
        self,
        subject: str,
        author: str = STELLA,
        *,
        signed: str = "",
        envelope: str | None = None,
        **more: str,
    ) -> tuple[int, str]:
        """Code and status that ended it; `signed` is the domain that does."""
        header = {"From": author, "To": OWNER, "Subject": subject, **more}
        raw = "".join(f"{name}: {value}\r\n" for name, value in header.items()).encode() + b"\r\nHi.\r\n"
        raw = sign(raw, ed25519_key(), signed, "sel") if signed else raw
        return await self.deliver(raw, author if envelope is None else envelope)

    async def deliver(self, raw: bytes, sender: str = STELLA) -> tuple[int, str]:
        await self.street.quiet()  # a millisecond, so that letters have an order
        reply = self.intake.sender(sender, self.client) or self.intake.recipient(self.to)
        reply = reply or await self.intake.take(Envelope(sender, (self.to,), self.client), raw)
        return reply.code, reply.status

    def at(self, address: str, helo: str = "mx.far.example") -> Post:
        """The same, brought by another client."""
        return replace(self, client=Client(address, helo, tls=False))

    async def accept(self, who: str, rules: Rules | None = None) -> None:
        await self.house.owner.handshakes.accept(who, rules)

    def lies(self) -> dict[str, list[str]]:
        """Subjects by folder, oldest first."""
        names = [str(row["name"]) for row in self.house.owner.mailbox.folders()]
        return {name: self.house.folder(name)[::-1] for name in names if self.house.folder(name)}


async def open_post(street: Street, trusted: tuple[str, ...] = (), **more: Any) -> Post:
    more = {"emails": (OWNER, "*@all.example"), "domains": ("home.example", "all.example")} | more
    house, table = await street.open("alice", **more), Table()
    return Post(
        street,
        house,
        table,
        fit_intake(house.ground, house.owner, table, Hops(Networks.parse(trusted))),
    )
