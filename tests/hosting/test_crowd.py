"""What nobody may take all of: large requests under way, and this process's time (protocol.md §8)."""

from contextlib import ExitStack

import pytest
import trio

from node.hosting.crowd import LARGE, LARGE_OF_ACCOUNT, SMALL, Large, Turns
from node.hosts import Talk
from node.network import ChannelClosed
from protocol.account import Space
from protocol.host import Answer, Find, List, Put
from protocol.status import BUSY, OK, TOO_LARGE
from tests.kit.hosting import Guest, Inn, Lane, a_channel, an_item

MOST = 1_000_000


async def test_only_who_has_an_account_sends_much(lane: Lane, inn: Inn, alice: Guest) -> None:
    stranger, bob = lane.wire(), lane.guest("bob")
    large = Put(Space.VAULT, (an_item(1, data=bytes(SMALL)),))
    async with alice.talk(inn) as talk:
        assert {} == (await talk.ask(large)).refused
    async with bob.talk(inn) as talk:  # proven, not opened
        await talk._channel.send(large.encode())
        assert TOO_LARGE == Answer.parse(await talk._channel.receive()).status
    async with a_channel(stranger, inn) as channel:
        await channel.send(Find(bytes(32), bytes(32)).encode() + bytes(SMALL))
        assert TOO_LARGE == Answer.parse(await channel.receive()).status
        with pytest.raises(ChannelClosed):
            await channel.receive()
    assert [(bob.wires[0].peer_id, "host 5.2.3"), (stranger.peer_id, "host 5.2.3")] == inn.wire.blamed


def test_large_requests_have_places() -> None:
    large, places, last = Large(), ExitStack(), ExitStack()
    for number in range(LARGE):
        account = bytes([number // LARGE_OF_ACCOUNT]) * 32
        reading = (last if number == LARGE - 1 else places).enter_context(large.reading(account, MOST))
        assert [MOST, MOST] == [reading.most(), reading.most()]  # asked again as more of it comes
        with large.reading(account, MOST) as another:
            full = number % LARGE_OF_ACCOUNT == LARGE_OF_ACCOUNT - 1
            if full:
                assert (SMALL, True) == (another.most(), another.crowded)
    with large.reading(b"n" * 32, MOST) as other:
        assert (SMALL, True) == (other.most(), other.crowded)
        last.close()
        assert (MOST, False) == (other.most(), other.crowded)
    places.close()


async def test_a_large_request_that_finds_no_place_is_no_fault(
    lane: Lane, inn: Inn, alice: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.hosting.crowd.LARGE", 0)
    async with alice.talk(inn) as talk:
        assert OK == (await talk.ask(List())).status
        await _says_busy(talk)
    assert [] == inn.wire.blamed


async def _says_busy(talk: Talk) -> None:
    await talk._channel.send(Put(Space.VAULT, (an_item(1, data=bytes(SMALL)),)).encode())
    assert BUSY == Answer.parse(await talk._channel.receive()).status


@pytest.mark.trio
async def test_one_piece_of_work_of_an_account_at_a_time() -> None:
    turns, at_once, most = Turns(), {b"a": 0, b"b": 0}, {b"a": 0, b"b": 0}

    async def work(account: bytes) -> None:
        async with turns.turn(account):
            at_once[account] += 1
            most[account] = max(most[account], at_once[account])
            for _ in range(3):
                await trio.lowlevel.checkpoint()
            at_once[account] -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(work, b"a")
            nursery.start_soon(work, b"b")
    assert {b"a": 1, b"b": 1} == most
    assert ({}, 0) == (turns._locks, turns._users.total())
