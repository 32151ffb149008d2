"""Keeps our IdentityRecord where others find it, looks for its birth stamp, and destroys old prekey links.
What the record says is own.py's.
"""

import logging
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import trio

from node.identity.own import Identity
from node.runtime.clock import Clock
from node.runtime.errors import NodeError
from node.runtime.rooms import Warning_
from node.storage import Batch, Store
from protocol.errors import RemoteProtocolError
from protocol.stamps import search_birth

log = logging.getLogger(__name__)

T = TypeVar("T")

EVERY_S: Final = 6 * 3_600.0
"""Seconds between two puts: values live for 24 h in the DHT at most, so three may fail. The first put after
midnight UTC carries the day's record (protocol §3)."""

AGAIN_S: Final = 60.0
"""Seconds until the next try while nobody holds our record, or the clock is doubtful."""

SETTLE_S: Final = 2.0
"""Seconds in which several reasons to publish (peers connecting one after the other) become one."""

CROWD: Final = 3
"""Peers that must hold our record before a newly connected one is no reason to put it again."""

CALM_S: Final = 60.0
"""Seconds after the start before the birth stamp is looked for: starting is work enough."""

TRIES: Final = 8
"""Nonces tried in one job, 0.1 s: the worker process is not kept from hostile mail for longer."""

REST_S: Final = 1.0
"""Seconds between two such jobs: a tenth of one core, for about ten minutes in an identity's life."""

JOB_S: Final = 30.0
"""Seconds that a job may take on the slowest machine."""


class Directory(Protocol):
    """Where records are put."""

    async def put_record(self, address: str, record: bytes) -> int:
        """At how many peers it is now stored. Raises NodeError, RemoteProtocolError if it is not valid."""
        ...


class Watch(Protocol):
    """Whether our clock is to be believed."""

    @property
    def doubtful(self) -> str | None: ...


class Jobs(Protocol):
    """Where work is done that would hold up everything else."""

    async def run(self, job: Callable[..., T], *args: object, deadline: float) -> T: ...


class Publisher:
    """Publishes at the start, when peers connect, when the record changes, and every six hours; never while
    the clock is doubtful (protocol §3). `run` is its one task.
    """

    def __init__(
        self,
        identity: Identity,
        directory: Directory,
        store: Store,
        clock: Clock,
        watch: Watch,
        jobs: Jobs,
        drained: Callable[[], bool] = lambda: True,
    ) -> None:
        """`drained`: whether nothing waits at a host any more that only an old prekey opens (§2)."""
        self._drained = drained
        self._identity = identity
        self._directory = directory
        self._store = store
        self._clock = clock
        self._watch = watch
        self._jobs = jobs
        self._wake = trio.Event()
        self.published: int | None = None
        self.stored = 0
        identity.on_change(self._wake_up)

    def peer_connected(self) -> None:
        """A peer is there that may hold our record."""
        if self.stored < CROWD:
            self._wake_up()

    def addresses_changed(self) -> None:
        """What the record says of our nodes may have changed."""
        self._identity.content_changed(self._clock.now())

    async def run(self) -> None:
        """Until cancelled. A fault of the disk or the network is logged and tried again."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._publish_always)
            nursery.start_soon(self._find_birth)

    def status(self) -> dict[str, object]:
        """When (Unix ms) the record was last put, and at how many peers."""
        return {"published": self.published, "stored": self.stored}

    def warnings(self) -> list[Warning_]:
        """What the owner should know."""
        doubt = self._watch.doubtful
        if doubt is None:
            return []
        text = f"{doubt}; until it is right nothing is published, expired or destroyed"
        return [Warning_("clock-doubtful", text, "set the machine's clock, best by NTP")]

    def _wake_up(self) -> None:
        self._wake.set()

    async def _publish_always(self) -> None:
        while True:
            self._wake = trio.Event()
            done = await self._publish()
            with trio.move_on_after(EVERY_S if done else AGAIN_S):
                await self._wake.wait()
            await trio.sleep(SETTLE_S)

    async def _publish(self) -> bool:
        """One put, with what belongs to it; whether it may rest until the next."""
        if self._watch.doubtful is not None:
            return False
        now = self._clock.now()
        try:
            self._identity.mend_time(now)
            if self._drained():
                await self._identity.destroy_links(now)
            record = self._identity.record(now)
            self._wake = trio.Event()  # what was a reason until here is in this record
            await self._save(self._identity.save)
            self.stored = await self._directory.put_record(self._identity.address, record.record)
        except (NodeError, RemoteProtocolError) as fault:
            log.warning("our identity record was not published: %s", fault)
            self.stored = 0
            return False
        if self.stored:
            self.published = now
        return self.stored > 0

    async def _find_birth(self) -> None:
        if self._identity.birth is not None:
            return
        await trio.sleep(CALM_S)
        while self._identity.birth is None:
            try:
                await self._try_birth(self._identity.birth_tried)
                await trio.sleep(REST_S)
            except NodeError as fault:
                log.warning("the search for the birth stamp rests: %s", fault)
                await trio.sleep(AGAIN_S)

    async def _try_birth(self, tried: int) -> None:
        found = await self._jobs.run(search_birth, self._identity.public_key, tried, TRIES, deadline=JOB_S)
        now = self._clock.now()
        await self._save(lambda batch: self._identity.birth_progress(batch, tried + TRIES, found, now))

    async def _save(self, change: Callable[[Batch], None]) -> None:
        batch = Batch()
        change(batch)
        if not batch.is_empty:
            await self._store.write(batch, sync=False)  # what a crash takes is found again
