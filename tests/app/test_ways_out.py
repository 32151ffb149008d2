"""An owner's rooms with both ways for ordinary mail, to a real server: who sees whom, what is signed, what
the author hears of it. The mail port is not 25 here, so the way is fitted by hand.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trio

from node.app.ground import open_ground
from node.app.mail import fit_carrier
from node.app.owner import Owner, open_owner
from node.outbox.submission import Message
from node.runtime.bridge import open_bridge
from node.runtime.clock import SystemClock
from node.runtime.errors import NodeError
from node.runtime.home import Home
from node.runtime.sections import LimitsConfig, MailConfig, SmtpConfig
from node.smtp import Lines, Outlet, SmarthostOutlet
from tests.app.conftest import config
from tests.kit.mailing import local
from tests.kit.names_server import open_names
from tests.kit.sink import Behaviour, Sink, open_sink
from tests.kit.straight import LOOPBACK, US, fit

OWNER = "alice@example.org"
BOB, EVE, MALLORY = "bob@example.net", "eve@example.net", "mallory@example.com"
WAYS = ["direct", "smarthost"]


@dataclass
class Office:
    """The rooms, and the one server that everything comes to."""

    owner: Owner
    sink: Sink

    async def until_sent(self, *outboxed: bytes) -> list[str]:
        """States of all recipients, once these letters have ended."""
        async with self.owner.ground.events.subscribe() as changes:
            while True:
                found = [self.owner.outbox.get(one) for one in outboxed]
                if all(one is not None and one.ended for one in found):
                    return [d.state for one in found if one is not None for d in one.deliveries]
                await changes.receive()


@asynccontextmanager
async def open_office(home: Home, way: str, behaviour: Behaviour | None = None) -> AsyncIterator[Office]:
    async with open_sink(behaviour) as sink, open_bridge() as bridge, open_names() as names:
        for domain in ("example.net", "example.com"):
            names.add(domain, "MX", "10 mx.example.net.")
        names.add("mx.example.net", "A", "127.0.0.1")
        smarthost = None if way == "direct" else f"smtp://127.0.0.1:{sink.port}"
        settings = config(
            mail=MailConfig((OWNER,)),
            smtp=SmtpConfig(domains=("example.org",), smarthost=smarthost, direct=way == "direct"),
            limits=LimitsConfig(free_disk=0),
        )
        async with (
            open_ground(home, settings, None, inline=True) as ground,
            open_owner(ground, None) as owner,
            trio.open_nursery() as nursery,
        ):
            lines = Lines(bridge, US)
            outlet: Outlet = SmarthostOutlet(lines, lambda: local(sink.port), lambda: "", SystemClock())
            if way == "direct":
                outlet = fit(ground.store, lines, names, sink.port, inside=LOOPBACK).outlet
            await owner.domains.rotate("example.org", now=True)
            owner.carriers["smtp"] = await fit_carrier(ground, owner, outlet)
            nursery.start_soon(owner.outbox.run)
            yield Office(owner, sink)
            nursery.cancel_scope.cancel()
        await outlet.aclose()


def handed_in(*more: str) -> bytes:
    fields = [f"From: {OWNER}", "Subject: Hi", "Date: Mon, 23 Nov 2026 10:00:00 +0000", *more]
    return "\r\n".join([*fields, "Message-ID: <1@example.org>", "", "Hi.", ""]).encode()


@pytest.mark.parametrize("way", WAYS)
async def test_nobody_sees_who_got_a_secret_copy(alices: Home, way: str) -> None:
    async with open_office(alices, way) as office:
        raw = handed_in(f"To: {BOB}", f"Bcc: {EVE},\r\n {MALLORY}")
        program = await office.owner.submission.submit(raw, OWNER, [BOB, EVE, MALLORY], "laptop")
        typed = await office.owner.submission.send(Message((BOB,), bcc=(MALLORY, EVE), subject="Hi"))
        assert ["delivered"] * 6 == await office.until_sent(program.id, typed.id)
        apart = [(BOB, EVE), (MALLORY,)] if way == "direct" else [(BOB, EVE, MALLORY)]
        assert sorted(apart * 2) == sorted(tuple(sorted(one.recipients)) for one in office.sink.taken)
        for one in office.sink.taken:
            assert b"bob@example.net" in one.raw
            assert b"eve@" not in one.raw.lower()  # with the @: three letters may stand in a signature
            assert b"mallory@" not in one.raw.lower()
            assert b"\r\nBcc" not in one.raw


@pytest.mark.parametrize("way", WAYS)
async def test_what_leaves_is_signed_and_otherwise_as_it_was(alices: Home, way: str) -> None:
    async with open_office(alices, way) as office:
        raw = handed_in(f"To: {BOB}")
        letter = await office.owner.submission.submit(raw, OWNER, [BOB], "laptop")
        await office.until_sent(letter.id)
        (taken,) = office.sink.taken
        assert taken.raw.endswith(raw)
        assert 2 == taken.raw.removesuffix(raw).count(b"DKIM-Signature: v=1;")


@pytest.mark.parametrize("way", WAYS)
async def test_a_refusal_is_a_notice_in_the_inbox_that_goes_nowhere(alices: Home, way: str) -> None:
    async with open_office(alices, way, Behaviour(refuse={BOB: "550 5.1.1 No such user"})) as office:
        letter = await office.owner.submission.send(Message((BOB,), subject="Hi"))
        assert ["refused"] == await office.until_sent(letter.id)
        (row,) = office.owner.mailbox.list("inbox")
        assert "Not delivered: Hi" == row["subject"]
        auto = await office.owner.submission.submit(handed_in(f"To: {BOB}"), "", [BOB], "laptop")
        assert ["refused"] == await office.until_sent(auto.id)  # an automatic answer: it has no sender
        assert 1 == len(office.owner.mailbox.list("inbox"))
        assert [] == office.sink.taken


@pytest.mark.parametrize("way", WAYS)
async def test_what_a_server_does_not_take_is_told_before_anything_is_sent(alices: Home, way: str) -> None:
    async with open_office(alices, way, Behaviour(size=100_000)) as office:
        submission = office.owner.submission
        await submission.check([BOB], [80_000])  # nothing is known yet
        await office.until_sent((await submission.send(Message((BOB,), subject="Hi"))).id)
        await submission.check([BOB], [70_000])
        with pytest.raises(NodeError) as caught:
            await submission.check([MALLORY, BOB] if way == "direct" else [MALLORY], [80_000])
        assert "letter-too-large" == caught.value.code
        assert "takes 100,000" in caught.value.text
        with pytest.raises(NodeError):
            await submission.submit(handed_in(f"To: {BOB}") + b"x\r\n" * 40_000, OWNER, [BOB], "laptop")
        if way == "direct":
            await submission.check([MALLORY], [80_000])  # another domain, of which nothing is known
