"""Several peers asked at once: whatever they do, a file comes if they can give it, and as fast as they can
together.
"""

from collections.abc import Sequence
from functools import partial

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from node.exchange.providers import PATIENCE_S
from node.exchange.shares import LONGEST_S, MOST, PROBE, QUIET_S
from node.exchange.swarm import LOOK_S, WORTH_S, Member, Swarm
from node.files.fetching import AT_ONCE, Session
from node.network import Network, PeerUnreachable, parse_peer
from node.network.limits import STALLED
from protocol.errors import RemoteProtocolError
from protocol.unixfs import raw_cid
from tests.kit.network import BOUND, Shelf, a_leaf, a_network
from tests.kit.swarms import CIDS, NEVER, Peer, fetch, fetched

ALL = frozenset(range(len(CIDS)))
COUNT = 64


def peers() -> st.SearchStrategy[Peer]:
    """Good ones, and such that lack, stall, end, speak nonsense, are slow, or are not there."""
    some = st.frozensets(st.integers(0, COUNT - 1), max_size=COUNT) | st.just(ALL)
    after = st.just(NEVER) | st.integers(0, 30)
    return st.builds(
        Peer,
        has=some,
        pace=st.sampled_from([0.0, 0.01, 0.1, 1.0, 5.0, 12.0]),
        opens=st.sampled_from([0.0, 0.1, 3.0, 10.0, None]),
        ends=after,
        junk=after,
        silent=after,
        silent_s=st.sampled_from([1.0, 5.0, 1_000.0]),
        mute=st.just(frozenset()) | st.frozensets(st.integers(0, COUNT - 1), max_size=9),
        trickles=st.booleans(),
        wait=st.sampled_from([0.0, 0.5, 4.0]),
    )


@given(st.lists(peers(), max_size=6), st.integers(0, COUNT))
def test_a_file_comes_if_they_can_give_it(found: list[Peer], count: int) -> None:
    """That nobody owes more than it may, or is asked for what it lacks, or twice at once, sessions assert."""
    done = fetch(found, count)
    wanted, came = frozenset(range(count)), sorted(done.blocks)
    if wanted <= frozenset().union(*(one.reliable for one in found)):
        assert (done.lost, done.over) == (None, False)
    if not wanted <= frozenset().union(*(one.possible for one in found)):
        assert done.lost is not None or done.over
    assert not done.over or any(one.trickles for one in found)
    assert len(set(came)) == len(came)
    if done.lost is not None:
        assert not any(CIDS.index(done.lost) in one.reliable for one in found)
    elif not done.over:
        assert came == sorted(CIDS[:count])


def good(pace: float = 0.1, **how: object) -> Peer:
    return Peer(ALL, pace, trickles=True, **how)  # type: ignore[arg-type] # a few of its fields


# ---- how fast


def test_two_are_twice_as_fast_as_one() -> None:
    alone = fetch([good()], 400).seconds
    two = fetch([good(), good(wait=0.0)], 400).seconds
    four = fetch([good(), *(good(wait=0.0) for _ in range(3))], 400).seconds
    assert 40 < alone < 41
    assert two < 0.52 * alone
    assert four < 0.28 * alone


@pytest.mark.parametrize("pace", [0.01, 0.5, 2.6, 5.0])
@pytest.mark.parametrize("first", [0, 1])
def test_the_faster_gives_more_and_the_slower_holds_up_nothing(pace: float, first: int) -> None:
    found = [good(pace, wait=0.0), good(9 * pace, wait=0.0)]
    done = fetch(found[:: -1 if first else 1], 400)
    assert done.seconds < 1.1 * 0.9 * 400 * pace
    assert 20 < len(found[1].given) < 45
    assert len(found[0].given) + len(found[1].given) <= 400 + PROBE


def test_two_slow_ones_fetch_nothing_twice() -> None:
    """A leaf each takes longer than a peer may be quiet, but bytes come."""
    found = [good(2 * QUIET_S, wait=0.0) for _ in range(2)]
    done = fetch(found, 100)
    assert sum(len(one.given) for one in found) <= 100 + PROBE
    assert done.seconds < 0.55 * 100 * 2 * QUIET_S


