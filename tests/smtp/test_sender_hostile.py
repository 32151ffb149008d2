"""Mail servers that lie, stall, flood or stop: letters wait or are refused, in plain words, within bounds."""

import ssl
import tracemalloc
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from node.outbox import Result
from node.runtime.bridge import Bridge, open_bridge
from node.smtp import outgoing, transport
from node.smtp.answer import MAX_SAID, Answer
from node.smtp.outgoing import dotted
from protocol.status import Status
from tests.kit.certificates import Authority
from tests.kit.mailing import RAW, Way, local, open_liar, open_server, people, posted

LARGE = RAW + b"x" * 70 + b"\r\n" + (b"y" * 998 + b"\r\n") * 20_000
"""20 MB: more than any socket's buffers hold."""


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with open_bridge() as bridge:
        yield bridge


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of a moment: each of these tests waits for one."""
    for name in ("CONNECT_S", "COMMAND_S", "DATA_S"):
        monkeypatch.setattr(transport, name, 0.3)


async def attempt(
    bridge: Bridge,
    port: int,
    raw: bytes = RAW,
    *,
    tls: ssl.SSLContext | None = None,
    password: str = "",
) -> tuple[list[Result], str]:
    """The results for two recipients, and the code of what is wrong with the way."""
    way = Way.through(bridge, local(port, user="alice" if password else ""), password, tls=tls)
    to = people("bob@example.net", "eve@example.net")
    try:
        results = await way.carrier.send(to, posted(raw))
    finally:
        await way.carrier.aclose()
    return [results[one] for one in to], way.outlet.fault.code if way.outlet.fault else ""


GARBAGE, LOST, REFUSED, SILENT = (f"smarthost-{kind}" for kind in ("garbage", "lost", "refused", "silent"))


@pytest.mark.parametrize(
    "replies, code",
    [
        ({"hello": b"Good morning\r\n"}, GARBAGE),
        ({"hello": b"\xff\xfe\x00\r\n"}, GARBAGE),
        ({"hello": b"220-" + b"x" * 1_000_000}, GARBAGE),
        ({"hello": b"220-more\r\n" * 100_000}, GARBAGE),
        ({"hello": b"554 5.7.1 Go away\r\n"}, REFUSED),
        ({"hello": b"421 4.3.2 Too many of you\r\n"}, REFUSED),
        ({"hello": b""}, "smarthost-connect"),
        ({"hello": b"220 hi\r\n250 ok\r\n"}, GARBAGE),
        ({"EHLO": b"250-x\r\n" * 150_000 + b"250 x\r\n"}, GARBAGE),
        ({"EHLO": b"250 x\r\n250 ok\r\n"}, GARBAGE),
        ({"EHLO": b"421 No\r\n"}, REFUSED),
        ({"MAIL": b"421 4.3.2 Shutting down\r\n"}, REFUSED),
        ({"MAIL": b"999 What\r\n"}, GARBAGE),
        ({"MAIL": b"2_5 What\r\n"}, GARBAGE),
        ({"MAIL": b"-25 What\r\n"}, GARBAGE),
        ({"MAIL": b"250 ok\r\n250 ok\r\n250 ok\r\n"}, GARBAGE),
        ({"RCPT": b""}, LOST),
        ({"RCPT": b"421 Enough\r\n"}, REFUSED),
        ({"DATA": b"250 Ok\r\n"}, GARBAGE),
        ({"DATA": b"354 Go\r\n250 Taken\r\n"}, GARBAGE),
        ({"DATA": b""}, LOST),
        ({".": b"354 More\r\n"}, GARBAGE),
        ({".": b"000 Odd\r\n"}, GARBAGE),
        ({".": b"250 Taken\r\n250 Taken\r\n"}, GARBAGE),
        ({".": b"421 Later\r\n"}, REFUSED),
        ({".": b""}, LOST),
    ],
)
async def test_a_server_that_answers_wrongly_makes_letters_wait(
    bridge: Bridge, replies: dict[str, bytes], code: str
) -> None:
    async with open_liar(replies) as liar:
        results, fault = await attempt(bridge, liar.port)
    assert [(one.outcome, one.status.category, one.way) for one in results] == [("later", 4, True)] * 2
    assert fault == code
    assert all(one.detail.isprintable() and len(one.detail) < 600 for one in results)


@pytest.mark.parametrize("verb", ["hello", "EHLO", "MAIL", "RCPT", "DATA", "."])
async def test_a_server_that_says_nothing_is_left(bridge: Bridge, impatient: None, verb: str) -> None:
    async with open_liar({verb: None}) as liar:
        results, fault = await attempt(bridge, liar.port)
    assert [(one.outcome, one.way) for one in results] == [("later", True)] * 2
    assert fault == SILENT


async def test_a_server_that_trickles_its_reply_is_left(bridge: Bridge, impatient: None) -> None:
    async def trickle(stream: trio.SocketStream) -> None:
        with trio.move_on_after(30):
            try:
                while True:
                    await stream.send_all(b"2")
                    await trio.sleep(0.05)
            except trio.BrokenResourceError:
                left.set()

    left = trio.Event()
    async with open_server(trickle) as port:
        results, fault = await attempt(bridge, port)
        assert [one.outcome for one in results] == ["later", "later"]
        assert fault in (SILENT, GARBAGE)
        await left.wait()


async def test_a_server_that_never_ends_to_talk_costs_no_memory(bridge: Bridge) -> None:
    async def flood(stream: trio.SocketStream) -> None:
        try:
            while True:
                await stream.send_all(b"220-" + b"x" * 60_000)
        except trio.BrokenResourceError:
            left.set()

    left = trio.Event()
    async with open_server(flood) as port:
        tracemalloc.start()
        results, fault = await attempt(bridge, port)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert ([one.outcome for one in results], fault) == (["later", "later"], GARBAGE)
        assert peak < 8_000_000
        await left.wait()  # and it was hung up on


async def test_a_server_that_stops_reading_is_left(bridge: Bridge, impatient: None) -> None:
    async def deaf(stream: trio.SocketStream) -> None:
        await stream.send_all(b"220 x\r\n")
        for reply in (b"250 x\r\n", b"250 Ok\r\n", b"250 Ok\r\n", b"250 Ok\r\n", b"354 Go\r\n"):
            await stream.receive_some(4_096)
            await stream.send_all(reply)
        await trio.sleep_forever()

    async with open_server(deaf) as port:
        results, fault = await attempt(bridge, port, LARGE)
    assert [(one.outcome, one.way) for one in results] == [("later", True)] * 2
    assert fault == SILENT


@pytest.mark.parametrize(
    "reply, outcome",
    [
        (b"552 5.3.4 Far too large\r\n", ("refused", "5.3.4", False)),
        (b"250 Taken, I am sure\r\n", ("later", "4.4.1", True)),
    ],
)
async def test_an_answer_before_the_letter_has_ended(
    bridge: Bridge, reply: bytes, outcome: tuple[str, str, bool]
) -> None:
    async def hasty(stream: trio.SocketStream) -> None:
        await stream.send_all(b"220 x\r\n")
        for answer in (b"250 x\r\n", b"250 Ok\r\n", b"250 Ok\r\n", b"250 Ok\r\n", b"354 Go\r\n"):
            await stream.receive_some(4_096)
            await stream.send_all(answer)
        await stream.receive_some(4_096)
        await stream.send_all(reply)
        await trio.sleep_forever()

    async with open_server(hasty) as port:
        results, _ = await attempt(bridge, port, LARGE)
    assert [(one.outcome, one.status.code, one.way) for one in results] == [outcome] * 2


async def test_a_server_without_ehlo_takes_plain_letters(bridge: Bridge) -> None:
    async with open_liar({"EHLO": b"502 What\r\n", "HELO": b"250 x\r\n"}) as liar:
        results, fault = await attempt(bridge, liar.port)
        assert ([one.outcome for one in results], fault) == (["delivered", "delivered"], "")
        assert "MAIL FROM:<alice@example.org>" in liar.heard


async def test_a_smarthost_may_bear_our_own_name(bridge: Bridge) -> None:
    async with open_liar({"EHLO": b"250-alice.example.org\r\n250 8BITMIME\r\n"}) as liar:
        results, _ = await attempt(bridge, liar.port)
    assert [one.outcome for one in results] == ["delivered", "delivered"]


@pytest.mark.parametrize("size", ["", "0", "x", "9" * 40, "-1", "1 2"])
async def test_an_odd_size_is_no_limit(bridge: Bridge, size: str) -> None:
    async with open_liar({"EHLO": b"250-x\r\n250 SIZE %s\r\n" % size.encode()}) as liar:
        results, _ = await attempt(bridge, liar.port)
    assert [one.outcome for one in results] == ["delivered", "delivered"]


async def test_a_letter_larger_than_the_server_takes_is_refused(bridge: Bridge) -> None:
    async with open_liar({"EHLO": b"250-x\r\n250 SIZE 10\r\n"}) as liar:
        results, _ = await attempt(bridge, liar.port)
        assert [(one.outcome, one.status.code) for one in results] == [("refused", "5.3.4")] * 2
        assert results[0].detail == "127.0.0.1 takes letters of 10 bytes at most"


async def test_words_that_a_person_sees_are_clean(bridge: Bridge) -> None:
    words = b"550-5.7.1 \x1b[31mred\x07 \xff\xe2\x80\xae\r\n550 5.7.1 " + b"w" * 5_000 + b"\r\n"
    async with open_liar({"RCPT": words}) as liar:
        results, _ = await attempt(bridge, liar.port)
    assert [(one.outcome, one.status.code) for one in results] == [("refused", "5.7.1")] * 2
    assert results[0].detail.isprintable()
    assert len(results[0].detail) <= MAX_SAID
    assert "\u202e" not in results[0].detail


@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("reply", [b"535 5.7.8 You said %s\r\n", b"What is %s\r\n"])
async def test_a_password_that_a_server_repeats_is_not_shown(
    bridge: Bridge, caplog: pytest.LogCaptureFixture, method: str, reply: bytes
) -> None:
    password = "correct horse battery"
    sent = b64encode(f"\0alice\0{password}".encode() if method == "PLAIN" else password.encode())
    replies = {
        "EHLO": f"250-x\r\n250 AUTH {method}\r\n".encode(),
        "AUTH": reply % sent if method == "PLAIN" else b"334 VXNlcm5hbWU6\r\n",
        sent[:4].decode().upper(): reply % sent,
    }
    async with open_liar(replies) as liar:
        results, fault = await attempt(bridge, liar.port, password=password)
        assert len(liar.heard) == (2 if method == "PLAIN" else 3)
    assert fault in ("smarthost-password", GARBAGE)
    for text in (results[0].detail, caplog.text):
        assert sent.decode()[:12] not in text
        assert password not in text


async def test_plaintext_slipped_in_before_tls_is_not_believed(
    bridge: Bridge, impatient: None, tmp_path: Path
) -> None:
    """RFC 3207 §4.2: what stands behind the 220 in the clear is nobody's answer inside TLS."""
    authority = Authority(tmp_path)
    tls = authority.certificate("127.0.0.1").server_context()
    heard: list[bytes] = []

    async def slip(stream: trio.SocketStream) -> None:
        await stream.send_all(b"220 x\r\n")
        await stream.receive_some(4_096)
        await stream.send_all(b"250-x\r\n250 STARTTLS\r\n")
        await stream.receive_some(4_096)
        await stream.send_all(b"220 Go\r\n250-x\r\n250 AUTH PLAIN\r\n235 In\r\n250 Ok\r\n250 Ok\r\n")
        inside = trio.SSLStream(stream, tls, server_side=True)
        with suppress(trio.BrokenResourceError):
            while (some := await inside.receive_some(4_096)) != b"":
                heard.append(bytes(some))

    async with open_server(slip) as port:
        results, fault = await attempt(bridge, port, tls=authority.client_context())
    assert [one.outcome for one in results] == ["later", "later"]
    assert fault == SILENT
    assert heard == [b"EHLO alice.example.org\r\n"]


