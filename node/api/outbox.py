"""`/outbox`: what is on its way, and what its author may do about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final

import trio
from fastapi import APIRouter, Query

from node.api.desk import Desk
from node.api.fields import LetterId
from node.api.people import Book, book_of
from node.outbox import Letter, Outbox
from node.runtime.errors import NodeError
from node.runtime.events import Events

MAX_WAIT_S: Final = 60.0
"""Seconds that one question may stay open; who wants to wait longer asks again."""

_ID: Final = re.compile("[0-9a-f]{8,32}")


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/outbox")
    box = desk.outbox

    def document(letter: Letter) -> dict[str, Any]:
        return letter_json(letter, book_of(desk.names), desk.whereabouts)

    @router.get("")
    async def listing(everything: Annotated[bool, Query(alias="all")] = False) -> list[dict[str, Any]]:
        book, found = book_of(desk.names), []
        for letter in box.list(everything=everything):
            found.append(letter_json(letter, book, desk.whereabouts))
            await trio.lowlevel.checkpoint()
        return found

    @router.get("/{letter}")
    async def one(
        letter: LetterId, wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S, allow_inf_nan=False)] = 0
    ) -> dict[str, Any]:
        return document(await settled(box, desk.events, find(box, letter).id, wait))

    @router.post("/{letter}/retry")
    async def retry(letter: LetterId) -> dict[str, Any]:
        return document(box.retry(find(box, letter).id))

    @router.post("/{letter}/cancel")
    async def cancel(letter: LetterId) -> dict[str, Any]:
        return document(await box.cancel(find(box, letter).id))

    @router.post("/{letter}/approve")
    async def approve(letter: LetterId) -> dict[str, Any]:
        return document(await box.approve(find(box, letter).id))

    return router


def letter_json(letter: Letter, book: Book, whereabouts: Callable[[Letter], str]) -> dict[str, Any]:
    """A letter as `outbox --json` and `send --json` show it; `name` is the contact's, or None."""
    return {
        "id": letter.id.hex(),
        "kind": letter.kind,
        "subject": letter.subject,
        "created": letter.created,
        "attachments": whereabouts(letter),
        "recipients": [
            {
                "to": d.recipient.to,
                "address": d.recipient.address,
                "name": book.get(d.recipient.address),
                "route": d.recipient.route,
                "state": d.state,
                "code": d.code,
                "detail": d.detail,
                "next": d.next,
                "cause": d.cause,
                "until": d.until,
            }
            for d in letter.deliveries
        ],
    }


def find(outbox: Outbox, text: str) -> Letter:
    """The letter with this id, or whose id alone begins so. Raises NodeError."""
    wanted = text.lower()
    if not _ID.fullmatch(wanted):
        raise NodeError(
            "letter-id", "an id is 32 hexadecimal digits, or its first 8 or more", "see: mailio outbox"
        )
    if len(wanted) == 32:
        return _get(outbox, bytes.fromhex(wanted))
    fitting = [one for one in outbox.list(everything=True) if one.id.hex().startswith(wanted)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise NodeError("ambiguous-id", f"{len(fitting)} letters begin with {wanted}", "give more of the id")
    raise NodeError("no-such-letter", f"the outbox has no letter {wanted}", "see: mailio outbox")


async def settled(outbox: Outbox, events: Events, letter_id: bytes, wait: float) -> Letter:
    """The letter as soon as nothing of it is `queued`, or as it stands after `wait` seconds."""
    with trio.move_on_after(wait):
        async with events.subscribe() as changes:
            while any(d.state == "queued" for d in _get(outbox, letter_id).deliveries):
                await changes.receive()
    return _get(outbox, letter_id)


def _get(outbox: Outbox, letter_id: bytes) -> Letter:
    letter = outbox.get(letter_id)
    if letter is None:
        raise NodeError("no-such-letter", f"the outbox has no letter {letter_id.hex()}", "see: mailio outbox")
    return letter
