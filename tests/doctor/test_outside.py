"""What needs the DNS, asked of a real server on loopback, and listeners on real sockets."""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from node import doctor
from node.api import make_public_web, open_https
from node.domains import DnsRecord
from node.runtime.dns import Resolver
from node.runtime.errors import NodeError
from node.runtime.rooms import Check
from protocol.mtasts import Mode, Policy, own_policy
from tests.kit.certificates import Authority
from tests.kit.names_server import Fault, Names, open_names

HOST = "mail.example.org"
ROW = {
    "domain": "example.org",
    "host": HOST,
    "keys": [{"selector": "s1", "state": "used", "name": "s1._domainkey.example.org"}],
}
WANTED = (
    DnsRecord("example.org", "MX", f"10 {HOST}", ""),
    DnsRecord(HOST, "A", "127.0.0.1", ""),
    DnsRecord("example.org", "TXT", "v=spf1 mx -all", ""),
    DnsRecord("s1._domainkey.example.org", "TXT", "v=DKIM1; k=ed25519; p=QUJD", ""),
    DnsRecord("mta-sts.example.org", "CNAME", HOST, ""),
)


@pytest.fixture
async def dns() -> AsyncIterator[Names]:
    async with open_names() as names:
        yield names


@pytest.fixture
def names(dns: Names) -> Resolver:
    return Resolver([dns.address])


def states(checks: Sequence[Check]) -> dict[str, str]:
    return {one.check: one.state for one in checks}


def publish(dns: Names) -> None:
    for record in WANTED:
        if record.type == "TXT":
            dns.txt(record.name, record.value)
        else:
            dns.add(record.name, record.type, record.value + ("" if record.type == "A" else "."))


async def test_a_domain_whose_records_are_all_there(dns: Names, names: Resolver) -> None:
    publish(dns)
    look = doctor.domain(names, lambda: ROW, lambda: WANTED)
    assert states(await look()) == dict.fromkeys(["mx", "address", "spf", "dkim-s1", "mta-sts-host"], "ok")


async def test_a_domain_that_is_nowhere(names: Resolver) -> None:
    look = doctor.domain(names, lambda: ROW, lambda: WANTED)
    found = await look()
    assert states(found) == {
        "mx": "fail",
        "address": "fail",
        "spf": "fail",
        "dkim-s1": "fail",
        "mta-sts-host": "warn",
    }
    assert [f"publish: {record.zone}" for record in WANTED] == [one.remedy for one in found]


async def test_what_cannot_be_looked_up_is_not_known_and_no_fault(dns: Names, names: Resolver) -> None:
    publish(dns)
    dns.fault("example.org", Fault.SERVFAIL)
    found = await doctor.domain(names, lambda: ROW, lambda: WANTED)()
    assert states(found) == {
        "mx": "warn",
        "address": "ok",
        "spf": "warn",
        "dkim-s1": "ok",
        "mta-sts-host": "ok",
    }
    assert found[0].text.startswith("not known: example.org could not be looked up")


async def test_a_name_server_that_answers_and_one_that_does_not(
    dns: Names, names: Resolver, autojump_clock: MockClock
) -> None:
    assert states(await doctor.name_server(names)()) == {"dns": "ok"}
    assert dns.questions == [("localhost", "A", "udp")]
    dns.fault("localhost", Fault.REFUSED)
    (check,) = await doctor.name_server(Resolver([dns.address]))()
    assert (check.state, "dns.nameservers" in check.remedy) == ("fail", True)


# ---- port 25


