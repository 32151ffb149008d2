"""The one asyncio thread, for libraries that know no trio, and the way between it and trio in both
directions. What runs there is its rooms' business.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

import trio

from node.runtime.errors import NodeError

log = logging.getLogger(__name__)

T = TypeVar("T")

CANCEL_S: Final = 2.0
"""Seconds that what runs in the thread gets to end after it was cancelled."""

JOIN_S: Final = 3.0
"""Seconds after which we leave without the thread: something in it blocks. It ends with the process."""


TURNS: Final = 3
"""Turns of the loop: a job's last callback, the closing of its connection, and one to spare."""


class BridgeClosed(NodeError):  # noqa: N818 - what it is called everywhere
    """The bridge is closing or closed; what was asked did not come to its end."""

    def __init__(self) -> None:
        super().__init__("closing", "the node is shutting down")


class Bridge:
    """Made by `open_bridge()`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, nursery: trio.Nursery) -> None:
        self.loop = loop
        self._nursery = nursery
        self._token = trio.lowlevel.current_trio_token()
        self._calls: set[_Call[Any]] = set()  # trio's tasks that wait for the thread
        self._ended = False  # trio's side: nothing new begins

    async def run(self, call: Callable[..., Awaitable[T]], *args: object) -> T:
        """From trio: `await call(*args)` in the asyncio thread. Cancelling the caller cancels it there,
        and waits until it has ended. Raises what the call raises; BridgeClosed.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        asked = _Call(self, call, args)
        if self._ended or not self.post(asked.begin):
            raise BridgeClosed
        self._calls.add(asked)
        await trio.lowlevel.wait_task_rescheduled(asked.cancel)
        return asked.result()

    async def to_trio(self, call: Callable[..., Awaitable[T]], *args: object) -> T:
        """From asyncio: `await call(*args)` as a task of trio. Cancelling the caller does not cancel it:
        what promises something durable is finished. Raises what the call raises; BridgeClosed.
        """
        answer: asyncio.Future[T] = self.loop.create_future()

        def spawn() -> None:
            if self._ended:
                self.post(_settle, answer, None, BridgeClosed())
            else:
                self._nursery.start_soon(self._errand, answer, call, args)

        if not self.wake(spawn):
            raise BridgeClosed
        return await answer

    async def ask(self, call: Callable[..., T], *args: object) -> T:
        """From asyncio: what `call(*args)` returns in trio's thread, where it must not take long. Costs a
        third of a task there. Raises what the call raises; BridgeClosed.
        """
        answer: asyncio.Future[T] = self.loop.create_future()

        def look() -> None:
            try:
                value = call(*args)
            except Exception as error:  # noqa: BLE001 - it belongs to the caller
                self.post(_settle, answer, None, error)
            else:
                self.post(_settle, answer, value, None)

        if not self.wake(look):
            raise BridgeClosed
        return await answer

    async def _errand(
        self, answer: "asyncio.Future[T]", call: Callable[..., Awaitable[T]], args: tuple[object, ...]
    ) -> None:
        """The task of trio that asyncio asked for; it never takes the nursery down by a fault."""
        try:
            value = await call(*args)
        except Exception as error:  # noqa: BLE001 - it belongs to the caller
            self.post(_settle, answer, None, error)
        except BaseException:
            self.post(_settle, answer, None, BridgeClosed())
            raise
        else:
            self.post(_settle, answer, value, None)

    def post(self, callback: Callable[..., object], *args: object) -> bool:
        """Have `callback` called in the asyncio thread, from any thread; False once that has ended."""
        try:
            self.loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # "Event loop is closed"
            return False
        return True

    def wake(self, callback: Callable[[], object]) -> bool:
        """Have `callback` called by trio, from any thread; False once trio has ended."""
        try:
            self._token.run_sync_soon(callback)
        except trio.RunFinishedError:
            return False
        return True

    def forget(self, asked: "_Call[Any]") -> bool:
        """Whether this call was still waited for; it no longer is."""
        try:
            self._calls.remove(asked)
        except KeyError:
            return False
        return True

    def end(self) -> None:
        """From here on nothing is begun; whoever still waits for the thread hears that it is gone."""
        self._ended = True
        for asked in list(self._calls):
            asked.finish(None, BridgeClosed())