@given(st.integers(), st.text(max_size=300))
def test_any_reply_becomes_an_answer_with_a_status(code: int, message: str) -> None:
    answer = Answer.of("mail.example.org", 200 + code % 400, message)
    if answer.code // 100 != 3:
        assert Status.parse(answer.status).category == answer.code // 100
    assert len(answer.text) <= MAX_SAID
    assert "\n" not in answer.text


LINE = st.binary(max_size=20).map(lambda text: text.replace(b"\r", b".").replace(b"\n", b"."))


@given(st.lists(LINE, max_size=30), st.integers(1, 40))
def test_what_goes_is_the_letter_and_nothing_ends_it_early(lines: list[bytes], piece: int) -> None:
    raw = b"".join(line + b"\r\n" for line in lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outgoing, "PIECE", piece)
        pieces = list(dotted(raw))
    sent = b"".join(pieces)
    assert all(len(one) <= 2 * piece + 5 for one in pieces)
    body, end, rest = (b"\r\n" + sent).partition(b"\r\n.\r\n")
    assert (end, rest) == (b"\r\n.\r\n", b"")
    assert (body + b"\r\n").replace(b"\r\n.", b"\r\n")[2:] == raw


def test_a_letter_without_a_last_line_end_gets_one() -> None:
    assert b"".join(dotted(b"x")) == b"x\r\n.\r\n"
