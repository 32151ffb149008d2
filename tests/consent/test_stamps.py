"""Challenges and stamps: bound to a peer, used once, bounded in number (protocol.md §6, *First contact*)."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import trio
import trio.testing

from node.consent.stamps import (
    CHALLENGE_LIFE_MS,
    DAILY,
    MAX_CHECKS,
    MAX_OPEN,
    MAX_OPEN_OF_PEER,
    Challenges,
)
from node.runtime.clock import DAY_MS
from protocol import status as codes
from protocol.errors import RemoteProtocolError
from protocol.offer import Stamp
from protocol.stamps import search_stamp
from protocol.status import Status
from tests.kit.gates import Here
from tests.kit.owners import NOW

T = TypeVar("T")

PEER = b"a peer"


def make(fullness: float = 0.0) -> Challenges:
    return Challenges(Here(), lambda: fullness)


async def refusal(challenges: Challenges, stamp: Stamp, peer: bytes = PEER, now: int = NOW) -> Status:
    with pytest.raises(RemoteProtocolError) as fault:
        await challenges.check(peer, stamp, now)
    return fault.value.status


@pytest.mark.parametrize(("fullness", "price"), [(0, 6), (0.5, 6), (0.75, 9), (1, 12), (7, 12)])
def test_price_rises_as_the_room_fills(fullness: float, price: int) -> None:
    assert price == make(fullness).price(NOW)


async def test_price_rises_with_what_is_taken_in_a_day_and_falls_again() -> None:
    """Letters without a message fill no room; what is remembered of them must have a price too."""
    challenges = Challenges(Slow(go=True), lambda: 0.0)
    prices = {}
    for taken in range(DAILY):
        prices[taken] = challenges.price(NOW)
        stamp = Stamp(challenges.give(PEER, NOW, 1, 1).challenge, bytes(8))
        await challenges.check(PEER, stamp, NOW)
    assert (6, 6, 9, 12) == (prices[0], prices[DAILY // 2], prices[DAILY * 3 // 4], prices[DAILY - 1])
    assert 12 == challenges.price(NOW - DAY_MS)
    assert (9, 6) == (challenges.price(NOW + DAY_MS // 4), challenges.price(NOW + DAY_MS // 2))


async def test_stamp_is_taken_once() -> None:
    challenges = make()
    given = challenges.give(PEER, NOW, 2_960, 6)
    assert (6, NOW + CHALLENGE_LIFE_MS, 2_960, 6, 16_384) == (
        given.price,
        given.until,
        given.first_week,
        given.weeks,
        given.size,
    )
    nonce = search_stamp(given.challenge, given.price)
    assert nonce is not None
    stamp = Stamp(given.challenge, nonce)
    assert codes.TIME == await refusal(challenges, stamp, b"another peer")
    assert codes.TIME == await refusal(challenges, stamp, now=given.until)
    await challenges.check(PEER, stamp, given.until - 1)
    assert codes.TIME == await refusal(challenges, stamp)


async def test_one_check_for_a_challenge() -> None:
    challenges = make(1.0)
    given = challenges.give(PEER, NOW, 1, 1)
    assert codes.FAILED == await refusal(challenges, Stamp(given.challenge, bytes(8)))
    assert codes.TIME == await refusal(challenges, Stamp(given.challenge, bytes(8)))


async def test_challenges_are_bounded_by_peer_and_in_all() -> None:
    challenges = make()
    mine = [challenges.give(PEER, NOW, 1, 1).challenge for _ in range(MAX_OPEN_OF_PEER + 1)]
    assert codes.TIME == await refusal(challenges, Stamp(mine[0], bytes(8)))
    for number in range(MAX_OPEN):
        challenges.give(b"%d" % number, NOW, 1, 1)
    assert len(challenges._open) == MAX_OPEN
    assert {PEER}.isdisjoint(challenges._of_peer)
    assert codes.TIME == await refusal(challenges, Stamp(mine[-1], bytes(8)))


class Slow:
    """Threads that are busy until told."""

    def __init__(self, *, go: bool = False) -> None:
        self.go = trio.Event()
        if go:
            self.go.set()

    async def in_thread(self, call: Callable[..., T], /, *args: object) -> T:
        await self.go.wait()
        pays: Any = True
        return pays  # type: ignore[no-any-return]  # stamps are all that comes here


async def test_waiting_checks_are_bounded_and_a_refused_one_may_come_again() -> None:
    threads = Slow()
    challenges = Challenges(threads, lambda: 0.0)
    stamps = [Stamp(challenges.give(b"%d" % n, NOW, 1, 1).challenge, bytes(8)) for n in range(MAX_CHECKS + 1)]
    last = b"%d" % MAX_CHECKS
    async with trio.open_nursery() as nursery:
        for number, stamp in enumerate(stamps[:-1]):
            nursery.start_soon(challenges.check, b"%d" % number, stamp, NOW)
        await trio.testing.wait_all_tasks_blocked()
        assert codes.BUSY == await refusal(challenges, stamps[-1], last)
        threads.go.set()
    await challenges.check(last, stamps[-1], NOW)
