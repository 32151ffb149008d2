"""Hands messages to the worker process, several in one call where several wait: a call costs more than a
message. What is read out of them is parse.py's.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from node.kinds import Looked, Sort, Want, find_all
from node.letters import cutting, parse, submitted
from node.letters.cutting import Cut
from node.letters.limits import check_bytes
from node.letters.parse import Hole, Parts, Summary
from node.letters.submitted import Adopted, Faces
from node.runtime.together import Together
from node.runtime.worker import Worker, WorkerError, WorkerTimeout
from protocol.errors import RemoteProtocolError
from protocol.status import BUSY

T = TypeVar("T")

DEADLINE_S: Final = 4.0
"""Seconds for one call. Under its limits no message takes one on the slowest machine we know; below five,
so that one peer's rubbish does not hold up another's mail for longer."""

LARGE: Final = 1_048_576
"""Bytes above which a message is read by the worker for large ones, so that letters need not wait for it:
25 MB take half a second, or two where they are meant to."""

LARGE_DEADLINE_S: Final = 10.0
"""Seconds for one of those."""

_BLAMED: Final = frozenset({"worker-died", "worker-memory"})
"""Faults of the worker that the message may have caused."""


class Reader:
    """Reads messages without trusting them, with `heavy` the large ones. Belongs to trio's thread."""

    def __init__(self, worker: Worker, heavy: Worker | None = None) -> None:
        self._worker = worker
        self._heavy = heavy or worker
        self._together = Together(self._summaries, len)

    async def summary(self, raw: bytes) -> Summary:
        """Its summary. Raises RemoteProtocolError, and WorkerError when no worker can be had."""
        check_bytes(raw)
        if len(raw) > LARGE:
            return await self._alone(parse.summarize, raw)
        outcome = await self._together.run(raw)
        if isinstance(outcome, RemoteProtocolError):
            raise outcome
        return outcome

    async def parts(self, raw: bytes, holes: Sequence[Hole] = ()) -> Parts:
        """Its bodies and attachments; `holes` are what was taken out of it. Raises as `summary` does."""
        check_bytes(raw)
        return await self._alone(partial(parse.read_parts, holes=holes), raw)

    async def content(self, raw: bytes, holes: Sequence[Hole], n: int) -> bytes:
        """Attachment `n`, which lies inside the message, decoded. Raises as `summary` does."""
        check_bytes(raw)
        return await self._alone(partial(parse.part_content, n=n, holes=holes), raw)

    async def sorts(self, files: Sequence[Looked]) -> Sequence[Sort | Want | None]:
        """What each of these files is, or which range of it is needed to tell; None where they are more than
        the worker can bear. Raises WorkerError when none can be had.
        """
        try:
            return await self._worker.run(find_all, files, deadline=DEADLINE_S)
        except WorkerError as error:
            if not _to_blame(error):
                raise
        return [None] * len(files)

    async def cuts(self, raw: bytes, room: int) -> Sequence[Cut]:
        """What to take out of it, so that the rest and the refs have `room` bytes at most. Raises as
        `summary` does.
        """
        check_bytes(raw)
        return await self._alone(partial(cutting.find_cuts, room=room), raw)

    async def adopt(self, raw: bytes, faces: Faces, now: int, message_id: str) -> Adopted:
        """What a mail program handed in, for each route. Raises as `summary` does."""
        check_bytes(raw)
        headers = await self._alone(
            partial(submitted.adopt, faces=faces, now=now, message_id=message_id), raw
        )
        return headers.adopted(raw)

    async def _summaries(self, raws: Sequence[bytes]) -> Sequence[Summary | RemoteProtocolError]:
        if len(raws) > 1:
            try:
                return await self._worker.run(parse.summarize_all, raws, deadline=DEADLINE_S)
            except WorkerError as error:
                if not _to_blame(error):
                    raise
        return [await self._single(raw) for raw in raws]

    async def _single(self, raw: bytes) -> Summary | RemoteProtocolError:
        try:
            return await self._alone(parse.summarize, raw)
        except RemoteProtocolError as error:
            return error

    async def _alone(self, job: Callable[[bytes], T], raw: bytes) -> T:
        large = len(raw) > LARGE
        worker, deadline = (self._heavy, LARGE_DEADLINE_S) if large else (self._worker, DEADLINE_S)
        try:
            return await worker.run(job, raw, deadline=deadline)
        except WorkerTimeout:
            # Under its limits no message takes so long: rather the machine was held up, so it may come again.
            raise RemoteProtocolError("the message could not be read in time", BUSY) from None
        except WorkerError as error:
            if not _to_blame(error):
                raise
        # It may have died of something else. A worker that can't even start is no message's fault.
        await worker.run(bool, deadline=deadline)
        try:
            return await worker.run(job, raw, deadline=deadline)
        except WorkerError as error:
            raise RemoteProtocolError("the message can't be read with reasonable effort") from error


def _to_blame(error: WorkerError) -> bool:
    return isinstance(error, WorkerTimeout) or error.code in _BLAMED
