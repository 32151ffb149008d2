"""The faults of aiosmtpd for which node/smtp/session.py and its neighbours do things themselves. A test that
fails here says that upstream has mended one: then what we do instead may go.
"""

import asyncio
import logging
from typing import Any

import aiosmtpd
import pytest
from aiosmtpd.smtp import SMTP

from node.smtp.session import Session
from tests.kit.sessions import LETTER


class Sink:
    """What stock aiosmtpd hands letters to."""

    def __init__(self, fault: Exception | None = None, *, waits: bool = False) -> None:
        self.letters: list[bytes] = []
        self.senders: list[str] = []
        self._fault = fault
        self._waits = waits

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        if self._fault is not None:
            raise self._fault
        if self._waits:  # for ever; whoever waits is cancelled
            await asyncio.get_running_loop().create_future()
        self.letters.append(envelope.content)
        self.senders.append(envelope.mail_from)
        return "250 OK"


BEGIN = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@home.example>\r\nDATA\r\n"


def ask(sink: Sink, sent: bytes) -> list[str]:
    """The last line of each reply of stock aiosmtpd to these bytes and QUIT."""

    async def run() -> list[str]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(sink, hostname="stock", loop=loop, data_size_limit=1_000), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(sent + b"QUIT\r\n")
        lines = [line.decode() for line in (await reader.read()).split(b"\r\n") if line[3:4] == b" "]
        writer.close()
        await writer.wait_closed()
        server.close()
        return lines

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def silent_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, logger="mail.log")


def test_it_is_the_version_that_was_read() -> None:
    """Its loop and its state are ours to know: read the source of another one before this changes."""
    assert "1.4.6" == aiosmtpd.__version__


def test_bare_line_ends_reach_the_content() -> None:
    sink = Sink()
    ask(sink, BEGIN + b"one\n.\ntwo\rthree\r\n.\r\n")
    assert [b"one\n.\ntwo\rthree\r\n"] == sink.letters


def test_commands_may_end_with_a_bare_line_feed() -> None:
    assert "250 OK" == ask(Sink(), b"EHLO x\r\nNOOP\n")[-2]


def test_a_fault_is_permanent_and_tells_its_words() -> None:
    assert "500 Error: (ValueError) secret" == ask(Sink(ValueError("secret")), BEGIN + LETTER + b".\r\n")[-2]


def test_an_address_is_parsed_by_recursion() -> None:
    """With the limit grown by EHLOs there is room for it. Ours: tests/smtp/test_commands.py."""
    line = b"EHLO x\r\n" * 30 + b"MAIL FROM:<" + b"(" * 980 + b"\r\n"
    assert "500 Error: (RecursionError)" == ask(Sink(), line)[-2][:27]


def test_the_null_sender_is_called_by_its_brackets() -> None:
    sink = Sink()
    ask(sink, BEGIN.replace(b"a@b.example", b"") + LETTER + b".\r\n")
    assert ["<>"] == sink.senders


def test_a_line_over_a_thousand_bytes_costs_the_letter() -> None:
    """Mail has such lines, in HTML mostly; the rest of the world takes them."""
    sink = Sink()
    assert "500 Line too long" == ask(sink, BEGIN + b"x" * 900 + b"x" * 200 + b"\r\n.\r\n")[-2][:17]
    assert [] == sink.letters


def test_limits_are_shared_and_grow() -> None:
    ask(Sink(), b"EHLO x\r\n" * 10)
    assert SMTP.command_size_limit + 260 == SMTP.command_size_limits["MAIL"]


def test_ours_shares_nothing() -> None:
    assert "command_size_limits" not in vars(Session)
    assert Session.__init__ is not SMTP.__init__


def test_who_half_closes_loses_what_is_being_taken() -> None:
    """Ours: test_a_client_that_says_it_is_done_hears_the_end."""
    sink = Sink(waits=True)

    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(sink, hostname="stock", loop=loop), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(BEGIN + LETTER + b".\r\n")
        writer.write_eof()
        said = await reader.read()
        writer.close()
        await writer.wait_closed()
        server.close()
        return said

    assert asyncio.run(run()).endswith(b"<CR><LF>.<CR><LF>\r\n")
    assert [] == sink.letters


def test_it_logs_who_writes_to_whom(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="mail.log")
    ask(Sink(), BEGIN + LETTER + b".\r\n")
    assert "a@b.example" in caplog.text
