"""Who answers in an IPFS daemon's place too late, or breaks off; and who does not wait for an answer."""

import tracemalloc
from contextlib import suppress
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from node.files.errors import KuboAway
from node.files.kubo import CALLS, IDLE_S, PATIENCE_S, Kubo
from node.files.kubo_transport import PIECE
from node.runtime.errors import NodeError
from tests.kit.badrpc import BadRpc, Request, a_bad_rpc, always, never, refuses, says
from tests.kit.kubos import ASKS, BLOCK, CID, GOOD, HTML, SECRET, every, expect, fault_of, good, time_passes


@every
async def test_a_good_answer(name: str) -> None:
    async with a_bad_rpc(good) as rpc:
        found = await ASKS[name](Kubo(rpc.api, lambda: SECRET))
    assert found == {"add": CID, "read": BLOCK[2:], "block": BLOCK, "pinned": True}.get(name, found)
    for request in rpc.requests:
        assert "Bearer hunter2" == request.headers["authorization"]
        assert ["true"] == request.options["offline"]
        if request.path != "/add":  # who adds may take his time
            assert request.options["timeout"][0] in ("35s", "36s")


@every
async def test_no_answer(name: str, mock_clock: MockClock) -> None:
    async with a_bad_rpc(never) as rpc, trio.open_nursery() as nursery:
        nursery.start_soon(expect, "does not answer in time", partial(ASKS[name], Kubo(rpc.api)))
        await rpc.asked.wait()
        await time_passes(mock_clock, rpc)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxy", b""),
        (b"HTTP/1.1 200 OK\r\nX: ", b""),
        (b"HTT", b""),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        (says(200, b"12345", chunked=True)[:-2], b"X-Trailer: x\r\n" * 1000),
    ],
)
async def test_an_answer_that_stops_or_never_begins(
    start: bytes, piece: bytes, mock_clock: MockClock
) -> None:
    begun = trio.Event()

    async def answer(request: Request) -> None:
        await request.stream.send_all(start + piece)
        begun.set()
        with suppress(trio.BrokenResourceError):
            while piece:
                await request.stream.send_all(piece)
        await never(request)

    async with a_bad_rpc(answer) as rpc, trio.open_nursery() as nursery:
        nursery.start_soon(expect, "does not answer in time", partial(ASKS["read"], Kubo(rpc.api)))
        await begun.wait()
        await time_passes(mock_clock, rpc)


async def test_more_time_for_more_bytes(mock_clock: MockClock) -> None:
    asked, go_on = trio.Event(), trio.Event()

    async def answer(request: Request) -> None:
        asked.set()
        await go_on.wait()
        await request.stream.send_all(says(200, bytes(10_000_000)))

    async with a_bad_rpc(answer) as rpc, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            assert bytes(10_000_000) == await Kubo(rpc.api).read(CID, 0, 10_000_000)

        await asked.wait()
        mock_clock.jump(PATIENCE_S + 99)
        go_on.set()


async def test_a_file_that_is_not_taken(mock_clock: MockClock) -> None:
    async def write(rpc: BadRpc) -> None:
        async with Kubo(rpc.api).adding() as adding:
            while True:
                await adding.write(bytes(PIECE))

    async def deaf(_: Request) -> None:
        await trio.sleep_forever()

    async with a_bad_rpc(deaf) as rpc, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def writer() -> None:
            await expect("does not answer in time", partial(write, rpc))
            rpc.left.set()

        await rpc.asked.wait()
        await time_passes(mock_clock, rpc)


# ---- cancelled


@every
async def test_who_is_cancelled_is_free_at_once_and_the_line_is_cut(name: str) -> None:
    async with a_bad_rpc(never) as rpc:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ASKS[name], Kubo(rpc.api))
                await rpc.asked.wait()
                scope.cancel()
        assert scope.cancelled_caught
        await rpc.left.wait()


async def test_threads_of_the_cancelled_come_back() -> None:
    async with a_bad_rpc(never) as rpc:
        kubo = Kubo(rpc.api)
        for turn in range(1, 4):
            async with trio.open_nursery() as nursery:
                for _ in range(CALLS):
                    nursery.start_soon(kubo.health)
                while len(rpc.requests) < turn * CALLS:
                    await rpc.asked.wait()
                    rpc.asked = trio.Event()
                nursery.cancel_scope.cancel()
        rpc.answer = good
        assert BLOCK == await kubo.block(CID)


