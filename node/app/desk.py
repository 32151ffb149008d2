"""The rooms of a closed store, for one command: no network, no tasks. What was written waits for `run`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import base58

from node.api import Desk
from node.app.ground import open_ground
from node.app.owner import open_owner
from node.app.status import owner_warnings, warnings_of
from node.runtime.config import Config
from node.runtime.home import Home


@asynccontextmanager
async def open_desk(home: Home, config: Config, passphrase: str | None) -> AsyncIterator[Desk]:
    """Raises NodeError: no identity, wrong passphrase, held by another process."""
    async with open_ground(home, config, passphrase, inline=True) as ground:
        async with open_owner(ground, None) as owner:

            def status() -> dict[str, object]:
                disk = ground.store.disk()
                warnings = [*warnings_of(ground), *owner_warnings(owner)]
                return {"disk": {"used": disk.used, "free": disk.free}, "warnings": warnings}

            yield Desk(
                home=home,
                peer_id=base58.b58encode(owner.peer_id).decode(),
                status=status,
                clock=ground.clock,
                events=ground.events,
                store=ground.store,
                identity=owner.identity,
                names=owner.names,
                mailbox=owner.mailbox,
                outbox=owner.outbox,
                submission=owner.submission,
                handshakes=owner.handshakes,
            )
