"""What scripts/simulate takes for granted, each with its reason. Nothing is computed here."""

from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields, replace
from math import inf
from typing import Any, Final

from node.hosts.choosing import REPLACED_MS
from node.hosts.keeper import RETRY_S

MINUTE: Final = 60.0
HOUR: Final = 3_600.0
DAY: Final = 86_400.0
WEEK: Final = 7 * DAY
YEAR: Final = 365 * DAY


def amount(value: float, why: str) -> Any:
    """A field with its value and its reason."""
    return field(default=value, metadata={"why": why, "most": inf})


def share(value: float, why: str) -> Any:
    """The same for a share, which is 1 at most."""
    return field(default=value, metadata={"why": why, "most": 1.0})


@dataclass(frozen=True, slots=True)
class Habit:
    """When a machine without a place of its own is up: between two hours of the local day, in stretches of
    `session` hours and pauses of `pause` hours at the mean, both exponential.
    """

    opens: float
    closes: float
    session: float
    pause: float
    weekday: float
    weekend: float


LAPTOP: Final = Habit(opens=8, closes=22.5, session=0.9, pause=0.9, weekday=0.95, weekend=0.7)
"""Half of a waking day in stretches of under an hour: 6.6 hours a day with weekends, 27 % of all time."""

GLANCE: Final = Habit(opens=7, closes=23, session=0.1, pause=1.2, weekday=0.95, weekend=0.9)
"""Somebody who lives with a phone and opens the machine for six minutes a dozen times a day."""

NEVER_ZERO: Final = (
    "host_up",
    "outage_hours",
    "long_outage_hours",
    "hosts_per_operator",
    "another_way_hours",
)
"""Assumptions that something is divided by, or waited for."""

SPREAD: Final = 1.5 * HOUR
"""Standard deviation of when a day begins and ends: people differ, and so do their days."""

ZONES: Final = ((-8, 0.08), (-5, 0.17), (-3, 0.08), (0, 0.10), (1, 0.27), (3, 0.08), (5.5, 0.12), (8, 0.10))
"""Hours from UTC and share of owners: the Americas a third, Europe and Africa 45 %, Asia the rest. Early
users of such software; with more in Asia the busiest hour moves and the odds hardly do."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """The unit of what is no share stands in its name."""

    always_on: float = share(
        0.15, "owners whose node is a Raspberry Pi or a small server: the few who care to"
    )
    glancing: float = share(0.15, "owners who live with a phone: on for six minutes a dozen times a day")
    away: float = share(0.04, "weeks for which a laptop stays shut: two weeks of holiday a year")
    always_on_up: float = share(
        0.98, "of the time: power, router and provider at home fail for a week a year"
    )
    dialable_laptops: float = share(
        0.3, "IPv6 without a firewall or a forwarded port; no relays are built yet"
    )
    dialable_always_on: float = share(0.9, "whoever sets up a Pi or rents a server gives it an address")
    same_zone: float = share(0.7, "letters between people of one time zone: one writes to people nearby")
    off_after: float = share(0.3, "letters and changes of handshakes after which the lid is closed at once")

    host_up: float = share(0.97, "of the time: people's machines, not a data centre; 11 days a year down")
    outage_hours: float = amount(1.0, "mean of a short outage: an update, a router that starts anew")
    long_outages: float = share(0.15, "of outages are long: nobody is at home to switch it on again")
    long_outage_hours: float = amount(24.0, "mean of a long one: a night, a weekend, a change of provider")
    hosts_per_operator: float = amount(
        2.0, "hosts that fail together: some run two, and the owner can't tell"
    )
    shared_outages: float = share(
        0.5, "of a host's time down is its operator's: power, line, an update to all"
    )
    lost_a_year: float = amount(0.1, "of hosts vanish with all that they hold: a hobby ends after ten years")
    replaced_days: float = amount(
        REPLACED_MS / 1_000 / DAY, "until the owner's node has another host in place of a vanished one"
    )
    hosting: float = share(0.02, "owners who are a host for others: one in seven of those who are always on")

    talk_seconds: float = amount(
        3.0, "to dial, offer and send, or to answer a wait: a few round trips, two syncs"
    )
    wake_seconds: float = amount(
        15.0, "from opening the lid to letters drained: Wi-Fi, joining, dialling hosts"
    )
    redial_seconds: float = amount(RETRY_S, "until a host that came back is dialled")
    another_way_hours: float = amount(
        24.0, "without a receipt until a letter is tried another way (protocol §6)"
    )
    read_days: float = amount(
        7.0, "in which a changed handshake is asked for, evenly: the stale ones show early"
    )

    letters_a_day: float = amount(
        20.0, "that an owner gets: ten letters and ten receipts, which are letters too"
    )
    letter_bytes: float = amount(30_000.0, "mean of a sealed letter; one with 10 KB of text has 12.5 KB")
    record_bytes: float = amount(2_000.0, "an identity record: 1.6 KB measured, with three hosts in it")
    own_puts_a_day: float = amount(
        1.0, "of an owner's record at its node's starts, besides one in six hours up"
    )
    bootstraps: float = amount(
        5.0, "public nodes that are directory servers besides dialable owners who are up"
    )

    def but(self, changes: Iterable[str]) -> "Assumptions":
        """These with some NAME=VALUE in their place. Raises ValueError for another name or value."""
        found = dict(_change(change) for change in changes)
        return replace(self, **found)


def _change(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    known = {one.name: one for one in fields(Assumptions)}
    if name not in known:
        raise ValueError(f"{name} is no assumption; docs/simulation.md lists them")
    value = float(number)
    most = known[name].metadata["most"]
    if not 0 <= value <= most or (name in NEVER_ZERO and not value):
        raise ValueError(f"{name}={number} is not {'above 0' if most == inf else 'a share'}")
    return name, value


def table() -> str:
    """All of them as the table in docs/simulation.md."""
    lines = ["| assumption | value | why |", "|---|---|---|"]
    return "\n".join([*lines, *map(_row, fields(Assumptions))])


def _row(one: Field[float]) -> str:
    return f"| `{one.name}` | {one.default:,g} | {one.metadata['why']} |"
