"""Who is up when."""

from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.simulate_assumptions import DAY, GLANCE, HOUR, LAPTOP, YEAR, Assumptions, Habit
from scripts.simulate_time import NEVER, Days, Machine, is_up, losses, outages

STRETCHES = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda it: (it[0], sum(it))))


@given(STRETCHES, st.integers(-1, 80))
def test_a_machine_is_down_during_its_outages_and_up_else(downs: list[tuple[int, int]], t: int) -> None:
    down = {moment for start, end in downs for moment in range(start, end)}
    first = next(moment for moment in range(t, 200) if moment not in down)
    last = next((moment for moment in range(first, 200) if moment in down), inf)
    assert (first, last) == Machine(downs).next_up(t)


@pytest.mark.parametrize("up", [0.5, 0.9, 0.98])
def test_outages_leave_the_share_of_time_that_was_asked_for(up: float) -> None:
    a, until = Assumptions(), 400 * YEAR
    machine = Machine(outages(Random(1), up, a, until))
    moments = [until * n / 50_000 for n in range(50_000)]
    assert up == pytest.approx(sum(is_up(machine, t) for t in moments) / len(moments), abs=0.006)


def test_a_machine_that_never_fails_has_no_outages() -> None:
    assert [] == list(outages(Random(1), 1.0, Assumptions(), 10 * YEAR))


def test_hosts_vanish_as_often_as_assumed() -> None:
    a = Assumptions().but(["lost_a_year=0.5"])
    assert 1_000 == pytest.approx(len(list(losses(Random(1), a, 2_000 * YEAR))), rel=0.1)
    assert [] == list(losses(Random(1), Assumptions().but(["lost_a_year=0"]), YEAR))


def test_the_next_loss_is_the_one_that_counts() -> None:
    machine = Machine([], losses=[10.0, 20.0])
    assert [10.0, 10.0, 20.0, inf] == [machine.lost_after(t) for t in (0.0, 10.0, 10.5, 21.0)]


@pytest.mark.parametrize(("habit", "hours"), [(LAPTOP, 6.4), (GLANCE, 1.2)])
def test_a_laptop_is_up_for_as_many_hours_a_day_as_its_habit_says(habit: Habit, hours: float) -> None:
    a, moments = Assumptions(), [DAY + n * HOUR / 4 for n in range(7 * 96)]
    days = [Days(Random(n), habit, 0, a, (0, 9 * DAY)) for n in range(300)]
    up = sum(is_up(one, t) for one in days for t in moments)
    assert hours == pytest.approx(24 * up / len(days) / len(moments), abs=0.3)


@given(st.integers(0, 2**32), st.floats(0, 0.999))
def test_a_moment_of_a_day_is_one_at_which_the_laptop_is_up(seed: int, chance: float) -> None:
    laptop = Days(Random(seed), LAPTOP, 5.5, Assumptions(), (3 * DAY, 9 * DAY))
    moment = laptop.moment(chance)
    assert moment is None or is_up(laptop, moment)


def test_a_day_lies_where_its_zone_has_it() -> None:
    a = Assumptions().but(["away=0"])
    habit = Habit(opens=10, closes=14, session=1e6, pause=1, weekday=1, weekend=1)
    for zone in (-8, 0, 5.5):
        starts, _ = zip(
            *(Days(Random(n), habit, zone, a, (0, 9 * DAY)).next_up(DAY) for n in range(500)), strict=True
        )
        local = [start + zone * HOUR for start in starts]
        up_at_noon = sum(t % DAY < 14 * HOUR for t in local) / len(local)
        assert up_at_noon > 0.9


def test_after_the_last_day_nobody_is_up() -> None:
    laptop = Days(Random(1), LAPTOP, 0, Assumptions(), (0, 3 * DAY))
    assert NEVER == laptop.next_up(9 * DAY)