class _Call(Generic[T]):
    """One call from trio into the thread."""

    def __init__(self, bridge: Bridge, call: Callable[..., Awaitable[T]], args: tuple[object, ...]) -> None:
        self._bridge = bridge
        self._call = call
        self._args = args
        self._waiter = trio.lowlevel.current_task()
        self._raise_cancel: Callable[[], Any] | None = None
        self._job: asyncio.Task[T] | None = None  # the thread's
        self._value: T | None = None
        self._error: BaseException | None = None

    def begin(self) -> None:
        """In the thread."""
        self._job = self._bridge.loop.create_task(self._run())
        self._job.add_done_callback(self._done)

    async def _run(self) -> T:
        return await self._call(*self._args)

    def _done(self, job: "asyncio.Task[T]") -> None:
        if job.cancelled():
            error: BaseException | None = asyncio.CancelledError()
        else:
            error = job.exception()
        value = job.result() if error is None else None
        self._bridge.wake(lambda: self.finish(value, error))

    def cancel(self, raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
        """The caller was cancelled: so is the job, and its end is waited for."""
        self._raise_cancel = raise_cancel
        self._bridge.post(self._cancel_job)
        return trio.lowlevel.Abort.FAILED

    def _cancel_job(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def finish(self, value: T | None, error: BaseException | None) -> None:
        """In trio, once."""
        if self._bridge.forget(self):
            self._value, self._error = value, error
            trio.lowlevel.reschedule(self._waiter)

    def result(self) -> T:
        if isinstance(self._error, asyncio.CancelledError | BridgeClosed):
            if self._raise_cancel is not None:
                self._raise_cancel()
            raise BridgeClosed
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # None only where T is None


@contextlib.asynccontextmanager
async def open_bridge() -> AsyncIterator[Bridge]:
    """A Bridge whose thread runs inside the block. At its end what still runs there is cancelled, then
    what it had begun on trio; all within some three seconds.
    """
    loop = asyncio.new_event_loop()
    stop = loop.create_future()
    thread = threading.Thread(target=_serve, args=(loop, stop), name="mailio-asyncio", daemon=True)
    fault: Exception | None = None
    async with trio.open_nursery() as nursery:
        bridge = Bridge(loop, nursery)
        thread.start()
        try:
            yield bridge
        except Exception as error:  # noqa: BLE001 - it goes on below, as it is and not in the nursery's group
            fault = error
        finally:
            bridge.post(_settle, stop, None, None)
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(thread.join, JOIN_S)
            bridge.end()
            nursery.cancel_scope.cancel()
            if thread.is_alive():
                log.error("the thread for mail did not end within %g seconds", JOIN_S)
    if fault is not None:
        raise fault


def _settle(answer: "asyncio.Future[Any]", value: object, error: BaseException | None) -> None:
    """In the thread; a caller that was cancelled meanwhile hears nothing."""
    if answer.done():
        return
    if error is None:
        answer.set_result(value)
    else:
        answer.set_exception(error)


def _serve(loop: asyncio.AbstractEventLoop, stop: "asyncio.Future[None]") -> None:
    """The thread."""
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(_stray)
    try:
        loop.run_until_complete(stop)
        loop.run_until_complete(_cancel_all())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _cancel_all() -> None:
    """Cancel every task, those that others start meanwhile too, and wait a while for their end."""
    ours = asyncio.current_task()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CANCEL_S):
            while jobs := asyncio.all_tasks() - {ours}:
                for job in jobs:
                    job.cancel()
                await asyncio.wait(jobs)
    # A connection whose owner was cancelled in the turn in which it came about belongs to nobody; only the
    # loop knows it, in no public way.
    for transport in list(getattr(asyncio.get_running_loop(), "_transports", {}).values()):
        transport.abort()
    for _ in range(TURNS):  # what they closed at their end is closed in the turns after it
        await asyncio.sleep(0)


def _stray(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A fault that no task owns. Its text may hold what a letter says, so only its kind is logged."""
    log.error("a fault in the mail thread: %s", type(context.get("exception")).__name__)
    log.debug("it happened here: %s", context.get("message"))
