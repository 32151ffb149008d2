"""Faults of aiosmtplib that transport.py works around. Each test fails when upstream mends its fault."""

from aiosmtplib import SMTP

from node.runtime.bridge import open_bridge
from tests.kit.mailing import open_liar
from tests.kit.sink import open_sink


async def test_a_reply_too_many_is_kept_for_the_next_command() -> None:
    async def talk(port: int) -> tuple[str, str]:
        client = SMTP(hostname="127.0.0.1", port=port, local_hostname="x", start_tls=False)
        await client.connect()
        first, second = await client.mail("a@example.org"), await client.rcpt("b@example.org")
        client.close()
        return first.message, second.message

    replies = {"MAIL": b"250 of MAIL\r\n250 of nothing\r\n", "RCPT": b"250 of RCPT\r\n"}
    async with open_liar(replies) as liar, open_bridge() as bridge:
        assert await bridge.run(talk, liar.port) == ("of MAIL", "of nothing")


async def test_a_code_need_not_be_three_digits() -> None:
    async def talk(port: int) -> int:
        client = SMTP(hostname="127.0.0.1", port=port, local_hostname="x", start_tls=False)
        await client.connect()
        await client.ehlo()
        reply = await client.execute_command(b"NOOP")
        client.close()
        return reply.code

    async with open_liar({"NOOP": b"2_5 Odd\r\n"}) as liar, open_bridge() as bridge:
        assert await bridge.run(talk, liar.port) == 25


async def test_line_ends_are_changed_on_the_way() -> None:
    async def talk(port: int) -> None:
        client = SMTP(hostname="127.0.0.1", port=port, local_hostname="x", start_tls=False)
        async with client:
            await client.sendmail("a@example.org", ["b@example.org"], b"Subject: x\n\nbare\rends")

    async with open_sink() as sink, open_bridge() as bridge:
        await bridge.run(talk, sink.port)
        assert [one.raw for one in sink.taken] == [b"Subject: x\r\n\r\nbare\r\nends\r\n"]


async def test_a_wrong_password_is_tried_once_for_each_method() -> None:
    async def talk(port: int) -> None:
        client = SMTP(hostname="127.0.0.1", port=port, local_hostname="x", start_tls=False)
        await client.connect()
        try:
            await client.login("alice", "wrong")
        except Exception:  # noqa: BLE001 - which one is not the point
            client.close()

    replies = {"EHLO": b"250-x\r\n250 AUTH PLAIN LOGIN CRAM-MD5\r\n", "AUTH": b"535 No\r\n"}
    async with open_liar(replies) as liar, open_bridge() as bridge:
        await bridge.run(talk, liar.port)
        assert len([line for line in liar.heard if line.startswith("AUTH")]) == 3
