"""Letters handed over by real clients, and what every client gets wrong, over real sockets."""

import logging
import smtplib
from collections.abc import Callable
from dataclasses import replace

import pytest
import trio

from node.runtime.bridge import BridgeClosed, open_bridge
from node.smtp.limits import MAX_RECIPIENTS, MAX_WASTED
from node.smtp.listen import ListenFailed, open_receiver
from node.smtp.reply import Client, Envelope, Reply
from tests.kit.sessions import LETTER, MAX_SIZE, QUICK, Receiving, receiver, until, wire


def envelope(*recipients: str, sender: str = "a@b.example", eight_bit: bool = False) -> Envelope:
    client = Client("127.0.0.1", "client.example", False)
    return Envelope(sender, recipients, client, eight_bit=eight_bit)


async def test_smtplib_hands_a_letter_over() -> None:
    keeper = Receiving()
    letter = b"From: a@b.example\r\n\r\n.\r\n..dots\r\n\0\xff\r\n"

    def send(address: tuple[str, int]) -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP(*address, local_hostname="client.example") as client:
            return client.sendmail(
                "a@b.example",
                ["x@home.example", "y@else.example", "z@home.example"],
                letter,
                ["BODY=8BITMIME"],
            )

    async with receiver(keeper) as listener:
        refused = await trio.to_thread.run_sync(send, listener.address)
    assert {"y@else.example": (550, b"5.7.1 Not you")} == refused
    assert [(envelope("x@home.example", "z@home.example", eight_bit=True), letter)] == keeper.letters
    assert (1, 1, 0) == tuple(listener.counters[name] for name in ("sessions", "letters", "faults"))


async def test_what_ehlo_tells() -> None:
    async with receiver(Receiving()) as listener, wire(listener) as client:
        assert "220 mx.home.example ESMTP" == await client.reply()
        await client.send(b"EHLO client.example\r\nQUIT\r\n")
        assert "250 ENHANCEDSTATUSCODES" == await client.reply()
        assert "221 2.0.0 Bye" == await client.reply()
        assert "" == await client.reply()


async def test_many_letters_in_one_session() -> None:
    keeper = Receiving()
    async with receiver(keeper) as listener, wire(listener) as client:
        await client.hello()
        for number in range(MAX_WASTED + 1):
            await client.say("NOOP")  # as many as that are only too many without a letter
            assert (await client.say("MAIL FROM:<>", "RCPT TO:<x@home.example>", "DATA")).startswith("354")
            assert "250 2.0.0 Ok" == await client.say(f"{number}\r\n.")
    assert MAX_WASTED + 1 == len(keeper.letters)
    assert {""} == {one.sender for one, _ in keeper.letters}


async def test_everything_at_once_in_order() -> None:
    """PIPELINING (RFC 2920), taken further than anyone may: two letters and the end in one segment."""
    keeper = Receiving()
    one = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<x@home.example>\r\nDATA\r\n" + LETTER + b".\r\n"
    async with receiver(keeper) as listener, wire(listener) as client:
        await client.send(b"EHLO client.example\r\n" + one + one + b"QUIT\r\n")
        replies = [await client.reply() for _ in range(11)]
    assert ["220", "250", "250", "250", "354", "250", "250", "250", "354", "250", "221"] == [
        reply[:3] for reply in replies
    ]
    assert [(envelope("x@home.example"), LETTER)] * 2 == keeper.letters


async def test_byte_by_byte() -> None:
    keeper = Receiving()
    talk = b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@home.example>\r\nDATA\r\n"
    async with receiver(keeper) as listener, wire(listener) as client:
        for byte in talk + LETTER + b".\r\n":
            await client.send(bytes([byte]))
        replies = [await client.reply() for _ in range(6)]
    assert "250 2.0.0 Ok" == replies[-1]
    assert [(envelope("x@home.example"), LETTER)] == keeper.letters


