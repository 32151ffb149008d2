"""`/handshake`: asking, accepting, revoking, and invitations."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field

from node.api.desk import Desk
from node.api.fields import Body, Note, Time, Who
from node.api.outbox import letter_json
from node.api.people import book_of
from node.api.problem import needs_network
from node.consent import Rules
from node.runtime.errors import NodeError, UsageError
from protocol.handshake import Type

MAX_EVERY: Final = 366 * 24 * 60
"""Minutes between two letters of a sender: a year; who wants none revokes."""


class Request(Body):
    """Whom to ask, and what to say."""

    who: Who
    note: Note = ""


class Accept(Body):
    """Whom to accept, and on which rules; `until` in Unix ms."""

    who: Who
    type: Annotated[str, Field(max_length=20)] = Type.PERSONAL.value
    subtype: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    everyMinutes: Annotated[int, Field(ge=0, le=MAX_EVERY)] = 0  # noqa: N815 - the API's spelling
    until: Time | None = None


class Revoke(Body):
    """Whom to revoke."""

    who: Who


class Open(Body):
    """An invitation."""

    link: Who = Field(repr=False)


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/handshake")
    acts, waiting = desk.handshakes, desk.mailbox.waiting

    @router.get("")
    async def listing() -> list[dict[str, Any]]:
        return acts.list()

    @router.post("/request", status_code=202)
    async def request(body: Request) -> dict[str, Any]:
        return _letter(desk, await acts.request(body.who, body.note))

    @router.post("/accept")
    async def accept(body: Accept) -> dict[str, Any]:
        """Beside the row, as `moved`, how many letters went from the folder handshake to the inbox."""
        rules = Rules(_type(body.type), body.subtype, body.everyMinutes, body.until)
        before = {one: waiting(one) for one in (str(row["address"]) for row in acts.list())}
        row = await acts.accept(body.who, rules)
        return row | {"moved": sum(max(0, n - waiting(one)) for one, n in before.items() if n)}

    @router.post("/revoke")
    async def revoke(body: Revoke) -> dict[str, Any]:
        return await acts.revoke(body.who)

    @router.post("/link", status_code=201)
    async def link() -> dict[str, Any]:
        if desk.network is None:
            raise needs_network()  # it would not say where we are
        return {"link": await acts.link()}

    @router.post("/open", status_code=202)
    async def open_(body: Open) -> dict[str, Any]:
        return _letter(desk, await acts.open(body.link))

    return router


def _type(text: str) -> Type:
    try:
        return Type(text)
    except ValueError:
        known = ", ".join(one.value for one in Type)
        raise UsageError(
            "handshake-type", "this type of handshake is unknown", f"it is one of {known}"
        ) from None


def _letter(desk: Desk, letter_id: bytes) -> dict[str, Any]:
    letter = desk.outbox.get(letter_id)
    if letter is None:
        raise NodeError("no-such-letter", "the letter is gone already", "see: mailio outbox")
    return letter_json(letter, book_of(desk.names), desk.whereabouts)
