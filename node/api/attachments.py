"""`/attachment` and `/message/…/attachment`: files handed in for a letter, how a letter's files stand, the
files themselves. Bytes go through in pieces; nothing of a file is held.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from urllib.parse import quote

import trio
from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from node.api.desk import Desk
from node.api.fields import LetterId
from node.api.outbox import MAX_WAIT_S
from node.api.problem import needs_network, problem
from node.api.stream import Stream, started
from node.kinds import MEDIA_TYPE, shown_inline
from node.letters.saving import Saved
from node.letters.uploads import ANY_TYPE
from node.runtime.errors import NodeError, UsageError
from protocol.errors import LocalProtocolError

MAX_NAME: Final = 5_000
"""Characters of a file's name as it is handed in; what is kept of it is shorter (node/letters/text.py)."""

_RANGE: Final = re.compile(r"bytes=(\d{1,16})-(\d{0,16})", re.ASCII)

Number = Annotated[int, Path(ge=1, le=2_000)]


def routes(desk: Desk) -> APIRouter:
    router = APIRouter()
    _handing_in(router, desk)
    _standing(router, desk)
    _taking_out(router, desk)
    return router


def _handing_in(router: APIRouter, desk: Desk) -> None:
    @router.post("/attachment", status_code=201)
    async def hand_in(
        request: Request,
        filename: Annotated[str, Query(max_length=MAX_NAME)] = "",
        media_type: Annotated[str, Query(alias="mediaType", max_length=255)] = "",
    ) -> dict[str, Any]:
        """The body is the file, its length told before. The answer's id goes into a letter within a day."""
        size = length_of(request)
        try:
            upload = await desk.uploads.add(filename, media_type, size, request.stream())
        except LocalProtocolError as fault:
            raise NodeError(
                "attachment-size", f"the file changed while it was read: {fault}", "try again"
            ) from None
        return {"id": upload.id.hex(), "filename": upload.ref.filename, "size": upload.ref.size}


def _standing(router: APIRouter, desk: Desk) -> None:
    mailbox = desk.mailbox

    @router.get("/message/{letter}/attachment")
    async def standing(
        letter: LetterId, wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S, allow_inf_nan=False)] = 0
    ) -> list[dict[str, Any]]:
        """How a letter's files stand, as in `read`: when that changes or after `wait` seconds."""
        found = mailbox.find_id(letter)
        with trio.move_on_after(wait):
            await _changed(desk, found)
        return await files_of(found)

    @router.post("/message/{letter}/fetch", status_code=202)
    async def fetch(letter: LetterId) -> list[dict[str, Any]]:
        """Get everything of it that is not here, now."""
        found = mailbox.find_id(letter)
        if desk.fetch is None:
            raise needs_network()
        await desk.fetch(found)
        return await files_of(found)

    async def files_of(letter: bytes) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await mailbox.read(letter))["attachments"]
        return found


def _taking_out(router: APIRouter, desk: Desk) -> None:
    mailbox = desk.mailbox

    @router.get("/message/{letter}/attachment/{n}", response_class=Response)
    async def content(
        letter: LetterId, n: Number, range_: Annotated[str, Header(alias="range", max_length=100)] = ""
    ) -> Response:
        """The file, or with `Range: bytes=A-B` a part of it."""
        found = mailbox.find_id(letter)
        start, stop = _range(range_)
        saved = await mailbox.attachment(found, n, start, stop)
        stop = saved.size if stop is None else min(stop, saved.size)
        if range_ and start >= saved.size:
            await saved.source.aclose()
            return _no_such_range(saved.size)
        headers = _GUARDED | {
            "content-type": _content_type(saved),
            "content-disposition": _disposition(saved),
            "accept-ranges": "bytes",
        }
        if range_:
            headers["content-range"] = f"bytes {start}-{stop - 1}/{saved.size}"
        return Stream(await started(saved.source), stop - start, headers, 206 if range_ else 200)

    @router.get("/message/{letter}/attachment/{n}/thumbnail", response_class=Response)
    async def thumbnail(letter: LetterId, n: Number, anyway: bool = False) -> Response:
        """A picture in small. Of letters in `handshake` and `spam` with `anyway` only."""
        made = await mailbox.thumbnail(mailbox.find_id(letter), n, anyway=anyway)
        # Not stored by whoever asks: it is to be gone when the letter is.
        headers = _GUARDED | {"content-disposition": "inline", "cache-control": "no-store"}
        return Response(made, media_type=MEDIA_TYPE, headers=headers)


_GUARDED: Final = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}
"""What came in somebody's letter must not run as a page of ours, nor be taken for one."""


def _content_type(saved: Saved) -> str:
    if not saved.media_type.isascii():
        return ANY_TYPE
    charset = saved.sort.charset if saved.sort else ""
    return f"{saved.media_type}; charset={charset}" if charset else saved.media_type


def _disposition(saved: Saved) -> str:
    how = "inline" if saved.sort is not None and shown_inline(saved.media_type) else "attachment"
    return f"{how}; filename*=utf-8''{quote(saved.filename, safe='')}"


def length_of(request: Request) -> int:
    """Bytes of a body that says how long it is. Raises UsageError."""
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        raise UsageError("length", "a file is handed in with its length", "send Content-Length")
    return int(length)


async def _changed(desk: Desk, letter: bytes) -> None:
    """Until something happens to a file of this letter."""
    async with desk.events.subscribe() as events:
        while True:
            event = await events.receive()
            if event.name == "lost" or event.data.get("letter") == letter.hex():
                return


def _no_such_range(size: int) -> Response:
    """RFC 9110 §15.5.17."""
    response = problem(416, "range", f"the file has {size:,} bytes", "ask for bytes that it has")
    response.headers["content-range"] = f"bytes */{size}"
    return response


def _range(text: str) -> tuple[int, int | None]:
    """First byte, and the one behind the last. Raises UsageError for a form that is not taken."""
    if not text:
        return 0, None
    match = _RANGE.fullmatch(text.strip())
    start = int(match[1]) if match else 0
    stop = int(match[2]) + 1 if match and match[2] else None
    if match is None or (stop is not None and stop <= start):
        raise UsageError("range", "a range is bytes=A-B or bytes=A-", "ask for one range")
    return start, stop
