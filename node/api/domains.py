"""`/local/domains`: the owner's own domains, their DKIM keys, and what to publish in the DNS."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field

from node.api.desk import Desk
from node.api.fields import Body, PathName

MAX_TYPED: Final = 400
"""Characters of a domain in a request; the room's own bound is tighter."""

Domain = Annotated[str, Field(min_length=1, max_length=MAX_TYPED)]


class New(Body):
    """A domain to be ours; `host` is the public name of the server that takes its mail."""

    name: Domain
    host: Annotated[str, Field(max_length=MAX_TYPED)] = ""


class Rotation(Body):
    """New keys for a domain (the only one where none is named); `now` signs with them at once."""

    name: Annotated[str, Field(max_length=MAX_TYPED)] = ""
    now: bool = False


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/domains")
    domains = desk.domains

    @router.get("")
    async def listing() -> list[dict[str, Any]]:
        await domains.look()
        return domains.rows()

    @router.post("", status_code=201)
    async def add(body: New) -> dict[str, Any]:
        return _whole(desk, await domains.add(body.name, body.host))

    @router.post("/keys", status_code=201)
    async def rotate(body: Rotation) -> dict[str, Any]:
        return domains.row(await domains.rotate(body.name, now=body.now))

    @router.get("/{name}")
    async def one(name: PathName) -> dict[str, Any]:
        await domains.look(name)
        return _whole(desk, name)

    @router.delete("/{name}")
    async def remove(name: PathName) -> dict[str, Any]:
        return {"domain": await domains.remove(name)}

    return router


def _whole(desk: Desk, name: str) -> dict[str, Any]:
    """A domain with all records that it needs."""
    records = [
        {"name": one.name, "type": one.type, "value": one.value, "zone": one.zone, "why": one.why}
        for one in desk.records_of(name)
    ]
    return desk.domains.row(name) | {"records": records}
