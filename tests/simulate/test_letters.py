"""One letter, one handshake: cases with one right answer."""

from math import inf
from random import Random

from node.outbox.timetable import GIVE_UP_MS, wait_after
from scripts.simulate_assumptions import DAY, HOUR, Assumptions
from scripts.simulate_letters import Outcome, Reading, carry, meet, read
from scripts.simulate_time import Machine
from tests.kit.hours import act, always, asleep_until, between, node

A = Assumptions()
TALK, WAKE, REDIAL = A.talk_seconds, A.wake_seconds, A.redial_seconds
AT = HOUR / 2


def test_a_node_that_is_up_has_it_at_once() -> None:
    assert Outcome(TALK, TALK, 0.0) == carry(act(always()), node(always()), [always()], A)


def test_who_are_never_up_together_need_a_host() -> None:
    sender, recipient = act(between(0, 1)), node(between(12, 13))
    noon = 12 * HOUR - AT
    assert Outcome(inf, inf, noon) == carry(sender, recipient, [], A)
    with_a_host = Outcome(TALK, noon + WAKE, noon, copies=1, stay=noon + WAKE - TALK)
    assert with_a_host == carry(sender, recipient, [always()], A)


def test_who_cannot_be_dialled_needs_a_host_even_while_up() -> None:
    recipient = node(always(), dialable=False)
    assert Outcome(inf, inf, 0.0) == carry(act(always()), recipient, [], A)
    assert Outcome(TALK, 2 * TALK, 0.0, 1, TALK) == carry(act(always()), recipient, [always()], A)


def test_without_hosts_the_timetable_of_the_outbox_is_followed() -> None:
    chance, t, failures = Random(act(always()).seed), AT, 0
    wakes = AT + 3 * HOUR
    while t < wakes:
        failures += 1
        t += wait_after(failures, chance.random()) / 1000
    found = carry(act(always()), node(asleep_until(wakes)), [], A)
    assert Outcome(t + TALK - AT, t + TALK - AT, wakes - AT) == found
    assert failures > 5


def test_after_five_days_without_anybody_it_is_given_up() -> None:
    longest = GIVE_UP_MS / 1000
    before, after = AT + longest - 5 * HOUR, AT + longest
    assert carry(act(always()), node(asleep_until(before)), [], A).delivered < longest
    assert inf == carry(act(always()), node(asleep_until(after)), [], A).delivered


def test_two_hosts_get_it_and_a_third_after_a_day() -> None:
    wakes = AT + 2 * DAY - HOUR
    found = carry(act(always()), node(asleep_until(wakes)), [always() for _ in range(4)], A)
    assert (TALK, wakes + WAKE - AT, 4) == (found.taken, found.delivered, found.copies)
    awake_sooner = carry(act(always()), node(asleep_until(wakes - DAY)), [always() for _ in range(4)], A)
    assert 2 == awake_sooner.copies


def test_hosts_that_are_down_are_passed_over() -> None:
    down = Machine([(0, DAY)])
    recipient = node(asleep_until(5 * HOUR))
    assert 1 == carry(act(always()), recipient, [down, always()], A).copies
    tries_on = carry(act(always()), recipient, [Machine([(0, AT + 30)])], A)
    assert wait_after(1, Random(7).random()) / 1000 + TALK == tries_on.taken


def test_a_lid_that_is_closed_at_once_leaves_the_first_try_alone() -> None:
    sender = act(between(0, 24), resumes=9 * HOUR)
    down = Machine([(0, HOUR)])
    assert 9 * HOUR + TALK - AT == carry(sender, node(asleep_until(20 * HOUR)), [down], A).taken
    assert TALK == carry(sender, node(asleep_until(20 * HOUR)), [always()], A).taken


def test_what_vanishes_with_its_host_comes_another_way() -> None:
    wakes = AT + 3 * DAY
    vanishes = Machine([(HOUR, 8 * DAY)], losses=[HOUR])
    recipient = node(asleep_until(wakes), dialable=False)
    alone = carry(act(always()), recipient, [vanishes], A)
    assert (TALK, 8 * DAY + AT + 2 * TALK - AT, 2) == (alone.taken, alone.delivered, alone.copies)
    assert HOUR - AT - TALK + TALK == alone.stay
    two = carry(act(always()), recipient, [vanishes, always()], A)
    assert wakes + WAKE - AT == two.delivered


def test_what_is_collected_after_thirty_days_counts_as_never() -> None:
    recipient = node(asleep_until(31 * DAY))
    found = carry(act(always()), recipient, [always()], A)
    assert (inf, inf, 30 * DAY) == (found.delivered, found.awake, found.stay)


def test_nodes_meet_when_both_are_up_for_long_enough() -> None:
    assert AT + TALK == meet(always(), always(), AT, A)
    assert HOUR + WAKE == meet(asleep_until(HOUR), always(), AT, A)
    assert HOUR + REDIAL == meet(always(), asleep_until(HOUR), AT, A)
    too_short = Machine([(0, HOUR), (HOUR + WAKE - 1, 2 * HOUR)])
    assert 2 * HOUR + WAKE == meet(too_short, always(), AT, A)
    assert inf == meet(between(0, 1, 3), Machine([(0, inf)]), AT, A)


def readings(owner: Machine, *hosts: Machine, asked: float = 20 * HOUR) -> list[Reading]:
    return read(act(owner), hosts, asked, A)


NONE, STALE, NEW = Reading(False, False), Reading(True, False), Reading(True, True)


def test_a_handshake_is_read_where_a_host_is_up() -> None:
    owner = between(0, 1)
    assert [NONE, NEW, NEW] == readings(owner, always(), always())
    assert [NONE, NONE, NEW] == readings(owner, Machine([(10 * HOUR, DAY)]), always())


def test_a_host_that_was_away_answers_with_the_old_one_until_its_owner_comes() -> None:
    away = Machine([(0, 2 * HOUR)])
    assert [NONE, STALE, NEW] == readings(between(0, 1), away, always())
    assert [NONE, NEW] == readings(between(0, 1), away, asked=DAY + 20 * HOUR)


def test_a_lid_that_is_closed_at_once_leaves_hosts_that_were_away_behind() -> None:
    change, away = act(always(), resumes=9 * HOUR), Machine([(0, 2 * HOUR)])
    asked = [read(change, [away], hour * HOUR, A)[1] for hour in (8, 10)]
    assert [STALE, NEW] == asked


def test_what_replaces_a_vanished_host_knows_nothing_until_its_owner_comes() -> None:
    replaced = Machine([(2 * HOUR, 3 * HOUR)], losses=[2 * HOUR])
    assert [NONE, NONE] == readings(between(0, 1), replaced)
    assert [NONE, NEW] == readings(between(0, 1), replaced, asked=DAY + 20 * HOUR)
