"""What an IPFS daemon is asked, by ipfshttpclient, in a thread that waits for it; and what goes wrong with
that, in words. When a call has taken too long is decided in kubo.py, which then cuts its line.
"""

from __future__ import annotations

import http.client
import math
import ssl
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final, TypeVar

import requests
import urllib3
from ipfshttpclient import Client, exceptions
from requests.exceptions import RequestException

from node.files.errors import ContentDamaged, KuboAway, KuboLacks
from node.files.kubo_line import SET_SECRET, Daemon, Line
from node.files.kubo_transport import MAX_ANSWER, PIECE, Transport, session
from node.files.kubo_words import (
    Health,
    any_cid,
    health,
    is_recursive,
    pinned_in,
    says_lacking,
    says_unpinned,
    shown,
)
from node.runtime.errors import NodeError
from protocol.errors import RemoteProtocolError
from protocol.unixfs import LEAF_BYTES, MAX_BLOCK_BYTES, WIDTH, cid_text, node_cid, raw_cid

T = TypeVar("T")

CONNECT_S: Final = 10.0
"""Seconds for the connection, and for each step of TLS."""

GRACE_S: Final = 5.0
"""Seconds after the caller's deadline at which the daemon, and this thread, give up by themselves: neither
waits for one that is gone.
"""


SET_API: Final = "say where its RPC API is: mailio config set files.kubo_api /ip4/127.0.0.1/tcp/5001"

_BASE: Final = "api/v0"

_ANY: Final = "/ip4/127.0.0.1/tcp/5001"
"""What the library takes for the address: it knows fewer names than there are, and the transport goes its own
way.
"""

_ADD: Final = {
    "cid-version": "1",
    "raw-leaves": "true",
    "hash": "sha2-256",
    "chunker": f"size-{LEAF_BYTES}",
    "max-file-links": str(WIDTH),
    "trickle": "false",
    "inline": "false",
    "wrap-with-directory": "false",
    "pin": "false",
    "progress": "false",
}
"""The form of protocol/unixfs.py, whatever the daemon's own Import settings are."""

_UNTOLD: Final = {"fast-provide-root": "false", "fast-provide-dag": "false", "fast-provide-wait": "false"}
"""Kubo is not to tell the network at once; what it tells by and by its owner decides (Provide.*)."""

_BASE32: Final = {"cid-base": "base32"}

# What the library lets out where an answer is not shaped as it thinks.
_LEAKS: Final = (LookupError, TypeError, ValueError, AssertionError, AttributeError, RecursionError)
_FAULTS: Final = (
    exceptions.Error,
    RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    RemoteProtocolError,
    *_LEAKS,
)

_BROKEN: Final = (
    requests.exceptions.ChunkedEncodingError,
    requests.ConnectionError,
    http.client.IncompleteRead,
    ConnectionError,
)
"""A connection that ended too early, whoever noticed."""

_MAX_CAUSES: Final = 12

_NO_ACCESS: Final = (401, 403)
_NOT_THERE: Final = (404, 405)


class _Nothing(Enum):
    """That no value was given."""

    NOTHING = 0


