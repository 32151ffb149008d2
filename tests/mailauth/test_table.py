"""Every row of the table of outcomes, through a DNS server on loopback."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from node.mailauth import Judgement
from node.runtime.dns import DEADLINE_S
from tests.kit.auth_rows import Row, publish, shown
from tests.kit.auth_table import ROWS
from tests.kit.mailauths import mail_auth
from tests.kit.names_server import Fault, open_names

SETTLED_S = 0.05  # real: how long nothing must move

SILENT = frozenset({Fault.SILENCE, Fault.WRONG_ID, Fault.OTHER_QUESTION, Fault.GARBAGE})
"""Those whose look-up ends at its deadline."""


async def judged(row: Row, clock: MockClock) -> Judgement:
    found = []
    async with open_names() as names, trio.open_nursery() as nursery:
        publish(names, row)
        room = mail_auth(names)

        async def judge() -> None:
            found.append(await room.judge(row.raw, row.hop, row.author))

        nursery.start_soon(judge)
        for name, fault in row.faults.items():
            if fault in SILENT:
                await names.wait_asked(name)
                await wait_all_tasks_blocked(SETTLED_S)
                clock.jump(DEADLINE_S)
    return found[0]


@pytest.mark.parametrize("name", ROWS)
async def test_a_row_comes_to(name: str, mock_clock: MockClock) -> None:
    assert ROWS[name].expected == shown(await judged(ROWS[name], mock_clock))
