"""A mailbox on a real store, with a real worker behind it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from node.files import Files
from node.letters import Arrival, Mailbox
from node.runtime.events import Events
from node.runtime.worker import Worker, open_worker
from node.storage import Batch, Store, open_store
from tests.kit.stores import KEY, some_files


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "database", KEY) as store:
        yield store


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    async with open_worker() as worker:
        yield worker


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def files(store: Store, tmp_path: Path) -> Files:
    found = some_files(store, tmp_path)
    await found.start()
    return found


@pytest.fixture
async def mailbox(store: Store, worker: Worker, events: Events, files: Files) -> Mailbox:
    return Mailbox(
        store, worker, events, KEY.index, files=files, scope=b"bob", waiting_letters=20, waiting_bytes=100_000
    )


@pytest.fixture
def take(store: Store, mailbox: Mailbox) -> Callable[..., Awaitable[list[bytes]]]:
    """Takes letters in, each in a batch of its own; gives their ids."""

    async def take(*arrivals: Arrival) -> list[bytes]:
        letters = []
        for one in arrivals:
            batch = Batch()
            letters.append(mailbox.take_in(batch, one))
            await store.write(batch)
        return letters

    return take
