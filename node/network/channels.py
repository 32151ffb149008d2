"""Channels to and from peers: serving protocols, and a pool of open streams to busy peers."""

import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.host.basic_host import BasicHost
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator

from node.network.addresses import PeerAddress
from node.network.channel import Channel
from node.network.connections import Connections
from node.network.errors import ChannelClosed, PeerUnreachable
from node.network.host import reset
from node.network.limits import NEGOTIATION_TIMEOUT, ONE_WAY_IDLE, POOL_IDLE, POOL_STREAMS
from protocol.errors import RemoteProtocolError

log = logging.getLogger(__name__)

Handler = Callable[[Channel], Awaitable[None]]
Blame = Callable[[bytes, str], None]


class Channels:
    """Opens, keeps and serves channels. `blame` is told of a peer's faults."""

    def __init__(self, host: BasicHost, connections: Connections, blame: Blame) -> None:
        self._host, self._connections, self._blame = host, connections, blame
        self._idle: defaultdict[tuple[bytes, str], list[tuple[float, Channel]]] = defaultdict(list)

    def serve(self, protocol_id: str, handler: Handler, *, max_frame: int, deadline: float) -> None:
        """Hand every stream of this protocol to `handler`, which returns or raises when it is done.
        ChannelClosed is a normal end; a RemoteProtocolError is the peer's fault; any other
        exception is logged and ends that stream only.
        """
        run = partial(self._serve, handler, protocol_id, max_frame, deadline)
        self._host.set_stream_handler(TProtocol(protocol_id), run)

    @asynccontextmanager
    async def channel(
        self, peer: PeerAddress, protocol_id: str, *, max_frame: int, deadline: float, one_way: bool = False
    ) -> AsyncIterator[Channel]:
        """A channel for one exchange; kept open for the next if the exchange ended cleanly. On one that is
        `one_way` nothing is answered. Raises PeerUnreachable.
        """
        channel = await self._borrow(peer, protocol_id, max_frame, deadline, one_way)
        try:
            yield channel
        except BaseException as error:
            await channel.abort()
            self._judge(peer.peer_id, error)
            raise
        await self._give_back(channel, protocol_id)

    async def sweep(self) -> None:
        """Close what has not been used for POOL_IDLE."""
        oldest = trio.current_time() - POOL_IDLE
        for key, entries in list(self._idle.items()):
            old = [channel for since, channel in entries if since <= oldest or not channel.reusable]
            self._idle[key] = [(since, channel) for since, channel in entries if channel not in old]
            if not self._idle[key]:
                del self._idle[key]
            for channel in old:
                await channel.close()

    async def drop(self, peer_id: bytes) -> None:
        """Close the resting streams to a peer."""
        for key in [key for key in self._idle if key[0] == peer_id]:
            for _, channel in self._idle.pop(key):
                await channel.close()

    def forget(self, peer_id: bytes) -> None:
        """This peer is gone; so are its streams."""
        for key in [key for key in self._idle if key[0] == peer_id]:
            del self._idle[key]

    async def _borrow(
        self, peer: PeerAddress, protocol_id: str, max_frame: int, deadline: float, one_way: bool
    ) -> Channel:
        entries = self._idle.get((peer.peer_id, protocol_id), [])
        oldest = trio.current_time() - (ONE_WAY_IDLE if one_way else POOL_IDLE)
        while entries:
            since, channel = entries.pop()
            if channel.reusable and since > oldest:
                reopen = partial(self._open, peer, protocol_id, deadline)
                channel.reuse(reopen, max_frame=max_frame, deadline=deadline)
                await self._connections.connect(peer)  # a ping first where it was silent for long
                return channel
            await channel.close()  # a reset would take back what was said on it and is not read yet
        stream = await self._open(peer, protocol_id, deadline)
        channel = self._channel(stream, peer.peer_id, max_frame, deadline, served=False)
        channel.one_way = one_way
        return channel

    async def _give_back(self, channel: Channel, protocol_id: str) -> None:
        entries = self._idle[channel.peer_id, protocol_id]
        if channel.reusable and len(entries) < POOL_STREAMS:
            entries.append((trio.current_time(), channel))
        else:
            await channel.close()

    async def _open(self, peer: PeerAddress, protocol_id: str, deadline: float) -> INetStream:
        """A new stream, within `deadline` (upstream waits for ever past 256 streams)."""
        connection = await self._connections.connect(peer)
        stream: INetStream | None = None
        try:
            with trio.fail_after(min(deadline, NEGOTIATION_TIMEOUT)):
                stream = await connection.new_stream()
                talk = MultiselectCommunicator(stream)
                chosen = await self._host.multiselect_client.select_one_of(
                    [TProtocol(protocol_id)], talk, NEGOTIATION_TIMEOUT
                )
                stream.set_protocol(chosen)
                return stream
        except trio.TooSlowError:
            await self._give_up(stream)
            self._connections.suspect(peer.peer_id)
            raise PeerUnreachable("the node did not answer in time") from None
        except (BaseLibp2pError, OSError, ValueError) as error:
            await self._give_up(stream)
            raise PeerUnreachable(f"the node does not take {protocol_id}") from error
        except BaseException:
            await self._give_up(stream)
            raise

    @staticmethod
    async def _give_up(stream: INetStream | None) -> None:
        if stream is not None:
            await reset(stream)

    async def _serve(
        self, handler: Handler, protocol_id: str, max_frame: int, deadline: float, stream: INetStream
    ) -> None:
        peer_id = stream.muxed_conn.peer_id.to_bytes()
        channel = self._channel(stream, peer_id, max_frame, deadline, served=True)
        try:
            with suppress(ChannelClosed):
                await handler(channel)
            await channel.finish()
        except PeerUnreachable as error:
            log.debug("%s: %s", protocol_id, error)
        except RemoteProtocolError as error:
            self._judge(peer_id, error)
        except Exception:  # a handler's bug ends its stream, not the host
            log.exception("a request on %s failed", protocol_id)
        finally:
            await channel.abort()

    def _channel(
        self, stream: INetStream, peer_id: bytes, max_frame: int, deadline: float, *, served: bool
    ) -> Channel:
        remote = self._connections.get(peer_id)
        block = remote.block if remote else ""
        return Channel(stream, peer_id, block, max_frame=max_frame, deadline=deadline, served=served)

    def _judge(self, peer_id: bytes, error: BaseException) -> None:
        if isinstance(error, RemoteProtocolError) and error.status.category == 5:
            self._blame(peer_id, error.status.code)
        elif isinstance(error, PeerUnreachable):
            self._connections.doubt(peer_id)
