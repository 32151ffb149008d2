"""Where stories are played."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.playing import a_place


@pytest.fixture
def place() -> Iterator[Path]:
    with a_place() as directory:
        yield directory
