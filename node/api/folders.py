"""`/folder` (MIR-8): the owner's folders."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from node.api.desk import Desk
from node.api.fields import Body, Name, PathName
from node.storage import Batch


class Named(Body):
    """A folder's name."""

    name: Name


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/folder")
    mailbox, store = desk.mailbox, desk.store

    @router.get("")
    async def listing() -> list[dict[str, Any]]:
        return mailbox.folders()

    @router.post("", status_code=201)
    async def add(body: Named) -> dict[str, Any]:
        batch = Batch()
        folder = mailbox.add_folder(batch, body.name)
        await store.write(batch)
        return folder

    @router.put("/{folder:path}")
    async def rename(folder: PathName, body: Named) -> dict[str, Any]:
        batch = Batch()
        renamed = mailbox.rename_folder(batch, folder, body.name)
        await store.write(batch)
        return renamed

    @router.delete("/{folder:path}")
    async def remove(folder: PathName) -> dict[str, Any]:
        return {"name": folder, "moved": await mailbox.remove_folder(folder)}

    return router
