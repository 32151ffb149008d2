"""Mail straight to its recipients' servers, over real sockets and DNS: who gets it, and who does not."""

from pathlib import Path

import pytest
import trio

from node.smtp import transport
from node.smtp.answer import NoWay
from node.smtp.direct import AT_ONE, BLOCKED
from node.smtp.fitness import author_domain
from tests.kit.certificates import Authority
from tests.kit.mailing import AUTHOR, RAW, open_liar
from tests.kit.names_server import Fault
from tests.kit.sink import Behaviour, open_sink
from tests.kit.smuggling import FALSE_ENDS, SMUGGLER, smuggled
from tests.kit.straight import US, Straight, open_straight

BOB = "bob@example.net"
DELIVERED = ("delivered", "2.0.0", False)


def mx(one: Straight, *hosts: str, domain: str = "example.net", v4: str = "127.0.0.1") -> None:
    """The domain's mail servers, the first preferred, all at one address."""
    for preference, host in enumerate(hosts, start=1):
        one.names.add(domain, "MX", f"{preference * 10} {host}.")
        one.names.add(host, "A", v4)


async def test_all_recipients_of_a_domain_have_one_transaction_at_its_server(tmp_path: Path) -> None:
    async with open_sink() as sink, open_straight(tmp_path, sink.port) as one:
        mx(one, "mx.example.net")
        assert [DELIVERED] * 2 == await one.said(BOB, "eve@example.net")
        (taken,) = sink.taken
        assert (AUTHOR, (BOB, "eve@example.net"), RAW, US) == (
            taken.sender,
            taken.recipients,
            taken.raw,
            taken.helo,
        )
        assert [DELIVERED] == await one.said(BOB)
        assert (2, 1) == (len(sink.taken), sink.connections)  # the connection was used again


async def test_the_next_server_is_tried_when_the_first_can_not_be_had(tmp_path: Path) -> None:
    async with open_sink() as sink, open_straight(tmp_path, sink.port) as one:
        one.names.add("example.net", "MX", "10 dead.example.net.")
        one.names.add("dead.example.net", "AAAA", "::1")  # nobody listens there
        one.names.add("example.net", "MX", "20 gone.example.net.")
        one.names.add("example.net", "MX", "30 mx.example.net.")
        one.names.add("mx.example.net", "A", "127.0.0.1")
        assert [DELIVERED] == await one.said(BOB)
        assert {"state": "ok", "faults": []} == one.outlet.status()["direct"]


async def test_whether_port_25_is_open_shows_with_the_first_letter(
    tmp_path: Path,
) -> None:
    async with open_sink() as sink, open_straight(tmp_path, sink.port) as one:
        mx(one, "mx.example.net")
        assert ["skip"] == [check.state for check in await one.outlet.checks()]
        assert (0, []) == (sink.connections, one.names.questions)
        assert [DELIVERED] == await one.said(BOB)
        (check,) = await one.outlet.checks()
        assert ("port-25-out", "ok", True) == (check.check, check.state, "example.net" in check.text)


async def test_a_server_that_takes_nothing_now_is_passed_over(tmp_path: Path) -> None:
    replies = {"hello": b"421 4.3.2 Full\r\n"}
    async with open_liar(replies) as liar, open_sink(host="::1", port=liar.port) as sink:
        async with open_straight(tmp_path, liar.port) as one:
            one.names.add("example.net", "MX", "10 full.example.net.")
            one.names.add("full.example.net", "A", "127.0.0.1")
            one.names.add("example.net", "MX", "20 mx.example.net.")
            one.names.add("mx.example.net", "AAAA", "::1")
            assert [DELIVERED] == await one.said(BOB)
            assert (1, 1) == (len(sink.taken), liar.connections)


async def test_of_two_addresses_the_one_that_answers_is_used(tmp_path: Path) -> None:
    async with open_sink() as sink, open_straight(tmp_path, sink.port) as one:
        mx(one, "mx.example.net")
        one.names.add("mx.example.net", "AAAA", "::1")
        assert [DELIVERED] == await one.said(BOB)


@pytest.mark.parametrize(("kind", "host"), [("A", "127.0.0.1"), ("AAAA", "::1")])
async def test_a_domain_without_mx_takes_its_mail_itself(tmp_path: Path, kind: str, host: str) -> None:
    async with open_sink(host=host) as sink, open_straight(tmp_path, sink.port) as one:
        one.names.add("example.net", kind, host)
        assert [DELIVERED] == await one.said(BOB)


