"""The same over real connections: whatever breaks off, a letter comes once, and as soon as both are there
again.
"""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from node.outbox.submission import Message
from tests.kit.faults import Fault, Step, sample
from tests.kit.homes import new_home
from tests.kit.livewires import LiveNode, Tap
from tests.kit.network import until

FRAMES = [
    Step(way, n, after)
    for way, n, after in itertools.product(("alice>bob", "bob>alice"), (0, 1), (False, True))
]
"""Offer and envelope; go-ahead and status."""

BATCHES = [
    Step(name, n, after) for name, n in (("alice", 0), ("alice", 1), ("bob", 0)) for after in (False, True)
]
"""Its sealing, its end, and what came."""

FAULTS = [
    *(Fault("cut", step) for step in FRAMES),
    *(Fault("crash", step, name) for step in FRAMES for name in ("alice", "bob")),
    *(Fault("lid for an hour", step, name) for step in FRAMES for name in ("alice", "bob")),
    *(Fault("crash", step, step.where) for step in BATCHES),
]

SEED = 1
SOME = 20
"""Of 46: a start of a node is a second or two."""

Friends = tuple[Tap, LiveNode, LiveNode]


@pytest.fixture
async def friends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Friends]:
    """Alice and Bob, who may write to each other."""
    async with trio.open_nursery() as nursery:
        alice, bob = [
            LiveNode(name, await new_home(tmp_path / name, name), nursery) for name in ("alice", "bob")
        ]
        tap = Tap([alice, bob], monkeypatch)
        await alice.open()
        await bob.open(alice.address)
        await alice.rooms.handshakes.open(await bob.rooms.handshakes.link())
        await until(lambda: [row["theirs"] for row in alice.rooms.handshakes.list()] == ["accepted"])
        yield tap, alice, bob
        nursery.cancel_scope.cancel()


async def test_each_letter_once(friends: Friends) -> None:
    tap, alice, bob = friends
    to, faults = bob.rooms.identity.address, sample(FAULTS, SOME, SEED)
    for fault in faults:
        subject = str(fault)
        await alice.rooms.submission.send(Message((to,), subject=subject, text="Hi.\n"))
        tap.begin(fault)
        await tap.mend(alice, bob)
        await until(lambda: alice.states(subject) == ["delivered"])  # noqa: B023 - it is waited for here
    assert sorted(map(str, faults)) == sorted(bob.folder())
