"""What the result of one attempt makes of a delivery (protocol.md §6, *Sending*): values in, a value out."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from node.outbox.letter import Delivery, Kind, Result
from node.outbox.timetable import GIVE_UP_MS, Lane, wait_alone
from protocol.status import EXPIRED

ANOTHER_WAY_MS: Final = 86_400_000
"""A day: a letter at a host whose receipt has not come by then is tried another way (§6)."""


def judged(
    delivery: Delivery, result: Result, lane: Lane, now: int, chance: float, *, kind: Kind, patient: bool
) -> Delivery:
    """The delivery after an attempt; unchanged where it had ended while the attempt ran (cancelled, or its
    receipt came). Times in Unix ms, `chance` uniform in [0, 1); `patient`: nothing is given up, because
    our clock is doubtful (§3).
    """
    if not delivery.open and result.outcome != "delivered":
        return delivery
    told = replace(delivery, code=result.status.code, detail=result.detail, next=0, cause="")
    if result.moved is not None:
        return replace(told, recipient=result.moved, state="queued", code="", since=now)
    if result.outcome == "delivered":
        return replace(told, state="delivered", until=0)
    if result.outcome == "refused":
        return replace(told, state="refused", until=0)
    if result.outcome == "at-host":
        again = min(now + ANOTHER_WAY_MS, max(result.until, now + 1))
        # Nobody receipts a letter of receipts.
        return replace(
            told,
            state="at-host",
            until=result.until,
            cause=result.cause,
            next=0 if kind == "receipt" else again,
        )
    if delivery.state == "at-host":
        return _waits_there(delivery, now, patient=patient)
    if result.outcome == "held" and kind != "receipt":  # of which its author is not asked
        return replace(told, state="held", cause=result.cause)
    # A time that the other side names, and the end of a hold, begin the five days anew.
    since = result.until or (now if delivery.state == "held" else delivery.since)
    if now >= since + GIVE_UP_MS and not patient:
        return replace(told, state="failed", detail=f"given up after five days: {result.detail}")
    again = result.until or lane.retry_at or now + wait_alone(now - since, chance)
    return replace(told, state="queued", since=since, next=again)


def _waits_there(delivery: Delivery, now: int, *, patient: bool) -> Delivery:
    """It lies at a host, and this attempt to reach its recipient came to nothing."""
    if now < delivery.until or patient:
        left = delivery.until - now
        return replace(delivery, next=now + (min(ANOTHER_WAY_MS, left) if left > 0 else ANOTHER_WAY_MS))
    if delivery.cause == "first-contact":
        return replace(delivery, next=0)
    detail = "nobody fetched it from the host that kept it for 30 days"
    return replace(delivery, state="not-collected", code=EXPIRED.code, detail=detail, next=0, until=0)
