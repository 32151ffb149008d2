"""Our Kademlia over real connections: putting, finding, and who is believed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from node.network import (
    MemoryRecords,
    Network,
    PeerAddress,
    PeerUnreachable,
    kad,
    kad_channel,
    limits,
    parse_peer,
)
from node.network.kad_wire import FIND_NODE, GET_VALUE, PUT_VALUE, Question, encode_question
from node.network.records import key_of
from protocol.errors import RemoteProtocolError
from tests.kit.network import BOUND, a_network, until

ADDRESS = "0x" + "ab" * 20
OTHER = "0x" + "cd" * 20


@asynccontextmanager
async def networks(servers: int, clients: int = 0) -> AsyncIterator[Sequence[Network]]:
    """A first peer, more servers and clients, all joined."""
    with trio.fail_after(2 * BOUND):
        async with a_network() as boot, AsyncExitStack() as opened:
            found = [boot]
            for number in range(servers - 1 + clients):
                server = number < servers - 1
                network = await opened.enter_async_context(a_network(boot, server=server))
                found.append(network)
            await until(lambda: all(boot.peer_id in network.kad.table for network in found[1:]))
            await until(lambda: len(boot.kad.table) == servers - 1)
            yield found


def where(network: Network) -> PeerAddress:
    return parse_peer(network.listen_addrs()[0])


async def test_a_record_put_by_one_is_found_by_another() -> None:
    async with networks(servers=1, clients=2) as (_, alice, bob):
        assert await alice.put_record(ADDRESS, b"1:a") == 1
        assert await bob.find_records(ADDRESS) == [b"1:a"]
        assert await bob.find_records(OTHER) == []


async def test_a_put_says_at_how_many() -> None:
    async with networks(servers=3, clients=1) as (*_, alice):
        assert await alice.put_record(ADDRESS, b"1:a") == 3
    async with a_network() as alone:
        assert await alone.put_record(ADDRESS, b"1:a") == 0
        assert await alone.find_records(ADDRESS) == []


async def test_a_record_is_found_across_more_servers_than_know_each_other() -> None:
    async with networks(servers=6, clients=1) as (*_, alice, bob):
        assert await alice.put_record(ADDRESS, b"1:a") >= 5
        assert await bob.find_records(ADDRESS) == [b"1:a"]


async def test_our_own_stale_copy_does_not_hide_a_newer_record() -> None:
    async with networks(servers=2) as (boot, alice):
        assert await alice.put_record(ADDRESS, b"1:a") == 1
        await boot.kad.records.drop(key_of(ADDRESS))
        await alice.kad.records.put(key_of(ADDRESS), b"1:a")
        await boot.kad.records.put(key_of(ADDRESS), b"2:b")
        assert await alice.find_records(ADDRESS) == [b"2:b", b"1:a"]


async def test_an_older_record_does_not_replace_a_newer_one() -> None:
    async with networks(servers=1, clients=1) as (boot, alice):
        assert await alice.put_record(ADDRESS, b"2:b") == 1
        assert await alice.put_record(ADDRESS, b"1:a") == 0
        assert await alice.put_record(ADDRESS, b"2:b") == 1
        assert boot.kad.records.get(key_of(ADDRESS)) == b"2:b"


async def test_we_do_not_put_what_is_not_valid() -> None:
    async with networks(servers=1, clients=1) as (_, alice):
        with pytest.raises(RemoteProtocolError):
            await alice.put_record(ADDRESS, b"1:!")


@pytest.mark.parametrize(
    "question",
    [
        Question(PUT_VALUE, key_of(ADDRESS), b"1:!"),
        Question(PUT_VALUE, b"/pk/abc", b"1:a"),
        Question(PUT_VALUE, b"bare key", b"1:a"),
        Question(GET_VALUE, b"/ipns/abc"),
        Question(FIND_NODE, b""),
    ],
)
async def test_what_no_honest_peer_sends_is_refused_and_counted(question: Question) -> None:
    async with a_network() as boot, a_network(server=False) as alice:  # no pooled stream: that is tried twice
        assert await alice.kad.try_ask(where(boot), question) is None
        assert boot.counters["fault:5.6.0"] == 1
        assert len(boot.kad.records) == 0


async def test_rubbish_on_the_dht_protocol_is_counted() -> None:
    async with a_network() as boot, a_network(server=False) as alice:
        with pytest.raises(PeerUnreachable):
            await say_rubbish(alice, where(boot))
        assert boot.counters["fault:5.6.0"] == 1


async def say_rubbish(network: Network, peer: PeerAddress) -> None:
    async with network.channel(peer, kad.PROTOCOL, max_frame=limits.MAX_KAD_FRAME, deadline=5) as channel:
        await channel.send(b"\xff" * 50)
        await channel.receive()


async def test_a_forged_record_that_a_server_holds_is_not_believed() -> None:
    async with networks(servers=1, clients=1) as (boot, alice):
        boot.kad.records._held[key_of(ADDRESS)] = (2**62, b"1:!")
        boot.kad.records.get = lambda key: b"1:!"  # type: ignore[method-assign]  # a server that lies
        assert await alice.find_records(ADDRESS) == []
        assert alice.counters["fault:kad 5.6.0"] == 1


async def test_one_peer_may_put_so_many_records_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kad, "MAX_RECORDS_PER_PEER", 2)
    async with networks(servers=1, clients=2) as (boot, alice, bob):
        puts = [await alice.put_record(f"0x{number:040x}", b"1:a") for number in range(3)]
        assert puts == [1, 1, 0]
        assert await bob.put_record(ADDRESS, b"1:a") == 1
        assert len(boot.kad.records) == 3


async def test_clients_are_in_no_table() -> None:
    async with networks(servers=2, clients=2) as (boot, server, client, other):
        await client.put_record(ADDRESS, b"1:a")
        await other.find_records(ADDRESS)
        for network in (boot, server, client, other):
            assert client.peer_id not in network.kad.table
            assert other.peer_id not in network.kad.table
        assert server.peer_id in boot.kad.table


async def test_a_peer_is_found_by_its_id() -> None:
    async with networks(servers=2, clients=2) as (_, server, alice, bob):
        assert await alice.find_peer(bob.peer_id) == where(bob)
        assert await alice.find_peer(server.peer_id) == where(server)
        assert await alice.find_peer(b"\x00\x02xx") is None
        await alice.reach(PeerAddress(bob.peer_id))
        assert alice.is_connected(bob.peer_id)


async def test_records_held_for_others_survive_a_restart() -> None:
    store = MemoryRecords()
    async with a_network(records=store) as boot, a_network(boot, server=False) as alice:
        await until(lambda: boot.peer_id in alice.kad.table)
        assert await alice.put_record(ADDRESS, b"1:a") == 1
    async with a_network(records=store) as boot, a_network(boot, server=False) as bob:
        await until(lambda: boot.peer_id in bob.kad.table)
        assert await bob.find_records(ADDRESS) == [b"1:a"]


async def test_a_server_that_does_not_answer_leaves_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kad_channel, "QUERY_TIMEOUT", 0.3)
    async with networks(servers=2) as (boot, alice):
        boot.serve(kad.PROTOCOL, silent, max_frame=limits.MAX_KAD_FRAME, deadline=60)
        with trio.fail_after(BOUND):
            while boot.peer_id in alice.kad.table:  # an answer from before may put it back once
                await alice.drop_idle_streams(boot.peer_id)
                assert await alice.find_records(ADDRESS) == []


async def silent(_: object) -> None:
    await trio.sleep_forever()


async def test_a_stream_that_asks_nothing_holds_up_nobody() -> None:
    async with networks(servers=1, clients=2) as (boot, alice, bob):
        async with AsyncExitStack() as held:
            for _ in range(20):
                context = alice.channel(where(boot), kad.PROTOCOL, max_frame=limits.MAX_KAD_FRAME, deadline=5)
                channel = await held.enter_async_context(context)
                await channel._stream.write(encode_question(Question(FIND_NODE, b"k"))[:1])
            assert await bob.put_record(ADDRESS, b"1:a") == 1


async def test_nobody_is_told_about_itself() -> None:
    async with networks(servers=3) as (boot, alice, bob):
        answer = await alice.kad.ask(where(boot), Question(FIND_NODE, alice.peer_id))
        assert [peer.peer_id for peer in answer.closer] == [bob.peer_id]
        answer = await alice.kad.ask(where(boot), Question(FIND_NODE, bob.peer_id))
        assert [peer.peer_id for peer in answer.closer] == [bob.peer_id]
