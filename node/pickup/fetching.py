"""Fetching from one provider: folder by folder, page by page, then waiting for what is new, and beginning
anew with patience when the connection breaks. What becomes of a letter is taking.py's.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final

import trio

from node.pickup.book import Folder
from node.pickup.link import Link
from node.pickup.provider import INBOX, Provider
from node.pickup.session import WINDOW, Refusal, Selected
from node.pickup.taking import Taking
from node.pickup.terms import Full, Standing, Tools, full_warning
from node.pickup.trouble import OWNERS, Trouble, Way
from node.runtime.rooms import Warning_
from node.storage import StoreUnavailable

log = logging.getLogger(__name__)

PAGE: Final = 100
"""Letters whose sizes are asked for at once."""

DELETED_AT_ONCE: Final = 100
"""Letters deleted by one command."""

MAX_STIRS: Final = 200
"""Times that a server may say something of no use before all is looked at again; honest ones do every two
minutes, and when letters are marked.
"""

GIVE_UP_MS: Final = 5 * 86_400_000
"""For how long a letter that can't be taken in is tried again; mail servers try as long."""


class Fetching:
    """One provider's work; ends when cancelled."""

    def __init__(self, provider: Provider, tools: Tools) -> None:
        self.provider = provider
        self.standing = Standing()
        self._tools = tools
        self._book = tools.book
        self._taking = Taking(provider, tools, self.standing)
        self._retry_at: dict[str, float] = {}

    async def run(self) -> None:
        """For ever."""
        pace, pause = self._tools.pace, self._tools.pace.first
        while True:
            try:
                await self._visit()
            except (Full, StoreUnavailable):
                self._stands("full", full_warning(self.provider.address))
                await trio.sleep(pace.late)
            except Trouble as trouble:
                if self.standing.state == "ok":
                    pause = pace.first
                self._fails(trouble)
                await trio.sleep(pace.owners if trouble.way in OWNERS else pause)
                pause = min(2 * pause, pace.most)
            except Exception as fault:
                log.error("fetching failed here: %s", type(fault).__name__)  # its text may hold mail
                log.debug("it happened here", exc_info=True)
                self._stands("fault", _ours(self.provider.address, fault))
                await trio.sleep(pace.most)

    async def _visit(self) -> None:
        """One connection, for as long as it holds. Raises Trouble, Full."""
        password = self._book.password(self.provider.address)
        server, tools = self.provider.server, self._tools
        link = await Link.open(server, password, tools.dial, tools.limiter, tools.pace.answer)
        try:
            while True:
                if missing := await self._rounds(link):
                    self._fails(missing)
                else:
                    self._stands("ok", None)
                await self._wait(link)
        finally:
            link.drop()

    async def _rounds(self, link: Link) -> Trouble | None:
        """Through all folders; another one than INBOX that can't be opened holds up none: what was met."""
        missing = None
        for name in reversed(self.provider.folders):  # INBOX last, so that it is the one to idle on
            try:
                await self._round(link, name)
            except Trouble as trouble:
                if name == INBOX or trouble.way is not Way.NO_FOLDER:
                    raise
                missing = trouble
        return missing

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
            since = self._since() if folder.next < folder.fence else 0
            uids = await link.must(link.session.search, folder.next, last, since)
            for start in range(0, len(uids), PAGE):
                folder = await self._taking.page(link, name, folder, uids[start : start + PAGE])
                self._progress(name, folder, selected)
            folder = replace(folder, next=last + 1)
            await self._book.keep(self.provider, name, folder)
        self._notice(name, folder)
        await self._delete(link, name, selected)

    def _since(self) -> int:
        """From when on old letters are wanted. Who wants none has some only in a folder that was numbered
        anew: of those, what came since it is fetched at all.
        """
        return self.provider.created if self.provider.since is None else self.provider.since

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
            folder = await self._taking.page(link, name, folder, uids[start : start + PAGE])
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
                await link.must(link.session.delete, uids)
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
        said = await link.must(session.idle)
        with trio.move_on_after(seconds):
            for _ in range(MAX_STIRS):
                if not said:
                    await link.readable()
                said = False
                if await link.must(session.stir):
                    break
            else:
                await trio.sleep(pace.first)  # whatever it is that it tells about without an end
        await link.must(session.done)

    # ---- how it stands

    def _fails(self, trouble: Trouble) -> None:
        server = self.provider.server
        warning = trouble.warning(self.provider.address, server.host, server.port, self.provider.note)
        if self.standing.warning != warning:
            log.warning("fetching: %s", warning.text)
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


def first_of(provider: Provider, selected: Selected) -> Folder:
    """Where a folder that was never looked at is begun: at what comes from now on, or at old letters too."""
    start = selected.next if provider.since is None else 1
    return Folder(selected.validity, start, selected.next)


def _ours(address: str, fault: Exception) -> Warning_:
    text = f"{address}: fetching failed by a fault of this program ({type(fault).__name__})"
    return Warning_("provider-fault", text, "please report it; it is tried again")