def test_a_far_one_and_a_near_one() -> None:
    """A long way is not slow: who is asked for much at once gives much."""
    near, far = good(0.1, opens=0.0, wait=0.0), good(0.1, opens=3.0, wait=0.0)
    assert fetch([far, near], 400).seconds < 0.55 * 40 + 3


@pytest.mark.parametrize("silent_s", [STALLED, 1_000.0])
def test_a_stall_costs_seconds_and_not_the_session(silent_s: float) -> None:
    one, other = good(wait=0.0), Peer(ALL, 0.1, silent=20, silent_s=silent_s, wait=0.0)
    done = fetch([one, other], 200)
    assert done.seconds < 0.1 * 180 + QUIET_S
    assert len(one.given) == 180
    assert len(other.asked) <= 20 + MOST


def test_who_is_back_after_a_stall_gives_on() -> None:
    """What was given meanwhile it is told to keep, and it has its share of the rest."""
    one, other = good(wait=0.0), Peer(ALL, 0.1, silent=20, silent_s=5.0, wait=0.0)
    done = fetch([one, other], 400)
    assert done.seconds < 0.1 * 200 + 4
    assert len(other.given) > 100
    assert len(one.given) + len(other.given) <= 400 + PROBE + 1
    assert other.dropped


def test_who_sends_bytes_and_no_block_holds_up_the_last_ones_only() -> None:
    one = good(wait=0.0)
    other = Peer(ALL, NEVER, trickles=True, wait=0.0)
    assert fetch([other, one], 200).seconds < 0.1 * 200 + LONGEST_S + 1
    assert len(other.asked) <= MOST


# ---- who lacks, ends, breaks the rules


def test_each_has_a_half() -> None:
    even = frozenset(range(0, 400, 2))
    one, other = Peer(even, wait=0.0), Peer(ALL - even, wait=0.0)
    done = fetch([one, other], 400)
    assert (len(one.given), len(other.given)) == (200, 200)
    assert done.seconds < 0.1 * 400 + 1  # to hear that one lacks a block takes as long here as the block


def test_who_gave_nothing_and_lacks_one_is_asked_last() -> None:
    empty, one = Peer(frozenset(), wait=0.0), good(wait=0.0)
    fetch([empty, one], 400)
    assert len(one.given) == 400
    assert len(empty.asked) <= MOST


@pytest.mark.parametrize("how", ["ends", "junk"])
def test_who_ends_is_left_and_what_it_owed_is_asked_of_another_at_once(how: str) -> None:
    bad = Peer(ALL, **{how: 20}, wait=0.0)  # type: ignore[arg-type] # one of its numbers
    one = good()
    done = fetch([bad, one], 200)
    assert done.seconds < 0.1 * 200 + 0.5
    assert (len(bad.given), len(one.given)) == (20, 180)


def test_what_nobody_has_is_lost_and_what_is_not_there_too() -> None:
    one = Peer(ALL - {7})
    assert fetch([one, Peer(ALL - {7, 8}), Peer(ALL, opens=None)], 20).lost == CIDS[7]
    assert fetch([], 20).lost == CIDS[0]
    assert fetch([Peer(ALL, opens=None)], 20).lost == CIDS[0]
    assert fetch([], 0).lost is None


def test_who_may_have_it_still_is_waited_for() -> None:
    assert fetch([Peer(frozenset()), Peer(ALL, opens=9.0, wait=0.0)], 20).lost is None


# ---- who is brought in


def test_nobody_is_brought_in_who_is_not_needed() -> None:
    one, host = good(), good(wait=PATIENCE_S)
    fetch([one, host], 90)
    assert (one.opened, host.opened) == (0.1, None)
    one = good()
    fetch([one], 0)
    assert one.opened is None


