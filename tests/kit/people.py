"""What people do with their nodes and see of them, through the `mailio` command alone."""

from typing import Any, Final

from tests.kit.processes import Process, Unmet, until

WAIT_S: Final = 60.0
"""Seconds for anything that takes a few on an idle machine."""


def require(what: str, seen: object, expected: object) -> None:
    """Go on only if this is so; Unmet otherwise."""
    if seen != expected:
        raise Unmet(f"{what}: expected {expected!r}, saw {seen!r}")


async def counted(who: Process) -> dict[str, int]:
    """What its receiver did since the start: taken, firstContacts, refusedBeforeBody, refusedAfterBody."""
    return dict((await who.mailio("status"))["letters"])


async def stored(who: Process) -> int:
    """How many letters lie in all folders together."""
    return sum(folder["totalMessages"] for folder in await who.mailio("folder", "list"))


async def standing(who: Process, other: str) -> dict[str, Any] | None:
    """The row of `handshake list` about an address."""
    rows = await who.mailio("handshake", "list")
    return next((row for row in rows if other in (row["who"], row["address"])), None)


async def came(who: Process, subject: str) -> dict[str, Any]:
    """The letter with this subject, once it lies in the inbox."""

    async def look() -> dict[str, Any] | None:
        return next((one for one in await who.mailio("list") if one["subject"] == subject), None)

    return await until(f"the letter {subject!r} in {who.name}'s inbox", look, WAIT_S)


async def heard(other: Process, owner: Process, status: str = "accepted") -> None:
    """Wait until `other` knows what `owner` lets it do."""

    async def look() -> bool | None:
        row = await standing(other, owner.address)
        return True if row is not None and row["theirs"] == status else None

    await until(f"that {other.name} has heard from {owner.name}: {status}", look, WAIT_S)


async def send(who: Process, to: str, subject: str, text: str) -> dict[str, Any]:
    """Send a letter and follow it, however it ends; its one recipient's row."""
    said = await who.try_mailio("send", to, "--subject", subject, stdin=text)
    if not isinstance(said.value, dict) or "recipients" not in said.value:
        raise Unmet(f"`mailio send` of {who.name} ended with {said.code}: {said.error or said.value}")
    require("recipients of the letter", len(said.value["recipients"]), 1)
    return dict(said.value["recipients"][0])


async def deliver(who: Process, to: str, subject: str, text: str) -> None:
    """Send a letter that must arrive."""
    row = await send(who, to, subject, text)
    require(f"state of {subject!r}", (row["state"], row["code"]), ("delivered", "2.0.0"))


async def states(who: Process, subjects: list[str]) -> list[str]:
    """The states of these letters in the outbox, which must know all of them."""
    rows = {one["subject"]: one for one in await who.mailio("outbox", "--all")}
    missing = [subject for subject in subjects if subject not in rows]
    require(f"letters that {who.name}'s outbox has lost", missing, [])
    return [rows[subject]["recipients"][0]["state"] for subject in subjects]


async def delivered(who: Process, subjects: list[str]) -> None:
    """Wait until all of these are delivered."""

    async def look() -> bool | None:
        return True if set(await states(who, subjects)) == {"delivered"} else None

    await until(f"that {len(subjects)} letters of {who.name} are delivered", look, WAIT_S)
