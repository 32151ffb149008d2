"""Connections to peers: dialling, knowing who is there, asking whether he still is. Streams and what
they carry are channels.py's.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import trio
from libp2p.abc import INetConn
from libp2p.exceptions import BaseLibp2pError
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from node.network.addresses import PeerAddress, Scope, block_of, dialable, peer_id_text, scope_of_ip
from node.network.admission import Admission
from node.network.errors import PeerUnreachable
from node.network.host import NodeSwarm
from node.network.identify import Identity
from node.network.limits import (
    CONNECT_TIMEOUT,
    DIAL_STAGGER,
    DIAL_TIMEOUT,
    MAX_ADDRS,
    PROBE_AFTER,
    PROBE_TIMEOUT,
)
from node.network.muxer import Muxer
from node.runtime.clock import Clock

log = logging.getLogger(__name__)


CROSSING_MS: Final = 10_000
"""Milliseconds in which two who call each other at once are done (CONNECT_TIMEOUT). Who comes again later has
restarted or moved, and the connection that we still see leads nowhere.
"""


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One connected peer for `mailio peers`. `rtt` in milliseconds, `since` in Unix ms; `via` is
    "inbound" or "outbound".
    """

    peer_id: bytes
    via: str
    rtt: int | None
    agent: str
    since: int


@dataclass(frozen=True, slots=True)
class Remote:
    """What is known of a connected peer."""

    peer_id: bytes
    host: str
    port: int
    inbound: bool
    since: int
    identity: Identity | None = None

    @property
    def scope(self) -> Scope:
        """From how far away it came."""
        return scope_of_ip(self.host)

    @property
    def addr(self) -> str:
        """The multiaddr that we see it at; "" if it was gone before we looked."""
        family = "ip6" if ":" in self.host else "ip4"
        return f"/{family}/{self.host}/tcp/{self.port}" if self.host else ""

    @property
    def block(self) -> str:
        """The address block it came from."""
        return block_of(self.host)


