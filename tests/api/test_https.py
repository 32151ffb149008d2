"""The public listener on a real socket: what it answers, and what it does to those who ask in bad faith."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
import trio.testing

from node.api import Https, make_public_web, open_https
from node.api.https import CONNECTION_S, CONNECTIONS, HEAD_S, MAX_HEAD
from node.runtime.errors import NodeError
from protocol.mtasts import Policy, own_policy
from tests.kit.certificates import Authority

HOST = "mta-sts.example.org"
PATH = "/.well-known/mta-sts.txt"
POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmax_age: 604800\r\n"


def policies(domain: str) -> Policy | None:
    return own_policy("enforce", ["mail.example.org"]) if domain == "example.org" else None


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def served(authority: Authority) -> AsyncIterator[Https]:
    tls = authority.certificate(HOST).server_context()
    async with (
        open_https("127.0.0.1", 0, make_public_web(policies), tls) as https,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(https.run)
        yield https
        nursery.cancel_scope.cancel()


async def connect(https: Https, authority: Authority) -> trio.SSLStream[trio.SocketStream]:
    plain = await trio.open_tcp_stream(*https.address)
    secure = trio.SSLStream(plain, authority.client_context(), server_hostname=HOST, https_compatible=True)
    await secure.do_handshake()
    return secure


async def rest(stream: trio.abc.ReceiveStream) -> bytes:
    """All that still comes; then it is closed."""
    data = b""
    with suppress(trio.BrokenResourceError):
        while more := await stream.receive_some(65_536):
            data += bytes(more)
    await trio.aclose_forcefully(stream)
    return data


async def answered(https: Https, authority: Authority, *lines: str) -> tuple[int, bytes]:
    """Status and content of the answer to a request of these lines."""
    stream = await connect(https, authority)
    await stream.send_all("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    head, _, content = (await rest(stream)).partition(b"\r\n\r\n")
    return int(head.split()[1]), content


async def test_the_policy_of_a_domain(authority: Authority) -> None:
    async with served(authority) as https:
        stream = await connect(https, authority)
        await stream.send_all(f"GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        head, _, content = (await rest(stream)).partition(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        assert ("http/1.1 200 ", POLICY) == (lines[0], content)
        assert {"content-type: text/plain; charset=utf-8", "connection: close"} <= set(lines)
        assert not [line for line in lines if line.startswith("server:")]


@pytest.mark.parametrize(
    ("method", "path", "host", "status"),
    [
        ("GET", PATH, "MTA-STS.Example.ORG:443", 200),
        ("HEAD", PATH, HOST, 200),
        ("GET", PATH, "mta-sts.example.net", 404),
        ("GET", PATH, "example.org", 404),
        ("GET", PATH, "mta-sts.", 404),
        ("GET", PATH, "mta-sts.mta-sts.example.org", 404),
        ("GET", PATH, "127.0.0.1", 404),
        ("GET", "/", HOST, 404),
        ("GET", "/api/v1/status", HOST, 404),
        ("GET", PATH + "/", HOST, 404),
        ("POST", PATH, HOST, 404),
        ("GET", "/%ff%00", HOST, 404),
    ],
)
async def test_nothing_else_is_there(
    authority: Authority, method: str, path: str, host: str, status: int
) -> None:
    async with served(authority) as https:
        found, content = await answered(https, authority, f"{method} {path} HTTP/1.1", f"Host: {host}")
        assert (status, POLICY if status == 200 and method == "GET" else b"") == (
            found,
            content.replace(b"Not found\n", b""),
        )


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["GET / HTTP/1.1"], 400),
        (["GET / HTTP/1.1", "Host: a", "Host: b"], 400),
        (["nonsense"], 400),
        (["GET / HTTP/1.1", "Host: a", "X: " + "x" * 10 * MAX_HEAD], 431),
        (["PRI * HTTP/2.0", "Host: a"], 404),
        ([f"GET {PATH} HTTP/1.1", f"Host: {HOST}", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
          "HTTP2-Settings: AAMAAABkAAQAAP__"], 200),
    ],
)  # fmt: skip
async def test_what_is_no_request_of_ours(authority: Authority, lines: list[str], status: int) -> None:
    async with served(authority) as https:
        assert status == (await answered(https, authority, *lines))[0]


@pytest.mark.parametrize("said", [None, b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "])
async def test_who_does_not_come_to_the_point_is_cut_off(
    authority: Authority, said: bytes | None, mock_clock: trio.testing.MockClock
) -> None:
    async with served(authority) as https:
        if said is None:
            stream: trio.abc.ReceiveStream = await trio.open_tcp_stream(*https.address)
        else:
            secure = await connect(https, authority)
            await secure.send_all(said)
            stream = secure
        await let_it_work()
        assert 1 == https.connections
        mock_clock.jump(CONNECTION_S + 1)
        assert b"" == await rest(stream)


async def test_a_head_that_comes_slowly_is_not_waited_for(
    authority: Authority, mock_clock: trio.testing.MockClock
) -> None:
    async with served(authority) as https:
        stream = await connect(https, authority)
        await stream.send_all(b"GET / HTTP/1.1\r\nHo")
        await let_it_work()
        mock_clock.jump(HEAD_S + 0.1)
        assert b"" == await rest(stream)


async def test_a_connection_is_for_one_answer_at_most(authority: Authority) -> None:
    """Upstream may lose even that where requests come in a row, which nobody sends who fetches a policy."""
    async with served(authority) as https:
        stream = await connect(https, authority)
        await stream.send_all(f"GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode() * 3)
        assert (await rest(stream)).count(b"HTTP/1.1 ") in (0, 1)


async def test_who_sends_on_and_on_is_cut_off_and_leaves_nothing(
    authority: Authority, mock_clock: trio.testing.MockClock
) -> None:
    """A body that nobody reads fills hypercorn's queue, and stops there."""
    async with served(authority) as https:
        stream = await connect(https, authority)
        head = f"POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000000\r\n\r\n"
        await stream.send_all(head.encode())

        async def send_on() -> None:
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(bytes(50_000_000))
            await trio.aclose_forcefully(stream)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_on)
            await let_it_work()
            mock_clock.jump(CONNECTION_S + 1)
        await let_it_work()
        assert 0 == https.connections


async def test_of_too_many_the_oldest_goes(authority: Authority) -> None:
    async with served(authority) as https:
        idle = [await trio.open_tcp_stream(*https.address) for _ in range(CONNECTIONS)]
        await let_it_work()
        assert CONNECTIONS == https.connections
        request = (f"GET {PATH} HTTP/1.1", f"Host: {HOST}")
        assert (200, POLICY) == await answered(https, authority, *request)
        assert b"" == await rest(idle[0])
        for stream in idle:
            await stream.aclose()


async def test_a_port_that_is_taken_is_named(authority: Authority) -> None:
    async with served(authority) as https:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with pytest.raises(NodeError, match=rf"127\.0\.0\.1:{https.address[1]}: the port is in use"):
            async with open_https(*https.address, make_public_web(policies), tls):
                pass


async def let_it_work() -> None:
    """Real sockets have their own pace; virtual time stands still meanwhile."""
    for _ in range(20):
        await trio.testing.wait_all_tasks_blocked(0.002)
