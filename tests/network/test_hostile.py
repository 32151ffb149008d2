"""Strangers on the TCP port and on streams: the node goes on, and what they can make it hold is bounded."""

import os
import struct
from contextlib import suppress
from typing import cast

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.io.abc import Reader, ReadWriteCloser
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.peer.id import ID
from libp2p.protocol_muxer.exceptions import MultiselectCommunicatorError
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.stream_muxer.yamux.yamux import TYPE_DATA, YAMUX_HEADER_FORMAT

from node.network import Channel, Network, NetworkSettings, host, limits, parse_peer
from node.network.muxer import Buffers, Muxer
from tests.kit.network import BOUND, LISTEN, a_network, until

PROTOCOL = "/mailio/test/1"


async def echo(channel: Channel) -> None:
    while True:
        await channel.send(await channel.receive())


async def works(bob: Network) -> bool:
    """Whether somebody new is served."""
    async with a_network(server=False) as alice:
        peer = parse_peer(bob.listen_addrs()[0])
        async with alice.channel(peer, PROTOCOL, max_frame=1024, deadline=BOUND) as channel:
            await channel.send(b"hello")
            return await channel.receive() == b"hello"


async def knock(bob: Network) -> trio.SocketStream:
    return await trio.open_tcp_stream("127.0.0.1", int(bob.listen_addrs()[0].split("/")[4]))


async def test_garbage_on_the_port() -> None:
    async with a_network() as bob:
        bob.serve(PROTOCOL, echo, max_frame=1024, deadline=5)
        for size in (0, 1, 100, 100_000):
            stream = await knock(bob)
            try:
                await stream.send_all(os.urandom(size))
                await stream.send_eof()
                while await stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
            await stream.aclose()
        await until(lambda: bob.counters["inbound-failed"] == 4)
        assert await works(bob)


async def test_garbage_in_the_place_of_a_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "HANDSHAKE_TIMEOUT", 0.5)
    async with a_network() as bob:
        bob.serve(PROTOCOL, echo, max_frame=1024, deadline=5)
        stream = await knock(bob)
        for line in (b"/multistream/1.0.0\n", b"/noise\n"):
            await stream.send_all(bytes([len(line)]) + line)
        await stream.send_all(os.urandom(2_000))
        await until(lambda: bob.counters["inbound-failed"] == 1)
        await stream.aclose()
        assert await works(bob)


async def test_handshakes_that_stop_half_way_take_no_more_than_their_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host, "HANDSHAKE_TIMEOUT", 0.5)
    async with a_network() as bob:
        bob.serve(PROTOCOL, echo, max_frame=1024, deadline=5)
        idle = [await knock(bob) for _ in range(limits.MAX_HANDSHAKES_PER_BLOCK + 10)]
        await until(lambda: bob.counters["inbound-refused"] == 10)
        await until(lambda: bob.counters["inbound-failed"] == limits.MAX_HANDSHAKES_PER_BLOCK)
        assert await works(bob)
        for stream in idle:
            await stream.aclose()


async def test_connections_over_the_limit_are_refused() -> None:
    async with a_network(settings=NetworkSettings(listen=(LISTEN,), max_connections=3)) as bob:
        idle = [await knock(bob) for _ in range(8)]
        await until(lambda: bob.counters["inbound-refused"] == 5)
        for stream in idle:
            await stream.aclose()
        await until(lambda: bob.counters["inbound-failed"] == 3)
        bob.serve(PROTOCOL, echo, max_frame=1024, deadline=5)
        assert await works(bob)


async def deaf(_: Channel) -> None:
    await trio.sleep_forever()


async def muxer_to(alice: Network, bob: Network) -> Muxer:
    await alice.connect(bob.listen_addrs()[0])
    connection = alice._swarm.get_connections(ID(bob.peer_id))[0]
    assert isinstance(connection, SwarmConn)
    assert isinstance(connection.muxed_conn, Muxer)
    return connection.muxed_conn


