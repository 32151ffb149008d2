"""Routes that only commands need: who we are, our peers, the words, stopping."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import Field

from node.api.desk import Base, Desk
from node.api.fields import MAX_PEOPLE, Body, Time, Who, Word
from node.api.people import book_of
from node.api.problem import needs_network
from node.letters.uploads import MAX_ATTACHMENTS
from node.runtime.errors import NodeError
from node.storage import Batch
from protocol.errors import LocalProtocolError
from protocol.keys import did_of, root_of

WORDS: Final = 24


class Words(Body):
    """The owner's recovery words. They are compared and forgotten; no log and no error repeats them."""

    words: Annotated[list[Word], Field(min_length=1, max_length=2 * WORDS)] = Field(repr=False)


class Recipients(Body):
    """Whom a letter is to go to, and the bytes of each file that goes with it, before it is written."""

    who: Annotated[list[Who], Field(min_length=1, max_length=MAX_PEOPLE)]
    sizes: Annotated[list[Time], Field(max_length=MAX_ATTACHMENTS)] = Field(default_factory=list)


def routes(base: Base) -> APIRouter:
    """What every node answers."""
    router = APIRouter()

    @router.get("/id")
    async def identity() -> dict[str, Any]:
        return id_of(base)

    @router.get("/peers")
    async def peers() -> list[dict[str, Any]]:
        return peers_of(base)

    @router.post("/stop", status_code=202)
    async def stop() -> dict[str, Any]:
        if base.stop is None:
            raise needs_network()
        base.stop()
        return {"stopping": True}

    return router


def owner_routes(desk: Desk) -> APIRouter:
    """What a node with an owner answers besides."""
    router = APIRouter()

    @router.post("/words")
    async def confirm(body: Words) -> dict[str, Any]:
        try:
            root_of(body.words)
        except LocalProtocolError as fault:  # it names the place, never the word
            raise NodeError("words-differ", str(fault), "type all 24 words in their order") from None
        if not desk.identity.matches(body.words):
            raise NodeError(
                "words-differ", "these are not the words of this identity", "check each word and their order"
            )
        batch = Batch()
        desk.identity.confirm(batch)
        await desk.store.write(batch)
        return {"confirmed": True}

    @router.post("/recipients")
    async def recipients(body: Recipients) -> dict[str, Any]:
        """Raises what sending to them would; `routes` are mailio (sealed), smtp (open), later (it is looked
        up again before the letter goes) or held (until its author decides), in their order.
        """
        routes = await desk.submission.check(body.who, body.sizes)
        for size in body.sizes:
            desk.uploads.require(size)
        return {"known": True, "routes": routes}

    return router


def id_of(base: Base) -> dict[str, Any]:
    """The whole of `id --json`. The link names our addresses only while the node listens on them."""
    addrs = list(base.network.listen_addrs()) if base.network else []
    if not isinstance(base, Desk):
        return {"address": None, "did": None, "peerId": base.peer_id, "addrs": addrs, "link": None}
    owner = base.identity
    return {
        "address": owner.address,
        "did": did_of(owner.address),
        "peerId": base.peer_id,
        "addrs": addrs,
        "link": owner.link(addrs),
    }


def peers_of(base: Base) -> list[dict[str, Any]]:
    """The whole of `peers --json`."""
    if base.network is None:
        raise needs_network()
    book = book_of(base.names) if isinstance(base, Desk) else {}
    from node.network import peer_id_text  # libp2p comes with it, which a closed store does without

    return [
        {
            "peerId": peer_id_text(peer.peer_id),
            "address": (owner := base.owner_of(peer.peer_id)),
            "name": book.get(owner or ""),
            "via": "direct",  # relays do not exist yet
            "direction": peer.via,
            "rtt": peer.rtt,
            "agent": peer.agent,
            "since": peer.since,
        }
        for peer in base.network.peers()
    ]
