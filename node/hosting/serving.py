"""`/mailio/host/1` as far as the stream: who speaks, bounds, which room answers (protocol.md §6, §8)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from node.hosting.book import Book, Change
from node.hosting.crowd import SMALL, Finds, Large, Turns
from node.hosting.deposits import DEADLINE, Deposits
from node.hosting.gathering import Gatherer
from node.hosting.items import Items
from node.hosting.letters import Letters
from node.hosting.opening import Openings
from node.hosting.ports import Channel, Network
from node.hosting.rows import Account, Limits
from node.network import Busy, PeerFault
from node.storage import StoreUnavailable
from protocol import host
from protocol import status as codes
from protocol.account import NONCE_BYTES, account_message
from protocol.errors import RemoteProtocolError
from protocol.host import MAX_FRAME, PROTOCOL_ID, Answer, Request
from protocol.keys import verify
from protocol.offer import Answer as OfferAnswer
from protocol.offer import Offer, Result, encode_answer
from protocol.status import Status

T = TypeVar("T")

Reply = Answer | OfferAnswer
"""What ends one turn: a deposit and an opening are answered as on `/mailio/letter/1`."""


@dataclass
class Visit:
    """One stream: our nonce until it is used, whose account has been proven on it, and whether that is
    open; what is sent behind the answer.
    """

    channel: Channel
    nonce: bytes | None = None
    account: bytes | None = None
    opened: bool = False
    body: bytes | None = None


class Serving:
    """Answers requests."""

    def __init__(
        self,
        book: Book,
        network: Network,
        openings: Openings,
        items: Items,
        letters: Letters,
        deposits: Deposits,
        gatherer: Gatherer,
        limits: Limits,
    ) -> None:
        self._book = book
        self._network = network
        self._openings = openings
        self._items = items
        self._letters = letters
        self._deposits = deposits
        self._gatherer = gatherer
        self._limits = limits
        self._large = Large()
        self._turns = Turns()
        self._finds = Finds()

    def serve(self) -> None:
        self._network.serve(PROTOCOL_ID, self.handle, max_frame=MAX_FRAME, deadline=DEADLINE)

    async def handle(self, channel: Channel) -> None:
        """Answer one stream until it ends."""
        visit = Visit(channel)
        try:
            while True:
                data = await self._receive(visit)
                if data is None:
                    await channel.send(Answer(codes.BUSY).encode())
                    return
                await channel.send(_encode(await self._answer(visit, data)))
                if visit.body is not None:
                    await channel.send(visit.body)
                    visit.body = None
        except PeerFault as fault:  # what follows in the stream can't be told apart any more
            self._blame(channel, fault)
            await channel.send(Answer(fault.status).encode())

    async def _receive(self, visit: Visit) -> bytes | None:
        """The next request; None for a large one that comes while there are too many."""
        if visit.account is None or not visit.opened:
            return await visit.channel.receive(SMALL)
        with self._large.reading(visit.account, MAX_FRAME) as reading:
            try:
                return await visit.channel.receive(reading.most)
            except PeerFault:
                if not reading.crowded:
                    raise
                return None

    async def _answer(self, visit: Visit, data: bytes) -> Reply:
        try:
            request = host.parse_request(data)
        except RemoteProtocolError as fault:
            self._blame(visit.channel, fault)
            return Answer(fault.status)
        if isinstance(request, host.Deposit):
            found = await self._guard(visit, self._deposit(visit, request))
            return Result(found) if isinstance(found, Status) else found
        reply = await self._guard(visit, self._dispatch(visit, request))
        return Answer(reply) if isinstance(reply, Status) else reply

    async def _guard(self, visit: Visit, work: Awaitable[T]) -> T | Status:
        """Turn what can go wrong with one request into its status."""
        try:
            return await work
        except PeerFault:
            raise
        except RemoteProtocolError as fault:
            self._blame(visit.channel, fault)
            return fault.status
        except StoreUnavailable as fault:
            return fault.status
        except Busy:
            return codes.BUSY

    def _blame(self, channel: Channel, fault: RemoteProtocolError) -> None:
        if fault.status.category == 5:  # an honest peer meets the others too
            self._network.blame(channel.peer_id, f"host {fault.status.code}")

    # ---- which room answers

    async def _deposit(self, visit: Visit, request: host.Deposit) -> OfferAnswer:
        return await self._deposits.answer(visit.channel, Offer.parse(request.offer))

    async def _dispatch(self, visit: Visit, request: Request) -> Reply:
        match request:
            case host.Hello():
                visit.nonce = secrets.token_bytes(NONCE_BYTES)
                return Answer(nonce=visit.nonce)
            case host.Prove():
                return self._prove(visit, request)
            case host.Open():
                reply = await self._openings.open(visit.channel, _proven(visit), request)
                visit.opened |= isinstance(reply, Answer) and reply.status == codes.OK
                return reply
            case host.Find():
                return self._find(visit, request)
            case host.Cancel():
                return await self._cancel(request)
            case host.Wait():
                account = self._opened(visit)
                return Answer(last=await self._letters.wait(account.key, request.after, request.seconds))
        async with self._turns.turn(self._opened(visit).key):
            return await self._for_owner(visit, self._opened(visit), request)

    async def _for_owner(self, visit: Visit, account: Account, request: Request) -> Answer:
        """What one account's nodes ask, one piece of work at a time."""
        match request:
            case host.Put(space, items, drop):
                refused = await self._items.put(account.key, space, items, drop)
                self._gatherer.soon(account.key, visit.channel.peer_id)
                if any(status.category == 5 for status in refused.values()):
                    self._network.blame(visit.channel.peer_id, "host item")
                return Answer(refused=refused)
            case host.Get(space, ids):
                found, more = await self._items.get(account.key, space, ids)
                return Answer(items=tuple(found), more=more)
            case host.Digest():
                return await self._digest(visit, account)
            case host.Page(space, after):
                entries, more = self._items.page(account.key, space, after)
                await self._book.store.barrier()
                return Answer(entries=tuple(entries), more=more)
            case host.List(after):
                letters, more = self._letters.list(account.key, after)
                return Answer(letters=tuple(letters), more=more)
            case host.Fetch(envelope_id):
                visit.body = self._letters.fetch(account.key, envelope_id)
                return Answer(codes.OK if visit.body is not None else codes.NO_ANSWER)
            case host.Acknowledge(envelope_ids):
                await self._letters.acknowledge(account, envelope_ids, visit.channel.peer_id)
                return Answer()
        raise AssertionError(f"nobody answers {request.verb}")

    # ---- who speaks

    def _prove(self, visit: Visit, request: host.Prove) -> Answer:
        nonce, visit.nonce = visit.nonce, None
        if nonce is None:
            raise RemoteProtocolError("a proof without a nonce of ours", codes.FAILED)
        client = visit.channel.peer_id
        message = account_message(self._network.peer_id, client, nonce, request.nonce, request.account)
        if not verify(request.account, message, request.signature):
            raise RemoteProtocolError("the proof of an account does not hold", codes.FAILED)
        visit.account = request.account
        visit.opened = self._book.account(request.account) is not None
        if visit.opened:
            self._gatherer.soon(request.account, client)
        return Answer(opened=visit.opened)

    def _opened(self, visit: Visit) -> Account:
        """The account that speaks on this stream. Raises RemoteProtocolError (5.8.1)."""
        account = self._book.account(_proven(visit))
        if account is None:
            raise RemoteProtocolError("the account is not open", codes.FAILED)
        return account

    # ---- small answers

    def _find(self, visit: Visit, request: host.Find) -> Answer:
        self._finds.require(visit.channel)
        if self._book.account(request.account) is None:
            return Answer(codes.WRONG_RECIPIENT)
        record = self._items.find(request.account, request.tag)
        return Answer(codes.NO_ANSWER) if record is None else Answer(record=record)

    async def _cancel(self, request: host.Cancel) -> Answer:
        account = self._book.account(request.account)
        if account is None:
            return Answer(codes.WRONG_RECIPIENT)
        change = Change(self._book, account)
        self._letters.cancel(change, request.envelope_id, request.secret)
        await self._book.store.write(change.done())
        await self._book.store.barrier()
        return Answer()

    async def _digest(self, visit: Visit, account: Account) -> Answer:
        digests = await self._items.digests(account)
        await self._book.store.barrier()  # what they say is here must be on disk
        self._gatherer.soon(account.key, visit.channel.peer_id)
        size, quota = self._opened(visit).size, self._limits.account_size
        last = self._book.newest(account.key)
        return Answer(digests=digests, used=size, quota=quota, last=last)


def _proven(visit: Visit) -> bytes:
    """Whose account was proven on this stream. Raises RemoteProtocolError (5.8.1)."""
    if visit.account is None:
        raise RemoteProtocolError("no account was proven on this stream", codes.FAILED)
    return visit.account


def _encode(reply: Reply) -> bytes:
    return reply.encode() if isinstance(reply, Answer) else encode_answer(reply)
