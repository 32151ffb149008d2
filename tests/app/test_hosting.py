"""Which nodes are hosts, and that one is over real streams what it is in its own tests."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from bootstrap.service import run_bootstrap
from node.api import Base, Desk, make_public_api
from node.api.status import status_of
from node.app.hosting import friends_of
from node.consent import Counterpart, Rules
from node.hosts import HostRefused, Talk
from node.hosts.talk import DEADLINE, HOST
from node.identity import ask_identity
from node.network import Network, PeerAddress, PeerUnreachable, parse_peer
from node.runtime.clock import SystemClock
from node.runtime.config import Config
from node.runtime.home import Home
from node.runtime.sections import HostsConfig, LimitsConfig, NetworkConfig
from node.storage import Batch
from protocol.account import Item, Space, parse_deposit
from protocol.handshake import parse_handshake
from protocol.host import MAX_FRAME, Digest, Find, List, Open, Put
from protocol.identity import build_identity
from protocol.keys import SigningKey
from protocol.letter import envelope_id
from protocol.offer import Challenge, Offer, Result
from protocol.prekeys import week_of
from protocol.status import NOT_OFFERED, OK, WRONG_RECIPIENT
from tests.kit.hosting import a_blob, pay
from tests.kit.network import BOUND, LISTEN, a_network
from tests.kit.owners import owner

Run = Callable[..., AbstractAsyncContextManager[Desk]]
ALICE = owner("alice")


def config(**more: Any) -> Config:
    network, limits = NetworkConfig(listen=(LISTEN,), bootstrap=()), LimitsConfig(price=1, free_disk=0)
    return Config(network=network, limits=limits, **more)


def now_ms() -> int:
    return SystemClock().now()


@asynccontextmanager
async def a_bootstrap(home: Home, settings: Config) -> AsyncIterator[Network]:
    async with a_public_node(home, settings) as base:
        assert isinstance(base.network, Network)
        yield base.network


@asynccontextmanager
async def a_public_node(home: Home, settings: Config) -> AsyncIterator[Base]:
    stop, opened = trio.Event(), trio.open_memory_channel[Base](1)

    async def ready(base: Base) -> None:
        await opened[0].send(base)

    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await run_bootstrap(home, settings, None, stop=stop, ready=ready)
            nursery.cancel_scope.cancel()

        nursery.start_soon(run)
        with trio.fail_after(BOUND):
            base = await opened[1].receive()
        yield base
        stop.set()
        with trio.fail_after(BOUND):
            await trio.sleep_forever()


def address_of(network: Network) -> PeerAddress:
    return parse_peer(network.listen_addrs()[0])


@asynccontextmanager
async def talking(client: Network, host: PeerAddress) -> AsyncIterator[Talk]:
    async with client.channel(host, HOST, max_frame=MAX_FRAME, deadline=DEADLINE) as channel:
        yield Talk(channel)


async def test_a_bootstrap_node_is_a_host_for_everyone(tmp_path: Path) -> None:
    async with a_bootstrap(Home(tmp_path / "b"), config()) as there, a_network(server=False) as client:
        host = address_of(there)
        account = SigningKey.from_seed(ALICE.secrets.account_seed(host.peer_id))
        now = now_ms()
        record = build_identity(ALICE.secrets, ALICE.chain, price=6, created=now)
        opening = Open(record.record, (client.peer_id,), week_of(now))
        blob, page = a_blob(1), Item(bytes(32), now, bytes(200_000))
        offer = Offer(envelope_id(blob), len(blob), week_of(now), account.public)
        async with talking(client, host) as talk:
            assert not await talk.prove(account, host.peer_id, client.peer_id)
            challenge = await talk.open(opening)
            assert isinstance(challenge, Challenge)
            assert await talk.open(replace(opening, proof=pay(challenge))) is None
            assert {} == (await talk.ask(Put(Space.VAULT, (page,)))).refused
            assert (await talk.ask(Digest())).used > len(page.data)
            asked = await talk.offer(offer, blob)
            assert isinstance(asked, Challenge)
            answer = await talk.offer(replace(offer, proof=pay(asked)), blob)
            assert isinstance(answer, Result)
            assert answer.receipt is not None
            assert envelope_id(blob) == parse_deposit(answer.receipt, host.peer_id).envelope_id
            (letter,) = (await talk.ask(List())).letters
            assert (OK, blob) == (answer.status, await talk.fetch(letter.envelope_id))
        assert record.record == (await ask_identity(client, host, ALICE.address))[0]
        assert [] == [name for name in there.counters if name.startswith("fault")]


async def test_what_its_operator_sees_and_gives_out(tmp_path: Path) -> None:
    limits = LimitsConfig(price=1, free_disk=0, host_accounts=1, host_size=1_000)
    async with a_public_node(Home(tmp_path / "b"), replace(config(), limits=limits)) as base:
        empty = {"offer": "all", "accounts": 0, "letters": 0, "used": 0, "quota": 1_000}
        assert empty | {"deposits": 0, "strangers": 0} == status_of(base)["hosting"]
        assert [] == [one["code"] for one in status_of(base)["warnings"]]
        app = make_public_api(base)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node") as local:
            answer = await local.post("/local/hosting/voucher", json={})
        assert 201 == answer.status_code
        voucher = bytes.fromhex(answer.json()["voucher"])
        network: Any = base.network
        host = address_of(network)
        async with a_network(server=False) as client, talking(client, host) as talk:
            account = SigningKey.from_seed(ALICE.secrets.account_seed(host.peer_id))
            now = now_ms()
            record = build_identity(ALICE.secrets, ALICE.chain, price=6, created=now).record
            await talk.prove(account, host.peer_id, client.peer_id)
            opening = Open(record, (client.peer_id,), week_of(now))
            assert isinstance(await talk.open(opening), Challenge)
            assert await talk.open(replace(opening, voucher=voucher)) is None
        hosting = status_of(base)["hosting"]
        assert (1, 0) == (hosting["accounts"], hosting["letters"])
        assert ["host-accounts"] == [one["code"] for one in status_of(base)["warnings"]]


async def test_what_an_owner_who_is_a_host_sees(alices: Home, running: Run) -> None:
    limits = LimitsConfig(price=1, free_disk=0, host_size=0)
    async with running(alices, hosts=HostsConfig(use=(), offer="friends"), limits=limits) as desk:
        status = status_of(desk)
        assert ("friends", 0, 0) == tuple(status["hosting"][x] for x in ("offer", "accounts", "quota"))
        assert "host-full" in [one["code"] for one in status["warnings"]]
        assert desk.voucher is not None
        assert 16 == len(await desk.voucher())
    async with running(alices) as desk:
        assert (None, None) == (status_of(desk)["hosting"], desk.voucher)


async def is_host(network: Network) -> bool:
    """Whether a node answers as a host."""
    async with a_network(server=False) as client:
        try:
            async with talking(client, address_of(network)) as talk:
                await talk.ask(Find(bytes(32), bytes(32)))
        except PeerUnreachable:
            return False
        except HostRefused as fault:
            return fault.status == WRONG_RECIPIENT
    return False


async def test_a_bootstrap_node_whose_operator_wants_none_of_it(tmp_path: Path) -> None:
    settings = config(hosts=HostsConfig(offer="no"), sources={"hosts.offer": "config.toml:1"})
    async with a_bootstrap(Home(tmp_path / "b"), settings) as there:
        assert not await is_host(there)


@pytest.mark.parametrize("offer", ["no", "friends"])
async def test_an_owners_node_is_one_where_it_is_set(running: Run, alices: Home, offer: str) -> None:
    async with running(alices, hosts=HostsConfig(offer=offer)) as desk:
        network: Any = desk.network
        assert (offer != "no") == await is_host(network)
        if offer == "friends":
            async with a_network(server=False) as client, talking(client, address_of(network)) as talk:
                account = SigningKey.from_seed(bytes(32))
                now = now_ms()
                record = build_identity(ALICE.secrets, ALICE.chain, price=6, created=now)
                await talk.prove(account, network.peer_id, client.peer_id)
                with pytest.raises(HostRefused) as caught:
                    await talk.open(Open(record.record, (), 0))
                assert NOT_OFFERED == caught.value.status


async def test_friends_are_those_whom_the_owner_has_accepted(running: Run, alices: Home) -> None:
    bob = owner("bob")
    async with running(alices) as desk:
        consent, network = desk.handshakes._consent, desk.network
        assert isinstance(network, Network)
        friend = friends_of(consent, now_ms)
        batch = Batch()
        record = consent.accept(batch, Counterpart.of(bob.identity), Rules(), now_ms())
        await desk.store.write(batch)
        grant = parse_handshake(record).grant
        assert grant is not None
        key = bob.may_use(ALICE).delivery_key(grant, network.peer_id).public
        assert (True, False) == (friend(key), friend(bytes(32)))
        batch = Batch()
        consent.revoke(batch, bob.address, now_ms())
        await desk.store.write(batch)
        assert not friend(key)
