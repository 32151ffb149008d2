"""Ordinary mail out, over real sockets: what a mail server has afterwards, and what the outbox is told."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from node.outbox import Result
from node.runtime.bridge import Bridge, open_bridge
from node.runtime.settings_mail import Smarthost
from node.smtp.answer import Way as Fault
from node.smtp.answer import WayFault
from node.smtp.sender import MAX_RECIPIENTS
from node.smtp.server import Server, Tls
from node.smtp.transport import Session
from protocol.status import Status
from tests.kit.certificates import Authority
from tests.kit.mailing import AUTHOR, RAW, Way, local, people, posted
from tests.kit.sink import Behaviour, open_sink

BOB = "bob@example.net"
MakeWay = Callable[..., Way]


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with open_bridge() as bridge:
        yield bridge


@pytest.fixture
async def carrier(bridge: Bridge) -> AsyncIterator[MakeWay]:
    made: list[Way] = []

    def make(
        smarthost: Smarthost | None, password: str = "", tls: ssl.SSLContext | None = None, **more: Any
    ) -> Way:
        made.append(Way.through(bridge, smarthost, password, tls=tls, **more))
        return made[-1]

    yield make
    for one in made:
        await one.carrier.aclose()


async def said(way: Way, raw: bytes | None = RAW, *to: str, sender: str = AUTHOR) -> list[Result]:
    """The results of one attempt, in the recipients' order."""
    recipients = people(*(to or ("bob@example.net",)))
    results = await way.carrier.send(recipients, posted(raw, sender))
    return [results[one] for one in recipients]


def state(way: Way) -> str:
    found: str = way.outlet.status()["smarthost"]["state"]
    return found


def told(results: list[Result]) -> list[tuple[str, str, bool]]:
    return [(one.outcome, one.status.code, one.way) for one in results]


async def test_a_sender_with_a_server_of_its_own_goes_there(carrier: MakeWay) -> None:
    """All others go to the one server; what is wrong is said of the server that it is about."""
    async with open_sink() as sink:
        async with open_sink() as own:
            other = local(own.port, host="localhost")
            way = carrier(local(sink.port), own=lambda sender: (other, "") if sender == BOB else None)
            results = [*await said(way), *await said(way, sender=BOB)]
        assert ["delivered", "delivered"] == [one.outcome for one in results]
        assert ([AUTHOR], [BOB]) == ([one.sender for one in sink.taken], [one.sender for one in own.taken])
        (result,) = await said(way, sender=BOB)
        assert ("later", True) == (result.outcome, result.way)
        assert result.detail.startswith("localhost ")


async def test_a_sender_with_a_server_of_its_own_needs_no_other(carrier: MakeWay) -> None:
    async with open_sink(Behaviour(accounts={"alice": "secret"})) as sink, open_sink() as own:
        other = local(own.port, host="localhost")
        way = carrier(
            local(sink.port, user="alice"), "wrong", own=lambda sender: (other, "") if sender == BOB else None
        )
        assert told(await said(way)) == [("later", "4.7.8", True)]
        assert ["delivered"] == [one.outcome for one in await said(way, sender=BOB)]
        assert ([BOB], 1) == ([one.sender for one in own.taken], sink.guesses)


async def test_a_letter_arrives_with_its_envelope(carrier: MakeWay) -> None:
    async with open_sink() as sink:
        (result,) = await said(carrier(local(sink.port)))
        assert (result.outcome, result.detail) == ("delivered", "127.0.0.1 says: 250 2.0.0 Ok: queued")
        (taken,) = sink.taken
        assert (taken.sender, taken.recipients, taken.raw) == (AUTHOR, (BOB,), RAW)
        assert (taken.helo, taken.tls, taken.user) == ("alice.example.org", False, "")
        assert taken.options == (f"SIZE={len(RAW)}",)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b".\r\n",
        b".\r\n.\r\n..\r\n. \r\n.x\r\n",
        b"\r\n\r\n.\r\n",
        b"x" * 70_000 + b"\r\n" + b"." * 65_534 + b"\r\n.\r\n" + b".y" * 40_000 + b"\r\n",
        "Grüße aus Åre\r\n".encode(),
        bytes([0, 7, 27, 127, 128, 255]) + b"\r\n",
    ],
)
async def test_the_server_has_exactly_our_bytes(carrier: MakeWay, body: bytes) -> None:
    async with open_sink() as sink:
        assert told(await said(carrier(local(sink.port)), RAW + body)) == [("delivered", "2.0.0", False)]
        assert [one.raw for one in sink.taken] == [RAW + body]


