"""Listening, dialling, joining: real TCP on loopback."""

import errno
import socket

import pytest
import trio
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.transport.tcp import tcp
from multiaddr import Multiaddr

from node.network import (
    BadAddress,
    ListenFailed,
    MemoryPeerBook,
    Network,
    NetworkSettings,
    PeerAddress,
    PeerUnreachable,
    identify,
    join,
    limits,
    listener,
    parse_peer,
)
from node.network.addresses import Scope, scope_of
from node.network.connections import CROSSING_MS
from node.network.errors import NoSuchFamily
from node.network.muxer import Muxer
from node.runtime.errors import NodeError
from node.runtime.rooms import Warning_
from tests.kit.gates import Hand
from tests.kit.network import BOUND, LISTEN, a_network, until

SEED = bytes(range(32))


def port_of(network: Network) -> int:
    return int(network.listen_addrs()[0].split("/")[4])


async def test_the_real_port_is_told() -> None:
    async with a_network() as network:
        assert port_of(network) > 0
        assert network.listen_addrs()[0].endswith(f"/p2p/{network.peer_id_text}")


async def test_a_wildcard_is_told_as_addresses_of_this_machine() -> None:
    async with a_network(listen=("/ip4/0.0.0.0/tcp/0",)) as network:
        addrs = [addr.split("/p2p/")[0] for addr in network.listen_addrs()]
        assert all("0.0.0.0" not in addr for addr in addrs)
        assert min(map(scope_of, addrs)) is Scope.LOOPBACK
        assert network.public_addrs() == [a for a in network.listen_addrs() if scope_of(a) is Scope.PUBLIC]


async def test_who_comes_again_is_told_of_though_its_old_connection_seems_to_live() -> None:
    """A laptop that moved, or started again after a power cut: nobody heard the end of what it had."""
    hand, came = Hand(), list[bytes]()
    async with a_network(clock=hand) as alice, a_network(seed=SEED) as bob:
        alice.on_connected(came.append)
        where = alice.listen_addrs()[0]
        await bob.connect(where)
        await until(lambda: came == [bob.peer_id])
        async with a_network(seed=SEED) as crossing:
            await crossing.connect(where)
            await until(lambda: len(alice._connections._live(bob.peer_id)) == 2)
            hand.time += CROSSING_MS
            async with a_network(seed=SEED) as moved:
                await moved.connect(where)
                await until(lambda: len(came) > 1)
        assert came == [bob.peer_id] * 2


async def test_the_peer_id_comes_from_the_key() -> None:
    async with a_network(seed=SEED) as network:
        first = network.peer_id
    async with a_network(seed=SEED) as network:
        assert network.peer_id == first


