from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from node.doctor import Look, examine
from node.doctor.rounds import DEADLINE_S
from node.runtime.errors import NodeError
from node.runtime.rooms import Check


async def well() -> Sequence[Check]:
    return [Check("a", "ok", "well"), Check("b", "warn", "so so", "rest")]


async def ill() -> Sequence[Check]:
    raise NodeError("code", "it is broken", "mend it")


async def lost() -> Sequence[Check]:
    raise ZeroDivisionError


async def silent() -> Sequence[Check]:
    await trio.sleep_forever()
    raise AssertionError


def shown(check: str, state: str, text: str, remedy: str = "") -> dict[str, str]:
    return {"check": check, "state": state, "text": text, "remedy": remedy}


async def test_all_are_looked_at_side_by_side_and_whatever_happens_is_told(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    looks = [
        Look("node", "silent", silent),
        Look("node", "ill", ill),
        Look("example.org", "lost", lost),
        Look("example.org", "well", well),
        Look("node", "hushed", silent),
    ]
    told: list[Mapping[str, Any]] = []
    await examine(looks, told.append)
    assert DEADLINE_S == trio.current_time()
    assert told[0] == {
        "looks": ["node/silent", "node/ill", "example.org/lost", "example.org/well", "node/hushed"]
    }
    late = "not known: no answer within 10 s", "look again: mailio doctor"
    wrong = "not known: something went wrong inside the node (ZeroDivisionError)", "its log says more"
    assert {line["look"]: line["checks"] for line in told[1:]} == {
        "node/silent": [shown("node/silent", "warn", *late)],
        "node/ill": [shown("node/ill", "fail", "it is broken", "mend it")],
        "example.org/lost": [shown("example.org/lost", "warn", *wrong)],
        "example.org/well": [
            shown("example.org/a", "ok", "well"),
            shown("example.org/b", "warn", "so so", "rest"),
        ],
        "node/hushed": [shown("node/hushed", "warn", *late)],
    }
    assert ["example.org/lost could not be looked at"] == caplog.messages
