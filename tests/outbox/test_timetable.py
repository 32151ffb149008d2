"""The timetable and the lanes, as arithmetic."""

from hypothesis import given
from hypothesis import strategies as st

from node.outbox.timetable import FIRST_WAIT_MS, LONGEST_WAIT_MS, WIDTH, Lane, wait_after, wait_alone

A, B, C = b"a", b"b", b"c"


def test_waits_double_from_a_minute_to_four_hours() -> None:
    minutes = [wait_after(failures, 0.0) // 60_000 for failures in range(1, 11)]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 240, 240]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_only_stretches_and_at_most_by_a_fifth(failures: int, chance: float) -> None:
    plain = wait_after(failures, 0.0)
    assert plain <= wait_after(failures, chance) <= plain * 1.2
    assert FIRST_WAIT_MS <= plain <= LONGEST_WAIT_MS


def test_a_letter_put_off_alone_waits_as_long_as_it_has_waited() -> None:
    waits = [wait_alone(waited, 0.0) for waited in (0, 60_000, 3_600_000, 86_400_000)]
    assert waits == [60_000, 60_000, 3_600_000, LONGEST_WAIT_MS]


def test_a_fresh_lane_sends_one_and_a_good_one_many() -> None:
    lane = Lane()
    for n in range(20):
        lane.add(bytes([n]))
    assert [lane.take(0), lane.take(0)] == [bytes([0]), None]
    lane.worked()
    assert [lane.take(0) for _ in range(WIDTH)] == [*(bytes([n]) for n in range(1, WIDTH)), None]


def test_failures_side_by_side_count_once_and_close_the_lane() -> None:
    lane = Lane()
    lane.add(A)
    assert lane.failed(0, 0.0) == FIRST_WAIT_MS
    assert lane.failed(1, 0.0) == FIRST_WAIT_MS
    assert lane.take(FIRST_WAIT_MS - 1) is None
    assert lane.next_due() == FIRST_WAIT_MS
    assert lane.take(FIRST_WAIT_MS) == A
    assert lane.failed(FIRST_WAIT_MS, 0.0) == 3 * FIRST_WAIT_MS


def test_a_deferred_letter_does_not_hold_up_the_others() -> None:
    lane = Lane()
    lane.worked()
    lane.add(A, not_before=500)
    lane.add(B)
    assert [lane.take(0), lane.take(499), lane.next_due(), lane.take(500)] == [B, None, 500, A]


def test_opening_lets_everything_go_at_once() -> None:
    lane = Lane()
    lane.add(A, not_before=10**9)
    lane.add(B)
    lane.failed(0, 0.0)
    lane.open()
    assert lane.take(0) in (A, B)
    lane.active.clear()
    assert lane.take(0) in (A, B)


def test_a_letter_is_never_taken_twice_at_once() -> None:
    lane = Lane()
    lane.worked()
    lane.add(A)
    assert lane.take(0) == A
    lane.add(A)  # asked for again while its attempt runs
    assert lane.take(0) is None
    assert lane.next_due() is None  # nothing to look for until the attempt ends
    lane.active.discard(A)
    assert lane.take(0) == A


def test_a_dropped_letter_is_gone() -> None:
    lane = Lane()
    lane.add(A, not_before=5)
    lane.add(B)
    lane.discard(A)
    lane.discard(B)
    lane.add(C)
    assert [lane.take(10), lane.take(10)] == [C, None]
    lane.active.discard(C)
    assert lane.empty
