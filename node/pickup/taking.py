"""Taking letters in from a provider: sizes first, then bodies, small ones together; each is on disk before
the folder moves on. What can't be taken now is put aside, what is too large stays.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import trio

from node.pickup.book import MAX_LARGE, MAX_LATE, Folder, Late
from node.pickup.link import Link
from node.pickup.provider import Provider
from node.pickup.session import Refusal
from node.pickup.terms import Found, Full, Reply, Standing, Tools
from node.storage import Batch

log = logging.getLogger(__name__)

BATCH: Final = 20
"""Letters that come in one answer, if they are small."""

BATCH_BYTES: Final = 1_000_000
"""Of letters that come in one answer, as the server names their sizes; and of each, for it may be wrong."""

LARGE: Final = 1_000_000
"""Bytes from which a letter is looked through in a thread."""

FULL: Final = "4.3.1"
"""The status after which no other letter would be taken either."""

OURS: Final = "4.3."
"""What the statuses of troubles of our own begin with (RFC 3463 §3.4)."""

LOOKUP_MS: Final = 3_600_000
"""For how long a letter waits for the DNS to say who it is from; then it is taken as a stranger's."""

_RETURN_PATH: Final = re.compile(rb"(?i)\AReturn-Path:[ \t]*<([!-;=?-~]{0,254})>[ \t]*\r\n")


class Taking:
    """Takes letters of one provider."""

    def __init__(self, provider: Provider, tools: Tools, standing: Standing) -> None:
        self._provider = provider
        self._tools = tools
        self._standing = standing
        self._book = tools.book

    async def page(self, link: Link, name: str, folder: Folder, uids: Sequence[int]) -> Folder:
        """Some letters of a folder, in their order; how far it is then. Raises Trouble, Full."""
        sizes = await link.must(link.session.sizes, uids)
        gone = set(uids) - sizes.keys()
        folder = replace(
            folder,
            late=tuple(one for one in folder.late if one.uid not in gone),
            large=tuple(uid for uid in folder.large if uid not in gone),
        )
        for batch in _batches(uids, sizes, self._tools.max_size):
            folder = await self._batch(link, name, folder, batch, sizes)
        return folder

    async def _batch(
        self, link: Link, name: str, folder: Folder, batch: Sequence[int], sizes: dict[int, int]
    ) -> Folder:
        """Some letters in one answer. One that is larger than the server said comes once more, alone."""
        most = self._tools.max_size
        limit = (most if len(batch) == 1 else min(BATCH_BYTES, most)) + 1
        if len(batch) == 1 and sizes[batch[0]] > most:
            return await self._leave(name, folder, batch[0])
        try:
            letters = await link.ask(link.session.letters, batch, limit)
        except Refusal as no:
            if len(batch) == 1:
                log.info("a letter at %s can't be had: %s", self._provider.server.host, no)
                return await self._later(name, folder, batch[0])
            letters = {}
        for uid in batch:
            raw = letters.get(uid)
            if raw is not None and len(raw) < limit:
                folder = await self._letter(name, folder, uid, raw)
            elif len(batch) > 1:
                folder = await self._batch(link, name, folder, [uid], sizes)
            elif raw is not None:
                folder = await self._leave(name, folder, uid)
            else:  # it was there a moment ago
                folder = await self._later(name, folder, uid)
        return folder

    # ---- a letter

    async def _letter(self, name: str, folder: Folder, uid: int, raw: bytes) -> Folder:
        """Take it in, and move on once that is on disk."""
        provider, counts = self._provider, self._standing.counts
        digest, raw = await _prepared(raw)
        reply = None if self._book.has(provider, digest) else await self._take(folder, uid, raw)
        if reply is not None and 400 <= reply.code < 500:
            if reply.status == FULL:
                raise Full
            return await self._later(name, folder, uid, ours=reply.status.startswith(OURS))
        batch, here = Batch(), reply is None or reply.code < 400
        if here:
            self._book.note(batch, provider, name, folder.validity, uid, digest)
        folder = _past(folder, uid)
        with trio.CancelScope(shield=True):
            await self._book.keep(provider, name, folder, batch)
        counts[_outcome(reply)] += 1
        return folder

    async def _take(self, folder: Folder, uid: int, raw: bytes) -> Reply:
        provider = self._provider
        try:
            judgement = await self._tools.judge(raw, provider.authserv_ids)
            if judgement.later and self._may_wait(folder, uid):
                return _UNKNOWN_YET
            path = _RETURN_PATH.match(raw)
            sender = path[1].decode("ascii") if path else ""
            found = Found(raw, sender, provider.address, provider.server.host, judgement)
            return await self._tools.take(found)
        except Exception as fault:
            # Its text may hold what a letter says.
            log.error("a letter from %s failed here: %s", provider.server.host, type(fault).__name__)
            log.debug("it happened here", exc_info=True)
            return _FAULT

    def _may_wait(self, folder: Folder, uid: int) -> bool:
        """Whether it may come back for a look-up: not for long, and not where many do."""
        waited = [one.since for one in folder.late if one.uid == uid]
        if waited:
            return self._tools.clock.now() - waited[0] < LOOKUP_MS
        return len(folder.late) < MAX_LATE // 2

    async def _later(self, name: str, folder: Folder, uid: int, *, ours: bool = False) -> Folder:
        """Go on without it, and come back to it. Where too many wait the first of them stays there, but for
        troubles of our own: those are waited for.
        """
        late = folder.late
        if all(one.uid != uid for one in late):
            if len(late) >= MAX_LATE:
                if ours:
                    raise Full
                late = late[1:]
                self._standing.counts["left"] += 1
            late = (*late, Late(uid, self._tools.clock.now()))
        large = tuple(one for one in folder.large if one != uid)
        folder = replace(folder, next=max(folder.next, uid + 1), late=late, large=large)
        await self._book.keep(self._provider, name, folder)
        return folder

    async def _leave(self, name: str, folder: Folder, uid: int) -> Folder:
        """It is too large and stays there."""
        large = tuple(sorted({*folder.large, uid}))[-MAX_LARGE:]
        folder = replace(_past(folder, uid), large=large)
        await self._book.keep(self._provider, name, folder)
        return folder


