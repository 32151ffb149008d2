"""A store, and the passwords in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.runtime.clock import SystemClock
from node.storage import Store, open_store
from node.users import Users
from tests.kit.stores import KEY


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "database", KEY, inline=True) as store:
        yield store


@pytest.fixture
def users(store: Store) -> Users:
    return Users(store, SystemClock())
