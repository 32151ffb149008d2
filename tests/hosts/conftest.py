"""An owner and its hosts on one street, with a clock that stands still until it is moved."""

from collections.abc import Awaitable, Callable

import pytest

from tests.kit.hostnodes import HostNode
from tests.kit.houses import Street
from tests.kit.on_street import alice, bob, pytest_collection_modifyitems, street

__all__ = ["alice", "bob", "pytest_collection_modifyitems", "street"]

Opener = Callable[..., Awaitable[list[HostNode]]]


@pytest.fixture
def open_hosts(street: Street) -> Opener:
    """So many hosts, numbered from 1; each in a block of its own."""

    async def opened(count: int, first: int = 1, **more: object) -> list[HostNode]:
        numbers = range(first, first + count)
        return [await HostNode(street, f"h{n}", n, **more).open() for n in numbers]  # type: ignore[arg-type]

    return opened
