"""For the conftest of tests that need a store and nothing of its writer's thread."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.storage import Store, open_store
from tests.kit.stores import KEY


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "database", KEY, inline=True) as store:
        yield store
