"""Deposits: whose letters are taken for an account, and how one comes to lie on disk (protocol.md §6). It is
like the way in of letters between nodes (node.exchange), but nothing is opened here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

import trio

from node.consent import Challenges
from node.hosting.book import Book, Change
from node.hosting.letters import Letters, Times
from node.hosting.ports import Channel, Network
from node.hosting.rows import Account, Known, Limits
from node.network import PeerFault
from node.runtime.clock import DAY_MS
from protocol import status as codes
from protocol.account import Deposited, KeyRule, sign_deposit
from protocol.errors import RemoteProtocolError
from protocol.keys import SigningKey
from protocol.letter import MAX_ENVELOPE, envelope_id
from protocol.offer import (
    MAX_FIRST_CONTACT_BYTES,
    Answer,
    Challenge,
    GoAhead,
    KeyProof,
    Offer,
    Result,
    Stamp,
    encode_answer,
)

DEADLINE: Final = 30.0
"""Seconds for an envelope once it may come (protocol §8)."""

STRANGERS: Final = 200
"""Letters without a delivery key that wait for one account; the price rises as they fill it."""

TENTH: Final = 10
"""One part in so many of an account is for strangers, and at most so much for one delivery key (§6)."""

SERVICE_DAILY: Final = 24
"""Service letters a day of one delivery key (§6)."""


class Deposits:
    """Answers offers. `counts` is kept for `status`."""

    def __init__(
        self,
        book: Book,
        letters: Letters,
        network: Network,
        peer_key: SigningKey,
        challenges: Challenges,
        times: Times,
        limits: Limits,
        counts: Counter[str],
    ) -> None:
        self._book = book
        self._letters = letters
        self._network = network
        self._peer_key = peer_key
        self._challenges = challenges
        self._times = times
        self._limits = limits
        self._counts = counts

    async def answer(self, channel: Channel, offer: Offer) -> Answer:
        """The last answer to an offer; a go-ahead was sent before it where the envelope was asked for. Raises
        RemoteProtocolError, StoreUnavailable, Busy.
        """
        if offer.account is None:
            raise RemoteProtocolError("a deposit names its account")
        early = await self._before_body(channel, offer, offer.account)
        return early if early is not None else await self._with_body(channel, offer, offer.account)

    # ---- before the envelope

    async def _before_body(self, channel: Channel, offer: Offer, key: bytes) -> Answer | None:
        """None where the envelope may come."""
        account = self._book.account(key)
        if account is None:
            return Result(codes.WRONG_RECIPIENT, "there is no such account here")
        if known := self._book.known(key, offer.envelope_id):
            return await self._again(key, offer.envelope_id, known)
        self._book.store.require_room(offer.size)
        if isinstance(offer.proof, KeyProof) and not offer.proof_holds():
            raise RemoteProtocolError("the proof of a deposit does not hold", codes.FAILED)
        refusal = self._judge(account, offer)
        if refusal is not None or isinstance(offer.proof, KeyProof):
            return refusal
        guest, now = channel.peer_id + key, self._times.clock.now()
        if isinstance(offer.proof, Stamp):
            await self._challenges.check(guest, offer.proof, now)
            return None
        return self._challenge(guest, account, now)

    def _challenge(self, guest: bytes, account: Account, now: int) -> Challenge:
        weeks = self._weeks(account)
        return self._challenges.give(guest, now, weeks.start, len(weeks), self.fullness(account))

    def _judge(self, account: Account, offer: Offer) -> Result | None:
        """What speaks against this offer now, its proof holding."""
        now = self._times.believed()
        if now is None:  # what we promise to keep until when would be worth nothing
            return Result(codes.TIME, "the host's clock can't be trusted for now")
        if offer.week not in self._weeks(account):
            return Result(codes.PREKEY_GONE, identity=self._book.record_of(account).record)
        if isinstance(offer.proof, KeyProof):
            refusal = self._judge_key(account, offer, offer.proof.key, now)
        else:
            refusal = self._judge_stranger(account, offer)
        return refusal or self._judge_room(account, offer.size)

    def _judge_key(self, account: Account, offer: Offer, key: bytes, now: int) -> Result | None:
        rule = self._book.rule(account.key, key)
        if rule is None or 0 < rule.until <= now:
            return Result(codes.UNKNOWN_SENDER)
        use, day = self._book.use(account.key, key), now // DAY_MS
        if offer.service:
            if use.day == day and use.service >= SERVICE_DAILY:
                return Result(codes.TOO_OFTEN, until=(day + 1) * DAY_MS)
        elif use.last <= now < use.last + rule.interval:  # one in the future was counted by a wrong clock
            return Result(codes.TOO_OFTEN, until=use.last + rule.interval)
        if use.waiting + offer.size > self._share(rule):
            return Result(codes.FULL, "this sender's share of the account is full")
        return None

    def _judge_stranger(self, account: Account, offer: Offer) -> Result | None:
        if offer.size > MAX_FIRST_CONTACT_BYTES:
            return Result(codes.TOO_LARGE)
        full = account.strangers >= STRANGERS or account.stranger_size + offer.size > self._tenth
        return Result(codes.FULL, "the room for strangers' letters is full") if full else None

    def _judge_room(self, account: Account, size: int) -> Result | None:
        if account.size + size > self._limits.account_size:
            return Result(codes.FULL, "the account is full")
        if self._book.totals().size + size > self._limits.size:
            return Result(codes.FULL, "the host is full")
        return None

    def fullness(self, account: Account) -> float:
        """How full the room for strangers is, 0 to 1."""
        return max(account.strangers / STRANGERS, account.stranger_size / self._tenth)

    @property
    def _tenth(self) -> int:
        return self._limits.account_size // TENTH

    def _share(self, rule: KeyRule) -> int:
        return min(rule.share, self._tenth)

    def _weeks(self, account: Account) -> range:
        """Prekey weeks that the owner's nodes open."""
        record = self._book.record_of(account)
        return range(account.first_week, record.first_week + len(record.prekeys))

    # ---- the envelope

    async def _with_body(self, channel: Channel, offer: Offer, key: bytes) -> Result:
        blob = await self._body(channel)
        if len(blob) != offer.size or envelope_id(blob) != offer.envelope_id:
            raise RemoteProtocolError("the envelope is not the one that was offered")
        # From here to the write nothing waits: what is judged is what is written.
        if known := self._book.known(key, offer.envelope_id):
            return await self._again(key, offer.envelope_id, known)
        account = self._book.account(key)
        if account is None:
            return Result(codes.WRONG_RECIPIENT)
        if refusal := self._judge(account, offer):
            return refusal
        return await self._take(Change(self._book, account), offer, blob)

    async def _body(self, channel: Channel) -> bytes:
        # None is an accepted sender of this node's owner, whose places stay free whoever has an account here.
        async with self._network.bodies.slot(channel, None):
            await channel.send(encode_answer(GoAhead()))
            with trio.move_on_after(DEADLINE):
                return await channel.receive(MAX_ENVELOPE)
        raise PeerFault("the envelope did not come in time")

    async def _take(self, change: Change, offer: Offer, blob: bytes) -> Result:
        now, key = self._times.clock.now(), change.account.key
        letter = self._letters.add(change, offer, blob, now)
        if letter.key is not None:
            self._count(change, letter.key, offer, now)
        with trio.CancelScope(shield=True):
            await self._book.store.write(change.done())
            self._letters.came(key)
        self._counts["deposits"] += 1
        self._counts["strangers"] += letter.key is None
        return self._promise(key, letter.envelope_id, letter.until)

    @staticmethod
    def _count(change: Change, key: bytes, offer: Offer, now: int) -> None:
        use, day = change.use(key), now // DAY_MS
        use = replace(use, waiting=use.waiting + offer.size)
        if offer.service:
            use = replace(use, day=day, service=use.service + 1 if use.day == day else 1)
        else:
            use = replace(use, last=now)
        change.set_use(key, use)

    # ---- the answer

    async def _again(self, key: bytes, envelope: bytes, known: Known) -> Result:
        """The answer to what was taken before, once that is on disk."""
        await self._book.store.barrier()
        return self._promise(key, envelope, known.until)

    def _promise(self, key: bytes, envelope: bytes, until: int) -> Result:
        word = sign_deposit(Deposited(key, envelope, until), self._peer_key)
        return Result(codes.OK, until=until, receipt=word)
