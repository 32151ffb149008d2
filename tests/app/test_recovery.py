"""A node whose disk was lost: until its hosts are read it takes no letters and says nothing of itself."""

import pytest

from node.api import Desk
from node.api.status import status_of
from node.exchange.wire import LETTER, MAX_FRAME
from node.hosts.recovering import begin
from node.identity import ask_identity
from node.network import Network, PeerUnreachable
from node.network.addresses import parse_peer
from node.runtime.clock import SystemClock
from node.runtime.home import Home
from node.storage import Batch, open_store, unlock
from tests.app.conftest import Run
from tests.kit.network import until


async def lose(home: Home) -> None:
    """As `mailio init --recover` leaves it."""
    async with open_store(home.database, await unlock(home, None), inline=True) as store:
        batch = Batch()
        begin(batch, (), SystemClock().now())
        await store.write(batch)


def network_of(desk: Desk) -> Network:
    assert isinstance(desk.network, Network)
    return desk.network


async def test_it_is_silent_until_hosts_are_read(alices: Home, bobs: Home, running: Run) -> None:
    await lose(alices)
    async with running(bobs) as bob, running(alices, *network_of(bob).listen_addrs()) as alice:
        peer = parse_peer(network_of(alice).listen_addrs()[0])
        told, _ = await ask_identity(network_of(bob), peer, alice.identity.address)
        assert told is None
        with pytest.raises(PeerUnreachable):
            async with network_of(bob).channel(peer, LETTER, max_frame=MAX_FRAME, deadline=10.0) as channel:
                await channel.receive()
        status = status_of(alice)
        assert ("looking", False) == (status["recovery"]["state"], status["recovery"]["settled"])
        assert "recovering" in [one["code"] for one in status["warnings"]]
        assert status["published"]["published"] is None


async def test_nothing_is_held_back_where_nothing_was_lost(alices: Home, bobs: Home, running: Run) -> None:
    async with running(bobs) as bob, running(alices, *network_of(bob).listen_addrs()) as alice:
        peer = parse_peer(network_of(alice).listen_addrs()[0])
        told, _ = await ask_identity(network_of(bob), peer, alice.identity.address)
        assert told is not None
        assert {"state": "none"} == status_of(alice)["recovery"]
        await until(lambda: status_of(alice)["published"]["published"] is not None)
