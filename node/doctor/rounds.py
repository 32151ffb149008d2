"""Looks at everything side by side, each look under its deadline. What a look is, its room knows,
or one of the modules beside this one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import trio

from node.runtime.errors import NodeError
from node.runtime.rooms import Check

log = logging.getLogger(__name__)

DEADLINE_S: Final = 10.0
"""Seconds for one look: a name server and a mail server that are well answer in two."""

AT_ONCE: Final = 32
"""Looks at the same time: a node with many domains asks the DNS in turns."""


@dataclass(frozen=True, slots=True)
class Look:
    """Something to look at. `about` stands before the slash in a check's name: `node`, `network`, `mail`, or
    a domain. `name` stands for it while it is waited for.
    """

    about: str
    name: str
    look: Callable[[], Awaitable[Sequence[Check]]]

    @property
    def full_name(self) -> str:
        return f"{self.about}/{self.name}"


Tell = Callable[[Mapping[str, object]], None]


async def examine(looks: Sequence[Look], tell: Tell) -> None:
    """Look at all of these. `tell` hears their names in the order in which they are to be read, then of each
    what it has found, as soon as it is known: `{looks}`, `{look, checks}`. Whatever happens is a check.
    """
    tell({"looks": [look.full_name for look in looks]})
    slots = trio.CapacityLimiter(AT_ONCE)
    async with trio.open_nursery() as nursery:
        for look in looks:
            nursery.start_soon(_one, look, tell, slots)


async def _one(look: Look, tell: Tell, slots: trio.CapacityLimiter) -> None:
    async with slots:
        found = await _found(look)
    checks = [asdict(replace(check, check=f"{look.about}/{check.check}")) for check in found]
    tell({"look": look.full_name, "checks": checks})


async def _found(look: Look) -> Sequence[Check]:
    try:
        with trio.fail_after(DEADLINE_S):
            return await look.look()
    except trio.TooSlowError:
        text = f"not known: no answer within {DEADLINE_S:.0f} s"
        return [Check(look.name, "warn", text, "look again: mailio doctor")]
    except NodeError as fault:
        return [Check(look.name, "fail", fault.text, fault.remedy)]
    except Exception as fault:  # the boundary of a task: a fault of ours hides nothing of the rest
        log.exception("%s/%s could not be looked at", look.about, look.name)
        text = f"not known: something went wrong inside the node ({type(fault).__name__})"
        return [Check(look.name, "warn", text, "its log says more")]
