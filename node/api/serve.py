"""The API on the home's Unix socket, which only its owner can open. What is answered is app.py's."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import trio
from hypercorn.config import Config
from hypercorn.trio import run, serve
from hypercorn.trio.tcp_server import TCPServer
from starlette.types import ASGIApp, Receive, Scope, Send

from node.api.problem import BrokenOff
from node.runtime.errors import NodeError
from node.runtime.home import Home

log = logging.getLogger(__name__)

BACKLOG: Final = 64
"""Commands that may wait to be let in."""

GRACE_S: Final = 3.0
"""Seconds that answers under way get at the end."""


class Connection(TCPServer):
    """One client. Upstream (0.18) lets out whatever goes wrong with it, which ended the node: a client that
    goes while an answer is begun is a BusyResourceError there.
    """

    async def run(self) -> None:
        try:
            await super().run()
        except Exception:
            log.debug("a connection of a command failed", exc_info=True)


class _Ending:
    """Upstream sees that an answer is not whole, and closes the connection; what it raises would be logged as
    a bug.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except BrokenOff as fault:
            log.warning("%s %s broke off: %s", scope["method"], scope["path"], fault.text)


async def serve_api(
    app: ASGIApp,
    home: Home,
    *,
    shutdown: Callable[[], Awaitable[None]] | None = None,
    task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer on the home's socket until cancelled, or until `shutdown` returns. Raises NodeError when
    the socket can't be made. The caller holds the store's lock, so a socket found there is a dead one.
    """
    run.TCPServer = Connection  # type: ignore[attr-defined]  # the name by which upstream makes them
    listener = _listen(home)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.accesslog = None
    config.errorlog = logging.getLogger("node.api.http")
    config.errorlog.setLevel(logging.WARNING)
    config.graceful_timeout = GRACE_S
    config.include_server_header = False
    try:
        await serve(_Ending(app), config, shutdown_trigger=shutdown, task_status=task_status)  # type: ignore[arg-type]
    finally:
        with suppress(OSError):
            home.socket_path.unlink()


def _listen(home: Home) -> socket.socket:
    """A listening socket with mode 0600 that appears under its name complete."""
    path = home.socket_path
    fresh = path.with_name(path.name[:-1] + "~")  # as long, so that it fits too
    listener = socket.socket(socket.AF_UNIX)
    try:
        home.socket_dir()
        fresh.unlink(missing_ok=True)
        listener.bind(str(fresh))
        fresh.chmod(0o600)
        listener.listen(BACKLOG)
        fresh.rename(path)
    except OSError as error:
        listener.close()
        raise NodeError("socket", f"can't listen on {path}: {error.strerror or error}") from error
    except NodeError:
        listener.close()
        raise
    return listener
