"""`/local/doctor`: first what there is to look at, then what was found, a line of JSON as it is known."""

from __future__ import annotations

import json
import math
from typing import Any

import trio
from fastapi import APIRouter
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from node.api.desk import Base, Examine
from node.api.stream import until_gone


def routes(base: Base) -> APIRouter:
    router = APIRouter(prefix="/doctor")

    @router.get("")
    async def examine() -> Response:
        return _Lines(base.examine)

    return router


class _Lines(Response):
    """What an examination tells."""

    media_type = "application/x-ndjson"

    def __init__(self, examine: Examine) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._examine = examine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        told, lines = trio.open_memory_channel[Any](math.inf)  # of which there are as many as looks

        async def examine() -> None:
            with told:
                await self._examine(told.send_nowait)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_gone, receive, nursery.cancel_scope)
            nursery.start_soon(examine)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for line in lines:
                body = json.dumps(line).encode() + b"\n"
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            nursery.cancel_scope.cancel()