@dataclass(frozen=True, slots=True)
class _Later:
    """What we say ourselves of a letter, which may be another next time."""

    status: str
    code: int = 451


_FAULT: Final = _Later("4.3.0")
_UNKNOWN_YET: Final = _Later("4.4.3")


def _past(folder: Folder, uid: int) -> Folder:
    """With this letter done."""
    return replace(
        folder,
        next=max(folder.next, uid + 1),
        late=tuple(one for one in folder.late if one.uid != uid),
        large=tuple(one for one in folder.large if one != uid),
    )


def _batches(uids: Sequence[int], sizes: dict[int, int], most: int) -> Iterator[list[int]]:
    """Letters in their order, small ones together."""
    batch: list[int] = []
    for uid in uids:
        if uid not in sizes:
            continue
        total = sum(sizes[one] for one in batch) + sizes[uid]
        if batch and (len(batch) == BATCH or total > min(BATCH_BYTES, most)):
            yield batch
            batch = []
        batch.append(uid)
    if batch:
        yield batch


def _outcome(reply: Reply | None) -> str:
    """What came of a letter that is done with: which count is one more."""
    if reply is None:
        return "again"
    if reply.code < 400:
        return "fetched"
    return "refused" if reply.status.startswith("5.7.") else "left"


async def _prepared(raw: bytes) -> tuple[bytes, bytes]:
    """What a letter is known again by, and the letter with the line ends that mail has."""
    if len(raw) < LARGE:
        return _digest(raw), _with_crlf(raw)
    return await trio.to_thread.run_sync(lambda: (_digest(raw), _with_crlf(raw)))


def _digest(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=32).digest()


def _with_crlf(raw: bytes) -> bytes:
    """With the line ends that RFC 5322 §2.3 wants, which servers have kept as they were."""
    if raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n"):
        return raw
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
