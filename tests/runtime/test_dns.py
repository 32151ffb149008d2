"""The resolver against a real server on loopback; its clock moves only where a test moves it."""

import contextlib
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from node.runtime import dns as room
from node.runtime.dns import Resolver
from node.runtime.errors import DnsLater
from node.runtime.nameserver import ATTEMPT_S, NameServer
from tests.kit.names_server import Fault, Names, open_names

KEY = "sel._domainkey.example.org"
SETTLED_S = 0.05  # real: how long nothing must move


async def failing(resolver: Resolver, name: str) -> str:
    with pytest.raises(DnsLater) as caught:
        await resolver.txt(name)
    return caught.value.text


async def test_records_come_with_their_strings_joined() -> None:
    async with open_names() as names:
        names.strings(KEY, b"v=DKIM1; ", b"", b'p=\x00\xff"\\')
        names.txt(KEY, "second")
        expected = {b'v=DKIM1; p=\x00\xff"\\', b"second"}
        assert expected == set(await Resolver([names.address]).txt("SEL._domainkey.Example.org."))


async def test_nothing_there_is_no_records() -> None:
    async with open_names() as names:
        names.add("only-mx.example", "MX", "10 mail.example.")
        resolver = Resolver([names.address])
        assert () == await resolver.txt("only-mx.example")
        assert () == await resolver.txt("nobody.example")


Records = tuple[bytes | str | tuple[int, str], ...]


async def of_type(resolver: Resolver, kind: str, name: str) -> Records:
    found: Records = await getattr(resolver, kind.lower())(name)
    return found


async def test_each_type_says_what_it_says() -> None:
    async with open_names() as names:
        names.txt("example.org", "text")
        for mx in ("20 Backup.example.org.", "10 mx2.example.org.", "10 mx1.example.org."):
            names.add("example.org", "MX", mx)
        names.add("none.example", "MX", "0 .")
        names.add("example.org", "A", "192.0.2.1")
        names.add("example.org", "AAAA", "2001:db8:0:0:0:0:0:1")
        names.add("1.2.0.192.in-addr.arpa", "PTR", "Mail.Example.org.")
        names.add("f.1." + "0." * 22 + "8.b.d.0.1.0.0.2.ip6.arpa", "PTR", "six.example.org.")
        resolver = Resolver([names.address])
        expected = {
            ("TXT", "example.org"): (b"text",),
            ("MX", "example.org"): (
                (10, "mx1.example.org"),
                (10, "mx2.example.org"),
                (20, "backup.example.org"),
            ),
            ("MX", "none.example"): ((0, "."),),
            ("A", "EXAMPLE.org."): ("192.0.2.1",),
            ("AAAA", "example.org"): ("2001:db8::1",),
            ("PTR", "192.0.2.1"): ("mail.example.org",),
            ("PTR", "2001:db8::1f"): ("six.example.org",),
            ("PTR", "192.0.2.2"): (),
            ("PTR", "no address"): (),
            ("MX", "nobody.example"): (),
        }
        for _ in range(2):
            assert expected == {asked: await of_type(resolver, *asked) for asked in expected}
        assert len(expected) - 1 == len(names.questions)  # each once; the cache knows them apart


@pytest.mark.parametrize(
    "kind, text", [("MX", "{} mx.example."), ("A", "192.0.2.{}"), ("AAAA", "2001:db8::{}")]
)
async def test_too_many_of_any_type_are_as_nothing(kind: str, text: str) -> None:
    async with open_names() as names:
        for number in range(room.MAX_RECORDS + 1):
            names.add("many.example", kind, text.format(number))
            if number:
                names.add("full.example", kind, text.format(number))
        names.fault("big.example", Fault.OVERSIZED)
        resolver = Resolver([names.address])
        assert () == await of_type(resolver, kind, "many.example")
        assert () == await of_type(resolver, kind, "big.example")
        assert room.MAX_RECORDS == len(await of_type(resolver, kind, "full.example"))


async def test_aliases_lead_to_any_type() -> None:
    async with open_names() as names:
        names.add("alias.example", "CNAME", "real.example.")
        names.add("real.example", "MX", "10 mx.example.")
        names.add("real.example", "A", "192.0.2.1")
        resolver = Resolver([names.address])
        assert ((10, "mx.example"),) == await resolver.mx("alias.example")
        assert ("192.0.2.1",) == await resolver.a("alias.example")
        assert () == await resolver.aaaa("alias.example")


