"""STARTTLS on both listeners, and who may hand in a letter."""

import base64
import logging
import smtplib
import ssl
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from node.smtp.auth import SubmissionSession
from node.smtp.limits import MAX_AUTH_FAILURES
from node.smtp.reply import Client
from tests.kit.certificates import Authority
from tests.kit.sessions import LETTER, QUICK, Accepting, Receiving, receiver, submission, wire


def plain(name: str, password: str) -> str:
    return base64.b64encode(f"\0{name}\0{password}".encode()).decode()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> ssl.SSLContext:
    return authority.certificate("localhost").server_context()


async def test_smtplib_over_tls(authority: Authority, server: ssl.SSLContext) -> None:
    keeper = Receiving()

    def send(port: int) -> None:
        with smtplib.SMTP("localhost", port, local_hostname="client.example") as client:
            client.starttls(context=authority.client_context())
            assert not client.has_extn("STARTTLS")
            client.sendmail("a@b.example", ["x@home.example"], LETTER * 10_000)

    async with receiver(keeper, tls=server) as listener:
        await trio.to_thread.run_sync(send, listener.address[1])
    assert [(Client("127.0.0.1", "client.example", True), LETTER * 10_000)] == [
        (envelope.client, raw) for envelope, raw in keeper.letters
    ]


async def test_what_was_said_before_tls_does_not_count(authority: Authority, server: ssl.SSLContext) -> None:
    """Neither what was understood nor what was sent along with STARTTLS (CVE-2011-0411)."""
    keeper = Receiving()
    async with receiver(keeper, tls=server) as listener, wire(listener) as client:
        await client.hello()
        await client.say("MAIL FROM:<a@b.example>")
        await client.send(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@b.example>\r\n")
        assert "220 2.0.0" == (await client.reply())[:9]
        await client.start_tls(authority.client_context())
        assert "503 5.5.1 Say EHLO first" == await client.say("MAIL FROM:<a@b.example>")
        await client.say("EHLO client.example")
        assert "250 2.0.0 Ok" == await client.say("MAIL FROM:<a@b.example>")
        assert "502" == (await client.say("STARTTLS"))[:3]
    assert ["a@b.example", "a@b.example"] == [sender for sender, _ in keeper.senders]
    assert [False, True] == [who.tls for _, who in keeper.senders]


@pytest.mark.parametrize("junk", [b"NOOP\r\n", b"\x16\x03\x01\x00\x05junk!" * 100, b""])
async def test_a_handshake_that_fails_ends_the_session(server: ssl.SSLContext, junk: bytes) -> None:
    limits = replace(QUICK, sessions=1, handshake=0.1)
    async with receiver(Receiving(), tls=server, limits=limits) as listener, AsyncExitStack() as stack:
        client = await stack.enter_async_context(wire(listener))
        await client.hello()
        assert "220 2.0.0" == (await client.say("STARTTLS"))[:9]
        await client.send(junk)
        with trio.fail_after(30):
            while True:
                try:
                    if not await client.stream.receive_some(1_000):
                        break
                except trio.BrokenResourceError:
                    break
        other = await stack.enter_async_context(wire(listener))
        await other.hello()
        assert (1, 0) == (listener.counters["tlsFaults"], listener.counters["evicted"])


async def test_old_tls_is_not_spoken(server: ssl.SSLContext) -> None:
    server.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    async with receiver(Receiving(), tls=server):
        assert ssl.TLSVersion.TLSv1_2 == server.minimum_version


async def test_over_tls_the_idle_and_the_closing_hear_421(
    authority: Authority, server: ssl.SSLContext
) -> None:
    limits = replace(QUICK, command=0.5)
    async with receiver(Receiving(), tls=server, limits=limits) as listener, wire(listener) as client:
        await client.hello()
        await client.say("STARTTLS")
        await client.start_tls(authority.client_context())
        assert "421 4.4.2" == (await client.reply())[:9]


@pytest.mark.parametrize("method", ["plain", "login"])
async def test_smtplib_hands_in(authority: Authority, server: ssl.SSLContext, method: str) -> None:
    keeper = Accepting()

    def send(port: int) -> None:
        with smtplib.SMTP("localhost", port, local_hostname="client.example") as client:
            client.starttls(context=authority.client_context())
            client.ehlo()
            client.user, client.password = "anna", "right"
            client.auth(method.upper(), getattr(client, f"auth_{method}"))
            client.sendmail("a@b.example", ["x@else.example"], LETTER)

    async with submission(keeper, tls=server) as listener:
        await trio.to_thread.run_sync(send, listener.address[1])
    assert [Client("127.0.0.1", "client.example", True, "anna")] == [one.client for one, _ in keeper.letters]


async def test_nothing_before_a_password() -> None:
    keeper = Accepting()
    async with submission(keeper) as listener, wire(listener) as client:
        await client.hello()
        assert "530 5.7.0" == (await client.say("MAIL FROM:<a@b.example>"))[:9]
        assert "235 2.7.0" == (await client.say(f"AUTH PLAIN {plain('anna', 'right')}"))[:9]
        assert "503 5.5.1" == (await client.say(f"AUTH PLAIN {plain('anna', 'right')}"))[:9]
        assert "250 2.0.0 Ok" == await client.say("MAIL FROM:<a@b.example> AUTH=<>")


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (["AUTH"], "504 5.5.4"),
        (["AUTH CRAM-MD5"], "504 5.5.4"),
        (["AUTH PLAIN ???"], "501 5.5.2"),
        (["AUTH PLAIN AAAA"], "501 5.5.2"),
        (["AUTH PLAIN /////w=="], "501 5.5.2"),
        (["AUTH PLAIN", "*"], "501 5.7.0"),
        (["AUTH PLAIN", ""], "501 5.5.2"),
        (["AUTH PLAIN", "x" * 3_000], "500 5.5.2"),
        (["AUTH LOGIN", "YW5uYQ==", "d3Jvbmc="], "535 5.7.8"),
        (["AUTH LOGIN YW5uYQ==", "cmlnaHQ="], "235 2.7.0"),
        (["auth plain", plain("anna", "right")], "235 2.7.0"),
        ([f"AUTH PLAIN {plain('anna', 'wrong')}"], "535 5.7.8"),
    ],
)
async def test_what_auth_answers(lines: list[str], reply: str) -> None:
    async with submission(Accepting()) as listener, wire(listener) as client:
        await client.hello()
        assert reply == (await client.say(*lines))[:9]
        assert 0 == listener.counters["faults"]


