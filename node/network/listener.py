"""A listening TCP socket. Who may come in is decided elsewhere."""

import errno
from collections.abc import Awaitable, Callable
from typing import Final

import trio
from libp2p.abc import IListener
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.trio import TrioTCPStream
from multiaddr import Multiaddr

from node.network.errors import ListenFailed, NoSuchFamily

BACKLOG: Final = 128
"""Connections that the kernel may hold for us; more come again."""


class Listener(IListener):
    """A listening socket that is ours alone (upstream shares its port, so a second node would get
    half of our connections instead of an error).
    """

    def __init__(self, handler: Callable[[ReadWriteCloser], Awaitable[None]]) -> None:
        self._handler = handler
        self._sockets: list[trio.SocketListener] = []

    async def listen(self, maddr: Multiaddr) -> None:
        """Bind. Raises ListenFailed."""
        text = str(maddr)
        kind, host, proto, port = text.split("/")[1:5]
        if kind not in {"ip4", "ip6"} or proto != "tcp":
            raise ListenFailed(text, "only /ip4/…/tcp/… and /ip6/…/tcp/… can be listened on")
        try:
            self._sockets.append(await _bind(kind, host, int(port)))
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT:
                raise NoSuchFamily(text, "this machine has no addresses of this kind") from error
            why = "the port is in use" if error.errno == errno.EADDRINUSE else str(error)
            raise ListenFailed(text, why) from error

    async def serve(self) -> None:
        """Accept until cancelled."""
        await trio.serve_listeners(self._take, list(self._sockets))

    async def _take(self, stream: trio.SocketStream) -> None:
        try:
            await self._handler(TrioTCPStream(stream))
        finally:
            await trio.aclose_forcefully(stream)

    def get_addrs(self) -> tuple[Multiaddr, ...]:
        """Where it really listens: port 0 is replaced."""
        return tuple(map(_addr_of, self._sockets))

    async def close(self) -> None:
        """Stop listening."""
        for socket in self._sockets:
            await trio.aclose_forcefully(socket)
        self._sockets.clear()


async def _bind(kind: str, host: str, port: int) -> trio.SocketListener:
    family = trio.socket.AF_INET6 if kind == "ip6" else trio.socket.AF_INET
    socket = trio.socket.socket(family, trio.socket.SOCK_STREAM)
    try:
        socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
        if kind == "ip6":
            socket.setsockopt(trio.socket.IPPROTO_IPV6, trio.socket.IPV6_V6ONLY, 1)
        await socket.bind((host, port))
        socket.listen(BACKLOG)
        return trio.SocketListener(socket)
    except BaseException:
        socket.close()
        raise


def _addr_of(listener: trio.SocketListener) -> Multiaddr:
    host, port = listener.socket.getsockname()[:2]
    return Multiaddr(f"/{'ip6' if ':' in host else 'ip4'}/{host}/tcp/{port}")