@pytest.mark.parametrize("kind", ["MX", "A", "AAAA", "PTR"])
@pytest.mark.parametrize("fault", [Fault.SERVFAIL, Fault.CUT, Fault.BROKEN])
async def test_any_type_may_be_later(kind: str, fault: Fault) -> None:
    name = "192.0.2.1" if kind == "PTR" else "example.org"
    async with open_names() as names:
        names.fault("1.2.0.192.in-addr.arpa" if kind == "PTR" else name, fault)
        with pytest.raises(DnsLater):
            await of_type(Resolver([names.address]), kind, name)


@pytest.mark.parametrize("name", ["bob+tag=a/b._spf.example", "{x}'~.example"])
async def test_what_an_address_may_have_is_asked_for(name: str) -> None:
    async with open_names() as names:
        names.add(name, "A", "127.0.0.2")
        assert ("127.0.0.2",) == await Resolver([names.address]).a(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "a..b", "a b.example", "x" * 64 + ".example", "a." * 127 + "ab", "ü.example", "a\\.b", "a\n"],
)
async def test_what_can_be_no_name_is_not_asked_for(name: str) -> None:
    async with open_names() as names:
        assert () == await Resolver([names.address]).txt(name)
        assert [] == names.questions


async def test_no_search_list_is_used(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("search example.org\nnameserver 127.0.0.1\n")
    resolver = Resolver(None, conf)
    async with open_names() as names:
        names.txt("short.example.org", "found by searching")
        aim(resolver, names)
        assert () == await resolver.txt("short")
        assert [("short", "TXT", "udp")] == names.questions


def aim(resolver: Resolver, names: Names) -> None:
    """The system's settings name a server at port 53; here it is another."""
    stub = resolver._servers.stub()
    assert stub is not None
    host, _, port = names.address.partition(":")
    stub.nameservers = [NameServer(host, int(port))]


async def test_aliases_are_followed_and_end() -> None:
    async with open_names() as names:
        names.add("a.example", "CNAME", "b.example.")
        names.add("b.example", "CNAME", "c.example.")
        names.txt("c.example", "end")
        names.add("loop.example", "CNAME", "pool.example.")
        names.add("pool.example", "CNAME", "loop.example.")
        resolver = Resolver([names.address])
        assert (b"end",) == await resolver.txt("a.example")
        assert "loop.example could not be looked up" in await failing(resolver, "loop.example")


async def test_what_is_long_comes_over_tcp() -> None:
    async with open_names() as names:
        names.txt(KEY, "x" * 3_000)
        names.txt("short.example", "x")
        names.fault("short.example", Fault.TRUNCATED)
        resolver = Resolver([names.address])
        assert (b"x" * 3_000,) == await resolver.txt(KEY)
        assert (b"x",) == await resolver.txt("short.example")
        assert ["udp", "tcp", "udp", "tcp"] == [transport for _, _, transport in names.questions]


async def test_too_much_is_as_nothing() -> None:
    async with open_names() as names:
        names.fault("big.example", Fault.OVERSIZED)
        names.txt("many.example", *(str(number) for number in range(room.MAX_RECORDS + 1)))
        names.txt("full.example", *(str(number) for number in range(room.MAX_RECORDS)))
        resolver = Resolver([names.address])
        assert () == await resolver.txt("big.example")
        assert () == await resolver.txt("many.example")
        assert room.MAX_RECORDS == len(await resolver.txt("full.example"))


@pytest.mark.parametrize("fault", [Fault.SERVFAIL, Fault.REFUSED, Fault.CUT])
async def test_a_server_that_fails_is_later(fault: Fault, mock_clock: MockClock) -> None:
    async with open_names() as names:
        names.txt(KEY, "key")
        names.fault(KEY, fault)
        resolver = Resolver([names.address])
        assert f"{KEY} could not be looked up: the name server failed" in await failing(resolver, KEY)
        asked = len(names.questions)
        names.fault(KEY, None)
        await failing(resolver, KEY)  # it is left alone for a while
        assert asked == len(names.questions)
        mock_clock.jump(room.HOLD_OFF_S + 1)
        assert (b"key",) == await resolver.txt(KEY)


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.WRONG_ID, Fault.OTHER_QUESTION, Fault.GARBAGE])
async def test_no_sound_answer_is_later_at_the_deadline(fault: Fault, mock_clock: MockClock) -> None:
    async with open_names() as names, trio.open_nursery() as nursery:
        names.txt(KEY, "key")
        names.fault(KEY, fault)
        texts = []

        async def ask() -> None:
            texts.append(await failing(Resolver([names.address]), KEY))

        nursery.start_soon(ask)
        await names.wait_asked(KEY)
        mock_clock.jump(room.DEADLINE_S)
    assert [f"{KEY} could not be looked up: no name server answered in time"] == texts


