"""One conversation with a host on one stream: questions and answers (protocol.md §8). What they are for is
known elsewhere.
"""

import secrets
from collections.abc import Callable
from typing import Final, Protocol

from node.hosts.errors import HostRefused, WrongEnvelope
from protocol.account import ID_BYTES, NONCE_BYTES, Item, Space, account_message
from protocol.errors import RemoteProtocolError
from protocol.host import (
    MAX_FRAME,
    MAX_ITEMS,
    MAX_ITEMS_BYTES,
    PROTOCOL_ID,
    Answer,
    Deposit,
    Fetch,
    Hello,
    Open,
    Prove,
    Put,
    Request,
)
from protocol.keys import SigningKey
from protocol.letter import MAX_ENVELOPE, envelope_id
from protocol.offer import MAX_ANSWER_BYTES, Challenge, GoAhead, Offer, parse_answer
from protocol.offer import Answer as OfferAnswer
from protocol.status import OK

HOST: Final = PROTOCOL_ID
DEADLINE: Final = 30.0
"""Seconds for each frame (§8)."""


class Channel(Protocol):
    """Framed messages with the host."""

    async def send(self, data: bytes) -> None: ...

    async def receive(self, most: int | None = None) -> bytes: ...


class Talk:
    """Asks one host. Every method raises PeerUnreachable and ChannelClosed from the channel,
    RemoteProtocolError for an answer that is none, and where it says so HostRefused.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def ask(self, request: Request) -> Answer:
        """The answer to one question. Raises HostRefused unless it is of class 2."""
        await self._channel.send(request.encode())
        answer = Answer.parse(await self._channel.receive(MAX_FRAME))
        if answer.status.category != OK.category:
            raise HostRefused(answer.status, answer.text or "")
        return answer

    async def prove(self, account: SigningKey, host: bytes, ours: bytes) -> bool:
        """Make the stream this account's; whether that is open there. `host` and `ours` are peer ids."""
        hello = await self.ask(Hello())
        if hello.nonce is None:
            raise RemoteProtocolError("a host gave no nonce")
        nonce = secrets.token_bytes(NONCE_BYTES)
        signature = account.sign(account_message(host, ours, hello.nonce, nonce, account.public))
        return (await self.ask(Prove(account.public, nonce, signature))).opened

    async def open(self, request: Open) -> Challenge | None:
        """Open the account, or tell of changes; a challenge where it costs a stamp that was not brought.
        Raises HostRefused.
        """
        await self._channel.send(request.encode())
        data = await self._channel.receive(MAX_FRAME)
        try:
            answer = Answer.parse(data)
        except RemoteProtocolError:
            challenge = parse_answer(data)
            if isinstance(challenge, Challenge):
                return challenge
            raise
        if answer.status.category != OK.category:
            raise HostRefused(answer.status, answer.text or "")
        return None

    async def fetch(self, wanted: bytes) -> bytes:
        """The envelope of this id. Raises HostRefused where it is gone, WrongEnvelope for another one."""
        await self.ask(Fetch(wanted))
        blob = await self._channel.receive(MAX_ENVELOPE)
        if envelope_id(blob) != wanted:
            raise WrongEnvelope
        return blob

    async def offer(
        self, offer: Offer, envelope: bytes, go: Callable[[], None] = lambda: None
    ) -> OfferAnswer:
        """Offer a deposit and, on a go-ahead, send the envelope; the last answer. `go` is called between."""
        await self._channel.send(Deposit(offer.encode()).encode())
        answer = parse_answer(await self._channel.receive(MAX_ANSWER_BYTES))
        if isinstance(answer, GoAhead):
            go()
            await self._channel.send(envelope)
            answer = parse_answer(await self._channel.receive(MAX_ANSWER_BYTES))
        if isinstance(answer, GoAhead):
            raise RemoteProtocolError("an answer out of turn")
        return answer


def in_frames(items: list[Item], space: Space) -> list[Put]:
    """Puts that hold all of these items, each small enough for a frame."""
    puts: list[Put] = []
    some: list[Item] = []
    size = 0
    for item in items:
        weight = len(item.data) + ID_BYTES
        if some and (size + weight > MAX_ITEMS_BYTES or len(some) >= MAX_ITEMS):
            puts.append(Put(space, tuple(some)))
            some, size = [], 0
        some.append(item)
        size += weight
    return [*puts, Put(space, tuple(some))] if some else puts
