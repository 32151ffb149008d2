"""Who has to go when there are too many sessions or bytes; the slow and the silent, over real sockets."""

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import pytest
import trio

from node.runtime.ip import block_of
from node.smtp.crowd import FULL, TOO_MUCH, Crowd
from node.smtp.hops import Hops
from node.smtp.limits import Limits
from node.smtp.reply import Reply
from tests.kit.sessions import LETTER, QUICK, Receiving, receiver, wire


@dataclass(eq=False)
class Someone:
    """A session that does what a test says."""

    crowd: Crowd
    busy: bool = False
    stage: int = 0
    achieved: float = 0.0
    held: int = 0
    pace: float = 0.0
    block: str = ""
    told: list[Reply] = field(default_factory=list)

    def rate(self, now: float) -> float:
        return self.pace

    def end(self, reply: Reply) -> None:
        self.told.append(reply)
        self.crowd.hold(-self.held)
        self.held = 0

    def cut(self) -> None:
        raise AssertionError("only a listener that closes does this")

    def take(self, held: int) -> None:
        change, self.held = held - self.held, held
        self.crowd.hold(change)


class Setting:
    """A crowd of three at most, and of 1,000 bytes, at a time that stands still."""

    def __init__(self, *, sessions: int = 3, block: int = 3) -> None:
        self.now = 100.0
        self.counters: Counter[str] = Counter()
        limits = Limits(sessions=sessions, block=block, bodies=1_000, small=100, fresh=5.0)
        self.crowd = Crowd(limits, self.counters, lambda: self.now)

    def someone(
        self,
        *,
        stage: int = 0,
        achieved: float = 0.0,
        busy: bool = False,
        pace: float = 0.0,
        block: str = "",
    ) -> Someone:
        return Someone(self.crowd, busy, stage, achieved, 0, pace, block)


def test_who_did_nothing_for_longest_goes() -> None:
    setting = Setting()
    idle = [setting.someone(stage=3, achieved=float(when)) for when in (50, 10, 30)]
    assert all(setting.crowd.enter(one) for one in idle)
    assert setting.crowd.enter(setting.someone(achieved=100.0))
    assert [[], [FULL], []] == [one.told for one in idle]
    assert 1 == setting.counters["evicted"]


def test_a_flood_of_new_ones_does_not_push_out_who_gets_on() -> None:
    setting = Setting()
    working = setting.someone(stage=2, achieved=99.0)
    assert setting.crowd.enter(working)
    new = [setting.someone(achieved=99.5 + n / 100) for n in range(20)]
    assert all(setting.crowd.enter(one) for one in new)
    assert [] == working.told
    assert [[FULL]] * 18 + [[], []] == [one.told for one in new]


def test_whom_we_work_for_never_goes() -> None:
    setting = Setting()
    busy = [setting.someone(busy=True) for _ in range(3)]
    assert all(setting.crowd.enter(one) for one in busy)
    assert not setting.crowd.enter(setting.someone(achieved=100.0))
    assert 1 == setting.counters["refusedSessions"]
    busy[1].busy = False
    assert setting.crowd.enter(setting.someone(achieved=100.0))
    assert [[], [FULL], []] == [one.told for one in busy]


def test_a_block_takes_only_its_share_and_from_its_own() -> None:
    setting = Setting(sessions=5, block=2)
    elsewhere = setting.someone(achieved=1.0)
    first, second, third = (setting.someone(achieved=when, block="b") for when in (20.0, 10.0, 99.0))
    assert all(setting.crowd.enter(one) for one in (elsewhere, first, second, third))
    assert ([], [], [FULL], []) == (elsewhere.told, first.told, second.told, third.told)
    first.busy = third.busy = True
    assert not setting.crowd.enter(setting.someone(achieved=99.0, block="b"))
    assert setting.crowd.enter(setting.someone(achieved=99.0, block="c"))
    assert [] == elsewhere.told


def test_who_has_no_block_shares_with_all() -> None:
    setting = Setting(block=1)
    relays = [setting.someone(achieved=99.0) for _ in range(3)]
    assert all(setting.crowd.enter(one) for one in relays)
    assert [[], [], []] == [one.told for one in relays]


def test_too_many_bytes_cost_the_largest_of_the_slower_ones() -> None:
    setting = Setting()
    fast, slow = setting.someone(pace=1e6), setting.someone(pace=10.0)
    small = setting.someone(pace=1.0)
    for one in (fast, slow, small):
        setting.crowd.enter(one)
    small.take(100)
    slow.take(300)
    fast.take(600)
    assert [] == fast.told + slow.told + small.told
    fast.take(601)
    assert ([], [TOO_MUCH], []) == (fast.told, slow.told, small.told)


def test_bytes_of_letters_being_taken_are_not_taken_away() -> None:
    setting = Setting()
    taken, large, small = setting.someone(), setting.someone(), setting.someone()
    for one in (taken, large, small):
        setting.crowd.enter(one)
    taken.take(1_000)
    taken.busy = True
    small.take(100)
    assert [] == taken.told + small.told
    large.take(101)
    assert ([], [TOO_MUCH], []) == (taken.told, large.told, small.told)


async def test_silent_connections_keep_no_letter_out() -> None:
    keeper = Receiving()
    async with receiver(keeper, limits=replace(QUICK, sessions=5)) as listener, AsyncExitStack() as stack:
        for _ in range(50):
            silent = await stack.enter_async_context(wire(listener))
            assert "220" == (await silent.reply())[:3]
        client = await stack.enter_async_context(wire(listener))
        await client.until_data()
        for _ in range(50):
            await stack.enter_async_context(wire(listener))
        assert "250 2.0.0 Ok" == await client.say(LETTER.decode() + ".")
        assert listener.counters["evicted"] >= 46
    assert 1 == len(keeper.letters)


