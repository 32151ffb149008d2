"""The one listener that everyone may reach by HTTPS, and its bounds: hypercorn's connection over trio's TLS.
What is answered is public.py's.
"""

from __future__ import annotations

import errno
import logging
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from starlette.types import ASGIApp

from node.api.serve import Connection
from node.runtime.errors import NodeError

CONNECTION_S: Final = 15.0
"""Seconds of a connection, all in all: an answer is small, and RFC 8461 §3.3 has clients give up after 60."""

HEAD_S: Final = 5.0
"""Seconds until the whole head of a request is there."""

CONNECTIONS: Final = 64
"""Connections at once; with another one the oldest goes, which an honest client is not for long."""

BACKLOG: Final = 64
"""Connections that the kernel holds for us."""

MAX_HEAD: Final = 8_192
"""Bytes of a request's head; a client's has 300."""


class Https:
    """The open listener."""

    def __init__(self, listener: trio.SocketListener, app: ASGIApp, tls: ssl.SSLContext) -> None:
        self._listener = listener
        self._app = ASGIWrapper(app)  # type: ignore[arg-type]  # the same by other names
        self._tls = tls
        self._config = _config()
        self._open: OrderedDict[trio.SocketStream, trio.Event] = OrderedDict()  # each with its end
        self.address: tuple[str, int] = listener.socket.getsockname()[:2]

    @property
    def where(self) -> str:
        """host:port."""
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._open)

    async def run(self) -> None:
        """Answer until cancelled."""
        await trio.serve_listeners(self._serve, [self._listener])

    async def _serve(self, stream: trio.SocketStream) -> None:
        if len(self._open) >= CONNECTIONS:
            self._open.popitem(last=False)[1].set()
        over = self._open[stream] = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._answer, stream, over)
            try:
                with trio.move_on_after(CONNECTION_S):
                    await over.wait()
            finally:
                self._open.pop(stream, None)
                nursery.cancel_scope.cancel()
                # Upstream sends under a shield: only this stops it where a client reads nothing.
                await trio.aclose_forcefully(stream)

    async def _answer(self, stream: trio.SocketStream, over: trio.Event) -> None:
        secure: Any = trio.SSLStream(stream, self._tls, server_side=True, https_compatible=True)
        await _Connection(self._app, self._config, WorkerContext(None), ConnectionState({}), secure).run()
        over.set()


class _Connection(Connection):
    """One client, which speaks HTTP/1.1 and nothing else: small frames of HTTP/2 can hold up this thread."""

    async def _read_data(self) -> None:
        self.protocol.protocol._check_protocol = _stay  # type: ignore[method-assign,union-attr]
        await super()._read_data()


async def _stay(_: object) -> None:
    """Where upstream would change to HTTP/2 if a request asks for it."""


@asynccontextmanager
async def open_https(host: str, port: int, app: ASGIApp, tls: ssl.SSLContext) -> AsyncIterator[Https]:
    """Listen; `run` answers. Raises NodeError."""
    try:
        (listener,) = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
    except OSError as error:
        why = "the port is in use" if error.errno == errno.EADDRINUSE else str(error.strerror or error)
        raise NodeError(
            "listen-failed",
            f"can't listen for HTTPS on {host}:{port}: {why}",
            "choose another: mailio config set http.port 0 picks a free one",
        ) from error
    async with listener:
        yield Https(listener, app, tls)


def _config() -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = logging.getLogger("node.api.https")
    config.errorlog.setLevel(logging.WARNING)
    config.include_server_header = False
    config.keep_alive_timeout = HEAD_S
    config.keep_alive_max_requests = 0  # each answer says that it is the last one
    config.h11_max_incomplete_size = MAX_HEAD
    return config
