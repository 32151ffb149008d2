"""What dialling a name comes to: a socket that is nobody's, or a plain fault."""

import socket

import pytest
import trio
from trio.abc import HostnameResolver
from trio.testing import MockClock

from node.runtime.dialing import CONNECT_S, dial


class Names(HostnameResolver):
    """Answers never, or with a fault."""

    def __init__(self, fault: Exception | None = None) -> None:
        self._fault = fault

    async def getaddrinfo(self, *_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:  # type: ignore[override]  # its arguments do not matter here
        if self._fault is not None:
            raise self._fault
        await trio.sleep_forever()

    async def getnameinfo(self, *_: object) -> tuple[str, str]:
        raise NotImplementedError


async def test_a_socket_is_handed_over_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        with await dial(host, port) as sock:
            assert server.getsockname() == sock.getpeername()


async def test_a_name_that_is_not_found() -> None:
    trio.socket.set_custom_hostname_resolver(Names(socket.gaierror(socket.EAI_NONAME, "no such name")))
    with pytest.raises(socket.gaierror, match="no such name"):
        await dial("mail.example", 993)


async def test_nobody_answers_in_time(autojump_clock: MockClock) -> None:
    trio.socket.set_custom_hostname_resolver(Names())
    with pytest.raises(TimeoutError):
        await dial("mail.example", 993)
    assert CONNECT_S == trio.current_time()


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(OSError, match="all attempts"):
            await dial(*taken.getsockname())
