"""For the conftest of tests whose owners live on one street: the street, and a clock that stands still."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from tests.kit.houses import House, Street, still


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Time stands still on a street. (A clock as fixture of a fixture is not seen by pytest-trio.)"""
    for item in items:
        if isinstance(item, pytest.Function) and {"street", "still"} & set(item.fixturenames):
            item.add_marker(pytest.mark.trio(run=still), append=False)


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with trio.open_nursery() as nursery:
        street = Street(tmp_path, nursery)
        yield street
        nursery.cancel_scope.cancel()
    assert street.wires.bugs == []


@pytest.fixture
async def alice(street: Street) -> House:
    return await street.open("alice")


@pytest.fixture
async def bob(street: Street) -> House:
    return await street.open("bob")
