"""What makes a running node look anew: a record put at it, and addresses that change."""

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from node.api import Desk
from node.app import run_node, wakes
from node.app.directory import IdentityRules
from node.app.node import ADDRESSES_EVERY_S, watch_addresses
from node.app.wakes import PAUSE_S, Wakes
from node.outbox.submission import Message
from node.runtime.clock import ClockWatch, SystemClock
from protocol.identity import build_identity
from tests.app.conftest import config
from tests.kit.homes import new_home
from tests.kit.network import BOUND, a_network, until
from tests.kit.owners import owner


@pytest.fixture
def woken() -> list[str]:
    return []


async def test_a_put_wakes_what_waits_once_a_minute_for_each(woken: list[str], mock_clock: MockClock) -> None:
    wakes = Wakes(woken.append)
    for address in ("0xbob", "0xbob", "0xeve", "0xbob", "0xeve"):
        wakes.put(address)
    assert woken == ["0xbob", "0xeve"]
    mock_clock.jump(PAUSE_S - 1)
    wakes.put("0xbob")
    assert woken == ["0xbob", "0xeve"]
    mock_clock.jump(1)
    wakes.put("0xbob")
    assert woken == ["0xbob", "0xeve", "0xbob"]


async def test_what_is_remembered_of_puts_is_bounded(
    woken: list[str], mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakes, "MAX_WOKEN", 2)
    some = Wakes(woken.append)
    for address in ("a", "b", "c", "c", "b", "a"):
        some.put(address)
    assert woken == ["a", "b", "c", "a"]


class Counting:
    """A publisher that counts how often it was told to look."""

    looks = 0

    def addresses_changed(self) -> None:
        self.looks += 1


async def test_own_addresses_are_looked_at_every_minute(autojump_clock: MockClock) -> None:
    publisher: Any = Counting()
    with trio.move_on_after(3.5 * ADDRESSES_EVERY_S):
        await watch_addresses(publisher)
    assert publisher.looks == 3


async def test_what_waits_is_tried_when_its_owner_publishes(tmp_path: Path) -> None:
    bob, stop, clock = owner("bob"), trio.Event(), SystemClock()
    rules = IdentityRules(clock, ClockWatch(clock, 0))
    settings = config()

    def why(desk: Desk, letter_id: bytes) -> str:
        letter = desk.outbox.get(letter_id)
        assert letter is not None
        return letter.deliveries[0].detail

    async def publish(desk: Desk) -> None:
        letter = await desk.submission.send(Message((bob.address,), subject="Are you there?"))
        await until(lambda: "was not found yet" in why(desk, letter.id))
        assert desk.network is not None
        record = build_identity(bob.secrets, bob.chain, price=6, created=clock.now()).record
        async with a_network(validator=rules) as network:
            await network.connect(desk.network.listen_addrs()[0])
            await until(lambda: len(network.peers()) == 1)
            assert await network.put_record(bob.address, record) == 1
            # By the timetable it would be tried after a minute.
            await until(lambda: why(desk, letter.id) == "no node of this owner is known yet")
        stop.set()

    with trio.fail_after(3 * BOUND):
        await run_node(await new_home(tmp_path / "alice"), settings, None, stop=stop, ready=publish)
