"""Who takes part, and when they do something."""

from random import Random

import pytest

from scripts.simulate_assumptions import DAY, YEAR, Assumptions
from scripts.simulate_people import Hosts, an_act
from scripts.simulate_time import Machine, is_up

A = Assumptions()


def test_people_do_things_while_their_node_is_up() -> None:
    acts = [an_act(Random(seed), A, days=14) for seed in range(300)]
    assert all(is_up(act.owner.timeline, act.at) for act in acts)
    assert all(-2 * DAY < act.at < 15 * DAY for act in acts)


@pytest.mark.parametrize(("off", "closed"), [(0, False), (1, True)])
def test_a_closed_lid_ends_what_a_laptop_was_up_for(off: float, closed: bool) -> None:
    some = A.but([f"off_after={off}", "always_on=0"])
    acts = [an_act(Random(seed), some, days=14) for seed in range(100)]
    assert {closed} == {act.resumes > act.at for act in acts}
    ends = [act.owner.timeline.next_up(act.at)[1] if closed else act.at for act in acts]
    assert ends == [act.resumes for act in acts]


def test_a_machine_that_is_always_on_is_not_switched_off_after_a_letter() -> None:
    some = A.but(["off_after=1", "always_on=1"])
    acts = [an_act(Random(seed), some, days=14) for seed in range(50)]
    assert [act.at for act in acts] == [act.resumes for act in acts]


def test_an_owner_has_different_hosts_and_a_host_is_one_for_all() -> None:
    hosts = Hosts(1, 4, A, DAY)
    some, others = hosts.some(Random(1), 5), hosts.some(Random(2), 5)
    assert 4 == len(some)
    assert set(some) == set(others)


def test_a_host_is_up_as_often_as_assumed() -> None:
    a = A.but(["host_up=0.9", "lost_a_year=0"])
    machines = Hosts(1, 60, a, 10 * YEAR).some(Random(1), 60)
    assert 0.9 == pytest.approx(_share(machines), abs=0.006)


def test_a_host_that_vanished_is_down_until_it_is_replaced() -> None:
    a = A.but(["host_up=1", "lost_a_year=2", "replaced_days=7"])
    machines = Hosts(1, 60, a, 10 * YEAR).some(Random(1), 60)
    assert 1 - 2 * 7 / 365 == pytest.approx(_share(machines), abs=0.006)
    machine = next(one for one in machines if one.lost_after(0) < 9 * YEAR)
    assert not is_up(machine, machine.lost_after(0) + 6 * DAY)


def _share(machines: list[Machine]) -> float:
    moments = [n * 10 * YEAR / 3_000 for n in range(3_000)]
    return sum(is_up(one, t) for one in machines for t in moments) / len(machines) / len(moments)
