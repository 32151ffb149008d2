"""The two listeners in the asyncio thread, and the way from their sessions to what stands on trio."""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final

import trio

from node.runtime.bridge import Bridge, BridgeClosed
from node.runtime.errors import NodeError
from node.smtp.auth import SubmissionSession
from node.smtp.crowd import Crowd, Member
from node.smtp.dialogue import Dialogue
from node.smtp.hops import Hops
from node.smtp.limits import SUBMISSION, Limits
from node.smtp.reply import Acceptance, Client, Envelope, Reception, Reply
from node.smtp.session import Session, Terms
from node.smtp.words import CLOSING

BACKLOG: Final = 1_024
"""Connections that the kernel holds for us; more come again."""

AT_ONCE: Final = 16
"""Connections that are let in before those that are in are listened to again: in a flood they are not to be
pushed out before a word of theirs was read."""

CLOSE_S: Final = 2.5
"""Seconds in which a listener must be closed, sessions and all."""

COUNTERS: Final = (
    "sessions",
    "refusedSessions",
    "evicted",
    "letters",
    "tooLarge",
    "bare",
    "slow",
    "junk",
    "faults",
    "tlsFaults",
    "authFailures",
)


class ListenFailed(NodeError):  # noqa: N818 - it is called so in the network's room
    """An address that the settings name can't be listened on."""


class Listener:
    """An open listener."""

    def __init__(self, terms: Terms, server: asyncio.Server) -> None:
        self._terms = terms
        self._server = server
        host, port = server.sockets[0].getsockname()[:2]
        self.address: tuple[str, int] = (host, port)

    @property
    def counters(self) -> Mapping[str, int]:
        """What happened since it was opened."""
        return {name: self._terms.counters[name] for name in COUNTERS}

    async def close(self) -> None:
        """In the asyncio thread: 421 for all, once letters just being taken had a while to be answered."""
        self._server.close()
        crowd = self._terms.crowd
        _end([member for member in crowd.members if not member.busy])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._terms.limits.closing):
                await crowd.wait_empty()
        left = list(crowd.members)
        _end(left)
        for member in left:
            member.cut()


def _end(members: Iterable[Member]) -> None:
    for member in list(members):
        member.end(CLOSING)


class _FromAnywhere:
    """A Reception, as a session in the asyncio thread asks it."""

    def __init__(self, bridge: Bridge, reception: Reception) -> None:
        self._bridge = bridge
        self._reception = reception

    async def sender(self, sender: str, client: Client) -> Reply | None:
        return await self._bridge.ask(self._reception.sender, sender, client)

    async def recipient(self, recipient: str, client: Client) -> Reply | None:
        return self._reception.recipient(recipient)

    async def take(self, envelope: Envelope, raw: bytes) -> Reply:
        return await self._bridge.to_trio(self._reception.take, envelope, raw)


class _FromOwner:
    """An Acceptance, as a session in the asyncio thread asks it."""

    def __init__(self, bridge: Bridge, acceptance: Acceptance) -> None:
        self._bridge = bridge
        self._acceptance = acceptance

    async def sender(self, sender: str, client: Client) -> Reply | None:
        return await self._bridge.ask(self._acceptance.sender, sender, client)

    async def recipient(self, recipient: str, client: Client) -> Reply | None:
        return await self._bridge.ask(self._acceptance.recipient, recipient, client)

    async def take(self, envelope: Envelope, raw: bytes) -> Reply:
        return await self._bridge.to_trio(self._acceptance.take, envelope, raw)


@contextlib.asynccontextmanager
async def open_receiver(
    bridge: Bridge,
    host: str,
    port: int,
    reception: Reception,
    *,
    max_size: int,
    tls: ssl.SSLContext | None,
    hostname: str,
    limits: Limits = Limits(),
    hops: Hops = Hops(),
) -> AsyncIterator[Listener]:
    """Take mail from anywhere. `max_size` in bytes; with `tls` STARTTLS is offered; `hops` tells which
    clients are relays of ours. Raises ListenFailed.
    """
    counterpart = _FromAnywhere(bridge, reception)
    terms = _terms(bridge, max_size, tls, hostname, limits, hops)
    async with _open(
        bridge, host, port, terms, lambda: Dialogue(terms, bridge.loop, counterpart)
    ) as listener:
        yield listener


@contextlib.asynccontextmanager
async def open_submission(
    bridge: Bridge,
    host: str,
    port: int,
    acceptance: Acceptance,
    *,
    max_size: int,
    tls: ssl.SSLContext | None,
    hostname: str,
    limits: Limits = SUBMISSION,
    hops: Hops = Hops(),
) -> AsyncIterator[Listener]:
    """Take mail from the owner's programs, which prove themselves by AUTH. Raises ListenFailed."""
    counterpart = _FromOwner(bridge, acceptance)
    terms = _terms(bridge, max_size, tls, hostname, limits, hops)

    def session() -> Session:
        return SubmissionSession(terms, bridge.loop, counterpart, acceptance)

    async with _open(bridge, host, port, terms, session) as listener:
        yield listener


def _terms(
    bridge: Bridge, max_size: int, tls: ssl.SSLContext | None, hostname: str, limits: Limits, hops: Hops
) -> Terms:
    # It logs addresses and, with debugging on, letters.
    logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
    if tls is not None and tls.minimum_version < ssl.TLSVersion.TLSv1_2:
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
    counters: Counter[str] = Counter()
    return Terms(Crowd(limits, counters, bridge.loop.time), counters, limits, max_size, tls, hostname, hops)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@contextlib.asynccontextmanager
async def _open(
    bridge: Bridge, host: str, port: int, terms: Terms, session: Callable[[], Session]
) -> AsyncIterator[Listener]:
    async def create() -> asyncio.Server:
        opened = socket.create_server((host, port), family=_family(host), backlog=BACKLOG)
        try:
            server = await bridge.loop.create_server(session, sock=opened, backlog=AT_ONCE)
        except BaseException:
            opened.close()
            raise
        opened.listen(BACKLOG)  # asyncio has made it AT_ONCE too
        return server

    try:
        server = await bridge.run(create)
    except OSError as error:
        why = "the port is in use" if error.errno == errno.EADDRINUSE else str(error.strerror or error)
        raise ListenFailed(
            "listen-failed", f"can't listen for mail on {host}:{port}: {why}", "set another host or port"
        ) from error
    listener = Listener(terms, server)
    try:
        yield listener
    finally:
        with trio.move_on_after(CLOSE_S, shield=True), contextlib.suppress(BridgeClosed):
            await bridge.run(listener.close)
