"""`/contact`: the address book."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field

from node.api.desk import Desk
from node.api.fields import Body, Name, PathName, Who
from node.names import Contact
from node.storage import Batch

MAX_WHO: Final = 32
"""Addresses in one request; the room's own bound is tighter."""

Whereabouts = Annotated[list[Who], Field(max_length=MAX_WHO)]


class New(Body):
    """A contact to be: `who` are e-mail addresses, a Mailio address, a DID or a contact link."""

    name: Name
    who: Whereabouts


class Change(Body):
    """What is to change of a contact."""

    name: Name | None = None
    who: Whereabouts | None = None


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/contact")
    names, store = desk.names, desk.store

    @router.get("")
    async def listing() -> list[dict[str, Any]]:
        return [contact_json(contact) for contact in names.contacts()]

    @router.post("", status_code=201)
    async def add(body: New) -> dict[str, Any]:
        batch = Batch()
        contact = names.add(batch, body.name, body.who)
        await store.write(batch)
        _wake(desk, contact)
        return contact_json(contact)

    @router.put("/{name:path}")
    async def edit(name: PathName, body: Change) -> dict[str, Any]:
        batch = Batch()
        contact = names.edit(batch, name, new_name=body.name, who=body.who)
        await store.write(batch)
        _wake(desk, contact)
        return contact_json(contact)

    @router.delete("/{name:path}")
    async def remove(name: PathName) -> dict[str, Any]:
        batch = Batch()
        contact = names.remove(batch, name)
        await store.write(batch)
        return contact_json(contact)

    return router


def _wake(desk: Desk, contact: Contact) -> None:
    """A link may have said where they are now."""
    if contact.address:
        desk.outbox.wake(contact.address)


def contact_json(contact: Contact) -> dict[str, Any]:
    return {"name": contact.name, "address": contact.address, "emails": list(contact.emails)}