async def test_a_large_letter_arrives_whole(carrier: MakeWay) -> None:
    raw = RAW + b"".join(b".%06d %s\r\n" % (n, b"x" * 60) for n in range(100_000))
    async with open_sink() as sink:
        assert told(await said(carrier(local(sink.port)), raw)) == [("delivered", "2.0.0", False)]
        assert [one.raw == raw for one in sink.taken] == [True]


async def test_every_recipient_has_its_own_result(carrier: MakeWay) -> None:
    refuse = {"no@example.net": "550 5.1.1 No such user", "later@example.net": "450 4.2.1 Asleep"}
    async with open_sink(Behaviour(refuse=refuse)) as sink:
        results = await said(carrier(local(sink.port)), RAW, *refuse, "bob@example.net")
        assert told(results) == [
            ("refused", "5.1.1", False),
            ("later", "4.2.1", False),
            ("delivered", "2.0.0", False),
        ]
        assert results[0].detail == "127.0.0.1 says: 550 5.1.1 No such user"
        assert [one.recipients for one in sink.taken] == [("bob@example.net",)]


@pytest.mark.parametrize(
    "behaviour, outcome",
    [
        (Behaviour(refuse_sender="550 5.7.1 Not you"), ("refused", "5.7.1", False)),
        (Behaviour(refuse_sender="451 Grey"), ("later", "4.0.0", False)),
        (Behaviour(refuse_letter="554 5.6.0 Spam"), ("refused", "5.6.0", False)),
        (Behaviour(refuse_letter="452 4.3.1 Full"), ("later", "4.3.1", False)),
        (Behaviour(refuse_letter="550 4.2.1 Of another class"), ("refused", "5.0.0", False)),
        (Behaviour(refuse={"bob@example.net": "552 5.5.3 Too many"}), ("later", "4.5.3", False)),
    ],
)
async def test_what_the_server_says_of_a_letter_is_said_of_it_alone(
    carrier: MakeWay, behaviour: Behaviour, outcome: tuple[str, str, bool]
) -> None:
    async with open_sink(behaviour) as sink:
        sender = carrier(local(sink.port))
        to = ("bob@example.net", "eve@example.net")
        assert told(await said(sender, RAW, *to))[0] == outcome
        assert state(sender) == "ok"


async def test_many_recipients_go_in_turn_over_one_connection(carrier: MakeWay) -> None:
    to = [f"r{n}@example.net" for n in range(2 * MAX_RECIPIENTS + 1)]
    async with open_sink() as sink:
        assert {one.outcome for one in await said(carrier(local(sink.port)), RAW, *to)} == {"delivered"}
        assert [len(one.recipients) for one in sink.taken] == [MAX_RECIPIENTS, MAX_RECIPIENTS, 1]
        assert sink.connections == 1


async def test_a_connection_that_was_lost_while_it_rested_costs_no_letter(carrier: MakeWay) -> None:
    async with open_sink() as sink:
        sender = carrier(local(sink.port))
        await said(sender)
        await sink.hang_up()
        assert told(await said(sender)) == [("delivered", "2.0.0", False)]
        assert (len(sink.taken), sink.connections) == (2, 2)


async def test_a_server_that_hangs_up_after_the_last_dot_gets_the_letter_again(carrier: MakeWay) -> None:
    async with open_sink(Behaviour(drop=1)) as sink:
        sender = carrier(local(sink.port))
        assert told(await said(sender)) == [("later", "4.4.2", True)]
        assert sender.outlet.fault is not None
        assert sender.outlet.fault.text == "127.0.0.1 ended the connection in the middle"
        assert told(await said(sender)) == [("delivered", "2.0.0", False)]
        assert [one.raw for one in sink.taken] == [RAW, RAW]  # the author's Message-ID tells that it is one
        assert sender.outlet.fault is None


async def test_an_attempt_can_be_cancelled_in_the_middle(carrier: MakeWay) -> None:
    async with open_sink(Behaviour(seconds=3600)) as sink:
        sender = carrier(local(sink.port))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(said, sender)
            await sink.until_thinking()
            nursery.cancel_scope.cancel()
        sink.behaviour.seconds = 0
        assert told(await said(sender)) == [("delivered", "2.0.0", False)]


# ---- who we are


async def test_the_password_is_shown_to_a_server_that_wants_it(carrier: MakeWay) -> None:
    async with open_sink(Behaviour(accounts={"alice": "pässword"})) as sink:
        await said(carrier(local(sink.port, user="alice"), "pässword"))
        assert [one.user for one in sink.taken] == ["alice"]