async def test_commands_behind_data_are_its_data() -> None:
    """Who sends all at once, also what belongs behind the answer to DATA, is heard as it is meant by us."""
    keeper = Receiving()
    hidden = b"RSET\r\nMAIL FROM:<eve@b.example>\r\nRCPT TO:<x@home.example>\r\nDATA\r\n"
    async with receiver(keeper) as listener, wire(listener) as client:
        await client.hello()
        await client.send(
            b"MAIL FROM:<a@b.example>\r\nRCPT TO:<x@home.example>\r\nDATA\r\n" + hidden + LETTER + b".\r\n"
        )
        replies = [await client.reply() for _ in range(4)]
        assert "250 2.0.0 Ok" == await client.say("NOOP")
    assert ["250", "250", "354", "250"] == [reply[:3] for reply in replies]
    assert [(envelope("x@home.example"), hidden + LETTER)] == keeper.letters


async def test_data_in_chunks_is_not_known() -> None:
    """RFC 3030: nothing of ours is told by a count of bytes, so nothing can be told in two ways."""
    keeper = Receiving()
    async with receiver(keeper) as listener, wire(listener) as client:
        assert "220" == (await client.reply())[:3]
        await client.send(b"EHLO client.example\r\n")
        offered = [await client._line()]
        while offered[-1][3] == "-":
            offered.append(await client._line())
        assert not [line for line in offered if "CHUNKING" in line or "BINARYMIME" in line]
        assert "501 5.5.4" == (await client.say("MAIL FROM:<a@b.example> BODY=BINARYMIME"))[:9]
        await client.say("MAIL FROM:<a@b.example>", "RCPT TO:<x@home.example>")
        assert "500 5.5.1 Not a command that is known here" == await client.say("BDAT 9 LAST")
    assert [] == keeper.letters


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (["MAIL FROM:<a@b.example>"], "503 5.5.1"),
        (["EHLO"], "501 5.5.4"),
        (["EHLO x", "RCPT TO:<x@home.example>"], "503 5.5.1"),
        (["EHLO x", "DATA"], "503 5.5.1"),
        (["EHLO x", "MAIL FROM:<>", "DATA"], "503 5.5.1"),
        (["EHLO x", "MAIL FROM:<>", "MAIL FROM:<>"], "503 5.5.1"),
        (["EHLO x", "MAIL FROM:<>", "RCPT TO:<x@home.example>", "DATA now"], "501 5.5.4"),
        (["EHLO x", "MAIL FROM:<>", "RCPT TO:<x@home.example>", "EHLO x", "DATA"], "503 5.5.1"),
        (["EHLO x", "MAIL FROM:<>", "RSET", "RCPT TO:<x@home.example>"], "503 5.5.1"),
        (["EHLO x", "MAIL FROM:<revoked@b.example>"], "550 5.7.1"),
        (["EHLO x", "MAIL FROM:<a@b.example> SIZE=1000001"], "552 5.3.4"),
        (["EHLO x", "AUTH PLAIN AGEAYg=="], "500 5.5.1"),
        (["EHLO x", "STARTTLS"], "502 5.5.1"),
        (["EHLO x", "VRFY x@home.example"], "252 2.5.0"),
        (["EHLO x", "EXPN list"], "502 5.5.1"),
        (["EHLO x", "HELP"], "502 5.5.1"),
        (["EHLO x", "NOOP"], "250 2.0.0"),
        (["WIZ"], "500 5.5.1"),
        (["__init__"], "500 5.5.1"),
        (["EHLO " + "x" * 3_000], "500 5.5.2"),
    ],
)
async def test_what_is_out_of_order_is_refused_and_the_session_goes_on(lines: list[str], reply: str) -> None:
    keeper = Receiving()
    async with receiver(keeper) as listener, wire(listener) as client:
        await client.reply()
        assert reply == (await client.say(*lines))[:9]
        assert "250" == (await client.say("RSET"))[:3]
    assert (0, []) == (listener.counters["faults"], keeper.letters)


async def test_the_hundredth_recipient_and_the_next() -> None:
    keeper = Receiving()
    async with receiver(keeper) as listener, wire(listener) as client:
        await client.hello()
        await client.say("MAIL FROM:<a@b.example>")
        lines = [f"RCPT TO:<x{n}@home.example>" for n in range(MAX_RECIPIENTS)]
        assert "250 2.0.0 Ok" == await client.say(*lines)
        assert "452 4.5.3" == (await client.say("RCPT TO:<one@home.example>"))[:9]
        assert "250 2.0.0 Ok" == await client.say("DATA", LETTER.decode() + ".")
    assert MAX_RECIPIENTS == len(keeper.letters[0][0].recipients)


