"""What the result of one attempt makes of a delivery (protocol.md §6, *Sending*): values in, a value out."""

from __future__ import annotations

from dataclasses import replace

from node.outbox.letter import WAITING, Delivery, Result
from node.outbox.timetable import GIVE_UP_MS, Lane, wait_alone


def judged(
    delivery: Delivery, result: Result, lane: Lane, now: int, chance: float, *, patient: bool
) -> Delivery:
    """The delivery after an attempt; unchanged where it had ended while the attempt ran (cancelled, or its
    receipt came). Times in Unix ms, `chance` uniform in [0, 1); `patient`: nothing is given up, because
    our clock is doubtful (§3).
    """
    if delivery.state not in WAITING and result.outcome != "delivered":
        return delivery
    told = replace(delivery, code=result.status.code, detail=result.detail, next=0, cause="")
    if result.outcome == "delivered":
        return replace(told, state="delivered")
    if result.outcome == "held":
        return replace(told, state="held", cause=result.cause)
    if result.outcome == "refused":
        return replace(told, state="refused")
    # A time that the other side names, and the end of a hold, begin the five days anew.
    since = result.until or (now if delivery.state == "held" else delivery.since)
    if now >= since + GIVE_UP_MS and not patient:
        return replace(told, state="failed", detail=f"given up after five days: {result.detail}")
    again = result.until or lane.retry_at or now + wait_alone(now - since, chance)
    return replace(told, state="queued", since=since, next=again)