@asynccontextmanager
async def server(greeting: bytes) -> AsyncIterator[int]:
    """Says this to whoever comes; its port."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(greeting)
            await stream.receive_some()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("greeting", "where", "state", "said"),
    [
        (b"220 mail.example.org ESMTP\r\n", "127.0.0.1:2525", "ok", "this node answers"),
        (b"220 postfix.example ESMTP\r\n", "127.0.0.1:2525", "ok", "postfix.example; it has to hand on"),
        (b"220 postfix.example ESMTP\r\n", None, "warn", "another mail server answers"),
        (b"554 \x1b[2Jno\r\n", "127.0.0.1:2525", "ok", "?[2Jno"),
        (b"220-long " + b"x" * 600, "127.0.0.1:2525", "ok", "another mail server answers"),
        (b"\r\n", "127.0.0.1:2525", "warn", "does not answer"),
    ],
)
async def test_who_answers_at_our_name_on_port_25(
    dns: Names, names: Resolver, greeting: bytes, where: str | None, state: str, said: str
) -> None:
    dns.add(HOST, "A", "127.0.0.1")
    async with server(greeting) as port:
        (check,) = await doctor.outside(names, lambda: [HOST], where, HOST, port=port)()
    assert (check.check, check.state) == ("port-25", state)
    assert said in check.text
    assert check.text.isprintable()


async def test_nobody_answers_on_port_25(dns: Names, names: Resolver) -> None:
    async with server(b"") as port:
        pass
    dns.add(HOST, "A", "127.0.0.1")
    (check,) = await doctor.outside(names, lambda: [HOST], "127.0.0.1:2525", HOST, port=port)()
    assert (check.state, "only somebody outside can tell" in check.text) == ("warn", True)
    (check,) = await doctor.outside(names, lambda: ["absent.example"], None, HOST, port=port)()
    assert check.state == "skip"
    assert states(await doctor.outside(names, list, None, HOST)()) == {"port-25": "skip"}


async def test_our_own_listeners_are_asked() -> None:
    async with server(b"220 localhost ESMTP\r\n") as port:
        where = f"0.0.0.0:{port}"
        assert states(await doctor.answers("receiver", where, "mail", "")()) == {"receiver": "ok"}
    assert states(await doctor.answers("receiver", where, "mail", "")()) == {"receiver": "fail"}
    assert states(await doctor.answers("receiver", None, "mail", "set")()) == {"receiver": "skip"}


# ---- the addresses that letters come from


@pytest.mark.parametrize(
    ("claimed", "back", "state"),
    [
        ([f"{HOST}."], {}, "ok"),
        ([], {}, "fail"),
        (["liar.example."], {}, "fail"),
        (["liar.example."], {"liar.example": "192.0.2.7"}, "fail"),
        (["host.provider.example."], {"host.provider.example": "127.0.0.1"}, "warn"),
    ],
)
async def test_reverse_names(
    dns: Names, names: Resolver, claimed: list[str], back: dict[str, str], state: str
) -> None:
    dns.add(HOST, "A", "127.0.0.1")
    for name in claimed:
        dns.add("1.0.0.127.in-addr.arpa", "PTR", name)
    for name, address in back.items():
        dns.add(name, "A", address)
    found = await doctor.reverse(names, lambda: [HOST], direct=True)()
    assert states(found) == {"reverse-dns": state}


async def test_who_delivers_nothing_needs_no_reverse_name(dns: Names, names: Resolver) -> None:
    assert states(await doctor.reverse(names, lambda: [HOST], direct=False)()) == {"reverse-dns": "skip"}
    assert [] == dns.questions


# ---- the policy, as others fetch it


@asynccontextmanager
async def policy_served(authority: Authority, served: Policy | None, *hosts: str) -> AsyncIterator[int]:
    tls = authority.certificate(*hosts).server_context()
    app = make_public_web(lambda domain: served if domain == "example.org" else None)
    async with open_https("127.0.0.1", 0, app, tls) as https, trio.open_nursery() as nursery:
        nursery.start_soon(https.run)
        yield https.address[1]
        nursery.cancel_scope.cancel()


def ours(mode: Mode = "enforce") -> Policy:
    return own_policy(mode, [HOST])


@pytest.mark.parametrize(
    ("served", "host", "wanted", "state", "said"),
    [
        (ours(), "mta-sts.example.org", ours(), "ok", "insist on TLS"),
        (ours("testing"), "mta-sts.example.org", ours("testing"), "ok", "only report"),
        (ours("testing"), "mta-sts.example.org", ours(), "warn", "another policy: testing, mail.example.org"),
        (ours(), HOST, ours(), "warn", "its certificate"),
        (None, "mta-sts.example.org", ours(), "warn", "no policy there"),
    ],
)
async def test_the_policy_is_fetched_as_others_do(
    dns: Names,
    names: Resolver,
    tmp_path: Path,
    served: Policy | None,
    host: str,
    wanted: Policy,
    state: str,
    said: str,
) -> None:
    authority = Authority(tmp_path)
    dns.add("mta-sts.example.org", "A", "127.0.0.1")

    def trusted() -> ssl.SSLContext:
        return authority.client_context()

    async with policy_served(authority, served, host) as port:
        look = doctor.policy(names, "example.org", lambda: wanted, tls=trusted, port=port)
        (check,) = await look()
    assert (check.check, check.state) == ("mta-sts-policy", state)
    assert said in check.text


async def test_our_own_https_is_asked(tmp_path: Path) -> None:
    async with policy_served(Authority(tmp_path), ours(), HOST) as port:
        where = f"127.0.0.1:{port}"
        assert states(await doctor.https(where)()) == {"https": "ok"}
    assert states(await doctor.https(where)()) == {"https": "fail"}
    async with server(b"220 no web server\r\n") as port:
        assert states(await doctor.https(f"127.0.0.1:{port}")()) == {"https": "fail"}
    assert states(await doctor.https(None)()) == {"https": "skip"}


# ---- first peers


async def test_first_peers_that_are_there_and_not(autojump_clock: MockClock) -> None:
    async def connect(address: str) -> None:
        if address == "gone":
            raise NodeError("peer-unreachable", "nobody is there")
        if address == "silent":
            await trio.sleep_forever()

    async def said(*addresses: str) -> list[tuple[str, str]]:
        return [(one.state, one.text) for one in await doctor.first_peers(addresses, connect)()]

    gone = "gone can't be reached: nobody is there"
    silent = "silent can't be reached: it does not answer in time"
    assert [] == await said()
    assert [("ok", "2 first peers reached")] == await said("a", "b")
    assert [("warn", gone)] == await said("a", "gone")
    assert [("fail", gone), ("fail", silent)] == await said("gone", "silent")


async def test_no_policy_and_no_address(names: Resolver) -> None:
    (check,) = await doctor.policy(names, "example.org", lambda: None)()
    assert check.state == "skip"
    (check,) = await doctor.policy(names, "example.org", ours)()
    assert (check.state, "it has no address" in check.text) == ("warn", True)
