"""`/local/hosts`: the hosts that keep the owner's handshakes and letters. `/local/hosting`: being one."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field

from node.api.desk import Base, Desk
from node.api.fields import Body, PathName
from node.runtime.errors import NodeError
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


def hosting_routes(base: Base) -> APIRouter:
    """What whoever runs a host does there, with an owner or without."""
    router = APIRouter(prefix="/hosting")

    @router.post("/voucher", status_code=201)
    async def voucher() -> dict[str, str]:
        if base.voucher is not None:
            return {"voucher": (await base.voucher()).hex()}
        if base.network is None:
            raise NodeError("node-silent", "vouchers are made by a running node", "start it first")
        remedy = "mailio config set hosts.offer friends (or all), and start it again"
        raise NodeError("no-hosting", "this node is no host for others", remedy)

    return router
