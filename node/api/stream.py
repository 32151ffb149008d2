"""Answers that are longer than memory is to be: a source's pieces as they come, and its end when the client
goes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Stream(Response):
    """Sends what `source` gives, `size` bytes if that is known."""

    def __init__(
        self,
        source: AsyncGenerator[bytes, None],
        size: int | None,
        headers: Mapping[str, str],
        status: int = 200,
    ) -> None:
        self._source = source
        self.status_code = status
        self.background = None
        length = {} if size is None else {"content-length": str(size)}
        self.init_headers(dict(headers) | length)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._source), trio.open_nursery() as nursery:
            nursery.start_soon(until_gone, receive, nursery.cancel_scope)
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            async for piece in self._source:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            nursery.cancel_scope.cancel()


async def started(source: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same source, its first piece read: what is wrong from the start is raised here, where it can still
    be told in words. It is closed with what is returned, however much of that was taken.
    """
    pieces = _begun(source)
    await anext(pieces)
    return pieces


async def _begun(source: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(source):
        first = await anext(source, None)
        yield b""  # a generator that was never begun would close nothing
        if first is not None:
            yield first
        async for piece in source:
            yield piece


async def until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    """A client that has gone needs no more."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