class Connections:
    """Who is connected. `came` is called for each peer that was not connected before, or that comes anew,
    `went` when its last connection closed.
    """

    def __init__(self, swarm: NodeSwarm, admission: Admission, clock: Clock) -> None:
        self._swarm, self._admission, self._clock = swarm, admission, clock
        self._remotes: dict[bytes, Remote] = {}
        self._dialling: dict[bytes, trio.Lock] = {}
        self.came: Callable[[Remote], None] = lambda _: None
        self.went: Callable[[bytes], None] = lambda _: None

    def get(self, peer_id: bytes) -> Remote | None:
        """A connected peer."""
        return self._remotes.get(peer_id) if self._live(peer_id) else None

    def all(self) -> list[Remote]:
        """Every connected peer."""
        return [remote for peer_id, remote in list(self._remotes.items()) if self._live(peer_id)]

    def identified(self, peer_id: bytes, identity: Identity) -> None:
        """Remember what a peer said of itself."""
        remote = self._remotes.get(peer_id)
        if remote is not None:
            self._remotes[peer_id] = replace(remote, identity=identity)

    def peers(self) -> list[PeerStatus]:
        """Every connected peer, for display."""
        return [self._status(remote) for remote in self.all()]

    async def connect(self, peer: PeerAddress) -> SwarmConn:
        """A connection to this peer that answers, dialled if there is none. Raises PeerUnreachable."""
        if self._admission.refuses(peer.peer_id):
            raise PeerUnreachable("this node broke the rules too often and is refused for some minutes")
        connection = await self._answering(peer.peer_id)
        if connection is not None:
            return connection
        lock = self._dialling.setdefault(peer.peer_id, trio.Lock())
        try:
            async with lock:
                live = self._live(peer.peer_id)
                return live[0] if live else await self._dial(peer)
        finally:
            if not lock.locked():
                self._dialling.pop(peer.peer_id, None)

    def suspect(self, peer_id: bytes) -> None:
        """End a peer's connections at once: it does not answer, or is not wanted."""
        for connection in self._live(peer_id):
            if isinstance(connection.muxed_conn, Muxer):
                connection.muxed_conn.kill()

    def blame(self, peer_id: bytes, fault: str) -> None:
        """Count a fault of a peer. Over the budget it is disconnected and refused for a while."""
        remote = self.get(peer_id)
        if self._admission.blame(peer_id, remote.host if remote else None, fault):
            self.suspect(peer_id)

    def doubt(self, peer_id: bytes) -> None:
        """A peer did not answer in time: ping it before its connection is used again."""
        for connection in self._live(peer_id):
            _muxer(connection).heard = float("-inf")

    def opened(self, connection: INetConn) -> None:
        """A connection came up (called by the swarm)."""
        peer_id = connection.muxed_conn.peer_id.to_bytes()
        if self._admission.refuses(peer_id):
            assert isinstance(connection.muxed_conn, Muxer)
            connection.muxed_conn.kill()
            return
        muxer = connection.muxed_conn
        assert isinstance(muxer, Muxer)
        if (before := self._remotes.get(peer_id)) is not None:
            others = [one for one in self._live(peer_id) if one is not connection]
            if others and (muxer.is_initiator or self._clock.now() - before.since < CROSSING_MS):
                return
            if not others:  # its end has not been told yet
                self.went(peer_id)
        remote = Remote(
            peer_id, muxer.remote_host, muxer.remote_port, not muxer.is_initiator, self._clock.now()
        )
        self._remotes[peer_id] = remote
        self.came(remote)

    def closed(self, connection: INetConn) -> None:
        """A connection went (called by the swarm)."""
        peer_id = connection.muxed_conn.peer_id.to_bytes()
        if not self._live(peer_id) and self._remotes.pop(peer_id, None) is not None:
            if self._swarm.peerstore.has_peer(ID(peer_id)):
                self._swarm.peerstore.clear_peerdata(ID(peer_id))
            self.went(peer_id)

    def _live(self, peer_id: bytes) -> list[SwarmConn]:
        """Open connections to a peer, the one heard last first."""
        found = [
            connection
            for connection in self._swarm.get_connections(ID(peer_id))
            if isinstance(connection, SwarmConn) and not connection.is_closed and _muxer(connection).usable
        ]
        return sorted(found, key=lambda connection: -_muxer(connection).heard)

    async def _answering(self, peer_id: bytes) -> SwarmConn | None:
        """A connection that was heard lately, or answers a ping; one that does not is ended."""
        for connection in self._live(peer_id):
            muxer = _muxer(connection)
            if trio.current_time() - muxer.heard < PROBE_AFTER or await muxer.probe(PROBE_TIMEOUT):
                return connection
            self._admission.counters["probe-failed"] += 1
            muxer.kill()
        return None

    async def _dial(self, peer: PeerAddress) -> SwarmConn:
        """The first address that answers, started DIAL_STAGGER apart (upstream tries one address,
        and remembers a failure for 60 s against the peer).
        """
        addrs = [addr for addr in map(dialable, peer.addrs[:MAX_ADDRS]) if addr is not None]
        found: list[SwarmConn] = []
        with trio.move_on_after(CONNECT_TIMEOUT):
            async with trio.open_nursery() as nursery:
                for addr in addrs:
                    failed = trio.Event()
                    nursery.start_soon(self._try, addr, peer.peer_id, failed, found, nursery.cancel_scope)
                    with trio.move_on_after(DIAL_STAGGER):
                        await failed.wait()
        if not found:
            self._admission.counters["dial-failed"] += 1
            where = "none of its addresses answers" if addrs else "no address of it is known"
            raise PeerUnreachable(f"can't reach the node {peer_id_text(peer.peer_id)}: {where}")
        return found[0]

    async def _try(
        self, addr: str, peer_id: bytes, failed: trio.Event, found: list[SwarmConn], done: trio.CancelScope
    ) -> None:
        try:
            with trio.fail_after(DIAL_TIMEOUT):
                connection = await self._swarm.dial_addr(Multiaddr(addr), ID(peer_id))
            assert isinstance(connection, SwarmConn)
            found.append(connection)
            done.cancel()
        except (BaseLibp2pError, OSError, trio.TooSlowError, ValueError) as error:
            log.debug("dial %s: %r", addr, error)
        finally:
            failed.set()

    def _status(self, remote: Remote) -> PeerStatus:
        rtt = _muxer(self._live(remote.peer_id)[0]).rtt()
        agent = remote.identity.agent if remote.identity else ""
        via = "inbound" if remote.inbound else "outbound"
        return PeerStatus(remote.peer_id, via, round(rtt * 1000) if rtt else None, agent, remote.since)


def _muxer(connection: SwarmConn) -> Muxer:
    assert isinstance(connection.muxed_conn, Muxer)
    return connection.muxed_conn
