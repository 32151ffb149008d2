"""Requests and answers between two processes on loopback, over bare libp2p and over node.network.

`measure` is what scripts/bench calls; `python -m tests.kit.network_bench` prints both as JSON lines.
"""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal

import trio
from libp2p import new_host
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import X25519PrivateKey
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.host.basic_host import BasicHost
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux
from multiaddr import Multiaddr

from node.network import (
    Channel,
    MemoryPeerBook,
    MemoryRecords,
    Network,
    NetworkSettings,
    open_network,
    parse_peer,
)
from node.runtime.clock import SystemClock
from tests.kit.network import AnyValue

Kind = Literal["bare", "adapter"]
Ask = Callable[[], Awaitable[None]]
Fresh = Callable[[], Awaitable[Ask]]

PROTOCOL: Final = "/mailio/bench/1"
REQUEST: Final = 10_240
ANSWER: Final = 200
LISTEN: Final = "/ip4/127.0.0.1/tcp/0"
SWITCH: Final = 0.0005
"""Seconds of the interpreter's switch interval, as the node's own."""


def measure(kind: Kind, seconds: float = 2.0, streams: tuple[int, ...] = (1, 4, 8)) -> dict[str, float]:
    """Milliseconds for a connection, a new stream with one round trip, a round trip on an open
    stream, and requests a second over one connection at several numbers of streams.
    """
    command = [sys.executable, "-m", __spec__.name, kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            return trio.run(_ask_all, kind, server.stdout.readline().strip(), seconds, streams)
        finally:
            server.kill()


async def _ask_all(kind: Kind, addr: str, seconds: float, streams: tuple[int, ...]) -> dict[str, float]:
    sys.setswitchinterval(SWITCH)
    figures: dict[str, float] = {}
    opener = _bare_asker if kind == "bare" else _adapter_asker
    async with opener(addr, figures) as fresh:
        asks = []
        for _ in range(max(streams)):
            start = time.perf_counter()
            ask = await fresh()
            await ask()
            figures["new_stream_ms"] = (time.perf_counter() - start) * 1000
            asks.append(ask)
        start = time.perf_counter()
        for _ in range(100):
            await asks[0]()
        figures["round_trip_ms"] = (time.perf_counter() - start) * 10
        for count in streams:
            figures[f"per_second_{count}"] = await _rate(asks[:count], seconds)
    return {name: round(value, 2) for name, value in figures.items()}


async def _rate(asks: list[Ask], seconds: float) -> float:
    done = 0
    end = time.perf_counter() + seconds

    async def keep_asking(ask: Ask) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await ask()
            done += 1

    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for ask in asks:
            nursery.start_soon(keep_asking, ask)
    return done / (time.perf_counter() - start)


def bare_host() -> BasicHost:
    keys = create_new_key_pair(secrets.token_bytes(32))
    noise = NoiseTransport(keys, noise_privkey=X25519PrivateKey.new())
    host = new_host(key_pair=keys, sec_opt={NOISE: noise}, muxer_opt={TProtocol(YAMUX): Yamux})
    assert isinstance(host, BasicHost)
    return host


async def _read(stream: INetStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await stream.read(size - len(data))
    return data


@asynccontextmanager
async def _bare_asker(addr: str, figures: dict[str, float]) -> AsyncIterator[Fresh]:
    host = bare_host()
    async with host.run([Multiaddr(LISTEN)]):
        info = info_from_p2p_addr(Multiaddr(addr))
        start = time.perf_counter()
        await host.connect(info)
        figures["connect_ms"] = (time.perf_counter() - start) * 1000

        async def fresh() -> Ask:
            stream = await host.new_stream(info.peer_id, [TProtocol(PROTOCOL)])

            async def ask() -> None:
                await stream.write(bytes(REQUEST))
                await _read(stream, ANSWER)

            return ask

        yield fresh


@asynccontextmanager
async def _adapter(settings: NetworkSettings) -> AsyncIterator[Network]:
    async with open_network(
        settings, secrets.token_bytes(32), AnyValue(), MemoryRecords(), SystemClock(), book=MemoryPeerBook()
    ) as network:
        yield network


@asynccontextmanager
async def _adapter_asker(addr: str, figures: dict[str, float]) -> AsyncIterator[Fresh]:
    async with _adapter(NetworkSettings(listen=(LISTEN,))) as network:
        peer = parse_peer(addr)
        start = time.perf_counter()
        await network.reach(peer)
        figures["connect_ms"] = (time.perf_counter() - start) * 1000

        async def ask() -> None:
            async with network.channel(
                parse_peer(addr), PROTOCOL, max_frame=2 * REQUEST, deadline=10
            ) as channel:
                await channel.send(bytes(REQUEST))
                await channel.receive()

        async def fresh() -> Ask:
            await network.drop_idle_streams(peer.peer_id)
            return ask

        yield fresh


async def _serve_bare() -> None:
    host = bare_host()

    async def answer(stream: INetStream) -> None:
        try:
            while True:
                await _read(stream, REQUEST)
                await stream.write(bytes(ANSWER))
        except BaseLibp2pError:
            return

    host.set_stream_handler(TProtocol(PROTOCOL), answer)
    async with host.run([Multiaddr(LISTEN)]):
        print(host.get_addrs()[0], flush=True)
        await trio.sleep_forever()


async def _serve_adapter() -> None:
    async def answer(channel: Channel) -> None:
        while True:
            await channel.receive()
            await channel.send(bytes(ANSWER))

    async with _adapter(NetworkSettings(listen=(LISTEN,))) as network:
        network.serve(PROTOCOL, answer, max_frame=2 * REQUEST, deadline=10)
        print(network.listen_addrs()[0], flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    sys.setswitchinterval(SWITCH)
    if sys.argv[1:]:
        trio.run(_serve_bare if sys.argv[1] == "bare" else _serve_adapter)
    else:
        for name in ("bare", "adapter"):
            print(json.dumps({"network": name, **measure(name)}))
