"""`/local/doctor`: first what there is to look at, then what was found, a line of JSON as it is known."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from node.api.desk import Base
from node.api.stream import Lines


def routes(base: Base) -> APIRouter:
    router = APIRouter(prefix="/doctor")

    @router.get("")
    async def examine() -> Response:
        return Lines(base.examine)

    return router
