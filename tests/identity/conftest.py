"""An identity in a real home, a real store, and time that stands still until the test moves it."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from node.identity import Identity, create, load
from node.runtime.home import Home
from tests.kit.on_store import store
from tests.kit.owners import NOW
from tests.kit.stores import KEY

__all__ = ["store"]

ROOT = sha256(b"alice").digest()


@dataclass
class Time:
    """A clock, and whether it is to be believed."""

    time: int = NOW
    doubtful: str | None = None

    def now(self) -> int:
        return self.time


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def identity(home: Home) -> Identity:
    create(home, KEY, ROOT, NOW)
    return load(home, KEY)


@pytest.fixture
def clock() -> Time:
    return Time()
