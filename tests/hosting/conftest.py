"""A host and its guests, with a clock that stands still until it is moved."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.kit.hosting import Guest, Inn, Lane
from tests.kit.on_street import pytest_collection_modifyitems

__all__ = ["pytest_collection_modifyitems"]


@pytest.fixture
def still() -> None:
    """Marks what runs under a virtual clock."""


@pytest.fixture
async def lane(still: None, tmp_path: Path) -> AsyncIterator[Lane]:
    async with trio.open_nursery() as nursery:
        lane = Lane(tmp_path, nursery)
        yield lane
        nursery.cancel_scope.cancel()
    assert lane.wires.bugs == []


@pytest.fixture
async def inn(lane: Lane) -> Inn:
    return await lane.open()


@pytest.fixture
async def alice(lane: Lane, inn: Inn) -> Guest:
    """An owner with an account and two nodes."""
    alice = lane.guest("alice", nodes=2)
    await alice.settle(inn)
    return alice


@pytest.fixture(autouse=True)
def no_alarm(caplog: pytest.LogCaptureFixture) -> object:
    """Nothing that these tests do may end in a traceback of ours."""
    yield
    assert [r.getMessage() for r in caplog.records if r.exc_info] == []
