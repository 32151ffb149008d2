"""The work that a first contact costs (protocol.md §6), at an owner's node as at its hosts."""

from __future__ import annotations

from typing import Final

from node.outbox import Result
from node.runtime.worker import Worker, WorkerError
from protocol.offer import Challenge, Stamp
from protocol.stamps import ASK_ABOVE_PRICE, search_stamp
from protocol.status import UNKNOWN_SENDER

STAMP_DEADLINE: Final = 300.0
"""Seconds for one stamp: 12 bits take a minute here and four on a Raspberry Pi."""


class Stamper:
    """Searches stamps in a worker process."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def work(self, challenge: Challenge, *, approved: bool) -> Stamp | Result:
        """The stamp, or what keeps us from it: above a price the author is asked first."""
        if challenge.price > ASK_ABOVE_PRICE and not approved:
            text = f"a first letter to this owner costs {challenge.price} bits of work now"
            return Result("held", UNKNOWN_SENDER, text, cause="approval")
        try:
            nonce = await self._worker.run(
                search_stamp, challenge.challenge, challenge.price, deadline=STAMP_DEADLINE
            )
        except WorkerError as fault:
            return Result("later", UNKNOWN_SENDER, f"no stamp was found: {fault.text}")
        return Stamp(challenge.challenge, nonce)
