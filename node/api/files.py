"""`/local/files`: the store of attachments as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

import trio
from fastapi import APIRouter
from starlette.responses import Response

from node.api.desk import Desk
from node.api.stream import Lines
from node.files import Moved

TELL_S: Final = 0.2
"""Seconds between two lines of how far it is."""


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/files")

    @router.get("")
    async def stat() -> dict[str, Any]:
        """The whole of `files stat --json`."""
        return await desk.files.stat()

    @router.post("/collect")
    async def collect() -> dict[str, Any]:
        """Remove what nobody needs and what crashes left: the bytes that became free."""
        freed = await desk.files.collect()
        return {"freed": freed, "swept": await desk.files.sweep()}

    @router.post("/move")
    async def move() -> Response:
        """Bring everything to where `files.backend` has it; a line of JSON now and then, the sum at last."""

        async def work(tell: Callable[[Mapping[str, object]], None]) -> None:
            due = trio.current_time()

            def told(moved: Moved) -> None:
                nonlocal due
                if trio.current_time() >= due:
                    due = trio.current_time() + TELL_S
                    tell(asdict(moved))

            tell(asdict(await desk.files.move(told)) | {"done": True})

        return Lines(work)

    return router
