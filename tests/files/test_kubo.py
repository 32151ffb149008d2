"""A real IPFS daemon over its RPC API: what goes in comes out, under the CIDs of protocol/unixfs.py."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import ipfshttpclient
import pytest
import trio

from node.files.errors import KuboAway, KuboLacks
from node.files.kubo import Kubo
from protocol.unixfs import LEAF_BYTES, MAX_BLOCK_BYTES, WIDTH, Shape, cid_text, raw_cid
from tests.kit.badrpc import says
from tests.kit.certificates import Authority
from tests.kit.dags import planted
from tests.kit.jsipfs import JsIpfs, needs_jsipfs

pytestmark = needs_jsipfs

FULL = WIDTH * LEAF_BYTES
SIZES = (0, 1, LEAF_BYTES - 1, LEAF_BYTES, LEAF_BYTES + 1, FULL, FULL + 1, 100_000_000)

PIECE = 1_048_576


@pytest.fixture
def kubo(daemon: JsIpfs) -> Kubo:
    return Kubo(daemon.api)


def leaf(number: int) -> bytes:
    return number.to_bytes(8) * (LEAF_BYTES // 8)


def part(size: int, start: int, length: int) -> bytes:
    """Bytes of a file of `size` whose leaves differ."""
    first, end = start // LEAF_BYTES, min(size, start + length)
    data = b"".join(leaf(number) for number in range(first, -(-end // LEAF_BYTES)))
    return data[start - first * LEAF_BYTES : end - first * LEAF_BYTES]


def tree(size: int) -> tuple[list[bytes], bytes]:
    """Its nodes and its CID, as we make them."""
    shape = Shape(size)
    leaves = (raw_cid(part(size, number * LEAF_BYTES, LEAF_BYTES)) for number in range(shape.leaves))
    return planted(shape, leaves)


async def add(kubo: Kubo, size: int, piece: int = PIECE) -> bytes:
    async with kubo.adding() as adding:
        for start in range(0, size, piece):
            await adding.write(part(size, start, piece))
        return await adding.finish()


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_of_any_size_has_our_cid_and_is_read_in_parts(kubo: Kubo, size: int) -> None:
    nodes, cid = tree(size)
    assert cid == await add(kubo, size)
    shape = Shape(size)
    edges = {0, 1, size - 1, size, LEAF_BYTES - 1, LEAF_BYTES, FULL - 1, FULL, size // 2}
    for start in sorted(edge for edge in edges if 0 <= edge <= size):
        for length in (0, 1, 100, LEAF_BYTES, PIECE):
            if start + length <= size:
                assert part(size, start, length) == await kubo.read(cid, start, length)
    for number in {0, shape.leaves - 1}:
        block = part(size, number * LEAF_BYTES, LEAF_BYTES)
        assert block == await kubo.block(raw_cid(block))
    for number, node in enumerate(nodes, shape.leaves):
        assert node == await kubo.block(shape.cid(number, node))
    if size:
        with pytest.raises(KuboLacks):  # fewer bytes than were asked for are none
            await kubo.read(cid, size - 1, 2)


async def test_pieces_are_of_any_size(kubo: Kubo) -> None:
    size = LEAF_BYTES + 1000
    for piece in (777, LEAF_BYTES, 10_000_000):
        assert tree(size)[1] == await add(kubo, size, piece)


async def test_a_file_is_pinned_when_it_is_said(kubo: Kubo) -> None:
    cid = await add(kubo, LEAF_BYTES + 5)
    block = raw_cid(leaf(0))
    assert (False, False) == (await kubo.pinned(cid), await kubo.pinned(block))
    for _ in range(2):
        await kubo.pin(cid, LEAF_BYTES + 5)
        assert (True, False) == (await kubo.pinned(cid), await kubo.pinned(block))
    for _ in range(2):
        await kubo.unpin(cid)
        assert not await kubo.pinned(cid)


async def test_what_is_not_there(kubo: Kubo) -> None:
    nowhere = raw_cid(b"nowhere")
    assert not await kubo.pinned(nowhere)
    await kubo.unpin(nowhere)
    with pytest.raises(KuboLacks):
        await kubo.read(nowhere, 0, 1)
    with pytest.raises(KuboLacks):
        await kubo.block(nowhere)
    with pytest.raises(KuboLacks):
        await kubo.pin(nowhere)


async def test_what_others_add_is_read_and_what_we_add_others_read(kubo: Kubo, daemon: JsIpfs) -> None:
    size = FULL + 7
    options = {"cid-version": 1, "raw-leaves": "true", "cid-base": "base32"}

    def others() -> tuple[str, bytes]:
        with ipfshttpclient.Client(daemon.api) as client:
            added = client.add_bytes(part(size, 0, size), opts=options)
            return added, client.cat(cid_text(ours))

    ours = await add(kubo, LEAF_BYTES * 2)
    with pytest.warns(FutureWarning, match="strict"):  # the library's own session
        added, read = await trio.to_thread.run_sync(others)
    nodes, cid = tree(size)
    assert (cid_text(cid), part(LEAF_BYTES * 2, 0, LEAF_BYTES * 2)) == (added, read)
    assert part(size, 5, 100_000) == await kubo.read(cid, 5, 100_000)
    assert nodes[-1] == await kubo.block(cid)


async def test_a_file_that_is_left_in_the_middle_is_none(kubo: Kubo) -> None:
    size = 3 * LEAF_BYTES
    whole, begun = tree(size)[1], tree(size - 5)[1]

    async def leave(why: Exception) -> None:
        async with kubo.adding() as adding:
            await adding.write(part(size, 0, size - 5))
            raise why

    with pytest.raises(ZeroDivisionError):
        await leave(ZeroDivisionError())
    for cid in (whole, begun):
        with pytest.raises(KuboLacks):
            await kubo.block(cid)
    assert whole == await add(kubo, size)


async def test_files_are_added_and_read_at_once(kubo: Kubo) -> None:
    async def one(number: int) -> None:
        size = LEAF_BYTES + number
        cid = await add(kubo, size)
        assert tree(size)[1] == cid
        for start in range(0, size - 1000, 70_000):
            assert part(size, start, 1000) == await kubo.read(cid, start, 1000)

    async with trio.open_nursery() as nursery:
        for number in range(1000, 1012):
            nursery.start_soon(one, number)


async def test_it_tells_who_it_is(kubo: Kubo, daemon: JsIpfs) -> None:
    found = await kubo.health()
    assert (daemon.peer, "js-ipfs/0.18.1 is not Kubo; it is used all the same") == (found.peer, found.warning)


async def test_blocks_are_as_large_as_ours(kubo: Kubo) -> None:
    cid = await add(kubo, LEAF_BYTES)
    assert MAX_BLOCK_BYTES == len(await kubo.block(cid))


@asynccontextmanager
async def a_front(daemon: JsIpfs, authority: Authority, secret: str) -> AsyncIterator[str]:
    """What an owner has in front of a daemon on another machine: TLS, and nobody in without the secret. Its
    multiaddr.
    """
    port = int(daemon.api.split("/")[4])
    context = authority.certificate("localhost").server_context()

    async def pass_on(source: trio.abc.Stream, target: trio.abc.Stream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in source:
                await target.send_all(data)
        await target.aclose()

    async def serve(raw: trio.SocketStream) -> None:
        async with trio.SSLStream(raw, context, server_side=True, https_compatible=True) as stream:
            head = await stream.receive_some()
            if f"\r\nAuthorization: {secret}\r\n".encode() not in head:
                await stream.send_all(says(403, b"Kubo RPC Access Denied"))
                return
            async with await trio.open_tcp_stream("127.0.0.1", port) as inner, trio.open_nursery() as nursery:
                await inner.send_all(head)
                nursery.start_soon(pass_on, stream, inner)
                nursery.start_soon(pass_on, inner, stream)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield f"/dns4/localhost/tcp/{listeners[0].socket.getsockname()[1]}/https"
        nursery.cancel_scope.cancel()


async def test_through_tls_and_with_a_secret(
    daemon: JsIpfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, size = Authority(tmp_path), FULL + 3
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with a_front(daemon, authority, "Bearer token") as api:
        kubo = Kubo(api, lambda: "bearer:token")
        cid = await add(kubo, size)
        assert tree(size)[1] == cid
        assert part(size, 7, 4 * PIECE) == await kubo.read(cid, 7, 4 * PIECE)
        await kubo.pin(cid, size)
        assert await kubo.pinned(cid)
        await kubo.unpin(cid)
        for secret in ("", "bearer:tokens", "basic:token:token"):
            with pytest.raises(KuboAway, match="secret"):
                await Kubo(api, partial(str, secret)).health()


async def add_to_killed(kubo: Kubo, daemon: JsIpfs) -> None:
    async with kubo.adding() as adding:
        await adding.write(part(FULL, 0, PIECE))
        await daemon.kill()
        while True:
            await adding.write(part(FULL, 0, PIECE))


async def test_a_daemon_that_is_killed_and_started_again(tmp_path: Path) -> None:
    daemon = JsIpfs(tmp_path / "ipfs")
    try:
        await daemon.start()
        kubo = Kubo(daemon.api)
        cid = await add(kubo, FULL + 1)
        await kubo.pin(cid)
        with pytest.raises(KuboAway, match="broke off"):
            await add_to_killed(kubo, daemon)
        for ask in (kubo.health(), kubo.block(cid), kubo.pinned(cid), add(kubo, 5)):
            with pytest.raises(KuboAway, match="Connection refused"):
                await ask
        await daemon.start()
        assert part(FULL + 1, FULL - 5, 6) == await kubo.read(cid, FULL - 5, 6)
        assert await kubo.pinned(cid)
        assert tree(FULL)[1] == await add(kubo, FULL)
    finally:
        await daemon.kill()
