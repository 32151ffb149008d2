"""Fetching from one provider: folder by folder, page by page, then waiting for what is new, and anew
with patience when the connection breaks. How far it is moves only once a letter is on disk.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import trio

from node.mailauth import Judgement
from node.pickup.book import MAX_LARGE, MAX_LATE, Folder, Late, Providers
from node.pickup.link import PATIENCE_S, Dial, Link
from node.pickup.provider import INBOX, Provider
from node.pickup.session import WINDOW, Refusal, Selected
from node.pickup.trouble import OWNERS, Trouble, Way
from node.runtime.clock import Clock
from node.runtime.rooms import Warning_
from node.storage import Batch

log = logging.getLogger(__name__)

PAGE: Final = 100
"""Letters whose sizes are asked for at once."""

BATCH: Final = 20
"""Letters that come in one answer, if they are small."""

BATCH_BYTES: Final = 1_000_000
"""Of letters that come in one answer, as the server names their sizes; and of each, for it may be wrong."""

LARGE: Final = 1_000_000
"""Bytes from which a letter is looked through in a thread."""

DELETED_AT_ONCE: Final = 100
"""Letters deleted by one command."""

MAX_STIRS: Final = 200
"""Times that a server may say something of no use before all is looked at again; honest ones do every two
minutes, and when letters are marked.
"""

GIVE_UP_MS: Final = 5 * 86_400_000
"""For how long a letter that can't be taken in is tried again; mail servers try as long."""

FULL: Final = frozenset({"4.3.1", "4.2.2"})
"""Statuses after which no other letter would be taken either."""

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_RETURN_PATH: Final = re.compile(rb"(?i)\AReturn-Path:[ \t]*<([!-;=?-~]{0,254})>[ \t]*\r\n")


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between looks at folders where nothing is told by itself, and at most of being idle (RFC 2177:
    29 minutes; networks forget connections sooner); before another attempt, at first and at most; before
    another where only the owner can mend it; before letters that were not taken are tried again; and for an
    answer without letters.
    """

    poll: float = 120.0
    idle: float = 540.0
    first: float = 5.0
    most: float = 900.0
    owners: float = 3_600.0
    late: float = 300.0
    answer: float = PATIENCE_S


@dataclass(frozen=True, slots=True)
class Found:
    """A letter of the owner's mailbox `address`; `sender` is who its Return-Path names, `host` who had it."""

    raw: bytes
    sender: str
    address: str
    host: str
    judgement: Judgement


class Reply(Protocol):
    """What came of a letter, in the codes of SMTP: 2 it is on disk, 4 not now, 5 never."""

    @property
    def code(self) -> int: ...

    @property
    def status(self) -> str: ...


Take = Callable[[Found], Awaitable[Reply]]
Judging = Callable[[bytes, frozenset[str]], Awaitable[Judgement]]


class Full(Exception):  # noqa: N818 - a state
    """Nothing more is taken here for now."""

    def warning(self, address: str) -> Warning_:
        return Warning_(
            "provider-full",
            f"{address}: letters stay there, as none can be taken in here now",
            "the other warnings say why; it is tried again every few minutes",
        )


@dataclass(slots=True)
class Standing:
    """How a provider stands, for status. Counts are since the start."""

    state: str = "connecting"
    warning: Warning_ | None = None
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("fetched", "again", "refused", "left", "deleted"), 0)
    )
    late: dict[str, int] = field(default_factory=dict)
    large: dict[str, int] = field(default_factory=dict)
    marked: bool = False
    """Whether letters could only be marked as deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What fetching needs, the same for each provider."""

    book: Providers
    take: Take
    judge: Judging
    clock: Clock
    tell: Callable[[dict[str, object]], None]
    max_size: int
    limiter: trio.CapacityLimiter
    dial: Dial
    pace: Pace


