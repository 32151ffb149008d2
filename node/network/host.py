"""The libp2p host: TCP, Noise and Yamux and nothing else, with our admission at its door. What
travels on streams is no concern of this module.

Upstream's defaults (0.8.1) would also take a plaintext dialer at its word, share its port with any
other program that sets SO_REUSEPORT, never give back the slot of a closed inbound connection, dial
one address of a peer only and connect to peers on its own.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import trio
from libp2p.abc import (
    IMuxedConn,
    INetConn,
    INetStream,
    INetwork,
    INotifee,
    IRawConnection,
    ISecureConn,
)
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import X25519PrivateKey
from libp2p.custom_types import TProtocol
from libp2p.host.basic_host import BasicHost
from libp2p.host.ping import ID as PING
from libp2p.host.ping import PingService
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.trio import TrioTCPStream
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.transport.exceptions import OpenConnectionError
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr

from node.network.addresses import Scope, scope_of_ip
from node.network.admission import Admission
from node.network.errors import Busy, ListenFailed
from node.network.limits import (
    CLOSE_TIMEOUT,
    HANDSHAKE_TIMEOUT,
    MAX_CONNECTIONS_PER_PEER,
    NEGOTIATION_TIMEOUT,
)
from node.network.listener import Listener
from node.network.muxer import Buffers, Muxer
from node.network.negotiation import bound_lines
from protocol.peers import is_private_multiaddr

_RAW: Final = "mailio_raw_stream"


class Upgrader(TransportUpgrader):
    """Upstream's upgrader builds its own Yamux whatever class it was given."""

    def __init__(self, noise: NoiseTransport, buffers: Buffers) -> None:
        super().__init__({NOISE: noise}, {TProtocol(YAMUX): Yamux}, NEGOTIATION_TIMEOUT)
        self._buffers = buffers

    async def upgrade_security(
        self, raw_conn: IRawConnection, is_initiator: bool, peer_id: ID | None = None
    ) -> ISecureConn:
        secured = await super().upgrade_security(raw_conn, is_initiator, peer_id)
        setattr(secured, _RAW, getattr(raw_conn, "stream", None))
        return secured

    async def upgrade_connection(self, conn: ISecureConn, peer_id: ID) -> IMuxedConn:
        await self.muxer_multistream.select_transport(conn)
        raw = getattr(conn, _RAW)
        assert isinstance(raw, TrioTCPStream)
        return Muxer(conn, peer_id, raw=raw.stream, remote=remote_end(raw), buffers=self._buffers)


class NoDials(AutoConnector):
    """Upstream dials whomever it has heard of, up to half of what is allowed."""

    async def maybe_connect(self) -> None:
        """We say whom to dial."""


class Dialer(TCP):
    """Anybody may tell us a name; one of the internet that leads into our own network is a trick."""

    async def dial(self, maddr: Multiaddr) -> IRawConnection:
        connection = await super().dial(maddr)
        host, _ = remote_end(getattr(connection, "stream", None))
        text = str(maddr)
        named = text.startswith("/dns") and not is_private_multiaddr(text)
        if named and scope_of_ip(host) is not Scope.PUBLIC:
            await connection.close()
            raise OpenConnectionError(f"{maddr} leads to a private address")
        return connection


class NodeSwarm(Swarm):
    """Connections, each admitted by us and forgotten when it closes."""

    def __init__(
        self, peer_id: ID, store: PeerStore, upgrader: Upgrader, admission: Admission, buffers: Buffers
    ) -> None:
        self.buffers = buffers
        config = ConnectionConfig(
            max_connections=admission.max_connections,
            min_connections=0,
            low_watermark=0,
            high_watermark=admission.max_connections,
            max_connections_per_peer=MAX_CONNECTIONS_PER_PEER,
            inbound_stream_protocol_negotiation_timeout=NEGOTIATION_TIMEOUT,
            outbound_stream_protocol_negotiation_timeout=NEGOTIATION_TIMEOUT,
            inbound_upgrade_timeout=HANDSHAKE_TIMEOUT,
            outbound_upgrade_timeout=HANDSHAKE_TIMEOUT,
        )
        super().__init__(peer_id, store, upgrader, [Dialer()], RetryConfig(max_retries=0), config)
        self._admission = admission
        self.auto_connector = NoDials(self)

    async def open_listener(self, addr: str) -> Listener:
        """Listen on a multiaddr; the caller runs `serve`. Raises ListenFailed."""
        try:
            maddr = Multiaddr(addr)
        except Exception as error:  # the library raises whatever its parsers do
            raise ListenFailed(addr, "this is no multiaddr") from error
        listener = Listener(lambda stream: self._handle_inbound_connection(stream, maddr))
        await listener.listen(maddr)
        self.listeners[addr] = listener
        return listener

    async def _handle_inbound_connection(self, read_write_closer: ReadWriteCloser, maddr: Multiaddr) -> None:
        """From accept to close. Upstream waits for the end of the swarm here instead."""
        host, _ = remote_end(read_write_closer)
        try:
            with self._admission.connection(host):
                with self._admission.handshake(host):
                    raw = RawConnection(read_write_closer, initiator=False)
                    muxed = await self.upgrade_inbound_raw_conn(raw, maddr)
                self._admission.counters["inbound"] += 1
                assert isinstance(muxed, Muxer)
                await muxed.event_closed.wait()
        except Busy:
            self._admission.counters["inbound-refused"] += 1
        except Exception:  # noqa: BLE001 - a stranger's handshake must not end the host; it is counted
            self._admission.counters["inbound-failed"] += 1
            self._admission.blame_host(host)

    async def close_all(self) -> None:
        """Close every connection politely, all at once, within CLOSE_TIMEOUT."""
        with trio.move_on_after(CLOSE_TIMEOUT):
            async with trio.open_nursery() as nursery:
                for connection in self.get_connections():
                    nursery.start_soon(connection.close)


