"""The store against a plain dict, whatever is written, fails, and is opened again."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from node.storage import Batch, Store, StoreUnavailable, open_store
from node.storage.codec import Key
from protocol.cbor import Value
from tests.kit.stores import KEY, PLAY, Trouble

KEYS = st.tuples(st.sampled_from([b"", b"\x00", b"\x00\xff", b"a", b"ab", b"b"]), st.integers(0, 3))
Changes: TypeAlias = list[tuple[tuple[bytes, int], int | None]]
CHANGES = st.lists(st.tuples(KEYS, st.none() | st.integers(0, 99)), max_size=5)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.lists(CHANGES, min_size=1, max_size=4)),
        st.tuples(st.just("full"), st.just([])),
        st.tuples(st.just("room"), st.just([])),
        st.tuples(st.just("reopen"), st.just([])),
    ),
    max_size=12,
)
BOUNDS = st.none() | KEYS | st.tuples(st.sampled_from([b"", b"a", b"b"]))


def batch_of(changes: Changes) -> Batch:
    batch = Batch()
    for key, value in changes:
        if value is None:
            batch.delete(PLAY, key)
        else:
            batch.put(PLAY, key, value)
    return batch


class Model:
    """What must be there: submitted changes at once, and after a fault only those acknowledged."""

    def __init__(self, store: Store, trouble: Trouble) -> None:
        self.store = store
        self.trouble = trouble
        self.durable: dict[tuple[bytes, int], int] = {}
        self.seen: dict[tuple[bytes, int], int] = {}

    @staticmethod
    def apply(to: dict[tuple[bytes, int], int], changes: Changes) -> None:
        for key, value in changes:
            to.pop(key, None)
            if value is not None:
                to[key] = value

    async def write(self, changes: Changes, outcomes: list[tuple[Changes, bool]]) -> None:
        self.apply(self.seen, changes)
        place = len(outcomes)
        outcomes.append((changes, True))
        try:
            await self.store.write(batch_of(changes))
        except StoreUnavailable:
            outcomes[place] = changes, False

    async def together(self, batches: list[Changes]) -> None:
        """Submit them in some order and take over what was acknowledged, in that order."""
        outcomes: list[tuple[Changes, bool]] = []
        async with trio.open_nursery() as nursery:
            for changes in batches:
                nursery.start_soon(self.write, changes, outcomes)
        for changes, acknowledged in outcomes:
            if acknowledged:
                self.apply(self.durable, changes)
        if not all(acknowledged for _, acknowledged in outcomes):
            self.seen = dict(self.durable)

    async def step(self, action: str, argument: list[Changes]) -> None:
        if action == "full":
            self.trouble.full = True
        elif action == "room":
            self.trouble.full = False
        elif action == "write":
            await self.together(argument)

    def check(self, start: Key | None, before: Key | None, prefix: Key, limit: int) -> None:
        for reverse in (False, True):
            found = self.store.scan(PLAY, prefix, start=start, before=before, reverse=reverse, limit=limit)
            assert found == expected(self.seen, prefix, start, before, limit, reverse=reverse)
        for key in [(b"a", 1), (b"\x00", 0)]:
            assert self.store.get(PLAY, key) == self.seen.get(key)


def expected(
    state: dict[tuple[bytes, int], int],
    prefix: Key,
    start: Key | None,
    before: Key | None,
    limit: int,
    *,
    reverse: bool,
) -> list[tuple[Key, Value]]:
    inside = [
        (key, value)
        for key, value in sorted(state.items(), reverse=reverse)
        if key[: len(prefix)] == prefix
        and (start is None or key >= start)
        and (before is None or key < before)
    ]
    return list(inside[:limit])


@asynccontextmanager
async def opened(path: Path, trouble: Trouble, *, inline: bool) -> AsyncIterator[Store]:
    trouble.full = False
    async with open_store(path, KEY, opener=trouble, inline=inline) as store:
        yield store


@pytest.mark.parametrize("inline", [True, False])
@given(
    steps=STEPS,
    start=BOUNDS,
    before=BOUNDS,
    prefix=st.sampled_from([(), (b"a",), (b"\x00",)]),
    limit=st.integers(0, 9),
)
async def test_reads_are_as_if_it_were_a_dict(
    inline: bool,
    steps: list[tuple[str, list[Changes]]],
    start: Key | None,
    before: Key | None,
    prefix: Key,
    limit: int,
) -> None:
    trouble = Trouble()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "database"
        rest = iter([*steps, ("reopen", [])])
        durable: dict[tuple[bytes, int], int] = {}
        for _ in range(sum(action == "reopen" for action, _ in steps) + 1):
            async with opened(path, trouble, inline=inline) as store:
                model = Model(store, trouble)
                model.durable, model.seen = durable, dict(durable)
                model.check(start, before, prefix, limit)
                for action, argument in rest:
                    if action == "reopen":
                        break
                    await model.step(action, argument)
                    model.check(start, before, prefix, limit)
                durable = model.durable