async def test_an_endless_password_is_cut_off() -> None:
    async with submission(Accepting()) as listener, wire(listener) as client:
        await client.hello()
        assert "334 " == await client.say("AUTH PLAIN")
        assert await client.send_until_cut_off(b"x" * 65_536) < 20_000_000
        assert 0 == listener.counters["faults"]


async def test_wrong_passwords_come_to_an_end_and_into_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = plain("anna", "secret-wrong")
    async with submission(Accepting()) as listener, wire(listener) as client:
        await client.hello()
        for _ in range(MAX_AUTH_FAILURES - 1):
            assert "535 5.7.8" == (await client.say(f"AUTH PLAIN {wrong}"))[:9]
        assert "421 4.7.0" == (await client.say(f"AUTH PLAIN {wrong}"))[:9]
        assert "" == await client.reply()
        assert MAX_AUTH_FAILURES == listener.counters["authFailures"]
    assert not [text for text in caplog.messages if "secret" in text or wrong in text]


async def test_a_password_is_not_asked_for_where_others_hear_it(
    authority: Authority, server: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SubmissionSession, "address", "192.0.2.1")
    async with submission(Accepting(), tls=server) as listener, wire(listener) as client:
        await client.reply()
        await client.send(b"EHLO client.example\r\n")
        assert "250 STARTTLS" == await client.reply()
        assert "538 5.7.11" == (await client.say(f"AUTH PLAIN {plain('anna', 'right')}"))[:10]
        await client.say("STARTTLS")
        await client.start_tls(authority.client_context())
        await client.send(b"EHLO client.example\r\n")
        assert "250 AUTH PLAIN LOGIN" == await client.reply()
        assert "235 2.7.0" == (await client.say(f"AUTH PLAIN {plain('anna', 'right')}"))[:9]
