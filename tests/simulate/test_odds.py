"""Odds over many letters: where the answer is known beforehand, and what must hold in any world."""

import pytest

from scripts.simulate import MEASURES, Plan, odds_of
from scripts.simulate_assumptions import Assumptions
from scripts.simulate_odds import Odds, Tally, wilson

EVERY = (0, 1, 2, 3, 4, 5)
NO_CHANCE = ("always_on=1", "always_on_up=1", "host_up=1", "lost_a_year=0")


def plan(*changes: str, hosts: tuple[int, ...] = EVERY, letters: int = 200, seed: int = 1) -> Plan:
    return Plan((10_000,), hosts, 14, letters, seed, Assumptions().but(changes))


def found(asked: Plan, owners: int = 10_000) -> dict[int, dict[str, Odds | None]]:
    return {k: one.tally.odds() for k, one in odds_of(asked, owners).items()}


def value(odds: Odds | None) -> float:
    assert odds is not None
    return odds.value


def test_where_everybody_is_always_up_every_letter_is_there_at_once() -> None:
    for odds in found(plan(*NO_CHANCE, "dialable_always_on=1", letters=60)).values():
        assert [float(name != "owner never") for name in MEASURES] == [value(odds[name]) for name in MEASURES]


def test_where_nobody_can_be_dialled_everything_hangs_on_a_host() -> None:
    nobody = found(plan(*NO_CHANCE, "dialable_always_on=0", hosts=(0, 1), letters=60))
    for k, odds in nobody.items():
        one = [float((name == "owner never") != (k == 1)) for name in MEASURES]
        assert one == [value(odds[name]) for name in MEASURES]


def test_independent_hosts_follow_the_closed_form() -> None:
    up = 0.8
    changes = (
        f"host_up={up}",
        "shared_outages=0",
        "lost_a_year=0",
        "dialable_laptops=0",
        "dialable_always_on=0",
    )
    odds = found(plan(*changes, letters=2_500))
    exact = [1 - (1 - up) ** k for k in EVERY]
    assert exact == pytest.approx([value(odds[k]["readable"]) for k in EVERY], abs=0.015)
    assert exact == pytest.approx([value(odds[k]["taken 1 min"]) for k in EVERY], abs=0.015)


def test_hosts_of_one_operator_fail_together() -> None:
    changes = ("host_up=0.8", "shared_outages=1", "hosts_per_operator=1000", "lost_a_year=0")
    odds = found(plan(*changes, hosts=(1, 5), letters=2_000))
    assert value(odds[1]["readable"]) == value(odds[5]["readable"])


def test_people_of_one_zone_are_up_together_more_often() -> None:
    changes = ("always_on=0", "dialable_laptops=1")
    near, far = (
        found(plan(f"same_zone={share}", *changes, hosts=(0,), letters=1_000))[0] for share in (1, 0)
    )
    assert value(near["owner 1 min"]) > value(far["owner 1 min"]) + 0.03


def test_more_hosts_make_better_odds() -> None:
    odds = found(plan("host_up=0.7", letters=1_000))
    for name in (*MEASURES, "readable", "newest"):
        values = [value(odds[k][name]) for k in EVERY]
        assert sorted(values, reverse=name == "owner never") == pytest.approx(values, abs=0.004)
        assert values[0] != values[3]


def test_the_same_seed_gives_the_same_and_another_seed_does_not() -> None:
    assert found(plan()) == found(plan())
    assert found(plan()) != found(plan(seed=2))


def test_one_number_of_hosts_is_seen_as_among_all() -> None:
    assert found(plan())[3] == found(plan(hosts=(3,)))[3]


def test_a_newest_is_a_readable_one_and_delivered_is_taken() -> None:
    for odds in found(plan("host_up=0.7", "read_days=0.1", letters=1_000)).values():
        assert value(odds["newest"]) <= value(odds["readable"])
        assert value(odds["owner 1 h"]) <= value(odds["taken 1 h"])


def test_with_fewer_hosts_than_wanted_all_are_taken() -> None:
    odds = found(plan("hosting=0.02"), owners=100)
    assert odds[2] == odds[3] == odds[5]
    assert odds[1] != odds[2]


# Intervals


def test_the_interval_is_wilsons() -> None:
    low, high = wilson(0.5, 100)
    assert (0.4038, 0.5962) == pytest.approx((low, high), abs=1e-4)
    assert (0.0, 0.0370) == pytest.approx(wilson(0.0, 100), abs=1e-4)
    assert (0.9630, 1.0) == pytest.approx(wilson(1.0, 100), abs=1e-4)


def test_worlds_that_differ_by_more_than_chance_widen_it() -> None:
    alike, apart = Odds.of_worlds([50, 50], [100, 100]), Odds.of_worlds([0, 100], [100, 100])
    assert alike is not None
    assert apart is not None
    assert (0.5, 0.5, 200, 200) == (alike.value, apart.value, alike.of, apart.of)
    assert (alike.low, alike.high) == wilson(0.5, 200)
    assert (apart.low, apart.high) == wilson(0.5, 1)


def test_what_does_not_count_is_not_counted() -> None:
    tally = Tally(["a", "b"])
    tally.next_world()
    for hit in (True, False, None, True):
        tally.add("a", hit)
    odds = tally.odds()
    assert odds["a"] is not None
    assert (2 / 3, 3, None) == (odds["a"].value, odds["a"].of, odds["b"])
    assert "66.67 ±45.90" == str(odds["a"])
