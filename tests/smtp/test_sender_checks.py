"""What `mailio doctor` learns of the way out: as much as a connection tells, and no letter leaves for it."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.runtime.bridge import Bridge, open_bridge
from node.runtime.clock import SystemClock
from node.runtime.rooms import Check
from node.runtime.settings_mail import Smarthost
from node.smtp import Lines, SmarthostOutlet
from tests.kit.certificates import Authority
from tests.kit.mailing import local
from tests.kit.sink import Behaviour, open_sink

ACCOUNTS = Behaviour(accounts={"alice": "right"})


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with open_bridge() as bridge:
        yield bridge


async def checked(
    bridge: Bridge, smarthost: Smarthost | None, password: str = "", tls: ssl.SSLContext | None = None
) -> Check:
    lines = Lines(bridge, "alice.example.org")
    outlet = SmarthostOutlet(lines, lambda: smarthost, lambda: password, SystemClock(), tls=tls)
    try:
        (check,) = await outlet.checks()
    finally:
        await outlet.aclose()
    return check


async def test_a_smarthost_that_takes_us(bridge: Bridge, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    shown = authority.certificate("localhost").server_context()
    async with open_sink(ACCOUNTS, shown) as sink:
        smarthost = local(sink.port, user="alice", host="localhost")
        check = await checked(bridge, smarthost, "right", authority.client_context())
        text = f"localhost:{sink.port} answers, and lets alice in; nothing was sent"
        assert (Check("smarthost", "ok", text), []) == (check, sink.taken)


@pytest.mark.parametrize(("password", "code"), [("wrong", "refuses your name"), ("", "no password for")])
async def test_a_smarthost_that_does_not_know_us(bridge: Bridge, password: str, code: str) -> None:
    async with open_sink(ACCOUNTS) as sink:
        check = await checked(bridge, local(sink.port, user="alice"), password)
        assert ("fail", True, []) == (check.state, code in check.text, sink.taken)
        assert "--secret smtp.smarthost" in check.remedy
        assert not password or password not in check.text


async def test_a_smarthost_that_is_not_there_and_none(bridge: Bridge) -> None:
    async with open_sink() as sink:
        port = sink.port
    check = await checked(bridge, local(port))
    assert ("fail", True) == (check.state, "can't be reached" in check.text)
    check = await checked(bridge, None)
    assert ("skip", True) == (check.state, "mailio config set smtp.smarthost" in check.remedy)
