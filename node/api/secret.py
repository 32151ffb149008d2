"""`/local/secret`: passwords that belong to settings and stand in no file."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field

from node.api.desk import Desk
from node.api.fields import Body, PathName
from node.outbox import SMARTHOST, SMTP
from node.storage import Batch

MAX_TYPED: Final = 4_000
"""Characters in a request; the room's own bounds are tighter."""


class Secret(Body):
    """The password that belongs to a setting. It is kept sealed, and no answer, log or error repeats it."""

    key: Annotated[str, Field(max_length=MAX_TYPED)]
    value: Annotated[str, Field(max_length=MAX_TYPED)] = Field(repr=False)


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/secret")
    passwords, store = desk.passwords, desk.store

    @router.get("")
    async def listing() -> dict[str, bool]:
        """Of each setting that has a password, whether one is kept."""
        return passwords.kept()

    @router.post("")
    async def keep(body: Secret) -> dict[str, Any]:
        batch = Batch()
        passwords.set(batch, body.key, body.value)
        await store.write(batch)
        passwords.refresh()
        desk.outbox.wake(SMARTHOST, SMTP)  # what waited for it need wait no longer
        return {"key": body.key, "kept": True}

    @router.delete("/{key}")
    async def forget(key: PathName) -> dict[str, Any]:
        batch = Batch()
        removed = passwords.unset(batch, key)
        await store.write(batch)
        passwords.refresh()
        return {"key": key, "removed": removed}

    return router