async def test_connections_of_one_block_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hops, "block", lambda self, address: block_of(address))  # loopback has none
    async with receiver(Receiving(), limits=replace(QUICK, block=2)) as listener, AsyncExitStack() as stack:
        first, *_ = clients = [await stack.enter_async_context(wire(listener)) for _ in range(2)]
        assert ["220", "220"] == [(await client.reply())[:3] for client in clients]
        third = await stack.enter_async_context(wire(listener))
        assert "220" == (await third.reply())[:3]
        assert "421 4.3.2 Too many connections, try again later" == await first.reply()
        assert (3, 1) == (listener.counters["sessions"], listener.counters["evicted"])


async def test_a_client_that_is_evicted_hears_why() -> None:
    async with receiver(Receiving(), limits=replace(QUICK, sessions=1)) as listener:
        async with wire(listener) as first:
            await first.until_data()
            async with wire(listener) as second:
                assert "220" == (await second.reply())[:3]
                assert "421 4.3.2" == (await first.reply())[:9]
                assert "" == await first.reply()


async def test_bodies_are_bounded_over_all() -> None:
    keeper = Receiving()
    limits = replace(QUICK, bodies=300_000, small=50_000)
    async with receiver(keeper, limits=limits) as listener, wire(listener) as hog, wire(listener) as client:
        await hog.until_data()
        await hog.send(b"x" * 290_000)
        await client.until_data()
        await client.send(LETTER + b"x" * 40_000 + b"\r\n.\r\n")
        assert "250 2.0.0 Ok" == await client.reply()
        assert "421 4.3.1" == (await hog.reply())[:9]
    assert 1 == len(keeper.letters)


async def test_a_letter_that_was_taken_takes_no_more_room() -> None:
    keeper = Receiving()
    limits = replace(QUICK, bodies=300_000, small=10)
    async with receiver(keeper, limits=limits) as listener, wire(listener) as one, wire(listener) as other:
        for client in (one, other):
            await client.until_data()
            await client.send(b"x" * 200_000 + b"\r\n.\r\n")
            assert "250 2.0.0 Ok" == await client.reply()
        assert "250 2.0.0 Ok" == await one.say("NOOP")
        assert 0 == listener.counters["evicted"]


async def test_a_letter_for_which_there_was_no_room_is_not_taken() -> None:
    """Its last piece was one too many: the client hears 421, and the letter is nowhere."""
    keeper = Receiving()
    async with receiver(keeper, limits=replace(QUICK, bodies=1_000, small=10)) as listener:
        async with wire(listener) as client:
            await client.until_data()
            await client.send(LETTER + b"x" * 2_000 + b"\r\n.\r\n")
            assert "421 4.3.1" == (await client.reply())[:9]
            assert "" == await client.reply()
    assert [] == keeper.letters


@pytest.mark.parametrize("stage", ["greeted", "hello", "data"])
async def test_silence_ends_a_session(stage: str) -> None:
    async with (
        receiver(Receiving(), limits=replace(QUICK, command=0.3)) as listener,
        wire(listener) as client,
    ):
        if stage == "data":
            await client.until_data()
            await client.send(LETTER)
        elif stage == "hello":
            await client.hello()
        else:
            await client.reply()
        assert "421 4.4.2" == (await client.reply())[:9]
        assert "" == await client.reply()
        assert 1 == listener.counters["slow"]


async def test_a_body_that_stops_ends_a_session_at_its_deadline() -> None:
    async with receiver(Receiving(), limits=replace(QUICK, body=0.1)) as listener, wire(listener) as client:
        await client.until_data()
        await client.send(LETTER)
        assert "421 4.4.2" == (await client.reply())[:9]


@pytest.mark.parametrize("limits", [replace(QUICK, body=0.1), replace(QUICK, grace=0.05, rate=1e9)])
async def test_a_trickle_ends_a_session(limits: Limits) -> None:
    """Each byte comes in time, all of them do not."""
    async with receiver(Receiving(), limits=limits) as listener, wire(listener) as client:
        await client.until_data()

        async def trickle() -> None:
            while True:
                await client.send(b"x")
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_cut_off, trickle)
            assert (await client.reply())[:9] in ("421 4.4.2", "")  # what was unread makes the end a reset
            nursery.cancel_scope.cancel()
        assert (1, 0) == (listener.counters["slow"], listener.counters["letters"])


async def test_who_does_not_listen_is_cut_off() -> None:
    """Replies pile up; upstream's loop would wait for as long as the client likes."""
    async with (
        receiver(Receiving(), limits=replace(QUICK, command=0.1)) as listener,
        wire(listener) as client,
    ):
        assert await client.send_until_cut_off(b"EHLO x\r\n" * 1_000) > 0
        assert 1 == listener.counters["slow"] + listener.counters["junk"]


async def test_our_own_slowness_is_said_as_later() -> None:
    keeper = Receiving(gate=trio.Event())
    async with receiver(keeper, limits=replace(QUICK, work=0.05)) as listener, wire(listener) as client:
        await client.until_data()
        await client.send(LETTER + b".\r\n")
        assert "421" == (await client.reply())[:3]
        assert keeper.gate is not None
        keeper.gate.set()


async def _until_cut_off(send: Callable[[], Awaitable[None]]) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        await send()
