"""A store, a name server on loopback, a clock that is moved by hand, and the domains on them."""

import functools
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import pytest

from node.domains import Domains
from node.domains.keys import DkimKey, new_keys
from node.runtime.dns import Resolver
from node.storage import Store
from tests.kit.names_server import Names, open_names
from tests.kit.on_store import store

__all__ = ["store"]

NOW = 1_795_694_400_000  # 26 November 2026, 12:00 UTC, ms


@dataclass
class Hand:
    """A clock that stands until it is moved."""

    time: int = NOW

    def now(self) -> int:
        return self.time


@functools.cache
def some_keys(number: int) -> tuple[DkimKey, ...]:
    return new_keys(NOW)


@pytest.fixture(autouse=True)
def keys_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real keys, but the same ones in each test: to make one takes some tenths of a second."""
    numbers = itertools.count()

    def made(now: int) -> tuple[DkimKey, ...]:
        return tuple(replace(key, made=now) for key in some_keys(next(numbers)))

    monkeypatch.setattr("node.domains.room.new_keys", made)


@pytest.fixture
async def names() -> AsyncIterator[Names]:
    async with open_names() as names:
        yield names


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def opened(store: Store, names: Names, clock: Hand) -> Callable[..., Domains]:
    """Opens the room with these domains in the settings, and a resolver of its own that remembers nothing."""

    def room(*settings: str) -> Domains:
        return Domains(store, clock, settings, Resolver([names.address]))

    return room


@pytest.fixture
def domains(opened: Callable[..., Domains]) -> Domains:
    return opened()