@pytest.mark.parametrize(
    "user, password, code, text",
    [
        ("alice", "wrong", "smarthost-password", "127.0.0.1 refuses your name or password (535 5.7.8"),
        ("alice", "", "smarthost-no-password", "no password for 127.0.0.1 is set"),
        ("", "", "smarthost-auth-wanted", "127.0.0.1 wants your name and password (530 5.7.0 Log in first)"),
    ],
)
async def test_a_server_that_does_not_know_us_makes_letters_wait(
    carrier: MakeWay, user: str, password: str, code: str, text: str
) -> None:
    async with open_sink(Behaviour(accounts={"alice": "secret"})) as sink:
        sender = carrier(local(sink.port, user=user), password)
        (result,) = await said(sender)
        assert (result.outcome, result.status, result.way) == ("later", Status("4.7.8"), True)
        assert sender.outlet.fault is not None
        assert (sender.outlet.fault.code, sender.outlet.fault.text[: len(text)]) == (code, text)
        assert "mailio config set --secret smtp.smarthost" in sender.outlet.fault.remedy
        assert (sink.taken, sink.guesses) == ([], int(bool(password)))


async def test_a_server_without_auth_gets_no_password(carrier: MakeWay) -> None:
    async with open_sink(Behaviour(hidden=("AUTH",))) as sink:
        sender = carrier(local(sink.port, user="alice"), "secret")
        assert told(await said(sender)) == [("later", "4.7.8", True)]
        assert sender.outlet.fault is not None
        assert sender.outlet.fault.code == "smarthost-no-auth"


# ---- TLS


@pytest.mark.parametrize("implicit", [False, True])
async def test_tls_is_used_where_it_is_offered(carrier: MakeWay, tmp_path: Path, implicit: bool) -> None:
    authority = Authority(tmp_path)
    tls = authority.certificate("127.0.0.1").server_context()
    async with open_sink(Behaviour(accounts={"alice": "secret"}), tls, implicit=implicit) as sink:
        where = local(sink.port, implicit=implicit, user="alice")
        sender = carrier(where, "secret", authority.client_context())
        assert told(await said(sender)) == [("delivered", "2.0.0", False)]
        assert [(one.tls, one.user, one.helo) for one in sink.taken] == [(True, "alice", "alice.example.org")]


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    "name, expired, trusted, said_of_it",
    [
        ("mail.example.org", False, True, "IP address mismatch"),
        ("127.0.0.1", True, True, "certificate has expired"),
        ("127.0.0.1", False, False, "unable to get local issuer certificate"),
    ],
)
async def test_no_letter_and_no_password_meets_a_wrong_certificate(
    carrier: MakeWay,
    tmp_path: Path,
    implicit: bool,
    name: str,
    expired: bool,
    trusted: bool,
    said_of_it: str,
) -> None:
    authority = Authority(tmp_path / "a")
    tls = authority.certificate(name, expired=expired).server_context()
    believed = authority if trusted else Authority(tmp_path / "b", "Another authority")
    async with open_sink(Behaviour(accounts={"alice": "secret"}), tls, implicit=implicit) as sink:
        where = local(sink.port, implicit=implicit, user="alice")
        sender = carrier(where, "secret", believed.client_context())
        assert told(await said(sender)) == [("later", "4.7.5", True)]
        assert sender.outlet.fault is not None
        assert sender.outlet.fault.text.startswith("the certificate of 127.0.0.1 can't be trusted (")
        assert said_of_it in sender.outlet.fault.text
        assert (sink.taken, sink.guesses) == ([], 0)


async def test_who_speaks_no_tls_where_it_is_awaited_is_told_so(carrier: MakeWay) -> None:
    async with open_sink() as sink:
        sender = carrier(local(sink.port, implicit=True))
        assert told(await said(sender)) == [("later", "4.7.5", True)]
        assert sender.outlet.fault is not None
        assert sender.outlet.fault.code == "smarthost-tls"


async def test_off_this_machine_nothing_goes_without_tls(bridge: Bridge, tmp_path: Path) -> None:
    tls = Authority(tmp_path).client_context()
    async with open_sink(Behaviour(accounts={"alice": "secret"})) as sink:
        stream = await trio.open_tcp_stream("127.0.0.1", sink.port)
        sock = socket.socket(fileno=stream.socket.detach())
        far = Server("mail.example.org", sink.port, Tls.MUST, "alice", "secret")
        with pytest.raises(WayFault) as caught:
            await bridge.run(Session.open, sock, far, "alice.example.org", tls)
        assert caught.value.way is Fault.NO_TLS
        assert sink.guesses == 0


# ---- what can't go


