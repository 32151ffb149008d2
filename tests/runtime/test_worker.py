"""The worker is a real process in every test; a connection that it keeps open shows when it is gone."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from node.runtime.worker import WorkerError, WorkerTimeout, open_worker
from tests.kit import jobs

LONG = 60.0  # seconds; never reached


class Reporter:
    """Hears from a job that it runs, and notices when its process is gone."""

    def __init__(self, listener: trio.SocketListener) -> None:
        self._listener = listener
        self._stream: trio.SocketStream | None = None
        self.port: int = listener.socket.getsockname()[1]

    async def running(self) -> int:
        """The process id, once the job runs."""
        with trio.fail_after(LONG):
            self._stream = await self._listener.accept()
            return int(await self._stream.receive_some(20))

    async def gone(self) -> None:
        """Returns when that process has ended."""
        assert self._stream is not None
        with trio.fail_after(LONG):
            with contextlib.suppress(trio.BrokenResourceError):
                assert await self._stream.receive_some(1) == b""
            await self._stream.aclose()


@pytest.fixture
async def reporter() -> AsyncIterator[Reporter]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        yield Reporter(listener)


async def test_a_job_answers_or_raises_as_it_would_here() -> None:
    async with open_worker() as worker:
        assert await worker.run(jobs.add, 2, 3, deadline=LONG) == 5
        with pytest.raises(ValueError, match="mine"):
            await worker.run(jobs.fail, "mine", deadline=LONG)


async def test_the_process_is_another_one_and_is_used_again() -> None:
    async with open_worker() as worker:
        pids = [await worker.run(jobs.pid, deadline=LONG) for _ in range(3)]
    assert len(set(pids)) == 1
    assert pids[0] != os.getpid()


async def pieces_of(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


async def test_a_job_on_a_file_that_is_handed_over_in_pieces() -> None:
    async with open_worker() as worker:
        for pieces in ((), (b"",), (b"abc",), (b"a", b"", b"bc"), (b"x" * 3_000_000, b"y")):
            found = await worker.run_on(pieces_of(*pieces), jobs.content, "mine", deadline=LONG)
            assert (b"".join(pieces), "mine") == found
        with pytest.raises(ValueError, match="mine"):
            await worker.run_on(pieces_of(b"x"), jobs.fail_on, "mine", deadline=LONG)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the figure has another unit")
async def test_a_file_of_a_job_is_not_in_the_memory_of_its_caller(tmp_path: Path) -> None:
    main = tmp_path / "main.py"
    main.write_text("""
import resource, trio
from node.runtime.worker import open_worker
from tests.kit import jobs

async def pieces(count):
    for n in range(count):
        yield bytes([n]) * 4_000_000

async def main():
    async with open_worker() as worker:
        await worker.run_on(pieces(1), jobs.size_of, deadline=60)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert await worker.run_on(pieces(25), jobs.size_of, deadline=60) == 100_000_000
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)

if __name__ == "__main__":
    trio.run(main)
