"""A closed node with real rooms, and a way to call its API."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.api import Desk
from tests.kit.homes import Caller, caller, open_closed


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_closed(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def call(desk: Desk) -> Caller:
    return caller(desk)
