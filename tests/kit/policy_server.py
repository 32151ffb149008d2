"""An HTTPS server on loopback that serves an MTA-STS policy, or answers otherwise as told."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import trio

from protocol.mtasts import Policy, format_policy


def served(body: bytes, kind: str = "text/plain", status: str = "200 OK", more: str = "") -> bytes:
    """A whole HTTP response."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


@dataclass
class PolicyServer:
    """`response` is sent whatever is asked, None is silence; `asked` has path and Host of each request."""

    response: bytes | None = b""
    port: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)

    def policy(self, *mx: str, mode: str = "enforce", max_age: int = 604_800) -> None:
        """Serve this from now on."""
        self.response = served(format_policy(Policy(mode, mx, max_age)))  # type: ignore[arg-type]  # or a fault

    async def talk(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        with suppress(trio.BrokenResourceError, ssl.SSLError):
            data = b""
            while b"\r\n\r\n" not in data:
                some = await stream.receive_some(65_536)
                if not some:
                    return
                data += some
            head = data.decode("latin-1").split("\r\n")
            host = next((one[6:] for one in head if one.lower().startswith("host: ")), "")
            self.asked.append((head[0].split()[1], host))
            if self.response is None:
                await trio.sleep_forever()
            else:
                await stream.send_all(self.response)


@asynccontextmanager
async def open_policy_server(
    tls: ssl.SSLContext, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[PolicyServer]:
    """Serves until the block is left."""
    server = PolicyServer()
    listeners = await trio.open_ssl_over_tcp_listeners(port, tls, host=host, https_compatible=True)

    async def talk(stream: trio.SSLStream[trio.SocketStream]) -> None:
        async with stream:
            await server.talk(stream)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, talk, listeners)
        listener = listeners[0].transport_listener
        assert isinstance(listener, trio.SocketListener)
        server.port = listener.socket.getsockname()[1]
        yield server
        nursery.cancel_scope.cancel()
