"""Owners on one street, with a clock that stands still until it is moved."""

import pytest

from tests.kit.houses import House, Street
from tests.kit.on_street import alice, bob, pytest_collection_modifyitems, street

__all__ = ["alice", "bob", "pytest_collection_modifyitems", "street"]


@pytest.fixture
async def eve(street: Street) -> House:
    return await street.open("eve")


@pytest.fixture
async def friends(street: Street, alice: House, bob: House) -> tuple[House, House]:
    """Alice and Bob, who may write to each other."""
    await street.befriend(alice, bob)
    return alice, bob


@pytest.fixture(autouse=True)
def no_alarm(caplog: pytest.LogCaptureFixture) -> object:
    """Nothing that these tests do may end in a traceback of ours."""
    yield
    assert [r.getMessage() for r in caplog.records if r.exc_info] == []
