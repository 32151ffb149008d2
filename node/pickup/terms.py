"""What fetching from a provider goes by: paces, a letter that was found, what its taker says, how it stands.

Nothing is done here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import trio

from node.mailauth import Judgement
from node.pickup.book import Providers
from node.pickup.link import PATIENCE_S, Dial
from node.runtime.clock import Clock
from node.runtime.rooms import Warning_


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between looks at folders where nothing is told by itself, and at most of being idle (RFC 2177:
    29 minutes; networks forget connections sooner); before another attempt, at first and at most; before
    another where only the owner can mend it; before letters that were not taken are tried again; and for an
    answer without letters.
    """

    poll: float = 120.0
    idle: float = 540.0
    first: float = 5.0
    most: float = 900.0
    owners: float = 3_600.0
    late: float = 300.0
    answer: float = PATIENCE_S


@dataclass(frozen=True, slots=True)
class Found:
    """A letter of the owner's mailbox `address`; `sender` is who its Return-Path names, `host` who had it."""

    raw: bytes
    sender: str
    address: str
    host: str
    judgement: Judgement


class Reply(Protocol):
    """What came of a letter, in the codes of SMTP: 2 it is on disk, 4 not now, 5 never."""

    @property
    def code(self) -> int: ...

    @property
    def status(self) -> str: ...


Take = Callable[[Found], Awaitable[Reply]]
Judging = Callable[[bytes, frozenset[str]], Awaitable[Judgement]]


class Full(Exception):  # noqa: N818 - a state
    """Nothing more is taken here for now."""


def full_warning(address: str) -> Warning_:
    return Warning_(
        "provider-full",
        f"{address}: letters stay there, as none can be taken in here now",
        "the other warnings say why; it is tried again every few minutes",
    )


@dataclass(slots=True)
class Standing:
    """How a provider stands, for status. Counts are since the start."""

    state: str = "connecting"
    warning: Warning_ | None = None
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("fetched", "again", "refused", "left", "deleted"), 0)
    )
    late: dict[str, int] = field(default_factory=dict)
    large: dict[str, int] = field(default_factory=dict)
    marked: bool = False
    """Whether letters could only be marked as deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What fetching needs, the same for each provider."""

    book: Providers
    take: Take
    judge: Judging
    clock: Clock
    tell: Callable[[dict[str, object]], None]
    max_size: int
    limiter: trio.CapacityLimiter
    dial: Dial
    pace: Pace
