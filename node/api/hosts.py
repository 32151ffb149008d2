"""`/local/hosts`: the hosts that keep the owner's handshakes and letters."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field

from node.api.desk import Desk
from node.api.fields import Body, PathName
from protocol.host import VOUCHER_BYTES

MAX_ADDRESS: Final = 512
"""Characters of a multiaddr in a request; the network's own bound is tighter."""

Address = Annotated[str, Field(min_length=1, max_length=MAX_ADDRESS)]
Voucher = Annotated[str, Field(pattern=rf"^[0-9a-fA-F]{{{2 * VOUCHER_BYTES}}}$")]


class New(Body):
    """A host to be: its multiaddr with `/p2p/`, and what its operator may have given to open an account."""

    address: Address
    voucher: Voucher | None = Field(default=None, repr=False)


def routes(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/hosts")

    @router.get("")
    async def listing() -> list[dict[str, Any]]:
        return await desk.hosts.rows()

    @router.post("", status_code=201)
    async def add(body: New) -> dict[str, Any]:
        voucher = bytes.fromhex(body.voucher) if body.voucher is not None else None
        return await desk.hosts.add(body.address, voucher)

    @router.delete("/{peer:path}")
    async def remove(peer: PathName) -> dict[str, Any]:
        return await desk.hosts.remove(peer)

    return router
