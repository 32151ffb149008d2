"""Whole nodes as `run` runs them, on loopback, in this process."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from node.api import Desk
from node.app import run_node
from node.runtime.config import Config
from node.runtime.home import Home
from node.runtime.sections import HttpConfig, LimitsConfig, NetworkConfig, SmtpConfig, SubmissionConfig
from tests.kit.homes import new_home
from tests.kit.network import BOUND, LISTEN
from tests.kit.on_store import store
from tests.kit.on_street import pytest_collection_modifyitems, street

__all__ = ["pytest_collection_modifyitems", "store", "street"]

Run = Callable[..., AbstractAsyncContextManager[Desk]]


def config(bootstrap: Sequence[str] = (), **more: Any) -> Config:
    network = NetworkConfig(listen=(LISTEN,), bootstrap=tuple(bootstrap))
    mail: dict[str, Any] = {
        "smtp": SmtpConfig(port=0),
        "submission": SubmissionConfig(port=0),
        "http": HttpConfig(port=0),
    }
    given = mail | {"limits": LimitsConfig(price=1, free_disk=0)} | more
    return Config(network=network, **given)


@asynccontextmanager
async def _running(home: Home, *bootstrap: str, **more: Any) -> AsyncIterator[Desk]:
    """A node until the block is left; then it has to end by itself in time. `more`: sections of settings."""
    stop, opened = trio.Event(), trio.open_memory_channel[Desk](1)

    async def ready(desk: Desk) -> None:
        await opened[0].send(desk)

    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await run_node(home, config(bootstrap, **more), None, stop=stop, ready=ready)
            nursery.cancel_scope.cancel()

        nursery.start_soon(run)
        with trio.fail_after(BOUND):
            desk = await opened[1].receive()
        yield desk
        stop.set()
        with trio.fail_after(BOUND):
            await trio.sleep_forever()


@pytest.fixture
def running() -> Run:
    return _running


@pytest.fixture
async def alices(tmp_path: Path) -> Home:
    return await new_home(tmp_path / "alice", "alice")


@pytest.fixture
async def bobs(tmp_path: Path) -> Home:
    return await new_home(tmp_path / "bob", "bob")
