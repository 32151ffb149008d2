import trio
from trio.testing import MockClock

from node.runtime.clock import (
    MAX_SKEW_MS,
    MAX_TOLD,
    MAX_TOLD_AGE_S,
    ClockWatch,
    SystemClock,
    TrioClock,
    elapsed,
)

NOON = 1_800_000_000_000


class SetClock:
    """A clock that the test sets; `seconds` is what really went by."""

    def __init__(self) -> None:
        self.time = NOON
        self.seconds = 0.0

    def now(self) -> int:
        return self.time

    def elapsed(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.time += round(seconds * 1000)
        self.seconds += seconds


def watch(build_date_ms: int = 0) -> tuple[SetClock, ClockWatch]:
    clock = SetClock()
    return clock, ClockWatch(clock, build_date_ms, clock.elapsed)


def test_system_clock_is_unix_time_in_milliseconds() -> None:
    assert SystemClock().now() > 1_700_000_000_000
    assert elapsed() <= elapsed()


async def test_trio_clock_moves_with_virtual_time(autojump_clock: MockClock) -> None:
    clock = TrioClock(NOON)
    await trio.sleep(3600)
    assert clock.now() == NOON + 3_600_000


def test_a_clock_before_the_build_date_is_doubtful() -> None:
    assert watch(NOON + 1)[1].doubtful == "the clock is before the date on which this program was built"
    assert watch(NOON)[1].doubtful is None


def test_two_peers_are_not_enough() -> None:
    _, watched = watch()
    for peer in (b"a", b"b"):
        watched.told(peer, NOON + 10 * MAX_SKEW_MS)
    assert (watched.skew_ms, watched.doubtful) == (None, None)


def test_the_median_of_three_counts() -> None:
    _, watched = watch()
    for peer, skew in ((b"a", 0), (b"b", MAX_SKEW_MS), (b"c", 10**15)):
        watched.told(peer, NOON + skew)
    assert (watched.skew_ms, watched.doubtful) == (-MAX_SKEW_MS, None)
    watched.told(b"a", NOON + 7_200_000)
    assert watched.doubtful == "the clock is 120 minutes behind what other nodes say"


def test_a_peer_that_speaks_often_has_one_voice() -> None:
    _, watched = watch()
    for _ in range(9):
        watched.told(b"liar", NOON - 86_400_000)
    watched.told(b"b", NOON)
    watched.told(b"c", NOON)
    assert watched.doubtful is None


def test_mending_the_clock_ends_the_doubt() -> None:
    clock, watched = watch()
    clock.time += 7_200_000
    for peer in (b"a", b"b", b"c"):
        watched.told(peer, NOON)
    clock.pass_by(600)
    assert watched.doubtful == "the clock is 120 minutes ahead of what other nodes say"
    clock.time -= 7_200_000
    assert watched.doubtful is None


def test_what_was_told_long_ago_is_forgotten() -> None:
    clock, watched = watch()
    for peer in (b"a", b"b", b"c"):
        watched.told(peer, 0)
    clock.pass_by(MAX_TOLD_AGE_S + 1)
    assert watched.doubtful is None


def test_the_number_of_peers_is_bounded() -> None:
    _, watched = watch()
    for number in range(MAX_TOLD * 2):
        watched.told(number.to_bytes(4), NOON if number >= MAX_TOLD else 0)
    assert watched.skew_ms == 0
