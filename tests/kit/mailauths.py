"""node.mailauth without a worker process, at a time that stands, on a name server of the kit."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar, cast

import trio

from node.mailauth import Hop, MailAuth, Proof
from node.runtime.dns import Resolver
from node.runtime.worker import Worker, WorkerError
from tests.kit.names_server import Names

T = TypeVar("T")

NOW: Final = 1_800_000_000  # s


class Here:
    """A worker in this process, which remembers what it was asked and can be troubled."""

    def __init__(self) -> None:
        self.together: list[int] = []
        self.fault: Callable[[Sequence[object]], WorkerError | None] = lambda tasks: None
        self.gate = trio.Event()
        self.gate.set()

    async def run(self, job: Callable[..., T], tasks: Sequence[object], *, deadline: float) -> T:
        await self.gate.wait()
        self.together.append(len(tasks))
        if fault := self.fault(tasks):
            raise fault
        return job(tasks)

    async def in_thread(self, call: Callable[..., T], *args: object) -> T:
        return call(*args)


class At:
    """A clock that stands."""

    def now(self) -> int:
        return NOW * 1000


def mail_auth(names: Names, worker: object = None) -> MailAuth:
    return MailAuth(Resolver([names.address]), cast(Worker, worker or Here()), At())


async def prove(room: MailAuth, raw: bytes) -> Proof:
    """What the signatures of a message come to, that nobody is known to have brought."""
    return (await room.judge(raw, Hop("", "", ""), "")).proof
