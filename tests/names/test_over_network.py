"""An owner publishes itself with real peers, and another finds it there by its address alone."""

from functools import partial
from pathlib import Path

import trio

from node.identity import Profile, Publisher, ask_identity, create, load, node_of, serve_identity
from node.names import Names
from node.network import PeerAddress
from node.runtime.home import Home
from node.runtime.worker import open_worker
from node.storage import Batch, Store
from protocol.errors import RemoteProtocolError
from protocol.identity import IdentityRecord
from protocol.link import ContactLink
from protocol.peers import Peer
from tests.kit.network import BOUND, a_network, until
from tests.kit.owners import NOW
from tests.kit.stores import KEY
from tests.names.conftest import World


class Sure:
    """A clock that is to be believed."""

    doubtful: str | None = None


class Owners:
    """Identity records under their own address, the newest first."""

    def validate(self, address: str, value: bytes) -> None:
        if IdentityRecord.parse(value, NOW).address != address:
            raise RemoteProtocolError("under another's name")

    def select(self, address: str, values: list[bytes]) -> int:
        return max(range(len(values)), key=lambda n: (IdentityRecord.parse(values[n], None).seq, n))

    def is_stamped(self, address: str, value: bytes) -> bool:
        return False


async def test_found_by_address_alone(tmp_path: Path, store: Store, world: World) -> None:
    home = Home(tmp_path / "home")
    create(home, KEY, bytes(32), NOW)
    alice = load(home, KEY)
    rules = Owners()
    with trio.fail_after(BOUND):
        async with (
            a_network(validator=rules) as first,
            a_network(first, validator=rules) as hers,
            a_network(first, validator=rules) as his,
            open_worker() as worker,
            trio.open_nursery() as nursery,
        ):
            alice.attach(store, Profile(lambda: (node_of(hers.peer_id, hers.listen_addrs()),)))
            publisher = Publisher(alice, hers, store, world, Sure(), worker)
            hers.on_connected(lambda _: publisher.peer_connected())
            serve_identity(hers, lambda _: alice.record(NOW).record, world)
            nursery.start_soon(publisher.run)
            await until(lambda: publisher.stored > 0)

            names = Names(store, his, partial(ask_identity, his), world, world.doubtful)
            assert await names.find(alice.address, NOW) == alice.record(NOW)
            # Loopback is never published: the network finds the node by its id.
            assert alice.record(NOW).nodes == (Peer(hers.peer_id),)
            (node,) = names.nodes_of(alice.address)
            assert node == PeerAddress(hers.peer_id)
            assert await ask_identity(his, node, alice.address) == (alice.record(NOW).record, NOW)
            nursery.cancel_scope.cancel()


async def test_found_by_a_link_without_any_dht(tmp_path: Path, store: Store, world: World) -> None:
    home = Home(tmp_path / "home")
    create(home, KEY, bytes(32), NOW)
    alice = load(home, KEY)
    with trio.fail_after(BOUND):
        async with a_network() as hers, a_network() as his:
            serve_identity(hers, lambda _: alice.record(NOW).record, world)
            names = Names(store, his, partial(ask_identity, his), world, world.doubtful)
            batch = Batch()
            names.learn_link(batch, ContactLink.parse(alice.link(hers.listen_addrs())))
            await store.write(batch)
            assert await names.find(alice.address, NOW) == alice.record(NOW)
