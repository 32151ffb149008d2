"""Who gets an account, and what its owner may change of it later (protocol.md §6). Who speaks for an account
is serving.py's.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from node.consent import Challenges
from node.hosting.book import Book, Change
from node.hosting.letters import Times
from node.hosting.ports import Channel
from node.hosting.rows import Account, Limits
from node.network.addresses import block_of
from node.runtime.clock import DAY_MS
from node.storage import Batch
from node.storage.schema import HOST_OWNER, HOST_VOUCHER
from protocol.account import friend_message
from protocol.errors import RemoteProtocolError
from protocol.host import VOUCHER_BYTES, Answer, Open
from protocol.identity import IdentityRecord
from protocol.kdf import blake2b
from protocol.keys import verify
from protocol.offer import Challenge, KeyProof, Stamp
from protocol.status import FAILED, FULL, NOT_OFFERED

NO, FRIENDS, ALL = "no", "friends", "all"
"""For whom a node is a host (`hosts.offer`)."""

BLOCK_DAILY: Final = 16
"""Accounts opened from one /24 or /48 a day: a household or an office, not a farm."""

MAX_BLOCKS: Final = 4_096
"""Address blocks remembered for that; the one seen longest ago is forgotten first."""


LOOPBACK: Final = frozenset({block_of("127.0.0.1"), block_of("::1")})
"""Everyone there is on this machine, and no block (as for connections)."""


class Openings:
    """Opens accounts. `friend`: whether a delivery key is one of somebody whom the host's owner has
    accepted.
    """

    def __init__(
        self,
        book: Book,
        challenges: Challenges,
        times: Times,
        policy: str,
        limits: Limits,
        friend: Callable[[bytes], bool],
    ) -> None:
        self._book = book
        self._challenges = challenges
        self._times = times
        self._policy = policy
        self._limits = limits
        self._friend = friend
        self._blocks: OrderedDict[str, tuple[int, int]] = OrderedDict()

    async def open(self, channel: Channel, account: bytes, request: Open) -> Answer | Challenge:
        """Open the account, or change what is told of an open one. Raises RemoteProtocolError for a record
        that is none or another owner's, a proof that does not hold, work that was not done; StoreUnavailable.
        """
        record = IdentityRecord.parse(request.identity, self._times.believed())
        known = self._book.account(account)
        if known is None:
            refusal = self._refusal(channel) or await self._admit(channel, account, request)
            if refusal is not None:
                return refusal
            known = self._book.account(account)  # a stamp takes its time to be checked
        if known is None:
            if refusal := self._refusal(channel):
                return refusal
            await self._create(channel, account, request, record)
        else:
            await self._update(known, request, record)
        return Answer()

    async def voucher(self) -> bytes:
        """A secret that opens one account, once. It is kept as a hash only. Raises StoreUnavailable."""
        secret, batch = secrets.token_bytes(VOUCHER_BYTES), Batch()
        batch.put(HOST_VOUCHER, (blake2b(secret),), b"")
        await self._book.store.write(batch)
        return secret

    # ---- whom we let in

    def _refusal(self, channel: Channel) -> Answer | None:
        """What holds for everyone who has no account yet."""
        if self._policy == NO:
            return Answer(NOT_OFFERED)
        if self._book.totals().accounts >= self._limits.accounts:
            return Answer(FULL, "this host has as many accounts as it takes")
        if self._book.totals().size >= self._limits.size:
            return Answer(FULL, "this host is full")
        if self._of_block(channel.remote_block) >= BLOCK_DAILY:
            return Answer(FULL, "too many accounts were opened from this network today")
        self._book.store.require_room()
        return None

    async def _admit(self, channel: Channel, account: bytes, request: Open) -> Answer | Challenge | None:
        """Whether voucher, friendship or work let them in; None if so."""
        if request.voucher is not None:
            good = self._book.store.get(HOST_VOUCHER, (blake2b(request.voucher),)) is not None
            return None if good else Answer(FAILED, "there is no such voucher, or it was used")
        guest, now = channel.peer_id + account, self._times.clock.now()
        match request.proof:
            case KeyProof(key, signature):
                if not verify(key, friend_message(account), signature):
                    raise RemoteProtocolError("the proof of a friend does not hold", FAILED)
                return None if self._friend(key) else Answer(NOT_OFFERED)
            case Stamp() as stamp if self._policy == ALL:
                await self._challenges.check(guest, stamp, now)
                return None
            case _:
                return self._challenges.give(guest, now, 0, 0) if self._policy == ALL else Answer(NOT_OFFERED)

    def _of_block(self, block: str) -> int:
        """Accounts opened today from there."""
        day, count = self._blocks.get(block, (0, 0))
        return count if day == self._times.clock.now() // DAY_MS else 0

    def _opened_from(self, block: str) -> None:
        if block in LOOPBACK:
            return
        self._blocks[block] = self._times.clock.now() // DAY_MS, self._of_block(block) + 1
        self._blocks.move_to_end(block)
        while len(self._blocks) > MAX_BLOCKS:
            self._blocks.popitem(last=False)

    # ---- what is written

    async def _create(self, channel: Channel, key: bytes, request: Open, record: IdentityRecord) -> None:
        change = Change(self._book, Account(key, record.public_key, request.nodes, request.first_week))
        if request.voucher is not None:
            change.batch.delete(HOST_VOUCHER, (blake2b(request.voucher),))
        self._learn(change.batch, record)
        self._opened_from(channel.remote_block)
        await self._book.store.write(change.done())

    async def _update(self, known: Account, request: Open, record: IdentityRecord) -> None:
        if record.public_key != known.owner:
            raise RemoteProtocolError("an account stays its first owner's", FAILED)
        change = Change(self._book, known)
        change.account = replace(known, nodes=request.nodes, first_week=request.first_week)
        self._learn(change.batch, record)
        await self._book.store.write(change.done())

    def _learn(self, batch: Batch, record: IdentityRecord) -> None:
        """Keep the newest record of each owner, whichever account brought it."""
        known = self._book.record(record.address)
        if known is None or record.replaces(known):
            batch.put(HOST_OWNER, self._book.owner_place(record.address), record.record)
