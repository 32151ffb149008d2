"""A store, and the passwords in it."""

import pytest

from node.runtime.clock import SystemClock
from node.storage import Store
from node.users import Users
from tests.kit.on_store import store

__all__ = ["store"]


@pytest.fixture
def users(store: Store) -> Users:
    return Users(store, SystemClock())
