"""People and machines whose hours are known, for answers that are exact."""

from scripts.simulate_assumptions import DAY, HOUR
from scripts.simulate_people import Act, Owner
from scripts.simulate_time import Machine


def between(first: float, last: float, days: int = 40) -> Machine:
    """Up between two hours of each day."""
    starts = [day * DAY + last * HOUR for day in range(-1, days)]
    return Machine((start, start + DAY - (last - first) * HOUR) for start in starts)


def always() -> Machine:
    return Machine([])


def asleep_until(t: float) -> Machine:
    return Machine([(-DAY, t)])


def node(timeline: Machine, *, dialable: bool = True) -> Owner:
    return Owner(timeline, dialable, 0.0)


def act(timeline: Machine, at: float = HOUR / 2, resumes: float | None = None) -> Act:
    return Act(node(timeline), at, at if resumes is None else resumes, seed=7)