class Talk:
    """What is asked on one line, one question after the other, which may be cut while one is under way. Say
    with `wait` first how long the answer is waited for. All that ask block, and raise KuboAway or KuboLacks;
    after that there is no more talking.
    """

    def __init__(self, daemon: Daemon, line: Line) -> None:
        self.line = line
        self._daemon = daemon
        self._transport = Transport(daemon, line)
        self._session = session(self._transport)
        self._client = Client(_ANY, _BASE, chunk_size=PIECE)
        self._client._client._session = self._session  # the library takes no session of one's own
        self.wait(0)

    def wait(self, seconds: float) -> None:
        """So long from now on."""
        patience = seconds + GRACE_S
        self._opts = _BASE32 | {"timeout": f"{math.ceil(patience)}s"}
        self._timeout = CONNECT_S, patience

    def close(self) -> None:
        self._session.close()
        self.line.close()

    def add(self, pieces: Iterator[bytes]) -> bytes:
        """The CID of the file that comes in pieces."""
        opts = self._opts | _ADD | _UNTOLD
        return self._ask(lambda client: any_cid(client.add_bytes(pieces, opts=opts, timeout=self._timeout)))

    def read(self, cid: bytes, start: int, length: int) -> bytes:
        text, opts = cid_text(cid), self._opts | {"offset": str(start), "length": str(length)}
        data = self._ask(lambda client: _bytes(client.cat(text, opts=opts, timeout=self._timeout)), length)
        if len(data) < length:  # Kubo ends an answer well where a block is missing, and says so in a trailer
            raise KuboLacks(self._daemon.api.text)
        return data

    def block(self, cid: bytes) -> bytes:
        """Raises ContentDamaged, too."""
        text, opts = cid_text(cid), self._opts
        block = self._ask(
            lambda client: _bytes(client.block.get(text, opts=opts, timeout=self._timeout)), MAX_BLOCK_BYTES
        )
        if cid not in (raw_cid(block), node_cid(block)):
            raise ContentDamaged("the IPFS daemon gives other bytes than an attachment has")
        return block

    def pin(self, cid: bytes) -> None:
        text, opts = cid_text(cid), self._opts | _UNTOLD | {"progress": "false"}
        self._ask(
            lambda client: pinned_in(client.pin.add(text, opts=opts, timeout=self._timeout).as_json(), cid)
        )

    def unpin(self, cid: bytes) -> None:
        text, opts = cid_text(cid), dict(self._opts)
        self._ask(
            lambda client: pinned_in(client.pin.rm(text, opts=opts, timeout=self._timeout).as_json(), cid),
            where_unpinned=None,
        )

    def pinned(self, cid: bytes) -> bool:
        text, opts = cid_text(cid), dict(self._opts)
        return self._ask(
            lambda client: is_recursive(
                client.pin.ls(text, type="recursive", opts=opts, timeout=self._timeout).as_json(), cid
            ),
            where_unpinned=False,
        )

    def health(self) -> Health:
        version = self._ask(lambda client: client.version(opts=self._opts, timeout=self._timeout).as_json())
        try:
            identity = self._ask(lambda client: client.id(opts=self._opts, timeout=self._timeout).as_json())
        except KuboAway:  # a secret may be good for less than everything
            identity = None
        return self._ask(lambda _: health(version, identity))

    def _ask(
        self,
        ask: Callable[[Client], T],
        most: int = MAX_ANSWER,
        *,
        where_unpinned: T | _Nothing = _Nothing.NOTHING,
    ) -> T:
        """What `ask` gets; `most` are the bytes of its answer. `where_unpinned` stands for a refusal since
        there is no pin.
        """
        self._transport.most = most
        self._session.headers.pop("Authorization", None)
        if told := self._daemon.authorization():
            self._session.headers["Authorization"] = told
        try:
            return ask(self._client)
        except _FAULTS as error:
            if not isinstance(where_unpinned, _Nothing) and says_unpinned(_message(error)):
                return where_unpinned
            raise _fault(self._daemon, error) from error


def _bytes(answer: object) -> bytes:
    if not isinstance(answer, bytes):
        raise RemoteProtocolError("no bytes")
    return answer


# ---- faults


def _fault(daemon: Daemon, error: BaseException) -> NodeError:
    """What a person is told, and what callers go by."""
    api, status = daemon.api.text, _status(error)
    if status in _NO_ACCESS:
        what = "refuses the secret" if daemon.authorization() else "wants a secret"
        return KuboAway(api, f"{what}, or does not let it do this ({status})", SET_SECRET)
    if status in _NOT_THERE:
        return KuboAway(api, f"is none, or its API is elsewhere ({status})", SET_API)
    if isinstance(error, exceptions.StatusError):
        message = _message(error)
        if says_lacking(message):
            return KuboLacks(api)
        return KuboAway(api, f"can't do it: {shown(message)}" if message else f"has a fault ({status})")
    return KuboAway(api, _what(error))


def _what(error: BaseException) -> str:
    chain = list(_chain(error))
    reason = next((text for one in reversed(chain) if (text := _reason(one))), "")
    if isinstance(error, (exceptions.TimeoutError, requests.Timeout)):
        return "does not answer in time"
    if isinstance(error, exceptions.ConnectionError):
        return f"can't be reached ({reason})" if reason else "can't be reached"
    if any(isinstance(one, _BROKEN) for one in chain):
        return "broke off in the middle of its answer"
    return "does not answer as an IPFS daemon does"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """It and what led to it, outermost first."""
    for _ in range(_MAX_CAUSES):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: BaseException) -> str:
    """In the system's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate: {error.verify_message}"
    return shown(error.strerror or "") if isinstance(error, OSError) else ""


def _status(error: BaseException) -> int | None:
    original = getattr(error, "original", None)
    return original.response.status_code if isinstance(original, requests.HTTPError) else None


def _message(error: BaseException) -> str:
    """What the daemon says why it refuses, "" where it does not."""
    return str(error) if isinstance(error, exceptions.ErrorResponse) else ""
