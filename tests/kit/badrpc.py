"""A server on loopback that is asked like an IPFS daemon, and answers as it is told: too late, too much, cut
off, or something else altogether. A real one is jsipfs.py's.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import trio

Stream = trio.abc.Stream

PIECE: Final = 65_536


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request: `path` behind /api/v0, options, header fields in lower case. Its body, where it
    has one, comes in chunks over `stream`; `early` is what of it came with the head.
    """

    path: str
    options: Mapping[str, list[str]]
    headers: Mapping[str, str]
    stream: Stream
    early: bytes

    async def body(self) -> bytes:
        """All of it, to the end of the last chunk."""
        data, whole = self.early, bytearray()
        while True:
            while b"\r\n" not in data:
                data += await self._more()
            size, _, data = data.partition(b"\r\n")
            length = int(size, 16)
            while len(data) < length + 2:
                data += await self._more()
            whole += data[:length]
            data = data[length + 2 :]
            if not length:
                return bytes(whole)

    async def _more(self) -> bytes:
        if more := bytes(await self.stream.receive_some(PIECE)):
            return more
        raise trio.BrokenResourceError("the request was broken off")


Answer = Callable[[Request], Awaitable[None]]


class BadRpc:
    """A running one. `api` is the multiaddr that it is at."""

    def __init__(self, answer: Answer, port: int, tls: ssl.SSLContext | None, keeps: bool) -> None:
        self.api = f"/ip4/127.0.0.1/tcp/{port}" + ("/https" if tls else "")
        self.port = port
        self.answer = answer
        self.requests: list[Request] = []
        self.connections = 0
        self.to_strangers = b""
        """What is said to who begins with something else than HTTP, such as TLS."""
        self.came = trio.Event()
        """Set when somebody has connected."""
        self.asked = trio.Event()
        """Set when a request has come; whoever waits for another makes it anew."""
        self.left = trio.Event()
        """Set when a connection has ended from the other side, or by its answer."""
        self._tls = tls
        self._keeps = keeps

    async def serve(self, raw: trio.SocketStream) -> None:
        """One connection."""
        stream: Stream = raw
        if self._tls is not None:
            stream = trio.SSLStream(raw, self._tls, server_side=True, https_compatible=True)
        self.connections += 1
        self.came.set()
        with suppress(trio.BrokenResourceError, ssl.SSLError):
            async with stream:
                while request := await self._request(stream):
                    self.requests.append(request)
                    self.asked.set()
                    await self.answer(request)
                    if not self._keeps:
                        break
        self.left.set()

    async def _request(self, stream: Stream) -> Request | None:
        data = b""
        while b"\r\n\r\n" not in data:
            more = await stream.receive_some(PIECE)
            if not more:
                return None
            data += more
            if not data[:1].isalpha() and self.to_strangers:
                await stream.send_all(self.to_strangers)
                return None
        return _parsed(data, stream)


@asynccontextmanager
async def a_bad_rpc(
    answer: Answer, *, tls: ssl.SSLContext | None = None, keeps: bool = False
) -> AsyncIterator[BadRpc]:
    """Start one; unless it `keeps` connections each is good for one request."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        rpc = BadRpc(answer, listeners[0].socket.getsockname()[1], tls, keeps)
        nursery.start_soon(trio.serve_listeners, rpc.serve, listeners)
        yield rpc
        nursery.cancel_scope.cancel()


def _parsed(data: bytes, stream: Stream) -> Request:
    head, _, early = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    url = urlsplit(first.split(" ")[1])
    fields = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in fields}
    return Request(url.path.removeprefix("/api/v0"), parse_qs(url.query), headers, stream, early)


# ---- answers


def says(status: int, body: bytes, *fields: str, chunked: bool = False, trailer: str = "") -> bytes:
    """An answer, whole."""
    lines = [f"HTTP/1.1 {status} So", *fields]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        end = f"{trailer}\r\n" if trailer else ""
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n" + end.encode() + b"\r\n"
    else:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def says_json(value: Any, status: int = 200) -> bytes:
    """As Kubo does."""
    body = json.dumps(value).encode() + b"\n"
    return says(
        status, body, "Content-Type: application/json", "Trailer: X-Stream-Error", chunked=status == 200
    )


def refuses(message: str, status: int = 500) -> bytes:
    """Kubo's way to say that something can't be done."""
    return says_json({"Message": message, "Code": 0, "Type": "error"}, status)


def always(answer: bytes) -> Answer:
    """The same to whatever is asked, once all of it has come."""

    async def give(request: Request) -> None:
        if "transfer-encoding" in request.headers:
            await request.body()
        await request.stream.send_all(answer)

    return give


def for_ever(start: bytes, piece: bytes) -> Answer:
    """An answer without an end."""

    async def give(request: Request) -> None:
        await request.stream.send_all(start)
        while True:
            await request.stream.send_all(piece)

    return give


async def never(request: Request) -> None:
    """No answer, until nobody waits for one."""
    with suppress(trio.BrokenResourceError):
        while await request.stream.receive_some(PIECE):
            pass
