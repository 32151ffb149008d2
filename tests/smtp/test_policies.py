"""MTA-STS over a real DNS and real HTTPS: what binds a delivery, what is kept, and what no lie undoes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from node.smtp import policies
from node.storage import schema
from protocol.mtasts import MAX_POLICY, Policy
from tests.kit.certificates import Authority
from tests.kit.mailing import RAW
from tests.kit.names_server import Fault
from tests.kit.policy_server import PolicyServer, open_policy_server, served
from tests.kit.sink import Sink, open_sink
from tests.kit.straight import Straight, open_straight

BOB = "bob@example.net"
MX = "mx.example.net"
HOST = "mta-sts.example.net"
TXT = "_mta-sts.example.net"
DELIVERED = ("delivered", "2.0.0", False)
REFUSED = ("later", "4.7.5", True)


@dataclass
class World:
    """A domain with a mail server, a policy server, and our carrier."""

    one: Straight
    sink: Sink
    server: PolicyServer

    async def said(self) -> tuple[str, str, bool]:
        (found,) = await self.one.said(BOB)
        return found

    async def policy(self) -> Policy | None:
        return await self.one.policies.of("example.net")

    def announce(self, name: str | None) -> None:
        """The id of its policy; None for no record. The resolver forgets what it knew."""
        self.one.names.forget(TXT)
        if name is not None:
            self.one.names.txt(TXT, f"v=STSv1; id={name};")
        self.one.resolver._cache.clear()


@asynccontextmanager
async def a_world(
    path: Path, *, shown: str = MX, policy_shown: str = HOST, expired: bool = False, tls: bool = True
) -> AsyncIterator[World]:
    authority = Authority(path / "tls")
    mail = authority.certificate(shown, expired=expired).server_context() if tls else None
    web = authority.certificate(policy_shown).server_context()
    async with open_sink(tls=mail) as sink, open_policy_server(web) as server:
        async with open_straight(
            path / "db", sink.port, trusted=authority.client_context(), policy_port=server.port
        ) as one:
            one.names.add("example.net", "MX", f"10 {MX}.")
            one.names.add(MX, "A", "127.0.0.1")
            one.names.add(HOST, "A", "127.0.0.1")
            server.policy(MX)
            world = World(one, sink, server)
            world.announce("1")
            yield world


async def test_an_enforced_policy_is_met_by_a_verified_certificate(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        assert DELIVERED == await world.said()
        assert [(True, RAW)] == [(x.tls, x.raw) for x in world.sink.taken]
        assert DELIVERED == await world.said()
        assert [("/.well-known/mta-sts.txt", HOST)] == world.server.asked  # once


@pytest.mark.parametrize(
    ("shown", "expired", "tls", "said"),
    [
        ("somebody.else", False, True, "the certificate of mx.example.net can't be trusted"),
        (MX, True, True, "the certificate of mx.example.net can't be trusted"),
        (MX, False, False, "mx.example.net offers no encryption, so nothing is sent"),
    ],
)
async def test_without_it_nothing_goes(
    tmp_path: Path, shown: str, expired: bool, tls: bool, said: str
) -> None:
    async with a_world(tmp_path, shown=shown, expired=expired, tls=tls) as world:
        (result,) = await world.one.results(BOB)
        assert REFUSED == (result.outcome, result.status.code, result.way)
        assert result.detail.startswith(said)
        assert [] == world.sink.taken


async def test_servers_that_the_policy_does_not_name_get_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.server.policy("*.mail.example.net", "other.example")
        (result,) = await world.one.results(BOB)
        assert REFUSED == (result.outcome, result.status.code, result.way)
        assert "mx.example.net is none of the mail servers that its domain's policy names" == result.detail
        assert (0, []) == (world.sink.connections, world.sink.taken)


@pytest.mark.parametrize("mode", ["testing", "none"])
async def test_a_policy_that_is_tried_binds_nobody(tmp_path: Path, mode: str) -> None:
    async with a_world(tmp_path, shown="somebody.else") as world:
        world.server.policy("other.example", mode=mode)
        assert DELIVERED == await world.said()
        assert [True] == [x.tls for x in world.sink.taken]


async def test_no_connection_that_was_not_verified_is_used_under_a_policy(tmp_path: Path) -> None:
    async with a_world(tmp_path, shown="somebody.else") as world:
        world.announce(None)
        assert DELIVERED == await world.said()  # its connection rests now
        world.announce("1")
        assert REFUSED == await world.said()
        assert 1 == len(world.sink.taken)


async def test_a_policy_outlives_a_restart_and_the_loss_of_its_record(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        assert Policy("enforce", (MX,), 604_800) == await world.policy()
    async with open_straight(tmp_path / "db", 1) as one:
        assert Policy("enforce", (MX,), 604_800) == await one.policies.of("example.net")
        one.names.fault("_mta-sts.example.com", Fault.SERVFAIL)
        assert None is await one.policies.of("example.com")


async def test_a_new_id_brings_a_new_policy_and_the_old_one_stays_while_it_can_not_be_had(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path) as world:
        old = await world.policy()
        world.server.response = served(b"gone", status="404 Not Found")
        world.announce("2")
        assert old == await world.policy()
        assert old == await world.policy()
        assert 2 == len(world.server.asked)  # it is not asked for again so soon
        world.one.policies._held_off.clear()
        world.server.policy("new.example", max_age=100)
        assert Policy("enforce", ("new.example",), 100) == await world.policy()


async def test_who_asks_while_it_is_fetched_waits_for_the_same(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        found: list[Policy | None] = []

        async def ask() -> None:
            found.append(await world.policy())

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
        assert ([Policy("enforce", (MX,), found[0].max_age if found[0] else 0)] * 3) == found
        assert 1 == len(world.server.asked)


async def test_a_policy_ends_with_its_time(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.server.policy(MX, max_age=0)
        await world.policy()
        world.announce(None)
        assert None is await world.policy()
        await world.one.policies.tidy()
        assert [] == list(world.one.store.walk(schema.MTA_STS))


@pytest.mark.parametrize(
    "response",
    [
        served(b"version: STSv1\r\nmode: enforce\r\nmx: mx.example.net\r\nmax_age: 1\r\n", "text/html"),
        served(b"", status="301 Moved", more="Location: https://mta-sts.example.net/\r\n"),
        served(b"version: STSv1\r\nmode: none\r\nmax_age: 1\r\n" + b"x: y\r\n" * MAX_POLICY),
        served(b"what?"),
        served(b"\x1f\x8b\x08\x00", more="Content-Encoding: gzip\r\n"),
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
        b"\xff\xfe",
        b"",
    ],
)
async def test_what_is_no_policy_binds_nobody(tmp_path: Path, response: bytes) -> None:
    async with a_world(tmp_path) as world:
        world.server.response = response
        assert None is await world.policy()
        assert DELIVERED == await world.said()
        assert 1 == len(world.server.asked)


@pytest.mark.parametrize("shown", ["mta-sts.example.org", "127.0.0.1"])
async def test_a_policy_comes_from_its_domain_or_not_at_all(tmp_path: Path, shown: str) -> None:
    async with a_world(tmp_path, policy_shown=shown) as world:
        assert (None, []) == (await world.policy(), world.server.asked)


async def test_a_server_that_says_nothing_holds_no_letter_up_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "FETCH_S", 0.5)
    async with a_world(tmp_path) as world:
        world.server.response = None
        assert DELIVERED == await world.said()


async def test_nobody_is_asked_inside_a_private_network(tmp_path: Path) -> None:
    tls = Authority(tmp_path).certificate(HOST).server_context()
    async with open_policy_server(tls) as server:
        async with open_straight(tmp_path / "db", 1, inside=(), policy_port=server.port) as one:
            one.names.txt(TXT, "v=STSv1; id=1;")
            one.names.add(HOST, "A", "127.0.0.1")
            assert (None, []) == (await one.policies.of("example.net"), server.asked)
