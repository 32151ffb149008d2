"""Answers that are longer than memory is to be: a source's pieces as they come, and its end when the client
goes.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from node.api.problem import described
from node.runtime.errors import NodeError


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


class Lines(Response):
    """What some work tells while it is done, each a line of JSON; its end, when the client goes. A NodeError
    is the last line, as `error`.
    """

    media_type = "application/x-ndjson"

    def __init__(self, work: Callable[[Callable[[Mapping[str, object]], None]], Awaitable[None]]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        told, lines = trio.open_memory_channel[Any](math.inf)  # no work tells more than is looked at in time

        async def work() -> None:
            with told:
                try:
                    await self._work(told.send_nowait)
                except NodeError as fault:
                    told.send_nowait({"error": described(fault)})

        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_gone, receive, nursery.cancel_scope)
            nursery.start_soon(work)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for line in lines:
                body = json.dumps(line).encode() + b"\n"
                await send({"type": "http.response.body", "body": body, "more_body": True})
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
