"""What hosts and the directory carry, from the full number of owners, beside what the code allows."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, sqrt
from random import Random
from statistics import NormalDist, mean
from typing import Final

from node.identity.publish import EVERY_S
from node.network.limits import (
    MAX_RECORD_BYTES,
    MAX_RECORDS,
    MAX_RECORDS_PER_PEER,
    MAX_STREAMS,
    RECORDS_WINDOW,
    K,
)
from node.runtime.sections import LimitsConfig
from scripts.simulate_assumptions import DAY, HOUR, WEEK, Assumptions
from scripts.simulate_people import a_zone, an_owner
from scripts.simulate_time import is_up

LIMITS: Final = LimitsConfig()
"""As a host has them that changes nothing."""

LOOKED_AT: Final = 2_000
"""Owners whose week is looked at for how many are up: the share is right to one in a hundred."""

PUTS_A_DAY: Final = DAY / EVERY_S
"""Of one owner's record by each host, and by its own node while that is up."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Shares of all owners that are up at the mean and in the busiest hour of the week; that are up and can
    be dialled, at the mean.
    """

    up: float
    busiest: float
    servers: float


def presence(rng: Random, a: Assumptions) -> Presence:
    hours = [week + HOUR / 2 for week in range(0, int(WEEK), int(HOUR))]
    up, servers = [0] * len(hours), [0] * len(hours)
    for _ in range(LOOKED_AT):
        owner = an_owner(rng, a, a_zone(rng), (0.0, WEEK))
        for place, hour in enumerate(hours):
            if is_up(owner.timeline, hour):
                up[place] += 1
                servers[place] += owner.dialable
    return Presence(mean(up) / LOOKED_AT, max(up) / LOOKED_AT, mean(servers) / LOOKED_AT)


@dataclass(frozen=True, slots=True)
class Load:
    """At the mean of all hosts or directory servers where it does not say `fullest`; sizes in bytes, rates a
    second unless named.
    """

    hosts: int
    accounts: float
    fullest: float
    connections: float
    deposits: float
    waiting: float
    waiting_bytes: float
    host_puts: float
    servers: float
    records: float
    server_puts: float
    peer_puts_an_hour: float

    def too_much(self, a: Assumptions) -> Iterator[str]:
        """What the code as it is set would not take."""
        bounds = (
            ("accounts of the fullest host", self.fullest, LIMITS.host_accounts, "limits.host_accounts"),
            ("connections of owners at it", self.connections, LIMITS.peers, "limits.peers"),
            ("their streams, one each that waits", self.connections, MAX_STREAMS, "MAX_STREAMS"),
            ("bytes of letters at a host", self.waiting_bytes, LIMITS.host_size, "limits.host_size"),
            ("records at a server", self.records, MAX_RECORDS, "MAX_RECORDS"),
            ("bytes of them", self.records * a.record_bytes, MAX_RECORD_BYTES, "MAX_RECORD_BYTES"),
            (
                "puts of a host at a server an hour",
                self.peer_puts_an_hour,
                MAX_RECORDS_PER_PEER,
                "MAX_RECORDS_PER_PEER",
            ),
        )
        for what, value, bound, name in bounds:
            if value > bound:
                yield f"{what} {value:,.0f} > {name} {bound:,}"


@dataclass(frozen=True, slots=True)
class World:
    """So many owners with so many hosts and directory servers."""

    kind: str
    owners: int
    hosts: int
    servers: float


def worlds(owners: int, k: int, there: Presence, a: Assumptions) -> tuple[World, World]:
    """A share of the owners are hosts, and whoever is up and can be dialled is a server; or there are no more
    hosts than may hold all accounts, and besides them the bootstrap nodes alone are servers.
    """
    many, few = many_small(owners, a), max(k, ceil(owners * k / LIMITS.host_accounts))
    return (
        World("many small", owners, many, owners * there.servers + a.bootstraps),
        World("few large", owners, few, few + a.bootstraps),
    )


def many_small(owners: int, a: Assumptions) -> int:
    return max(1, round(owners * a.hosting))


@dataclass(frozen=True, slots=True)
class Left:
    """Copies of a letter that are left at hosts at the mean, and for how many seconds together."""

    copies: float
    stay: float


def load(world: World, k: int, left: Left, there: Presence, a: Assumptions) -> Load:
    """With `k` hosts an owner."""
    accounts = world.owners * min(k, world.hosts) / world.hosts
    letters = world.owners * a.letters_a_day / DAY / world.hosts
    waiting = letters * left.stay  # Little: what comes in a second times how long it stays
    fullest = _fullest(accounts, world.hosts, k)
    held_at = min(K, world.servers) / world.servers
    own = there.up * PUTS_A_DAY + a.own_puts_a_day
    puts_a_day = world.owners * (own + min(k, world.hosts) * a.host_up * PUTS_A_DAY)
    return Load(
        hosts=world.hosts,
        accounts=accounts,
        fullest=fullest,
        connections=fullest * there.busiest,
        deposits=letters * left.copies,
        waiting=waiting,
        waiting_bytes=waiting * a.letter_bytes,
        host_puts=accounts / EVERY_S,
        servers=world.servers,
        records=world.owners * held_at,
        server_puts=puts_a_day * held_at / DAY,
        peer_puts_an_hour=fullest * RECORDS_WINDOW / EVERY_S * held_at,
    )


def _fullest(accounts: float, hosts: int, k: int) -> float:
    """Owners choose evenly, so accounts are spread as by Poisson; a full host refuses."""
    if hosts <= k:
        return accounts
    most = accounts + sqrt(accounts) * NormalDist().inv_cdf(1 - 1 / (hosts + 1))
    return max(accounts, min(most, LIMITS.host_accounts))
