"""Stores of files: the sender's and the recipient's."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.kit.blocks import Place, Times, a_place
from tests.kit.jsipfs import JsIpfs, jsipfs_meanwhile


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
async def place(tmp_path: Path, times: Times) -> AsyncIterator[Place]:
    async with a_place(tmp_path / "here", times) as place:
        yield place


@pytest.fixture
async def sender(tmp_path: Path, times: Times) -> AsyncIterator[Place]:
    async with a_place(tmp_path / "there", times) as place:
        yield place


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JsIpfs]:
    with jsipfs_meanwhile(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon
