"""A node without an owner: network, DHT and API only. Which rooms it has is bootstrap.service's to say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from node.api import Base, make_public_api
from node.app.doctor import examine_public
from node.app.ground import Ground, files_of, open_ground
from node.app.hosting import fit_hosting
from node.app.running import open_peers, work_until
from node.app.status import hosting_warnings, status_of, status_of_hosting
from node.files import Files
from node.hosting import Hosting
from node.identity import create_peer_key
from node.network import Network
from node.runtime.config import Config
from node.runtime.home import Home
from node.storage import create_key, unlock


@dataclass(frozen=True, slots=True)
class PublicNode:
    """What the rooms of a public node are given. `files` holds what accounts have it keep; `hosting` is None
    where it is to be no host.
    """

    ground: Ground
    network: Network
    files: Files
    hosting: Hosting | None


Room = Callable[[PublicNode], Awaitable[None]]
"""A room of a public node: fits itself to the network, then runs until it is cancelled."""

Ready = Callable[[Base], Awaitable[None]]


async def make_home(home: Home, passphrase: str | None) -> None:
    """Make keys where there are none. Raises NodeError."""
    home.create()
    if home.peer_key_file.exists():
        return
    if home.key_file.exists():
        create_peer_key(home, await unlock(home, passphrase))
    else:
        create_peer_key(home, await create_key(home, passphrase))


async def run_public(
    home: Home,
    config: Config,
    passphrase: str | None,
    *,
    rooms: Sequence[Room],
    stop: trio.Event,
    ready: Ready | None = None,
) -> None:
    """Run until `stop` is set. Raises NodeError when it can't start."""
    async with open_ground(home, config, passphrase) as ground:
        files = files_of(ground)
        await files.start()
        async with open_peers(ground, "mailio-bootstrap") as (network, _):
            hosting = fit_hosting(ground, network, public=True, files=files.hosted)
            await _work(PublicNode(ground, network, files, hosting), rooms, stop, ready)


async def _work(public: PublicNode, rooms: Sequence[Room], stop: trio.Event, ready: Ready | None) -> None:
    hosting = public.hosting

    def status() -> dict[str, object]:
        found = status_of(public.ground, public.network)
        warnings = [*found["warnings"], *hosting_warnings(hosting)]
        return found | {"hosting": status_of_hosting(hosting), "warnings": warnings}

    base = Base(
        home=public.ground.home,
        peer_id=public.network.peer_id_text,
        network=public.network,
        status=status,
        voucher=hosting.voucher if hosting is not None else None,
        stop=stop.set,
        examine=partial(examine_public, public.ground, public.network, hosting),
    )
    tasks = [partial(room, public) for room in rooms]
    await work_until(
        stop, public.ground, make_public_api(base), tasks, partial(ready, base) if ready else None
    )