""")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = await trio.run_process([sys.executable, str(main)], env=environment, capture_stdout=True)
    assert int(done.stdout) < 15_000  # KB; a piece, and it once more on its way


async def test_what_was_left_of_a_file_is_not_in_the_next() -> None:
    async def breaks() -> AsyncGenerator[bytes, None]:
        yield b"old"
        raise KeyError

    async with open_worker() as worker:
        with pytest.raises(KeyError):
            await worker.run_on(breaks(), jobs.content, "", deadline=LONG)
        assert (b"", "") == await worker.run_on(pieces_of(), jobs.content, "", deadline=LONG)
        assert (b"new", "") == await worker.run_on(pieces_of(b"new"), jobs.content, "", deadline=LONG)


async def test_a_worker_that_dies_between_two_pieces() -> None:
    """The one that takes its place has not what the first one had."""
    async with open_worker() as worker:

        async def killing() -> AsyncGenerator[bytes, None]:
            yield b"a"
            os.kill(await worker._call(jobs.pid), signal.SIGKILL)
            yield b"b"

        with pytest.raises(WorkerError, match="died"):
            await worker.run_on(killing(), jobs.content, "", deadline=LONG)
        assert (b"c", "") == await worker.run_on(pieces_of(b"c"), jobs.content, "", deadline=LONG)


async def test_nobody_comes_between_the_pieces_of_a_file() -> None:
    async with open_worker() as worker, trio.open_nursery() as nursery:
        others: list[int] = []

        async def another() -> None:
            others.append(await worker.run(jobs.pid, deadline=LONG))

        async def watched() -> AsyncGenerator[bytes, None]:
            nursery.start_soon(another)
            for piece in (b"a", b"b"):
                await trio.testing.wait_all_tasks_blocked()
                assert not others
                yield piece

        assert (b"ab", "") == await worker.run_on(watched(), jobs.content, "", deadline=LONG)


async def test_the_deadline_is_the_job_s_not_the_source_s(reporter: Reporter) -> None:
    async with open_worker() as worker:
        with pytest.raises(WorkerTimeout):
            await worker.run_on(pieces_of(b"x"), jobs.spin_on, reporter.port, deadline=0.3)
        await reporter.running()
        await reporter.gone()
        assert (b"y", "") == await worker.run_on(pieces_of(b"y"), jobs.content, "", deadline=LONG)


async def test_a_job_is_ended_at_its_deadline_and_the_next_one_runs(reporter: Reporter) -> None:
    async with open_worker() as worker:
        with pytest.raises(WorkerTimeout):
            await worker.run(jobs.spin, reporter.port, deadline=0.3)
        await reporter.running()
        await reporter.gone()
        assert await worker.run(jobs.add, 2, 3, deadline=LONG) == 5


async def test_a_cancelled_caller_ends_its_job(reporter: Reporter) -> None:
    async with open_worker() as worker, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: worker.run(jobs.spin, reporter.port, deadline=LONG))
        await reporter.running()
        nursery.cancel_scope.cancel()
    await reporter.gone()


async def test_a_job_that_takes_its_process_down_is_our_error() -> None:
    async with open_worker() as worker:
        with pytest.raises(WorkerError, match="died"):
            await worker.run(jobs.die, deadline=LONG)
        assert await worker.run(jobs.add, 2, 3, deadline=LONG) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces RLIMIT_AS")
async def test_memory_is_bounded() -> None:
    async with open_worker() as worker:
        with pytest.raises(WorkerError, match="memory"):
            await worker.run(jobs.hoard, deadline=LONG)


async def test_jobs_wait_for_a_slot() -> None:
    pids: set[int] = set()
    async with open_worker(processes=1) as worker:

        async def ask() -> None:
            pids.add(await worker.run(jobs.pid, deadline=LONG))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ask)
    assert len(pids) == 1


async def test_an_idle_worker_ends(reporter: Reporter) -> None:
    async with open_worker(idle=0.01) as worker:
        await worker.run(jobs.report, reporter.port, deadline=LONG)
        await reporter.running()
        await reporter.gone()
        assert await worker.run(jobs.add, 2, 3, deadline=LONG) == 5


async def test_leaving_ends_the_workers(reporter: Reporter) -> None:
    async with open_worker() as worker:
        await worker.run(jobs.report, reporter.port, deadline=LONG)
        await reporter.running()
    await reporter.gone()


async def test_a_killed_parent_leaves_no_orphan(reporter: Reporter, tmp_path: Path) -> None:
    """Even with the job in an endless loop, which notices nothing."""
    main = tmp_path / "main.py"
    main.write_text(f"""
import trio
import node.runtime.worker as w
from tests.kit import jobs
w.ORPHAN_S = 0.5
async def main():
    async with w.open_worker() as worker:
        await worker.run(jobs.spin, {reporter.port}, deadline=1.0)
if __name__ == "__main__":
    trio.run(main)
""")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    parent = await trio.lowlevel.open_process([sys.executable, str(main)], env=environment)
    await reporter.running()
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    await reporter.gone()


async def test_threads_are_few() -> None:
    entered, release = trio.open_memory_channel[None](6), threading.Event()

    def work() -> bool:
        trio.from_thread.run_sync(entered[0].send_nowait, None)
        return release.wait(LONG)

    async with open_worker(threads=2) as worker, trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(worker.in_thread, work)
        await entered[1].receive()
        await entered[1].receive()
        await trio.testing.wait_all_tasks_blocked()
        assert entered[1].statistics().current_buffer_used == 0
        release.set()
    assert entered[1].statistics().current_buffer_used == 4


def test_the_module_is_light() -> None:
    """A worker imports little: no libp2p, no LevelDB, no web server."""
    program = "import sys, node.runtime.worker; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert not {"libp2p", "plyvel", "fastapi", "typer", "asyncio.base_events"} & set(modules.split())