@pytest.mark.parametrize("size", [limits.WINDOW + 1, 16 * limits.MIB, 2**32 - 1])
async def test_a_data_frame_over_the_window_ends_the_connection(size: int) -> None:
    async with a_network() as bob, a_network() as alice:
        bob.serve(PROTOCOL, echo, max_frame=1024, deadline=5)
        muxer = await muxer_to(alice, bob)
        stream = await muxer.open_stream()
        await muxer._write_frame(struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, 0, stream.stream_id, size))
        await until(lambda: not bob.is_connected(alice.peer_id))
        assert await works(bob)


async def test_a_peer_that_ignores_the_window_is_disconnected_before_it_fills_memory() -> None:
    async with a_network() as bob, a_network() as alice:
        bob.serve(PROTOCOL, deaf, max_frame=1024, deadline=5)
        muxer = await muxer_to(alice, bob)
        stream = await alice._host.new_stream(ID(bob.peer_id), [TProtocol(PROTOCOL)])
        stream.muxed_stream.send_window = 2**40  # type: ignore[attr-defined]  # a hostile sender's
        with trio.fail_after(BOUND), pytest.raises(BaseLibp2pError):
            await write_for_ever(stream)
        await until(lambda: not bob.is_connected(alice.peer_id))
        assert not muxer.usable


async def write_for_ever(stream: INetStream) -> None:
    while True:
        await stream.write(bytes(limits.MIB))


def test_the_sum_over_all_connections_finds_the_largest() -> None:
    buffers = Buffers()
    for connection, size in [(1, 10), (2, 30), (3, 20), (2, 25), (1, 0)]:
        buffers.note(connection, size)
    assert (buffers.total, buffers.is_largest(2), buffers.is_largest(3)) == (45, True, False)
    buffers.note(2, 0)
    assert (buffers.total, buffers.is_largest(3)) == (20, True)


async def test_an_unknown_frame_type_or_a_reset_of_nothing_is_survived() -> None:
    async with a_network() as bob, a_network() as alice:
        bob.serve(PROTOCOL, echo, max_frame=1024, deadline=5)
        muxer = await muxer_to(alice, bob)
        for kind, flags in [(9, 0), (1, 8), (0, 8), (1, 4), (2, 0)]:
            await muxer._write_frame(struct.pack(YAMUX_HEADER_FORMAT, 0, kind, flags, 999, 0))
        assert await works(bob)


@pytest.mark.parametrize("after", [b"", b"\x13/multistream/1.0.0\n"])
async def test_a_line_without_end_in_the_place_of_a_handshake(after: bytes) -> None:
    async with a_network() as bob:
        bob.serve(PROTOCOL, echo, max_frame=1024, deadline=5)
        stream = await knock(bob)
        with suppress(trio.BrokenResourceError):
            await stream.send_all(after + b"\xff\xff\xff\x7f" + bytes(2_000))
        with trio.fail_after(BOUND):
            await until(lambda: bob.counters["inbound-failed"] == 1)  # and not when its time is over
        await stream.aclose()
        assert await works(bob)


class Endless(Reader):
    """Says what it was made with, then zeros for ever; `given` is how much."""

    def __init__(self, start: bytes) -> None:
        self.start, self.given = start, 0

    async def read(self, n: int | None = None) -> bytes:
        assert n is not None
        data, self.start = self.start[:n], self.start[n:]
        data += bytes(n - len(data))
        self.given += n
        return data


async def test_every_negotiation_reads_bounded_lines() -> None:
    async with a_network():
        for length in (b"\x81\x08", b"\xff\xff\xff\x7f", b"\xff" * 9 + b"\x7f"):
            reader = Endless(length)
            with pytest.raises(MultiselectCommunicatorError):
                await MultiselectCommunicator(cast(ReadWriteCloser, reader)).read()
            assert len(length) == reader.given
        reader = Endless(b"\x06/echo\n")
        assert await MultiselectCommunicator(cast(ReadWriteCloser, reader)).read() == "/echo"
