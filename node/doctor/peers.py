"""Whether each of the first peers that the settings name can be reached."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from node.doctor.ground import Ask
from node.runtime.errors import NodeError
from node.runtime.rooms import Check, State, many

PATIENCE_S: Final = 8.0
"""Seconds for a connection: within a look's."""


def first_peers(addresses: Sequence[str], connect: Callable[[str], Awaitable[object]]) -> Ask:
    """`connect` raises NodeError where a peer can't be reached; a connected one is there at once."""

    async def look() -> Sequence[Check]:
        if not addresses:
            return []
        missing: dict[str, str] = {}
        async with trio.open_nursery() as nursery:
            for address in addresses:
                nursery.start_soon(_one, address, connect, missing)
        if not missing:
            return [Check("first-peers", "ok", f"{many(len(addresses), 'first peer')} reached")]
        remedy = "see whether it runs, or name another: mailio config set network.bootstrap ADDRESS"
        state: State = "fail" if len(missing) == len(addresses) else "warn"
        return [Check("first-peers", state, f"{one} can't be reached: {missing[one]}", remedy)
                for one in addresses if one in missing]  # fmt: skip

    return look


async def _one(address: str, connect: Callable[[str], Awaitable[object]], missing: dict[str, str]) -> None:
    try:
        with trio.fail_after(PATIENCE_S):
            await connect(address)
    except trio.TooSlowError:
        missing[address] = "it does not answer in time"
    except NodeError as fault:
        missing[address] = fault.text
