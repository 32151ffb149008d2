"""What the API is given of an owner's rooms; and those rooms on a closed store, for one command: no network,
no tasks. What such a command has written waits for `run`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import base58

from node.api import Desk
from node.app.ground import open_ground
from node.app.owner import Owner, open_owner
from node.app.status import owner_warnings, warnings_of
from node.runtime.config import Config
from node.runtime.home import Home

if TYPE_CHECKING:
    from node.network import Network


def desk_of(
    owner: Owner,
    peer_id: str,
    status: Callable[[], Mapping[str, object]],
    *,
    network: Network | None = None,
    stop: Callable[[], None] | None = None,
    owner_of: Callable[[bytes], str | None] = lambda _: None,
) -> Desk:
    """The owner's rooms as the API takes them."""
    ground = owner.ground
    return Desk(
        home=ground.home,
        peer_id=peer_id,
        network=network,
        status=status,
        stop=stop,
        owner_of=owner_of,
        clock=ground.clock,
        events=ground.events,
        store=ground.store,
        identity=owner.identity,
        names=owner.names,
        mailbox=owner.mailbox,
        outbox=owner.outbox,
        submission=owner.submission,
        handshakes=owner.handshakes,
        users=owner.users,
        passwords=owner.passwords,
    )


@asynccontextmanager
async def open_desk(home: Home, config: Config, passphrase: str | None) -> AsyncIterator[Desk]:
    """Raises NodeError: no identity, wrong passphrase, held by another process."""
    async with (
        open_ground(home, config, passphrase, inline=True) as ground,
        open_owner(ground, None) as owner,
    ):

        def status() -> dict[str, object]:
            disk = ground.store.disk()
            warnings = [*warnings_of(ground), *owner_warnings(owner)]
            return {"disk": {"used": disk.used, "free": disk.free}, "warnings": warnings}

        yield desk_of(owner, base58.b58encode(owner.peer_id).decode(), status)