async def test_equals_are_taken_in_any_order(tmp_path: Path) -> None:
    async with open_straight(tmp_path, 1) as one:
        for n in range(4):
            one.names.add("example.net", "MX", f"10 mx{n}.example.net.")
            one.names.add(f"mx{n}.example.net", "A", "127.0.0.1")
        orders = {tuple(x.host for x in await one.outlet._routes.of("example.net")) for _ in range(50)}
    assert len(orders) > 1
    assert {frozenset(f"mx{n}.example.net" for n in range(4))} == {frozenset(order) for order in orders}


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ([("example.net", "MX", "0 .")], "5.1.10"),
        ([], "5.1.2"),
        ([("example.net", "MX", "10 gone.example.net.")], "5.4.4"),
        ([("example.net", "MX", "10 mx.example.net."), ("mx.example.net", "A", "127.0.0.1")], "5.4.4"),
        (
            [("example.net", "MX", "10 mx.example.net."), ("mx.example.net", "AAAA", "::ffff:10.0.0.1")],
            "5.4.4",
        ),
        ([("example.net", "A", "192.168.1.1")], "5.4.4"),
        ([("example.net", "MX", f"10 {US}.")], "5.4.6"),
        ([("example.net", "MX", f"10 {US}."), ("example.net", "MX", "20 mx.example.net.")], "5.4.6"),
    ],
)
async def test_who_can_never_get_mail_is_told_at_once(
    tmp_path: Path, records: list[tuple[str, str, str]], status: str
) -> None:
    async with open_straight(tmp_path, 1, inside=(), ours=(US,)) as one:
        one.names.add("other.example", "A", "192.0.2.1")
        for record in records:
            one.names.add(*record)
        assert [("refused", status, False)] == await one.said(BOB)


async def test_only_servers_before_our_own_are_asked(tmp_path: Path) -> None:
    async with open_sink() as sink, open_straight(tmp_path, sink.port, ours=("mine.example.net",)) as one:
        mx(one, "mx.example.net", "mine.example.net", "worse.example.net")
        assert ["mx.example.net"] == [x.host for x in await one.outlet._routes.of("example.net")]
        assert [DELIVERED] == await one.said(BOB)


async def test_a_server_that_greets_as_we_do_is_ourselves(tmp_path: Path) -> None:
    replies = {"EHLO": f"250-{US} hello\r\n250 8BITMIME\r\n".encode()}
    async with open_liar(replies) as liar, open_straight(tmp_path, liar.port) as one:
        mx(one, "mx.example.net", "worse.example.net")
        assert [("refused", "5.4.6", False)] == await one.said(BOB)
        assert ["EHLO alice.example.org"] == liar.heard


async def test_a_dns_that_fails_makes_letters_wait(tmp_path: Path) -> None:
    async with open_straight(tmp_path, 1) as one:
        one.names.fault("example.net", Fault.SERVFAIL)
        (result,) = await one.results(BOB)
        assert ("later", "4.4.3", True) == (result.outcome, result.status.code, result.way)
        assert result.detail.startswith("the mail servers of example.net can't be looked up")
        (told,) = one.outlet.status()["direct"]["faults"]
        assert ("example.net", result.detail) == (told["domain"], told["text"])


async def test_a_server_that_is_busy_closes_its_lane_and_a_grey_one_puts_off_the_letter(
    tmp_path: Path,
) -> None:
    replies = {"MAIL": b"450 4.3.2 Too busy\r\n"}
    async with open_liar(replies) as liar, open_straight(tmp_path, liar.port) as one:
        mx(one, "mx.example.net")
        assert [("later", "4.3.2", True)] == await one.said(BOB)
        liar.replies["MAIL"] = b"450 4.7.1 Come again\r\n"
        assert [("later", "4.7.1", False)] == await one.said(BOB)


async def test_when_nobody_can_be_reached_the_way_out_may_be_closed(tmp_path: Path) -> None:
    async with open_sink() as sink:
        port = sink.port
    async with open_straight(tmp_path, port) as one:
        for n in range(BLOCKED):
            assert [] == one.outlet.warnings()
            mx(one, "mx.example.net", domain=f"d{n}.example")
            assert [("later", "4.4.1", True)] == await one.said(f"bob@d{n}.example")
        assert ["direct-blocked"] == [x.code for x in one.outlet.warnings()]
        assert "fault" == one.outlet.status()["direct"]["state"]
        async with open_sink(port=port):
            assert [DELIVERED] == await one.said("bob@d0.example")
        assert [] == one.outlet.warnings()


async def test_a_lane_is_a_domain_and_no_more_than_a_few_letters_go_at_once(tmp_path: Path) -> None:
    async with open_sink(Behaviour(seconds=0.05)) as sink, open_straight(tmp_path, sink.port) as one:
        mx(one, "mx.example.net")
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                nursery.start_soon(one.said, BOB)
        assert 8 == len(sink.taken)
        assert sink.connections <= AT_ONE
        assert {} == one.outlet._turns


async def test_what_a_destination_takes_is_remembered(tmp_path: Path) -> None:
    async with open_sink() as sink, open_straight(tmp_path, sink.port) as one:
        mx(one, "mx.example.net")
        await one.said(BOB)
        assert (40_000_000, None) == (one.sizes.of("mx:example.net"), one.sizes.of("mx:other.example"))


# ---- TLS


