"""What hosts and the directory carry: sums that can be done by hand."""

from dataclasses import replace
from random import Random

import pytest

from node.network.limits import MAX_RECORDS_PER_PEER
from scripts.simulate_assumptions import DAY, Assumptions
from scripts.simulate_load import LIMITS, Left, Presence, World, load, presence, worlds

A = Assumptions().but(["letters_a_day=10", "letter_bytes=1000", "host_up=1", "own_puts_a_day=1"])
THERE = Presence(up=0.25, busiest=0.5, servers=0.1)


def test_a_load_is_the_sum_that_it_says() -> None:
    found = load(World("", 1_000, 3, 100), 3, Left(copies=2, stay=DAY / 2), THERE, A)
    assert (3, 1_000, 1_000, 500) == (found.hosts, found.accounts, found.fullest, found.connections)
    assert 10_000 * 2 / 3 == pytest.approx(found.deposits * DAY)
    assert 10_000 / 3 / 2 == pytest.approx(found.waiting)
    assert 1_000 * found.waiting == found.waiting_bytes
    assert 4_000 == pytest.approx(found.host_puts * DAY)
    assert (100, 200) == (found.servers, found.records)
    # Three hosts four times a day, the owner's own node once and once more for six hours of being up.
    assert 1_000 * (12 + 2) * 20 / 100 == pytest.approx(found.server_puts * DAY)
    assert 1_000 / 6 * 20 / 100 == pytest.approx(found.peer_puts_an_hour)


def test_with_few_servers_each_has_every_record() -> None:
    found = load(World("", 5_000, 3, 8), 3, Left(2, DAY), THERE, A)
    assert 5_000 == found.records
    assert 5_000 / 6 == pytest.approx(found.peer_puts_an_hour)


def test_the_fullest_of_many_hosts_has_more_than_the_mean_and_no_more_than_it_may() -> None:
    found = load(World("", 10_000, 100, 1_000), 1, Left(1, DAY), THERE, A)
    assert 100 == found.accounts
    assert 115 < found.fullest < 130
    full = load(World("", 1_000_000, 100, 1_000), 1, Left(1, DAY), THERE, A)
    assert (10_000, LIMITS.host_accounts) == (full.accounts, full.fullest)


def test_the_two_ways_of_sharing_it() -> None:
    many, few = worlds(1_000_000, 3, THERE, A)
    assert World("many small", 1_000_000, 20_000, 100_005) == many
    assert World("few large", 1_000_000, 300, 305) == few
    assert 3 == worlds(1_000, 3, THERE, A)[1].hosts


def test_what_would_be_too_much_is_named() -> None:
    fits = load(World("", 1_000, 20, 200), 3, Left(2, DAY), THERE, A)
    assert [] == list(fits.too_much(A))
    busy = replace(fits, connections=LIMITS.peers + 1.0, peer_puts_an_hour=MAX_RECORDS_PER_PEER + 1.0)
    assert [
        "connections of owners at it 201 > limits.peers 200",
        "puts of a host at a server an hour 501 > MAX_RECORDS_PER_PEER 500",
    ] == list(busy.too_much(A))
    full = replace(fits, connections=1_025.0, fullest=10_001.0, waiting_bytes=1e10 + 1, records=20_001.0)
    assert 6 == len(list(full.too_much(A)))


def test_presence_is_counted_over_a_week() -> None:
    everybody = Assumptions().but(["always_on=1", "always_on_up=1", "dialable_always_on=1"])
    assert Presence(1.0, 1.0, 1.0) == presence(Random(1), everybody)
    sleepers = presence(Random(1), Assumptions().but(["always_on=0", "dialable_laptops=0"]))
    assert 0 == sleepers.servers
    assert 0.1 < sleepers.up < sleepers.busiest < 0.6
