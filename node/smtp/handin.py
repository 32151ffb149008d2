"""What the owner's own mail programs hand in: who may, from which address, and the answer (RFC 6409).

How a letter is rendered and queued is the outbox's; no sockets here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from node.runtime.errors import NodeError
from node.runtime.worker import WorkerError
from node.smtp.replies import refusal, reply_to
from node.smtp.reply import Client, Envelope, Reply
from node.storage import StoreUnavailable
from protocol import status as codes
from protocol.errors import RemoteProtocolError

_CODES: Final = {
    "letter-too-large": (552, "5.3.4"),
    "outbox-full": (452, "4.3.2"),
    "recipient-later": (450, "4.4.3"),
    "no-recipient": (554, "5.5.1"),
    "unknown-recipient": (550, "5.1.1"),
    "recipient": (501, "5.1.3"),
    "no-address": (553, "5.7.1"),
    "not-your-address": (553, "5.7.1"),
}
"""Faults that have a reply of their own; all others are 550 5.7.1: not as this node is set up."""

_OTHER: Final = (550, "5.7.1")


class Queued(Protocol):
    """A letter in the outbox."""

    @property
    def id(self) -> bytes: ...


class Counter(Protocol):
    """Where letters are handed in (outbox.Submission). Everything raises NodeError."""

    def check_sender(self, sender: str) -> None:
        """Whether the owner may write from this address."""

    async def check(self, who: Sequence[str]) -> object:
        """Whether letters can go to these recipients; takes its time."""

    async def submit(self, raw: bytes, sender: str, recipients: Sequence[str], user: str) -> Queued:
        """Queue a letter; it is on disk when this returns. Raises RemoteProtocolError for its content."""


class HandIn:
    """The submission listener's other side. `check_password` is called in the asyncio thread."""

    def __init__(self, counter: Counter, check_password: Callable[[str, str], bool]) -> None:
        self._counter = counter
        self._check_password = check_password

    def authenticate(self, name: str, password: str) -> bool:
        """Whether this is an app password of the owner's."""
        return self._check_password(name, password)

    def sender(self, sender: str, client: Client) -> Reply | None:
        """At MAIL."""
        try:
            self._counter.check_sender(sender)
        except NodeError as fault:
            return _said(fault)
        return None

    async def recipient(self, recipient: str, client: Client) -> Reply | None:
        """At RCPT."""
        try:
            await self._counter.check([recipient])
        except NodeError as fault:
            return _said(fault)
        return None

    async def take(self, envelope: Envelope, raw: bytes) -> Reply:
        """After DATA; 250 says that the letter is in the outbox, on disk."""
        try:
            letter = await self._counter.submit(
                raw, envelope.sender, envelope.recipients, envelope.client.user
            )
        except (StoreUnavailable, RemoteProtocolError) as fault:
            return _worded(refusal(fault), str(fault))
        except WorkerError:
            return reply_to(codes.BUSY)
        except NodeError as fault:
            return _said(fault)
        return Reply(250, "2.0.0", f"Queued as {letter.id.hex()}")


def _said(fault: NodeError) -> Reply:
    """A fault in its own words: who reads them in the mail program is the owner."""
    if isinstance(fault, StoreUnavailable):
        return refusal(fault)
    code, status = _CODES.get(fault.code, _OTHER)
    return Reply(code, status, str(fault))


def _worded(reply: Reply, text: str) -> Reply:
    return Reply(reply.code, reply.status, text)