class Fetching:
    """One provider's work; ends when cancelled."""

    def __init__(self, provider: Provider, tools: Tools) -> None:
        self.provider = provider
        self.standing = Standing()
        self._tools = tools
        self._book = tools.book
        self._retry_at: dict[str, float] = {}

    async def run(self) -> None:
        """For ever."""
        pace, pause = self._tools.pace, self._tools.pace.first
        while True:
            try:
                await self._visit()
            except Full as full:
                self._stands("full", full.warning(self.provider.address))
                await trio.sleep(pace.late)
                continue
            except Trouble as trouble:
                if self.standing.state == "ok":
                    pause = pace.first
                self._fails(trouble)
                await trio.sleep(pace.owners if trouble.way in OWNERS else pause)
                pause = min(2 * pause, pace.most)

    async def _visit(self) -> None:
        """One connection, for as long as it holds. Raises Trouble, Full."""
        password = self._book.password(self.provider.address)
        server, tools = self.provider.server, self._tools
        link = await Link.open(server, password, tools.dial, tools.limiter, tools.pace.answer)
        try:
            while True:
                for name in reversed(self.provider.folders):  # INBOX last, so that it is the one to idle on
                    await self._round(link, name)
                self._stands("ok", None)
                await self._wait(link)
        finally:
            link.drop()

    # ---- a folder

    async def _round(self, link: Link, name: str) -> None:
        """Everything that is new in a folder, and what is due there."""
        selected = await self._select(link, name)
        folder = self._begin(name, selected)
        await self._book.keep(self.provider, name, folder)
        folder = await self._again(link, name, folder)
        while folder.next < selected.next:
            last = min(folder.next + WINDOW, selected.next) - 1
            if folder.next < folder.fence:
                last = min(last, folder.fence - 1)
            since = (self.provider.since or 0) if folder.next < folder.fence else 0
            uids = await self._asked(link, link.session.search, folder.next, last, since)
            for start in range(0, len(uids), PAGE):
                folder = await self._page(link, name, folder, uids[start : start + PAGE])
                self._progress(name, folder, selected)
            folder = replace(folder, next=last + 1)
            await self._book.keep(self.provider, name, folder)
        self._notice(name, folder)
        await self._delete(link, name, selected)

    async def _select(self, link: Link, name: str) -> Selected:
        change = self.provider.delete_after is not None
        select = link.session.select
        try:
            return await link.ask(lambda: select(name, change=change))
        except Refusal as no:
            raise Trouble(Way.NO_FOLDER, f"{name}: {no}") from no

    def _begin(self, name: str, selected: Selected) -> Folder:
        """Where to go on. A new numbering begins at its first letter: what is here already is known again."""
        folder = self._book.folder(self.provider, name)
        if folder is None:
            return first_of(self.provider, selected)
        if folder.validity != selected.validity or selected.next < folder.next:
            log.info("a folder at %s is numbered anew", self.provider.server.host)
            return Folder(selected.validity, 1, selected.next)
        return folder

    async def _again(self, link: Link, name: str, folder: Folder) -> Folder:
        """Try those again that could not be taken, or were too large: the limit may be another now."""
        moment = trio.current_time()
        if moment < self._retry_at.get(name, moment) or not (folder.late or folder.large):
            return folder
        self._retry_at[name] = moment + self._tools.pace.late
        now = self._tools.clock.now()
        given_up = [one for one in folder.late if now - one.since > GIVE_UP_MS]
        self.standing.counts["left"] += len(given_up)
        folder = replace(folder, late=tuple(one for one in folder.late if one not in given_up))
        uids = sorted({one.uid for one in folder.late} | set(folder.large))
        for start in range(0, len(uids), PAGE):
            folder = await self._page(link, name, folder, uids[start : start + PAGE])
        await self._book.keep(self.provider, name, folder)
        return folder

    async def _page(self, link: Link, name: str, folder: Folder, uids: Sequence[int]) -> Folder:
        sizes = await self._asked(link, link.session.sizes, uids)
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
                log.info("a letter at %s can't be had: %s", self.provider.server.host, no)
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
        provider, counts = self.provider, self.standing.counts
        digest, raw = await _prepared(raw)
        reply = None if self._book.has(provider, digest) else await self._take(raw)
        if reply is not None and 400 <= reply.code < 500:
            if reply.status in FULL:
                raise Full
            return await self._later(name, folder, uid)
        batch, here = Batch(), reply is None or reply.code < 400
        if here:
            self._book.note(batch, provider, name, folder.validity, uid, digest)
        folder = _past(folder, uid)
        with trio.CancelScope(shield=True):
            await self._book.keep(provider, name, folder, batch)
        counts[_outcome(reply)] += 1
        return folder

    async def _take(self, raw: bytes) -> Reply:
        provider = self.provider
        try:
            judgement = await self._tools.judge(raw, provider.authserv_ids)
            path = _RETURN_PATH.match(raw)
            sender = path[1].decode("ascii") if path else ""
            found = Found(raw, sender, provider.address, provider.server.host, judgement)
            return await self._tools.take(found)
        except Exception:  # one letter must not keep back all behind it
            log.exception("a letter from %s could not be taken in", provider.server.host)
            return _Fault()

    async def _later(self, name: str, folder: Folder, uid: int) -> Folder:
        """Go on without it, and come back to it."""
        if all(one.uid != uid for one in folder.late):
            if len(folder.late) >= MAX_LATE:
                raise Full
            folder = replace(folder, late=(*folder.late, Late(uid, self._tools.clock.now())))
        folder = replace(folder, next=max(folder.next, uid + 1))
        await self._book.keep(self.provider, name, folder)
        return folder

    async def _leave(self, name: str, folder: Folder, uid: int) -> Folder:
        """It is too large and stays there."""
        large = tuple(sorted({*folder.large, uid}))[-MAX_LARGE:]
        folder = replace(_past(folder, uid), large=large)
        await self._book.keep(self.provider, name, folder)
        return folder

    # ---- deleting

    async def _delete(self, link: Link, name: str, selected: Selected) -> None:
        """What is on disk here for as long as the owner wants, by the numbers that it had then."""
        provider = self.provider
        while provider.delete_after is not None:
            due = self._book.due(provider, name, DELETED_AT_ONCE)
            if not due:
                return
            uids = [uid for _, uid, validity in due if validity == selected.validity]
            if uids:
                await self._asked(link, link.session.delete, uids)
                self.standing.counts["deleted"] += len(uids)
                self.standing.marked = not link.session.can_expunge
            await self._book.deleted(provider, name, due)

    # ---- waiting

    async def _wait(self, link: Link) -> None:
        """Until there may be something new."""
        pace, session = self._tools.pace, link.session
        if session.changed:
            return  # it came while we looked elsewhere
        if not session.can_idle:
            await trio.sleep(pace.poll)
            return
        seconds = pace.idle if self.provider.folders == (INBOX,) and not self.standing.late else pace.poll
        said = await self._asked(link, session.idle)
        with trio.move_on_after(seconds):
            for _ in range(MAX_STIRS):
                if not said:
                    await link.readable()
                said = False
                if await self._asked(link, session.stir):
                    break
            else:
                await trio.sleep(pace.first)  # whatever it is that it tells about without an end
        await self._asked(link, session.done)

    async def _asked(self, link: Link, call: Callable[..., Any], *args: object) -> Any:
        """A question to which no is no answer. Raises Trouble."""
        try:
            return await link.ask(call, *args)
        except Refusal as no:
            raise Trouble(Way.REFUSED, str(no)) from no

    # ---- how it stands

    def _fails(self, trouble: Trouble) -> None:
        server = self.provider.server
        warning = trouble.warning(self.provider.address, server.host, server.port, self.provider.note)
        if self.standing.warning != warning:
            log.warning("nothing is fetched: %s", warning.text)
        self._stands("fault", warning)

    def _stands(self, state: str, warning: Warning_ | None) -> None:
        if self.standing.state != state:
            self._tools.tell({"address": self.provider.address, "state": state})
        self.standing.state, self.standing.warning = state, warning

    def _progress(self, name: str, folder: Folder, selected: Selected) -> None:
        self._notice(name, folder)
        told = {"folder": name, "next": folder.next, "end": selected.next, **self.standing.counts}
        self._tools.tell({"address": self.provider.address, "state": "fetching", **told})

    def _notice(self, name: str, folder: Folder) -> None:
        for told, count in ((self.standing.late, len(folder.late)), (self.standing.large, len(folder.large))):
            told.pop(name, None)
            if count:
                told[name] = count


@dataclass(frozen=True, slots=True)
class _Fault:
    """A fault of ours, which may be another next time."""

    code: int = 451
    status: str = "4.3.0"


def first_of(provider: Provider, selected: Selected) -> Folder:
    """Where a folder that was never looked at is begun: at what comes from now on, or at old letters too."""
    start = selected.next if provider.since is None else 1
    return Folder(selected.validity, start, selected.next)


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
    return _LINE_END.sub(b"\r\n", raw)