# ---- kept connections


async def test_calls_go_over_one_connection() -> None:
    async with a_bad_rpc(good, keeps=True) as rpc:
        kubo = Kubo(rpc.api)
        for _ in range(3):
            assert BLOCK == await kubo.block(CID)
            assert await kubo.pinned(CID)
            await kubo.health()
        assert 1 == rpc.connections


async def test_a_connection_that_was_silent_is_not_used_again(mock_clock: MockClock) -> None:
    async with a_bad_rpc(good, keeps=True) as rpc:
        kubo = Kubo(rpc.api)
        for seconds, connections in ((0, 1), (IDLE_S, 1), (IDLE_S + 1, 2), (0, 2)):
            mock_clock.jump(seconds)
            assert BLOCK == await kubo.block(CID)
            assert connections == rpc.connections


async def test_what_comes_behind_an_answer_is_not_the_next() -> None:
    async def more(request: Request) -> None:
        await request.stream.send_all(GOOD[request.path] + says(200, b"another block"))

    async with a_bad_rpc(more, keeps=True) as rpc:
        kubo = Kubo(rpc.api)
        for _ in range(5):
            assert BLOCK == await kubo.block(CID)


@every
@pytest.mark.parametrize("answer", [says(500, HTML), says(200, HTML, chunked=True), says(403, b"no")])
async def test_after_a_fault_a_connection_is_not_used_again(name: str, answer: bytes) -> None:
    async with a_bad_rpc(always(answer), keeps=True) as rpc:
        kubo = Kubo(rpc.api)
        with pytest.raises(NodeError):
            await ASKS[name](kubo)
        rpc.answer = good
        before = rpc.connections
        assert BLOCK == await kubo.block(CID)
        assert before + 1 == rpc.connections


# ---- cut off


@every
@pytest.mark.parametrize("kept", [0, 1, 12, 30, 50, -6, -9])
async def test_an_answer_that_is_cut_off(name: str, kept: int) -> None:
    async def cut(request: Request) -> None:
        if "transfer-encoding" in request.headers:
            await request.body()
        await request.stream.send_all(GOOD[request.path][:kept])

    fault = await fault_of(cut, ASKS[name])
    assert isinstance(fault, KuboAway)


async def test_a_file_that_is_refused_in_the_middle() -> None:
    async def refuse(request: Request) -> None:
        await request.stream.receive_some(1)
        await request.stream.send_all(refuses("no space left on device"))

    async def write(kubo: Kubo) -> None:
        async with kubo.adding() as adding:
            while True:
                await adding.write(bytes(PIECE))

    fault = await fault_of(refuse, write)
    assert isinstance(fault, KuboAway)


async def test_an_answer_before_the_end_of_a_file() -> None:
    bodies: list[bytes] = []

    async def hasty(request: Request) -> None:
        await request.stream.send_all(GOOD["/add"])
        bodies.append(await request.body())

    async with a_bad_rpc(hasty) as rpc, Kubo(rpc.api).adding() as adding:
        for _ in range(10):
            await adding.write(bytes(PIECE))
        assert CID == await adding.finish()
        await rpc.left.wait()
    assert bytes(10 * PIECE) in bodies[0]


async def test_memory_does_not_grow_with_a_file() -> None:
    async def drain(request: Request) -> None:
        tail = b""
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            tail = tail[-64:] + await request.stream.receive_some(PIECE)
        await request.stream.send_all(GOOD["/add"])

    async with a_bad_rpc(drain) as rpc:
        kubo, piece = Kubo(rpc.api), bytes(PIECE)
        tracemalloc.start()
        try:
            async with kubo.adding() as adding:
                for _ in range(200):
                    await adding.write(piece)
                await adding.finish()
            assert tracemalloc.get_traced_memory()[1] < 24 * PIECE
        finally:
            tracemalloc.stop()


async def test_what_is_left_without_an_end_has_none() -> None:
    bodies: list[bytes] = []

    async def listen(request: Request) -> None:
        try:
            bodies.append(await request.body())
        except trio.BrokenResourceError:
            bodies.append(b"broken")

    async with a_bad_rpc(listen) as rpc:
        async with Kubo(rpc.api).adding() as adding:
            await adding.write(BLOCK)
        await rpc.left.wait()
    assert [b"broken"] == bodies
