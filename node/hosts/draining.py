"""Getting the letters that wait at a host: listed, fetched, taken, and acknowledged once they are on disk
here (protocol.md §6, *Hosts*). What a letter is, is for whoever takes it.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from typing import Final

import trio

from node.hosts.book import HostRow
from node.hosts.errors import HostRefused, WrongEnvelope
from node.hosts.talk import Talk
from node.hosts.visits import Visit, Visits
from node.runtime.errors import NodeError
from protocol.errors import RemoteProtocolError
from protocol.host import MAX_WAIT_S, Acknowledge, List, Wait, Waiting

log = logging.getLogger(__name__)

WAIT_DEADLINE_S: Final = MAX_WAIT_S + 30.0
"""Seconds for the answer to a long poll, on a stream of its own."""

SIDE_BY_SIDE: Final = 4
"""Letters of one host that are fetched and taken at once: a megabyte each, and half a second at most."""

MAX_LISTS: Final = 1_000
"""Lists read in one go: a million letters. A host that names more is not honest."""

AGAIN_S: Final = 600.0
"""Seconds until what was left for later is fetched again."""

LEAST_POLL_S: Final = 10.0
"""Seconds that a poll without news takes at least: a host that answers at once is not asked at once again."""


class Taken(Enum):
    """What became of an envelope here. SETTLED: it is on disk, or refused for good; LATER: to be fetched
    again.
    """

    SETTLED = "settled"
    LATER = "later"


Take = Callable[[Waiting, bytes], Awaitable[Taken]]


class Drainer:
    """Empties one host. `drained` is called whenever nothing is left there but what was put off; `put_off`:
    whether anything was.
    """

    def __init__(self, visits: Visits, take: Take, drained: Callable[[], None]) -> None:
        self._visits = visits
        self._take = take
        self._drained = drained
        self.put_off = False

    async def stay(self, host: HostRow) -> None:
        """Drain, then wait for more, until the host goes, or tells of a letter and lists none: that one was
        cancelled meanwhile, or answers are a question late, for which a new stream helps. Raises what a visit
        does.
        """
        async with self._visits.to(host, WAIT_DEADLINE_S) as visit:
            if not visit.opened:
                return
            after, listed = await self._drain(visit, host, 0), trio.current_time()
            while True:
                began = trio.current_time()
                answer = await visit.talk.ask(Wait(after, MAX_WAIT_S))
                if answer.last > after:
                    last, after = after, await self._drain(visit, host, after)
                    if after == last:
                        return
                    continue
                if self.put_off and trio.current_time() >= listed + AGAIN_S:
                    after, listed = await self._drain(visit, host, 0), trio.current_time()
                await trio.sleep(max(0.0, began + LEAST_POLL_S - trio.current_time()))

    async def _drain(self, visit: Visit, host: HostRow, after: int) -> int:
        """Take all letters behind number `after`; the last one's number."""
        if after == 0:
            self.put_off = False
        for _ in range(MAX_LISTS):
            answer = await visit.talk.ask(List(after))
            numbers = [letter.n for letter in answer.letters]
            if numbers != sorted(set(numbers)) or (numbers and numbers[0] <= after):
                raise RemoteProtocolError("a host's list is out of order")
            await self._take_all(visit, host, answer.letters)
            after = numbers[-1] if numbers else after
            if not answer.more or not numbers:
                self._drained()
                return after
        raise RemoteProtocolError("a host names more letters than an account holds")

    async def _take_all(self, visit: Visit, host: HostRow, letters: Sequence[Waiting]) -> None:
        queue, fault = (_believed(letter, visit.account) for letter in letters), None
        async with trio.open_nursery() as nursery:
            for _ in range(min(SIDE_BY_SIDE, len(letters)) - 1):
                nursery.start_soon(self._help, host, queue)
            try:
                await self._take_some(visit.talk, queue)
            except (NodeError, RemoteProtocolError) as error:
                fault = error  # a nursery would hide it in a group
        if fault is not None:
            raise fault

    async def _help(self, host: HostRow, queue: Iterator[Waiting]) -> None:
        """Take some over another stream; if that fails, the first stream takes what is left."""
        from node.network import PeerUnreachable

        try:
            async with self._visits.to(host) as visit:
                await self._take_some(visit.talk, queue)
        except (PeerUnreachable, RemoteProtocolError, HostRefused) as fault:
            self.put_off = True
            log.debug("a second stream to a host: %s", fault)

    async def _take_some(self, talk: Talk, queue: Iterator[Waiting]) -> None:
        for letter in queue:
            try:
                blob = await talk.fetch(letter.envelope_id)
                taken = await self._take(letter, blob)
            except (HostRefused, WrongEnvelope) as fault:
                log.info("a host lists a letter that it does not give: %s", fault)
                self.put_off = True
                continue
            except NodeError as fault:
                if _is_away(fault):
                    raise
                log.warning("a letter at a host could not be taken: %s", fault)
                self.put_off = True
                continue
            if taken is Taken.SETTLED:
                await talk.ask(Acknowledge((letter.envelope_id,)))
            else:
                self.put_off = True


def _believed(letter: Waiting, account: bytes) -> Waiting:
    """Without a delivery key that it did not come under: the host of an account knows all that it takes."""
    return letter if letter.is_proven(account) else replace(letter, key=None, signature=None)


def _is_away(fault: NodeError) -> bool:
    from node.network import NetworkError

    return isinstance(fault, NetworkError)
