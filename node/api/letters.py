"""`/message`: listing, reading, sorting and writing letters."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from node.api.desk import Desk
from node.api.fields import MAX_PAGE, MAX_PEOPLE, Body, LetterId, Name, Subject, Text, UploadId, Who
from node.api.outbox import letter_json
from node.api.people import book_of, with_names
from node.api.stream import Stream, started
from node.letters import Mailbox
from node.letters.uploads import MAX_ATTACHMENTS
from node.mailauth import without_results
from node.outbox.submission import Message
from node.runtime.settings import LEAST_PIN, MOST_PIN, duration_ms
from node.storage import Batch

Form = Literal["raw", "delivered"]
People = Annotated[list[Who], Field(max_length=MAX_PEOPLE)]


MIN_PIN_MS: Final = duration_ms(LEAST_PIN)
MAX_PIN_MS: Final = duration_ms(MOST_PIN)


class New(Body):
    """A letter to be sent; recipients as a person types them, attachments by the ids of files handed in, kept
    for its recipients for `pin` ms.
    """

    to: Annotated[list[Who], Field(min_length=1, max_length=MAX_PEOPLE)]
    cc: People = Field(default_factory=list)
    bcc: People = Field(default_factory=list)
    subject: Subject = ""
    text: Text = ""
    attachments: Annotated[list[UploadId], Field(max_length=MAX_ATTACHMENTS)] = Field(default_factory=list)
    pin: Annotated[int | None, Field(ge=MIN_PIN_MS, le=MAX_PIN_MS)] = None


class Change(Body):
    """What is to change of a letter."""

    folder: Name | None = None
    read: bool | None = None


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/message")
    mailbox, store = desk.mailbox, desk.store

    @router.get("")
    async def listing(
        folder: Annotated[str | None, Query(max_length=400)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
        before: Annotated[str | None, Query(max_length=64)] = None,
    ) -> list[dict[str, Any]]:
        book = book_of(desk.names)
        found = mailbox.list(folder, limit, None if before is None else mailbox.find_id(before))
        return [with_names(book, one) for one in found]

    @router.post("", status_code=202)
    async def send(body: New) -> dict[str, Any]:
        message = Message(
            tuple(body.to),
            tuple(body.cc),
            tuple(body.bcc),
            body.subject,
            body.text,
            tuple(body.attachments),
            body.pin,
        )
        return letter_json(await desk.submission.send(message), book_of(desk.names), desk.whereabouts)

    @router.get("/{letter}")
    async def read(letter: LetterId) -> dict[str, Any]:
        return with_names(book_of(desk.names), await mailbox.read(mailbox.find_id(letter)))

    @router.get("/{letter}/mime", response_class=Response)
    async def mime(letter: LetterId, form: Form = "raw") -> Response:
        """Exactly as it came, or as it is delivered: with its envelope, and who vouches for it, on top."""
        return await _mime(mailbox, mailbox.find_id(letter), form)

    @router.patch("/{letter}")
    async def change(letter: LetterId, body: Change) -> dict[str, Any]:
        found = mailbox.find_id(letter)
        batch = Batch()
        if body.read is not None:
            mailbox.mark_read(batch, found, read=body.read)
        if body.folder is not None:
            mailbox.move(batch, found, body.folder)
        await store.write(batch)
        return {"id": found.hex()} | body.model_dump(exclude_none=True)

    @router.delete("/{letter}")
    async def delete(letter: LetterId) -> dict[str, Any]:
        found = mailbox.find_id(letter)
        batch = Batch()
        erased = mailbox.delete(batch, found)
        await store.write(batch)
        if erased:
            desk.forget(found)
        return {"id": found.hex(), "erased": erased}

    return router


async def _mime(mailbox: Mailbox, letter: bytes, form: Form) -> Response:
    if form == "delivered":
        source, size = await mailbox.delivered(letter, without_results), None
    else:
        source, size = await mailbox.whole(letter), mailbox.reduced(letter).size
    return Stream(await started(source), size, {"content-type": "message/rfc822"})