async def test_commands_that_lead_nowhere_come_to_an_end() -> None:
    async with receiver(Receiving()) as listener, wire(listener) as client:
        await client.hello()
        for _ in range(MAX_WASTED):
            assert (await client.say("NOOP")).startswith("250")
        assert "421 4.7.0" == (await client.say("NOOP"))[:9]
        assert "" == await client.reply()
        assert 1 == listener.counters["junk"]


async def test_an_endless_command_is_cut_off() -> None:
    async with receiver(Receiving()) as listener, wire(listener) as client:
        await client.reply()
        assert await client.send_until_cut_off(b"x" * 65_536) < 20_000_000


@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\rOP\r\n", b"NOOP\r\r\n"])
async def test_a_command_line_ends_as_it_must(line: bytes) -> None:
    async with receiver(Receiving()) as listener, wire(listener) as client:
        await client.hello()
        await client.send(line)
        assert "500 5.5.2" == (await client.reply())[:9]


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n\0.\r\n"]
)
async def test_a_letter_inside_a_letter_stays_inside(end: bytes) -> None:
    """SMTP smuggling: whatever others take for an end of data is none here, and is not passed on."""
    keeper = Receiving()
    inner = b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<x@home.example>\r\nDATA\r\nFrom: evil\r\n\r\n"
    async with receiver(keeper) as listener, wire(listener) as client:
        await client.until_data()
        await client.send(LETTER + b"x" + end + inner + b"\r\n.\r\n")
        reply = await client.reply()
        assert ("250" if b"\0" in end else "550 5.6.0") == reply[: 3 if b"\0" in end else 9]
        assert "221 2.0.0 Bye" == await client.say("QUIT")
    assert {"a@b.example"} >= {one.sender for one, _ in keeper.letters}


async def test_a_letter_that_is_too_large_is_heard_out() -> None:
    keeper = Receiving()
    async with receiver(keeper) as listener, wire(listener) as client:
        await client.until_data()
        await client.send(b"x" * (2 * MAX_SIZE) + b"\r\n.\r\nNOOP\r\n")
        assert "552 5.3.4" == (await client.reply())[:9]
        assert "250 2.0.0 Ok" == await client.reply()
        assert (1, []) == (listener.counters["tooLarge"], keeper.letters)


async def test_two_hundred_megabytes_without_a_line_end_are_not() -> None:
    async with receiver(Receiving()) as listener, wire(listener) as client:
        await client.until_data()
        assert await client.send_until_cut_off(b"x" * 1_000_000) < 200_000_000
        assert (1, 0) == (listener.counters["tooLarge"], listener.counters["letters"])


async def test_a_fault_of_ours_is_later_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    keeper = Receiving(fault=ValueError("Dear Bob"))
    async with receiver(keeper) as listener, wire(listener) as client:
        await client.until_data()
        await client.send(LETTER + b".\r\n")
        assert "451 4.3.0 Something went wrong here, try again later" == await client.reply()
        keeper.fault = None
        assert "250 2.0.0 Ok" == await client.say(
            "MAIL FROM:<a@b.example>", "RCPT TO:<x@home.example>", "DATA", "x\r\n."
        )
        assert 1 == listener.counters["faults"]
    assert "ValueError at " in caplog.text
    assert "Bob" not in caplog.text


async def test_what_our_closing_stops_is_later() -> None:
    async with receiver(Receiving(fault=BridgeClosed())) as listener, wire(listener) as client:
        await client.until_data()
        await client.send(LETTER + b".\r\n")
        assert "421 4.3.2" == (await client.reply())[:9]
        assert ("", 0) == (await client.reply(), listener.counters["faults"])