@pytest.mark.parametrize("name", ["mx.example.net", "somebody.else"])
async def test_starttls_is_used_with_whatever_certificate(tmp_path: Path, name: str) -> None:
    tls = Authority(tmp_path / "tls").certificate(name, expired=True).server_context()
    async with open_sink(tls=tls) as sink, open_straight(tmp_path / "db", sink.port) as one:
        mx(one, "mx.example.net")
        assert [DELIVERED] == await one.said(BOB)
        assert [True] == [x.tls for x in sink.taken]


@pytest.mark.parametrize(
    "reply", [b"220 Go\r\n", b"454 4.7.0 Not now\r\n", b"220 Go\r\n250 slipped in\r\n", b""]
)
async def test_where_tls_does_not_come_about_the_letter_goes_in_the_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: bytes
) -> None:
    monkeypatch.setattr(transport, "CONNECT_S", 0.3)  # one of these is silent
    replies = {"EHLO": b"250-x\r\n250 STARTTLS\r\n", "STAR": reply}
    async with open_liar(replies) as liar, open_straight(tmp_path, liar.port) as one:
        mx(one, "mx.example.net")
        assert [DELIVERED] == await one.said(BOB)
        assert 2 == liar.connections


# ---- what goes


@pytest.mark.parametrize("name", FALSE_ENDS)
async def test_no_false_end_makes_two_letters_of_one(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    raw = smuggled(FALSE_ENDS[name], BOB).replace(b"\r\n.\r\n", b"\r\n")
    async with open_sink() as sink, open_straight(tmp_path, sink.port) as one:
        mx(one, "mx.example.net")
        (said,) = await one.said(BOB, raw=raw)
        bare = raw.replace(b"\r\n", b"")
        if b"\r" in bare or b"\n" in bare:
            assert (("refused", "5.6.0", False), []) == (said, sink.taken)
        else:
            assert (DELIVERED, [raw]) == (said, [x.raw for x in sink.taken])
        assert SMUGGLER not in {x.sender for x in sink.taken}


async def test_true_ends_inside_a_letter_are_stuffed(tmp_path: Path) -> None:
    raw = smuggled(b"\r\n.\r\n", BOB)
    async with open_sink() as sink, open_straight(tmp_path, sink.port) as one:
        mx(one, "mx.example.net")
        assert [DELIVERED] == await one.said(BOB, raw=raw)
        assert [(AUTHOR, raw)] == [(x.sender, x.raw) for x in sink.taken]


async def test_a_letter_that_tells_its_secret_recipients_is_not_let_out(tmp_path: Path) -> None:
    async with open_sink() as sink, open_straight(tmp_path, sink.port) as one:
        mx(one, "mx.example.net")
        for field in (b"Bcc: eve@example.org\r\n", b"RESENT-BCC :\r\n eve@example.org\r\n"):
            assert [("refused", "5.6.0", False)] == await one.said(BOB, raw=field + RAW)
        assert [] == sink.taken


@pytest.mark.parametrize(
    ("hidden", "raw", "to", "code"),
    [("8BITMIME", RAW + b"\xe4\r\n", BOB, "5.6.3"), ("SMTPUTF8", RAW, "bjørn@example.net", "5.6.7")],
)
async def test_what_a_server_does_not_know_is_refused_in_plain_words(
    tmp_path: Path, hidden: str, raw: bytes, to: str, code: str
) -> None:
    async with open_sink(Behaviour(hidden=(hidden,))) as sink, open_straight(tmp_path, sink.port) as one:
        mx(one, "mx.example.net")
        assert [("refused", code, False)] == await one.said(to, raw=raw)


async def test_the_letter_is_signed_once_for_its_author_and_goes_as_it_was_signed(tmp_path: Path) -> None:
    asked = []

    async def sign(raw: bytes, domain: str) -> bytes:
        asked.append((raw, domain))
        return b"DKIM-Signature: x\r\n" + raw

    async with open_sink() as sink, open_straight(tmp_path, sink.port) as one:
        mx(one, "mx.example.net")
        one.carrier._sign = sign
        assert [DELIVERED] * 101 == await one.said(*(f"r{n}@example.net" for n in range(101)))
        assert [(RAW, "example.org")] == asked
        assert [b"DKIM-Signature: x\r\n" + RAW] * 2 == [x.raw for x in sink.taken]


@pytest.mark.parametrize(
    ("field", "domain"),
    [
        (b"From: Alice <a@Example.ORG>\r\n", "example.org"),
        (
            b"Subject: x\r\nfrom:\r\n =?utf-8?q?A=2C_B?= <a@b\xc3\xbccher.example>\r\n",
            "xn--bcher-kva.example",
        ),
        (b"From: nobody\r\n", ""),
        (b"Subject: x\r\n", ""),
        (b"", ""),
    ],
)
def test_in_whose_name_a_letter_speaks(field: bytes, domain: str) -> None:
    assert domain == author_domain(field + b"\r\nFrom: x@other.example\r\n")


def test_why_there_is_no_way_is_said_with_a_status() -> None:
    assert (554, "5.1.2", "none") == (
        NoWay("5.1.2", "none").answer.code,
        NoWay("5.1.2", "none").answer.status,
        NoWay("5.1.2", "none").answer.text,
    )
