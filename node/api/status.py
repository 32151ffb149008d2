"""`GET /status`: how things stand, put together from what the rooms say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import APIRouter

from node.api.desk import Base, Desk
from node.runtime.rooms import Warning_


def routes(base: Base) -> APIRouter:
    router = APIRouter()

    @router.get("/status")
    async def status() -> dict[str, Any]:
        return status_of(base)

    return router


def status_of(base: Base) -> dict[str, Any]:
    """The whole of `status --json`; what `app` says of a field, or of a place where we listen, wins."""
    network = base.network
    found: dict[str, Any] = {
        "running": network is not None,
        "address": base.identity.address if isinstance(base, Desk) else None,
        "peerId": base.peer_id,
        "listen": {
            "libp2p": list(network.listen_addrs()) if network else [],
            "http": None,
            "smtp": None,
            "submission": None,
            "imap": None,
        },
        "peers": len(network.peers()) if network else 0,
        "reachability": "unknown",
        "outbox": base.outbox.counts() if isinstance(base, Desk) else {"queued": 0, "failed": 0},
        "smtp": None,
        "hosts": [],
        "hosting": None,
        "disk": {"used": 0, "free": 0},
        "warnings": [],
    }
    told = dict(base.status())
    listen = told.pop("listen", None)
    found |= told
    if isinstance(listen, Mapping):
        found["listen"] |= listen
    found["warnings"] = [_warning(one) for one in _listed(found["warnings"])]
    return found


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, list | tuple) else ()


def _warning(one: object) -> object:
    if isinstance(one, Warning_):
        return {"code": one.code, "text": one.text, "remedy": one.remedy}
    return one