def test_the_next_is_brought_in_when_one_is_silent_or_not_there() -> None:
    for bad, at in ((good(opens=None), 1.1), (good(opens=60.0), 4.1), (Peer(ALL, silent=0), 4.1)):
        host = good(wait=PATIENCE_S)
        assert fetch([bad, host], 90).lost is None
        assert host.opened == pytest.approx(at)


def test_the_next_is_brought_in_where_a_file_would_take_long() -> None:
    for seconds, needed in ((0.8 * WORTH_S, False), (1.5 * WORTH_S, True)):
        one, host = good(seconds / 400), good(seconds / 400, wait=PATIENCE_S)
        fetch([one, host], 400)
        assert (host.opened is not None) == needed
        if host.opened is not None:
            assert LOOK_S < host.opened < LOOK_S + 0.5


async def test_it_ends_at_once_when_it_is_told_to(autojump_clock: MockClock) -> None:
    begun = trio.current_time()
    with trio.move_on_after(3.0):
        await fetched([Peer(ALL, NEVER, trickles=True), Peer(ALL, opens=60.0, wait=0.0)], 9)
    assert trio.current_time() == begun + 3.0


async def test_what_the_work_raises_comes_alone(autojump_clock: MockClock) -> None:
    async def work(session: Session) -> None:
        await session.want(CIDS[:1])
        await session.receive()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Swarm([good().member], lambda: 1).run(work)


async def test_what_ended_each_is_kept(autojump_clock: MockClock) -> None:
    peers = [Peer(ALL, junk=0), Peer(ALL, opens=None), Peer(ALL, silent=1), Peer(frozenset())]
    members = [one.member for one in peers]

    async def work(session: Session) -> None:
        await session.want(CIDS[:AT_ONCE])
        while (await session.receive())[1] is not None:
            pass

    await Swarm(members, lambda: 1).run(work)
    faults = [RemoteProtocolError, PeerUnreachable, PeerUnreachable, type(None)]
    assert [type(one.fault) for one in members] == faults
    assert members[3].source.lacks == set(CIDS[1:AT_ONCE])


# ---- over libp2p


class Throttled(Shelf):
    """Gives a block every hundredth of a second."""

    async def read(self, cid: bytes) -> bytes | None:
        await trio.sleep(0.01)
        return await super().read(cid)


async def test_two_nodes_are_twice_as_fast_as_one() -> None:
    """Real ones, of limited speed."""
    leaves = [a_leaf(number, 4_096) for number in range(200)]
    with trio.fail_after(4 * BOUND):
        async with a_network(server=False) as alice, a_network(server=False) as bob:
            async with a_network(server=False) as carol:
                for one in (bob, carol):
                    one.bitswap.serve(Throttled(leaves))
                alone = await _seconds(alice, [bob], leaves)
                both = await _seconds(alice, [bob, carol], leaves)
                sent = [one.counters["bitswap-sent"] for one in (bob, carol)]
    assert both < 0.7 * alone
    assert 60 < sent[1] < 140
    assert alice.counters["bitswap-received"] + alice.counters["bitswap-late"] == sum(sent)
    assert alice.counters["bitswap-unsolicited"] == 0


async def _seconds(alice: Network, others: Sequence[Network], leaves: Sequence[bytes]) -> float:
    """What it takes to have them all of these."""
    sessions = [partial(alice.bitswap.session, parse_peer(one.listen_addrs()[0])) for one in others]
    due, came = [raw_cid(leaf) for leaf in leaves], list[bytes]()

    async def take(session: Session) -> None:
        while len(came) < len(leaves):
            owed = len(leaves) - len(due) - len(came)
            if due and owed <= AT_ONCE // 2:
                await session.want([due.pop() for _ in range(min(len(due), AT_ONCE - owed))])
            came.append((await session.receive())[1] or b"")

    begun = trio.current_time()
    await Swarm([Member(open_, 0.0) for open_ in sessions], lambda: 1).run(take)
    assert sorted(came) == sorted(leaves)
    return trio.current_time() - begun
