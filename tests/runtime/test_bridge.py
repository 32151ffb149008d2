"""The bridge with its real thread. Nothing here waits for a time: each side says when it is where."""

import asyncio
import logging
import threading

import pytest
import trio
import trio.testing

from node.runtime import bridge as module
from node.runtime.bridge import Bridge, BridgeClosed, open_bridge


class Gate:
    """Where a coroutine in the thread tells trio that it is there, and what became of it."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self.reached = trio.Event()
        self.ended = ""

    async def hang(self) -> None:
        self._bridge.wake(self.reached.set)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise


async def test_a_call_runs_in_the_other_thread_and_answers() -> None:
    async def where(one: int, two: str) -> tuple[str, int, str]:
        await asyncio.sleep(0)
        return threading.current_thread().name, one, two

    async with open_bridge() as bridge:
        assert await bridge.run(where, 1, "b") == ("mailio-asyncio", 1, "b")


async def test_a_call_raises_what_it_would_here() -> None:
    async def fail() -> None:
        raise ValueError("mine")

    async with open_bridge() as bridge:
        with pytest.raises(ValueError, match="mine"):
            await bridge.run(fail)
        await bridge.run(asyncio.sleep, 0)


async def test_what_the_body_raises_comes_out_as_it_is() -> None:
    with pytest.raises(ValueError, match="mine"):
        async with open_bridge():
            raise ValueError("mine")


async def test_cancelling_the_caller_cancels_the_call_and_waits_for_its_end() -> None:
    async with open_bridge() as bridge:
        gate = Gate(bridge)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bridge.run, gate.hang)
            await gate.reached.wait()
            nursery.cancel_scope.cancel()
        assert gate.ended == "cancelled"


async def test_a_call_that_ends_well_in_spite_of_being_cancelled_keeps_its_answer() -> None:
    answers: list[str] = []

    async def stubborn(gate: Gate) -> str:
        try:
            await gate.hang()
        except asyncio.CancelledError:
            return "done"
        return "never"

    async with open_bridge() as bridge:
        gate = Gate(bridge)
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                answers.append(await bridge.run(stubborn, gate))

            nursery.start_soon(ask)
            await gate.reached.wait()
            nursery.cancel_scope.cancel()
    assert answers == ["done"]


async def test_the_thread_asks_trio_and_hears_its_answer_or_its_fault() -> None:
    async def on_trio(value: int) -> int:
        await trio.lowlevel.checkpoint()
        if value < 0:
            raise KeyError(value)
        return value + 1

    async with open_bridge() as bridge:
        assert await bridge.run(bridge.to_trio, on_trio, 1) == 2
        with pytest.raises(KeyError):
            await bridge.run(bridge.to_trio, on_trio, -1)


async def test_what_was_begun_on_trio_is_finished_though_the_asker_is_gone() -> None:
    entered, go_on, finished = trio.Event(), trio.Event(), trio.Event()

    async def durable() -> None:
        entered.set()
        await go_on.wait()
        finished.set()

    async with open_bridge() as bridge:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bridge.run, bridge.to_trio, durable)
                await entered.wait()
                scope.cancel()
        assert not finished.is_set()
        go_on.set()
        await finished.wait()


async def test_leaving_ends_what_hangs_on_either_side(caplog: pytest.LogCaptureFixture) -> None:
    faults: list[BaseException] = []
    entered = trio.Event()

    async def hang_on_trio() -> None:
        entered.set()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        async with open_bridge() as bridge:
            gate = Gate(bridge)

            async def ask(what: str) -> None:
                try:
                    await (
                        bridge.run(gate.hang)
                        if what == "asyncio"
                        else bridge.run(bridge.to_trio, hang_on_trio)
                    )
                except BridgeClosed as fault:
                    faults.append(fault)

            nursery.start_soon(ask, "asyncio")
            nursery.start_soon(ask, "trio")
            await gate.reached.wait()
            await entered.wait()
    assert (2, "cancelled") == (len(faults), gate.ended)
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_closed_bridge_says_so() -> None:
    async with open_bridge() as bridge:
        pass
    with pytest.raises(BridgeClosed):
        await bridge.run(asyncio.sleep, 0)
    assert not bridge.post(print)


async def test_a_thread_that_blocks_is_left_behind_and_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "JOIN_S", 0.05)
    release, closed = threading.Event(), []

    async def ask(bridge: Bridge) -> None:
        with pytest.raises(BridgeClosed) as fault:
            await bridge.run(asyncio.sleep, 0)
        closed.append(fault.value.code)

    async with trio.open_nursery() as nursery, open_bridge() as bridge:
        bridge.post(release.wait)
        nursery.start_soon(ask, bridge)
        await trio.testing.wait_all_tasks_blocked()
    assert closed == ["closing"]
    assert "did not end" in caplog.text
    release.set()
    await trio.to_thread.run_sync(_join)


def _join() -> None:
    for thread in threading.enumerate():
        if thread.name == "mailio-asyncio":
            thread.join()


async def test_a_stray_fault_is_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise ValueError("Dear Bob, this is secret")

    async with open_bridge() as bridge:
        bridge.post(fail)
        await bridge.run(asyncio.sleep, 0)
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text


async def test_a_connection_that_nobody_closed_ends_with_the_loop() -> None:
    kept: list[asyncio.BaseTransport] = []

    async def leave_open(port: int) -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, "127.0.0.1", port)
        kept.append(transport)

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        async with open_bridge() as bridge:
            await bridge.run(leave_open, listener.socket.getsockname()[1])
        stream = await listener.accept()
        async with stream:
            with trio.fail_after(5):
                assert await _ended(stream)
    assert kept[0].is_closing()


async def _ended(stream: trio.SocketStream) -> bool:
    try:
        return await stream.receive_some(1) == b""
    except trio.BrokenResourceError:
        return True


async def test_a_question_is_answered_in_trios_thread() -> None:
    def look(one: int) -> tuple[str, int]:
        trio.lowlevel.current_task()
        return threading.current_thread().name, one

    def fail() -> None:
        raise ValueError("mine")

    async with open_bridge() as bridge:
        assert await bridge.run(bridge.ask, look, 1) == ("MainThread", 1)
        with pytest.raises(ValueError, match="mine"):
            await bridge.run(bridge.ask, fail)