async def test_a_lost_question_is_repeated(mock_clock: MockClock) -> None:
    async with open_names() as names, trio.open_nursery() as nursery:
        names.txt(KEY, "key")
        names.fault(KEY, Fault.SILENCE)
        got = []

        async def ask() -> None:
            got.append(await Resolver([names.address]).txt(KEY))

        nursery.start_soon(ask)
        await names.wait_asked(KEY)
        names.fault(KEY, None)
        await wait_all_tasks_blocked(SETTLED_S)
        mock_clock.jump(ATTEMPT_S)
        await wait_all_tasks_blocked(SETTLED_S)
        mock_clock.jump(1.0)  # between two attempts
    assert [(b"key",)] == got


async def test_the_next_server_is_asked_where_one_fails() -> None:
    async with open_names() as bad, open_names() as good:
        bad.fault(KEY, Fault.SERVFAIL)
        good.txt(KEY, "key")
        assert (b"key",) == await Resolver([bad.address, good.address]).txt(KEY)


async def test_no_server_at_the_address_is_later(autojump_clock: MockClock) -> None:
    async with open_names() as names:
        address = names.address
    assert "no name server answered in time" in await failing(Resolver([address]), KEY)


@pytest.mark.parametrize(
    "ttl, kept", [(0, room.MIN_TTL_S), (300, 300.0), (1_000_000, room.MAX_TTL_S)], ids=["0", "300", "days"]
)
async def test_an_answer_is_kept_for_its_time(ttl: int, kept: float, mock_clock: MockClock) -> None:
    async with open_names() as names:
        names.ttl = ttl
        names.txt(KEY, "old")
        resolver = Resolver([names.address])
        assert (b"old",) == await resolver.txt(KEY)
        names.forget(KEY)
        names.txt(KEY, "new")
        mock_clock.jump(kept - 1)
        assert (b"old",) == await resolver.txt(KEY)
        mock_clock.jump(2)
        assert (b"new",) == await resolver.txt(KEY)


@pytest.mark.parametrize("ttl, kept", [(1, 60.0), (120, 120.0), (86_400, 300.0)])
async def test_nothing_there_is_kept_too(ttl: int, kept: float, mock_clock: MockClock) -> None:
    async with open_names() as names:
        names.negative_ttl = ttl
        resolver = Resolver([names.address])
        assert () == await resolver.txt(KEY)
        names.txt(KEY, "key")
        mock_clock.jump(kept - 1)
        assert () == await resolver.txt(KEY)
        mock_clock.jump(2)
        assert (b"key",) == await resolver.txt(KEY)


async def test_equal_questions_are_asked_once() -> None:
    async with open_names() as names, trio.open_nursery() as nursery:
        names.txt(KEY, "key")
        resolver, got = Resolver([names.address]), []

        async def ask() -> None:
            got.append(await resolver.txt(KEY))

        for _ in range(20):
            nursery.start_soon(ask)
        await names.wait_asked(KEY)
    assert [(b"key",)] * 20 == got
    assert 1 == names.asked(KEY)


async def test_when_the_one_who_asks_is_cancelled_another_asks() -> None:
    async with open_names() as names, trio.open_nursery() as nursery:
        names.txt(KEY, "key")
        names.fault(KEY, Fault.SILENCE)
        resolver, got, scopes = Resolver([names.address]), [], [trio.CancelScope(), trio.CancelScope()]

        async def ask(scope: trio.CancelScope) -> None:
            with scope:
                got.append(await resolver.txt(KEY))

        nursery.start_soon(ask, scopes[0])
        await names.wait_asked(KEY)
        nursery.start_soon(ask, scopes[1])
        await wait_all_tasks_blocked()
        names.fault(KEY, None)
        scopes[0].cancel()
    assert [(b"key",)] == got