@pytest.mark.parametrize(
    "hidden, raw, to, sender, code",
    [
        ("8BITMIME", RAW + b"\xe4\r\n", "bob@example.net", AUTHOR, "5.6.3"),
        ("SMTPUTF8", RAW, "bjørn@example.net", AUTHOR, "5.6.7"),
        ("SMTPUTF8", RAW, "bob@example.net", "åse@example.org", "5.6.7"),
    ],
)
async def test_what_this_server_does_not_take_is_refused_in_plain_words(
    carrier: MakeWay, hidden: str, raw: bytes, to: str, sender: str, code: str
) -> None:
    async with open_sink(Behaviour(hidden=(hidden,))) as sink:
        (result,) = await said(carrier(local(sink.port)), raw, to, sender=sender)
        assert (result.outcome, result.status.code, result.way) == ("refused", code, False)
        assert "beyond ASCII" in result.detail
        assert sink.taken == []


async def test_addresses_and_headers_beyond_ascii_are_announced(carrier: MakeWay) -> None:
    raw = RAW.replace(b"Hello", "Grüße".encode()) + "Åre\r\n".encode()
    async with open_sink() as sink:
        sender = carrier(local(sink.port))
        assert told(await said(sender, raw, "bjørn@example.net")) == [("delivered", "2.0.0", False)]
        (taken,) = sink.taken
        assert (taken.recipients, taken.raw) == (("bjørn@example.net",), raw)
        assert taken.options == (f"SIZE={len(raw)}", "BODY=8BITMIME", "SMTPUTF8")


async def test_too_large_is_refused_before_a_byte_of_it_is_sent(carrier: MakeWay) -> None:
    async with open_sink() as sink:
        (ours,) = await said(carrier(local(sink.port), max_size=100_000), RAW + b"x\r\n" * 100_000)
        assert (ours.outcome, ours.status.code) == ("refused", "5.3.4")
        assert "at most 100,000" in ours.detail
        assert sink.taken == []


@pytest.mark.parametrize(
    "raw, to, sender",
    [
        (RAW, "0x" + "a" * 40 + "@mailio.alt", AUTHOR),
        (RAW, "bob@example.net", "0x" + "a" * 40 + "@mailio.alt"),
        (
            RAW.replace(b"bob@example.net", b"bob@example.net,\r\n <0xAA@Mailio.Alt>"),
            "bob@example.net",
            AUTHOR,
        ),
        (RAW.replace(b"To:", b"cc:"), "bob@example.net", "x@MAILIO.ALT"),
        (RAW + b"\n.\r\nMAIL FROM:<x@example.org>\r\n", "bob@example.net", AUTHOR),
        (RAW + b"\r.\r\n", "bob@example.net", AUTHOR),
        (RAW + b"\r\n.\r", "bob@example.net", AUTHOR),
        (None, "bob@example.net", AUTHOR),
    ],
)
async def test_what_no_server_may_have_of_ours_is_not_let_out(
    carrier: MakeWay, caplog: pytest.LogCaptureFixture, raw: bytes | None, to: str, sender: str
) -> None:
    async with open_sink() as sink:
        assert told(await said(carrier(local(sink.port)), raw, to, sender=sender)) == [
            ("refused", "5.6.0", False)
        ]
        assert sink.taken == []
        assert "was not let out" in caplog.text


async def test_text_that_only_speaks_of_our_domain_goes(carrier: MakeWay) -> None:
    raw = RAW.replace(b"Hello", b"Write to x@mailio.alt") + b"To: 0xaa@mailio.alt\r\n"
    async with open_sink() as sink:
        assert told(await said(carrier(local(sink.port)), raw)) == [("delivered", "2.0.0", False)]


# ---- the way


async def test_who_is_not_there_makes_letters_wait_in_plain_words(carrier: MakeWay) -> None:
    async with open_sink() as sink:
        port = sink.port
    sender = carrier(local(port))
    (result,) = await said(sender)
    assert (result.outcome, result.status.code, result.way) == ("later", "4.4.1", True)
    text = f"127.0.0.1 can't be reached on port {port} (Connection refused)"
    assert result.detail == f"{text}; check the network, and smtp.smarthost"
    assert [one.code for one in sender.outlet.warnings()] == ["smarthost-unreachable"]
    assert state(sender) == "fault"


async def test_without_a_smarthost_letters_wait(carrier: MakeWay) -> None:
    sender = carrier(None)
    (result,) = await said(sender)
    assert (result.outcome, result.way) == ("later", True)
    assert result.detail.endswith("mailio config set smtp.smarthost smtp://USER@HOST:587")
    assert sender.outlet.warnings() == []