async def test_nothing_is_logged_of_a_session(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with receiver(Receiving()) as listener, wire(listener) as client:
        await client.until_data()
        await client.send(LETTER + b".\r\n")
        await client.reply()
    assert not [text for text in caplog.messages if "b.example" in text or "Hello" in text]


async def test_what_is_refused_at_the_end_is_told() -> None:
    keeper = Receiving(reply=Reply(550, "5.7.1", "no\r\n250 ü" + "x" * 999))
    async with receiver(keeper) as listener, wire(listener) as client:
        await client.until_data()
        await client.send(LETTER + b".\r\n")
        reply = await client.reply()
        assert (410, "550 5.7.1 no??250 ?xxx") == (len(reply), reply[:22])
        assert "221 2.0.0 Bye" == await client.say("QUIT")
        assert 0 == listener.counters["letters"]


async def test_a_client_that_goes_while_we_work_has_its_letter_taken() -> None:
    keeper = Receiving(gate=trio.Event())
    async with receiver(keeper) as listener:
        async with wire(listener) as client:
            await client.until_data()
            await client.send(LETTER + b".\r\n")
            await keeper.reached.wait()
        async with wire(listener) as other:  # the first one's going was seen before this one's coming
            await other.hello()
        assert keeper.gate is not None
        keeper.gate.set()
        await _until(lambda: bool(keeper.letters))
    assert [(envelope("x@home.example"), LETTER)] == keeper.letters


async def test_a_client_that_goes_in_the_middle_leaves_nothing() -> None:
    keeper = Receiving()
    async with receiver(keeper) as listener:
        async with wire(listener) as client:
            await client.until_data()
            await client.send(LETTER)
        async with wire(listener) as other:
            await other.hello()
    assert [] == keeper.letters


async def test_a_client_that_says_it_is_done_hears_the_end() -> None:
    """Half closed: what came before counts (upstream throws it away)."""
    keeper = Receiving()
    talk = b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@home.example>\r\nDATA\r\n"
    async with receiver(keeper) as listener, wire(listener) as client:
        await client.send(talk + LETTER + b".\r\n")
        assert isinstance(client.stream, trio.SocketStream)
        await client.stream.send_eof()
        replies = [await client.reply() for _ in range(7)]
    assert ["250 2.0.0 Ok", ""] == replies[-2:]
    assert 1 == len(keeper.letters)


async def test_a_port_that_is_taken_is_said() -> None:
    async with receiver(Receiving()) as listener:
        async with open_bridge() as bridge:
            host, port = listener.address
            opened = open_receiver(bridge, host, port, Receiving(), max_size=1, tls=None, hostname="x")
            with pytest.raises(ListenFailed, match=f"{host}:{port}: the port is in use"):
                await opened.__aenter__()


async def test_closing_says_so_to_who_waits() -> None:
    keeper, stop = Receiving(), trio.Event()
    async with trio.open_nursery() as nursery:
        listener = await nursery.start(until, stop, keeper, QUICK)
        async with wire(listener) as idle, wire(listener) as writing:
            await idle.hello()
            await writing.until_data()
            await writing.send(LETTER)
            stop.set()
            assert ["421 4.3.2"] * 2 == [(await one.reply())[:9] for one in (idle, writing)]
            assert ["", ""] == [await one.reply() for one in (idle, writing)]
    assert [] == keeper.letters


async def test_closing_waits_a_little_for_a_letter_that_is_being_taken() -> None:
    keeper, stop = Receiving(gate=trio.Event()), trio.Event()
    async with trio.open_nursery() as nursery:
        listener = await nursery.start(until, stop, keeper, replace(QUICK, closing=2.0))
        async with wire(listener) as idle, wire(listener) as client:
            await idle.hello()
            await client.until_data()
            await client.send(LETTER + b".\r\n")
            await keeper.reached.wait()
            stop.set()
            assert "421 4.3.2" == (await idle.reply())[:9]
            assert keeper.gate is not None
            keeper.gate.set()
            assert "250 2.0.0 Ok" == await client.reply()
    assert 1 == len(keeper.letters)


async def test_closing_does_not_wait_for_ever() -> None:
    keeper, stop = Receiving(gate=trio.Event()), trio.Event()
    async with trio.open_nursery() as nursery:
        listener = await nursery.start(until, stop, keeper, QUICK)
        async with wire(listener) as client:
            await client.until_data()
            await client.send(LETTER + b".\r\n")
            await keeper.reached.wait()
            stop.set()
            assert "421 4.3.2" == (await client.reply())[:9]


async def _until(true: Callable[[], bool]) -> None:
    with trio.fail_after(30):
        while not true():
            await trio.lowlevel.checkpoint()