async def test_so_many_are_asked_for_at_once(mock_clock: MockClock) -> None:
    async with open_names() as names, trio.open_nursery() as nursery:
        resolver = Resolver([names.address])
        wanted = [f"n{number}.example" for number in range(room.QUESTIONS + 3)]
        for name in wanted:
            names.fault(name, Fault.SILENCE)
            nursery.start_soon(failing, resolver, name)
        await wait_all_tasks_blocked(SETTLED_S)
        assert room.QUESTIONS == len({name for name, _, _ in names.questions})
        mock_clock.jump(room.DEADLINE_S)
        while len({name for name, _, _ in names.questions}) < len(wanted):
            await wait_all_tasks_blocked(SETTLED_S)
        mock_clock.jump(room.DEADLINE_S)


async def test_names_and_bytes_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_NAMES", 3)
    monkeypatch.setattr(room, "MAX_KEPT_BYTES", 1_200)
    async with open_names() as names:
        resolver = Resolver([names.address])
        for number in range(5):
            names.txt(f"n{number}.example", "x" * 100)
            await resolver.txt(f"n{number}.example")
        await resolver.txt("n2.example")  # used again: kept for longer
        names.txt("big.example", "x" * 900)
        await resolver.txt("big.example")
        for number in (2, 4):
            await resolver.txt(f"n{number}.example")
        asked = [names.asked(f"n{number}.example") for number in (2, 4)]
        assert [1, 2] == asked


async def test_the_systems_servers_are_read_again_when_they_change(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    resolver = Resolver(None, conf)
    assert "names no DNS server" in await failing(resolver, "one.example")
    conf.write_text("# nothing\noptions timeout:x rotate\nsearch .\n")
    assert "names no DNS server" in await failing(resolver, "two.example")
    conf.write_bytes(b"nameserver 300.1.1.1\n")
    assert "names no DNS server" in await failing(resolver, "three.example")
    conf.write_bytes(b"\xff\xfe nameserver\n")
    assert "names no DNS server" in await failing(resolver, "four.example")
    conf.write_text("nameserver 127.0.0.1\n")
    async with open_names() as names:
        names.txt(KEY, "key")
        aim(resolver, names)
        assert (b"key",) == await resolver.txt(KEY)
        conf.unlink()
        assert "names no DNS server" in await failing(resolver, "five.example")


def test_the_fault_says_the_way_out(tmp_path: Path) -> None:
    async def remedy() -> str:
        with pytest.raises(DnsLater) as caught:
            await Resolver([], tmp_path / "none").txt(KEY)
        return caught.value.remedy

    assert "dns.nameservers" in trio.run(remedy)


@given(st.integers(0, 120), st.integers(0, 30), st.binary(max_size=12))
def test_any_answer_over_tcp_is_records_or_later(at: int, less: int, more: bytes) -> None:
    """A sound answer with other bytes in the place of some."""

    async def ask() -> None:
        names = Names()
        names.txt(KEY, "v=DKIM1; p=", "second")
        names.fault(KEY, Fault.TRUNCATED)

        async def serve_tcp(stream: trio.SocketStream) -> None:
            async with stream:
                answer = names.answer((await stream.receive_some(1_000))[2:], "tcp")
                assert answer is not None
                answer = answer[:at] + more + answer[at + less :]
                await stream.send_all(len(answer).to_bytes(2) + answer)

        async def serve_udp() -> None:
            wire, client = await udp.recvfrom(1_000)
            answer = names.answer(wire, "udp")
            assert answer is not None
            await udp.sendto(answer, client)

        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as udp:
            await udp.bind(listener.socket.getsockname())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve_udp)
                nursery.start_soon(trio.serve_listeners, serve_tcp, [listener])
                with contextlib.suppress(DnsLater):
                    got = await Resolver(["{}:{}".format(*udp.getsockname())]).txt(KEY)
                    assert len(got) <= room.MAX_RECORDS
                assert 2 == names.asked(KEY)
                nursery.cancel_scope.cancel()

    trio.run(ask)
