"""Any mixture of commands, good and bad, in any pieces: no fault of ours, no letter but what was meant."""

import contextlib

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.sessions import LETTER, Receiving, receiver, wire

PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"EHLO x\r\n",
                b"HELO x\r\n",
                b"MAIL FROM:<>\r\n",
                b"MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME SMTPUTF8\r\n",
                b"RCPT TO:<x@home.example>\r\n",
                b"RCPT TO:<x@else.example>\r\n",
                b"DATA\r\n",
                LETTER,
                b"\r\n.\r\n",
                b".\r\n",
                b"\n.\r\n",
                b"RSET\r\n",
                b"NOOP\r\n",
                b"AUTH PLAIN\r\n",
                b"STARTTLS\r\n",
                b"\r\n",
                b"\n",
                b"\r",
            ]
        ),
        st.binary(max_size=40),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(PIECES, st.booleans())
def test_no_soup_is_a_fault_of_ours(pieces: list[bytes], at_once: bool) -> None:
    trio.run(_pour, [b"".join(pieces)] if at_once else pieces)


async def _pour(pieces: list[bytes]) -> None:
    keeper = Receiving()
    async with receiver(keeper) as listener:
        async with wire(listener) as client:
            assert isinstance(client.stream, trio.SocketStream)
            with contextlib.suppress(trio.BrokenResourceError):  # too many commands that led nowhere
                for piece in pieces:
                    await client.send(piece)
                await client.stream.send_eof()
            while await client.reply():
                pass
        async with wire(listener) as client:
            await client.until_data()
            assert "250 2.0.0 Ok" == await client.say(LETTER.decode() + ".")
        assert (0, len(keeper.letters)) == (listener.counters["faults"], listener.counters["letters"])
    assert all(set(envelope.recipients) == {"x@home.example"} for envelope, _ in keeper.letters)
