"""`/user`: app passwords, one for each mail program of the owner."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field

from node.api.desk import Desk
from node.api.fields import Body, PathName
from node.storage import Batch
from node.users import clean_name

MAX_TYPED: Final = 200
"""Characters of a name in a request; the room's own bound is tighter."""


class New(Body):
    """A mail program to be let in."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_TYPED)]


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/user")
    users, store = desk.users, desk.store

    @router.get("")
    async def listing() -> list[dict[str, Any]]:
        return users.list()

    @router.post("", status_code=201)
    async def add(body: New) -> dict[str, Any]:
        """The one answer that holds the password."""
        batch = Batch()
        password = users.add(batch, body.name)
        await store.write(batch)
        users.refresh()
        name = clean_name(body.name)
        return next(one for one in users.list() if one["name"] == name) | {"password": password}

    @router.delete("/{name:path}")
    async def remove(name: PathName) -> dict[str, Any]:
        batch = Batch()
        kept = users.remove(batch, name)
        await store.write(batch)
        users.refresh()
        return {"name": kept}

    return router