class Watcher(INotifee):
    """Tells of connections that came and went."""

    def __init__(self, came: Callable[[INetConn], None], went: Callable[[INetConn], None]) -> None:
        self._came, self._went = came, went

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        self._came(conn)

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        self._went(conn)

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        """Channels do their own counting."""

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        """Channels do their own counting."""

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """We know where we listen."""

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """We know where we listen."""


def build_host(key_seed: bytes, admission: Admission, buffers: Buffers) -> tuple[BasicHost, NodeSwarm]:
    """A host with this Ed25519 seed as its peer key. It serves ping only. Several may share `buffers`."""
    _quiet_logs(admission)
    bound_lines()
    keys = create_new_key_pair(key_seed)
    upgrader = Upgrader(NoiseTransport(keys, noise_privkey=X25519PrivateKey.new()), buffers)
    store = PeerStore()
    peer_id = ID.from_pubkey(keys.public_key)
    store.add_key_pair(peer_id, KeyPair(keys.private_key, keys.public_key))
    swarm = NodeSwarm(peer_id, store, upgrader, admission, buffers)
    host = BasicHost(
        swarm, default_protocols=OrderedDict({PING: _no_host_yet}), disable_identify_address_discovery=True
    )
    host.set_stream_handler(PING, PingService(host).handle_ping)
    swarm.notifees.clear()  # tags and identify in tasks that nobody owns: we do without
    _guard_streams(swarm, admission)
    return host, swarm


def remote_end(connection: object) -> tuple[str, int]:
    """IP address and port of the other end; ("", 0) if it is gone. (Upstream knows none for IPv6.)"""
    stream = getattr(connection, "stream", None)
    try:
        host, port = stream.socket.getpeername()[:2] if stream is not None else ("", 0)
    except OSError:
        return "", 0
    return str(host), int(port)


def _guard_streams(swarm: NodeSwarm, admission: Admission) -> None:
    """An exception that escapes a stream's handler would end the whole host."""
    negotiate = swarm.common_stream_handler

    async def guarded(stream: INetStream) -> None:
        muxed = stream.muxed_conn
        host = muxed.remote_host if isinstance(muxed, Muxer) else ""
        try:
            with admission.stream(muxed.peer_id.to_bytes(), host):
                await negotiate(stream)
        except Busy:
            admission.counters["streams-refused"] += 1
            await reset(stream)
        except Exception:  # noqa: BLE001 - see above; handlers of our own log before it comes to this
            admission.counters["streams-failed"] += 1
            await reset(stream)

    swarm.set_stream_handler(guarded)


async def reset(stream: INetStream) -> None:
    """Reset a stream, whatever its state, within CLOSE_TIMEOUT."""
    with trio.move_on_after(CLOSE_TIMEOUT) as scope:
        scope.shield = True
        try:
            await stream.reset()
        except Exception:  # noqa: BLE001 - it is gone already, in one of upstream's many ways
            return


async def _no_host_yet(stream: INetStream) -> None:
    await stream.reset()


def _quiet_logs(admission: Admission) -> None:
    """Normal ends of streams fill hundreds of lines: upstream's log is counted, not written."""

    class Count(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            admission.counters[f"libp2p-{record.levelname.lower()}"] += 1

    upstream = logging.getLogger("libp2p")
    upstream.setLevel(logging.ERROR)
    upstream.propagate = False
    upstream.handlers = [Count()]
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())  # its calls of logging.debug() would install a real one
