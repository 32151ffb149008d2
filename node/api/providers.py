"""`/local/providers`: the owner's mailboxes at providers, from which mail is fetched."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field

from node.api.desk import Desk
from node.api.fields import Body, PathName, Time
from node.pickup import Provider, address_of, folders_of, servers_of
from node.runtime.errors import NodeError

MAX_TYPED: Final = 1_000
"""Characters of what one types; the room's own bounds are tighter."""

MAX_NAMES: Final = 100
"""Folders in a request."""

Typed = Annotated[str, Field(max_length=MAX_TYPED)]


class Asked(Body):
    """An address, and its servers where they are not known."""

    address: Typed
    imap: Typed = ""
    smtp: Typed = ""


class New(Asked):
    """A mailbox to be fetched from. `since` in Unix ms (0: all; None: what comes from now on), `deleteAfter`
    in ms (None: nothing is deleted there); `check`: whether its servers are tried first. The password is
    kept sealed, and no answer, log or error repeats it.
    """

    password: Annotated[str, Field(max_length=4 * MAX_TYPED)] = Field(repr=False)
    folders: Annotated[list[Typed], Field(max_length=MAX_NAMES)] = Field(default_factory=list)
    since: Time | None = None
    deleteAfter: Time | None = None  # noqa: N815 - JSON's form
    check: bool = True


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/providers")

    @router.get("")
    async def listing() -> list[dict[str, Any]]:
        return desk.mailboxes.list()

    @router.post("/known")
    async def known(body: Asked) -> dict[str, Any]:
        """What would be added; before somebody types a password for nothing."""
        return _provider(body).document()

    @router.post("", status_code=201)
    async def add(body: New) -> dict[str, Any]:
        provider = _provider(body, tuple(body.folders), body.since, body.deleteAfter)
        return await desk.mailboxes.add(provider, body.password, check=body.check)

    @router.delete("/{address}")
    async def remove(address: PathName) -> dict[str, Any]:
        return {"address": await desk.mailboxes.remove(address_of(address))}

    return router


def _provider(
    body: Asked, folders: tuple[str, ...] = (), since: int | None = None, delete_after: int | None = None
) -> Provider:
    address = address_of(body.address)
    if address.endswith("@mailio.alt"):
        raise NodeError("provider-address", "an address at mailio.alt is no mailbox at a provider")
    imap, smtp = servers_of(address, body.imap, body.smtp)
    return Provider(address, imap, smtp, folders_of(folders), since, delete_after)
