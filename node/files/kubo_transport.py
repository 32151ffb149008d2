"""What lies below ipfshttpclient: requests over a connection to this daemon and no other. No proxy, no
redirect, no .netrc, no cookies; TLS checked against the system's authorities; and no more read than was asked
for.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from node.files.kubo_line import Daemon, Line

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

MAX_ANSWER: Final = 65_536
"""Bytes of an answer in JSON; Kubo's have some hundred. No more of an error's page is read."""

PIECE: Final = 262_144
"""Bytes that are read, and sent, at once."""

GATHERED: Final = 2 * MAX_ANSWER
"""Bytes of an answer that the library is given at once, so that JSON comes whole: it parses all it has with
each piece.
"""

_AGENT: Final = "mailio"


class Strange(RequestException):
    """An answer that no IPFS daemon gives."""


def session(transport: Transport) -> requests.Session:
    """Requests over this transport, and with nothing that the environment would add."""
    made = requests.Session()
    made.trust_env = False  # else proxies, .netrc and authorities come from there
    made.headers.clear()
    made.headers["User-Agent"] = _AGENT
    made.headers["Accept-Encoding"] = "identity"
    made.params = {"offline": "true"}
    made.adapters.clear()
    made.mount("", transport)
    return made


class Transport(HTTPAdapter):
    """One connection, to this daemon whatever a URL says; it is kept from request to request. `most` is how
    many bytes the answer to the next may have.
    """

    def __init__(self, daemon: Daemon, line: Line) -> None:
        self.most = MAX_ANSWER
        self._pool = _pool(daemon, line)
        super().__init__(pool_connections=1, pool_maxsize=1)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        return self._pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """The pool's context does."""

    def close(self) -> None:
        self._pool.close()
        super().close()

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        response = super().send(request, *arguments, **options)
        why = _oddity(response)
        if why:
            response.close()
            raise Strange(why)
        most = self.most if response.ok else MAX_ANSWER
        response.raw = _Body(response.raw, most, response.ok)
        return response


def _oddity(response: requests.Response) -> str:
    """What is wrong with the head of an answer, "" if nothing is."""
    if 300 <= response.status_code < 400:
        return f"it points elsewhere ({response.status_code})"
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return "it is compressed"
    if response.ok and not {"Content-Length", "Transfer-Encoding"} & response.headers.keys():
        return "it has no end that could be told from a broken connection"
    return ""


class _Body:
    """The bytes of an answer, `most` of them at most: an answer that has more is refused, of an error's page
    the rest is not read.
    """

    def __init__(self, raw: BaseHTTPResponse, most: int, whole: bool) -> None:
        self._raw = raw
        self._most = most
        self._whole = whole
        self.close = raw.close
        self.release_conn = raw.release_conn

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        """Not in the pieces that they come in: each costs the library more than its bytes."""
        held: list[bytes] = []
        size = 0
        for piece in self._pieces():
            held.append(piece)
            size += len(piece)
            if size >= GATHERED:
                yield b"".join(held)
                held, size = [], 0
        if held:
            yield b"".join(held)

    def _pieces(self) -> Iterator[bytes]:
        left = self._most
        while piece := self._raw.read1(min(PIECE, left + 1)):
            if len(piece) > left:
                self._raw.close()  # nothing is read from this connection any more
                if self._whole:
                    raise Strange(f"it has more than {self._most} bytes")
                yield piece[:left]
                return
            left -= len(piece)
            yield piece


def _pool(daemon: Daemon, line: Line) -> HTTPConnectionPool:
    api = daemon.api
    if not api.tls:
        pool = HTTPConnectionPool(api.host, api.port, maxsize=1)
        pool.ConnectionCls = partial(_Plain, line)  # type: ignore[assignment]  # called as the class would be
        return pool
    pool = HTTPSConnectionPool(api.host, api.port, maxsize=1, ssl_context=daemon.tls)
    pool.ConnectionCls = partial(_Tls, line)  # type: ignore[assignment]  # as above
    return pool


class _Plain(HTTPConnection):
    def __init__(self, line: Line, *arguments: Any, **options: Any) -> None:
        self._line = line
        super().__init__(*arguments, **options)

    def _new_conn(self) -> socket.socket:
        return _held(super()._new_conn(), self._line)


class _Tls(HTTPSConnection):
    def __init__(self, line: Line, *arguments: Any, **options: Any) -> None:
        self._line = line
        super().__init__(*arguments, **options)

    def _new_conn(self) -> socket.socket:
        return _held(super()._new_conn(), self._line)


def _held(sock: socket.socket, line: Line) -> socket.socket:
    try:
        line.hold(sock)
    except OSError:
        sock.close()
        raise
    return sock
