"""What became of a letter, in words: one recipient's state, and what can be done about it. Prints nothing."""

from __future__ import annotations

import shlex
from typing import Any, Final

from node.cli.text import MINUTE_MS, ago

NO_ANSWER: Final = "4.4.1"
"""Code of who was not found or does not answer (protocol.md)."""

SHORT: Final = 12
"""Digits of an id that are enough to name a letter: they tell its time to the millisecond."""


_WHERE: Final = {
    "here": "the attachments lie here alone, as no host of yours keeps them: leave your node on",
    "to-hosts": "the attachments are still on their way to your hosts: leave your node on until then",
    "at-hosts": "the attachments lie at your hosts: you may switch off",
}
"""What a letter's attachments mean for who wants to switch off while it waits at a host."""


def outcome(letter: dict[str, Any], now: int, arrived: str = "") -> list[str]:
    """One line for each recipient: what became of it, and then what can be done."""
    lines = []
    mixed = any(is_open(one) for one in letter["recipients"])
    for one in letter["recipients"]:
        more = f"; {arrived}" if arrived and one["state"] == "delivered" and not is_open(one) else ""
        sealed = ", sealed" if mixed and one["state"] == "delivered" and not is_open(one) else ""
        lines.append(f"{name_of(one)}: {in_words(one, now)}{sealed}{more}")
    if lies_there(letter) and letter["attachments"] in _WHERE:
        lines.append(_WHERE[letter["attachments"]])
    states = {(one["state"], one["cause"]) for one in letter["recipients"]}
    if any(one["state"] == "queued" and one["next"] for one in letter["recipients"]):
        lines.append(f"it is tried again by itself; to stop it: mailio outbox cancel {letter['id'][:SHORT]}")
    for one in letter["recipients"]:
        if one["state"] == "queued" and one["code"] == NO_ANSWER and not is_open(one):
            verb = f"edit {shlex.quote(one['name'])}" if one.get("name") else "add NAME"
            lines.append(
                f"if they have moved, a new link of theirs tells where: mailio contact {verb} 'LINK'"
            )
    if ("held", "approval") in states:
        lines.append(f"let it go with: mailio outbox approve {letter['id'][:SHORT]} (or cancel it)")
    return lines


def lies_there(letter: dict[str, Any]) -> bool:
    """Whether it waits at somebody's hosts."""
    return any(one["state"] == "at-host" for one in letter["recipients"])


def is_open(one: dict[str, Any]) -> bool:
    """Whether it goes to this recipient as ordinary e-mail."""
    return bool(one["route"] == "smtp")


def name_of(one: dict[str, Any]) -> str:
    """A recipient as a person knows them."""
    return str(one.get("name") or one["to"])


def in_words(one: dict[str, Any], now: int) -> str:
    """A recipient's state for a person."""
    why = (one["detail"] or _meaning(one["code"])).removeprefix(f"{one.get('address')} was ")
    why = f": {why}" if why else ""
    code = f" [{one['code']}]" if one["code"] and not one["code"].startswith("2") else ""
    match one["state"]:
        case "delivered" if is_open(one):
            return "taken by your mail server, open as all e-mail"
        case "delivered":
            return "delivered"
        case "queued":
            return f"waits, next try {_soon(one['next'], now)}{why}{code}"
        case "held" if one.get("cause") == "handshake":
            why = why.replace("waits until this owner accepts you: ", "")  # said already
            return f"held until they accept you; they are asked{why}{code}"
        case "held":
            return f"held until you decide{why}{code}"
        case "cancelled":
            return "cancelled"
        case "at-host":
            return "their node sleeps; the letter waits at their hosts and is theirs when it wakes"
        case state:
            return f"{state.replace('-', ' ')}{why}{code}"


def _soon(then: int, now: int) -> str:
    return ago(then, now) if then - now >= MINUTE_MS else "in a moment"


def _meaning(code: str) -> str:
    if not code or code.startswith("2"):
        return ""
    from protocol.status import Status

    return Status(code).text