async def test_a_port_in_use_is_told_with_a_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ListenFailed, match="in use"):
            async with a_network(listen=(f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}",)):
                pass


async def test_two_nodes_cannot_share_a_port() -> None:
    async with a_network() as network:
        listen = (network.listen_addrs()[0].split("/p2p/")[0],)
        with pytest.raises(ListenFailed):
            async with a_network(listen=listen):
                pass


@pytest.mark.parametrize(
    "listen", ["nonsense", "/ip4/127.0.0.1/udp/1", "/dns4/localhost/tcp/0", "/ip4/192.0.2.1/tcp/0"]
)
async def test_what_cannot_be_listened_on_is_told(listen: str) -> None:
    with pytest.raises(ListenFailed):
        async with a_network(listen=(listen,)):
            pass


async def test_connected_peers_are_shown_on_both_sides() -> None:
    async with a_network() as alice, a_network() as bob:
        came: list[bytes] = []
        bob.on_connected(came.append)
        assert await alice.connect(bob.listen_addrs()[0]) == bob.peer_id
        await until(lambda: came == [alice.peer_id])
        (of_alice,), (of_bob,) = alice.peers(), bob.peers()
        assert (of_alice.peer_id, of_alice.via, of_alice.agent) == (bob.peer_id, "outbound", "mailio-node")
        assert (of_bob.peer_id, of_bob.via, of_bob.agent) == (alice.peer_id, "inbound", "mailio-node")
        assert alice.reachability == "private"
        assert [check.state for check in await alice.checks()] == ["ok", "ok"]
        assert (alice.status()["peers"], alice.status()["warnings"]) == (1, [])


async def test_over_ipv6_too() -> None:
    try:
        async with a_network(listen=("/ip6/::1/tcp/0",)) as bob, a_network() as alice:
            await alice.connect(bob.listen_addrs()[0])
            remote = bob._connections.get(alice.peer_id)
            assert remote is not None
            assert (remote.host, remote.block, remote.scope) == ("::1", "::/48", Scope.LOOPBACK)
    except ListenFailed:
        pytest.skip("no IPv6 here")


async def test_somebody_else_at_an_address_is_not_the_peer() -> None:
    async with a_network() as alice, a_network() as bob, a_network() as carol:
        wrong = PeerAddress(carol.peer_id, parse_peer(bob.listen_addrs()[0]).addrs)
        with pytest.raises(PeerUnreachable):
            await alice.reach(wrong)
        assert not alice.is_connected(carol.peer_id)


async def test_a_dead_address_does_not_hide_a_good_one() -> None:
    async with a_network() as alice, a_network() as bob:
        peer = parse_peer(bob.listen_addrs()[0])
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            dead = f"/ip4/127.0.0.1/tcp/{silent.getsockname()[1]}"
            await alice.reach(PeerAddress(peer.peer_id, (dead, *peer.addrs)))
        assert alice.is_connected(bob.peer_id)


async def test_a_peer_that_came_back_is_reached_at_once() -> None:
    async with a_network() as alice:
        async with a_network(seed=SEED) as bob:
            addr = bob.listen_addrs()[0]
        with pytest.raises(PeerUnreachable):
            await alice.connect(addr)
        with trio.fail_after(BOUND):
            async with a_network(seed=SEED, listen=(addr.split("/p2p/")[0],)) as bob:
                await alice.connect(addr)
                assert alice.is_connected(bob.peer_id)


async def test_a_bad_address_is_told() -> None:
    async with a_network() as alice:
        with pytest.raises(BadAddress):
            await alice.connect("/ip4/127.0.0.1/tcp/1")


async def test_a_blamed_peer_is_sent_away_and_refused() -> None:
    async with a_network() as alice, a_network() as bob:
        await alice.connect(bob.listen_addrs()[0])
        await until(lambda: bob.is_connected(alice.peer_id))
        for _ in range(limits.FAULTS_PER_PEER):
            bob.blame(alice.peer_id, "5.6.0")
        await until(lambda: not bob.is_connected(alice.peer_id) and not alice.is_connected(bob.peer_id))
        with pytest.raises(PeerUnreachable):
            await bob.connect(alice.listen_addrs()[0])
        with trio.move_on_after(1):
            await alice.connect(bob.listen_addrs()[0])
        await until(lambda: not bob.is_connected(alice.peer_id))


async def test_the_slot_of_a_closed_connection_is_given_back() -> None:
    async with a_network(settings=NetworkSettings(listen=(LISTEN,), max_connections=2)) as bob:
        for _ in range(5):
            async with a_network() as alice:
                await alice.connect(bob.listen_addrs()[0])
            await until(lambda: not bob.peers())
        assert bob.counters["inbound-refused"] == 0
        assert bob.counters["inbound"] == 5


async def test_nothing_is_served_but_what_we_mean_to() -> None:
    async with a_network(server=True) as bob:
        served = {str(protocol) for protocol in bob._host.get_mux().get_protocols()}
        assert served == {"/ipfs/ping/1.0.0", "/ipfs/id/1.0.0", "/mailio/kad/1.0.0", "/ipfs/bitswap/1.2.0"}
    async with a_network(server=False) as bob:
        served = {str(protocol) for protocol in bob._host.get_mux().get_protocols()}
        assert served == {"/ipfs/ping/1.0.0", "/ipfs/id/1.0.0", "/ipfs/bitswap/1.2.0"}


@pytest.mark.parametrize(
    ("protocol", "taken"), [("/plaintext/2.0.0", False), ("/tls/1.0.0", False), ("/noise", True)]
)
async def test_only_noise_is_offered(protocol: str, taken: bool) -> None:
    async with a_network() as bob:
        stream = await trio.open_tcp_stream("127.0.0.1", port_of(bob))
        async with stream:
            for line in ("/multistream/1.0.0", protocol):
                await stream.send_all(bytes([len(line) + 1]) + line.encode() + b"\n")
            got = b""
            with trio.fail_after(BOUND):
                while got.count(b"\n") < 2:
                    got += await stream.receive_some(1024)
        assert got.splitlines()[1][1:].decode() == (protocol if taken else "na")


async def test_an_old_acquaintance_is_dialled_without_a_first_peer() -> None:
    async with a_network() as bob:
        book = MemoryPeerBook([parse_peer(bob.listen_addrs()[0])])
        async with a_network(book=book) as alice:
            await until(lambda: alice.is_connected(bob.peer_id))


async def test_servers_that_were_good_are_remembered() -> None:
    book = MemoryPeerBook()
    async with a_network() as bob, a_network(bob, book=book):
        await until(lambda: list(book.items()) == [parse_peer(bob.listen_addrs()[0])])


async def test_a_book_that_can_not_be_written_or_read_does_not_end_the_node() -> None:
    asked = trio.Event()

    class Broken(MemoryPeerBook):
        def items(self) -> list[PeerAddress]:
            raise NodeError("store-unreadable", "the database can't be read")

    class Full(MemoryPeerBook):
        async def remember(self, peer: PeerAddress) -> None:
            asked.set()
            raise NodeError("disk-full", "the disk is full")

    async with a_network() as bob, a_network(bob, book=Full()) as alice:
        async with a_network(bob, book=Broken()) as carol:
            with trio.fail_after(BOUND):
                await asked.wait()
            await until(lambda: alice.is_connected(bob.peer_id) and carol.is_connected(bob.peer_id))


async def test_a_node_joins_when_its_first_peer_comes_and_again_when_it_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(join, "JOIN_FIRST", 0.05)
    async with a_network(seed=SEED) as boot:
        listen = (boot.listen_addrs()[0].split("/p2p/")[0],)
    book = MemoryPeerBook([PeerAddress(boot.peer_id, listen)])
    async with a_network(book=book) as alice:
        for _ in range(2):
            async with a_network(seed=SEED, listen=listen):
                await until(lambda: alice.is_connected(boot.peer_id))
            await until(lambda: not alice.peers())


async def test_a_node_that_reaches_nobody_says_so() -> None:
    async with a_network(seed=SEED) as gone:
        pass
    settings = NetworkSettings(listen=(LISTEN,), bootstrap=(f"/ip4/127.0.0.1/tcp/9/p2p/{gone.peer_id_text}",))
    async with a_network(settings=settings) as alice:
        assert [check.state for check in await alice.checks()] == ["ok", "fail"]
        assert alice.status()["warnings"] == [
            Warning_("no-peers", "no node is connected", "it is tried again by itself")
        ]


async def test_a_peer_is_told_where_we_see_it() -> None:
    with trio.fail_after(BOUND):
        async with a_network() as bob, a_network(bob) as alice:
            await alice.connect(bob.listen_addrs()[0])
            peer = parse_peer(bob.listen_addrs()[0])
            async with alice.channel(
                peer, identify.PROTOCOL, max_frame=identify.MAX_FRAME, deadline=identify.DEADLINE
            ) as channel:
                answer = Identify.FromString(await channel.receive())
            [connection] = alice._connections._live(bob.peer_id)
            assert isinstance(connection.muxed_conn, Muxer)
            host, port = connection.muxed_conn._raw.socket.getsockname()
            assert str(Multiaddr(answer.observed_addr)) == f"/ip4/{host}/tcp/{port}"


async def test_a_machine_without_ipv6_listens_on_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    bind = listener._bind

    async def without(kind: str, host: str, port: int) -> trio.SocketListener:
        if kind == "ip6":
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return await bind(kind, host, port)

    monkeypatch.setattr(listener, "_bind", without)
    async with a_network(listen=(LISTEN, "/ip6/::1/tcp/0")) as bob:
        (only,) = bob.listen_addrs()
        assert only.startswith("/ip4/127.0.0.1/tcp/")
    with pytest.raises(NoSuchFamily):
        async with a_network(listen=("/ip6/::1/tcp/0",)):
            pass


@pytest.mark.parametrize(("name", "reached"), [("node.example", False), ("pi.lan", True)])
async def test_a_name_of_the_internet_does_not_lead_into_our_own_network(
    monkeypatch: pytest.MonkeyPatch, name: str, reached: bool
) -> None:
    async def resolve(maddr: Multiaddr, **_: object) -> list[Multiaddr]:
        return [Multiaddr(str(maddr).replace(f"/dns4/{name}/", "/ip4/127.0.0.1/"))]

    monkeypatch.setattr(tcp, "resolve_multiaddr_with_retry", resolve)
    async with a_network(server=False) as alice, a_network(server=False) as bob:
        peer = f"/dns4/{name}/tcp/{port_of(bob)}/p2p/{bob.peer_id_text}"
        if reached:
            await alice.connect(peer)
        else:
            with pytest.raises(PeerUnreachable):
                await alice.connect(peer)
        assert alice.is_connected(bob.peer_id) is reached
