"""Blocks over real libp2p between two networks: who gets what, and what a hostile end achieves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from libp2p.bitswap.pb.bitswap_pb2 import Message

from node.network import Channel, Network, PeerAddress, PeerUnreachable, bitswap, limits, parse_peer
from node.network.bitswap import PROTOCOL
from node.network.bitswap_wire import Heard, Want, encode_block, encode_presences, encode_wants, parse
from protocol.unixfs import DAG_PB, RAW, node_cid, raw_cid
from tests.kit.network import BOUND, Shelf, a_leaf, a_network, until

SHORT = 0.2
"""Seconds for deadlines that the test means to miss."""
LEAVES = [a_leaf(number) for number in range(4)]
CIDS = [raw_cid(leaf) for leaf in LEAVES]


@asynccontextmanager
async def pair(shelf: Shelf | None = None) -> AsyncIterator[tuple[Network, Network, PeerAddress]]:
    """Alice asks, Bob has what is on the shelf; and where Bob is."""
    with trio.fail_after(2 * BOUND):
        async with a_network(server=False) as alice, a_network(server=False) as bob:
            if shelf is not None:
                bob.bitswap.serve(shelf)
            yield alice, bob, parse_peer(bob.listen_addrs()[0])


class Ear:
    """Hears a network's Bitswap in the place of its own."""

    def __init__(self, network: Network) -> None:
        self.heard: list[Heard] = []
        network.serve(PROTOCOL, self.listen, max_frame=limits.MAX_BLOCKS_FRAME, deadline=BOUND)

    async def listen(self, channel: Channel) -> None:
        while True:
            self.heard.append(parse(await channel.receive()))


async def deaf(_: Channel) -> None:
    await trio.sleep_forever()


async def say(network: Network, peer_id: bytes, *messages: bytes) -> None:
    """Send messages on one stream to a connected peer."""
    async with network.channel(
        PeerAddress(peer_id), PROTOCOL, max_frame=2 * limits.MAX_BLOCKS_FRAME, deadline=BOUND
    ) as channel:
        for message in messages:
            await channel.send(message)


def counted(network: Network) -> dict[str, int]:
    return {
        name: count
        for name, count in network.counters.items()
        if name.startswith(("bitswap", "fault")) and count
    }


async def test_blocks_come_whatever_they_are() -> None:
    shelf = Shelf([*LEAVES, b"", b"x"])
    node = b"a node"
    shelf.held[node_cid(node)] = node
    async with pair(shelf) as (alice, bob, peer):
        async with alice.bitswap.session(peer) as session:
            await session.want(list(shelf.held))
            came = dict([await session.receive() for _ in shelf.held])
        assert came == shelf.held
        assert counted(alice) == {"bitswap-received": 7}
        assert counted(bob) == {"bitswap-sent": 7}


async def test_what_is_not_there_is_said() -> None:
    async with pair() as (alice, bob, peer), alice.bitswap.session(peer) as session:
        await session.want(CIDS[:2])
        assert [await session.receive(), await session.receive()] == [(CIDS[0], None), (CIDS[1], None)]
        bob.bitswap.serve(Shelf(LEAVES[:1]))
        await session.want(CIDS[:2])
        assert dict([await session.receive(), await session.receive()]) == {
            CIDS[0]: LEAVES[0],
            CIDS[1]: None,
        }


async def test_both_ends_ask_and_answer_over_the_streams_they_have() -> None:
    """The second answers over a stream that was there before anything large was expected on it."""
    async with pair(Shelf(LEAVES[:1])) as (alice, bob, peer):
        alice.bitswap.serve(Shelf(LEAVES[1:2]))
        async with alice.bitswap.session(peer) as session:
            await session.want(CIDS[:1])
            assert await session.receive() == (CIDS[0], LEAVES[0])
            async with bob.bitswap.session(PeerAddress(alice.peer_id)) as back:
                await back.want(CIDS[1:2])
                assert await back.receive() == (CIDS[1], LEAVES[1])
        assert (counted(alice), counted(bob)) == ({"bitswap-received": 1, "bitswap-sent": 1},) * 2


async def test_who_asks_whether_a_block_is_there_is_told() -> None:
    foreign = [b"\x12\x20" + bytes(32), RAW[:2] + b"\x13\x40" + bytes(64), b"\x01"]
    message = wants(
        Want(CIDS[0], block=False, tell=False),
        Want(CIDS[1], block=False, tell=True),
        Want(CIDS[2], block=False, tell=False),
        Want(CIDS[3], block=True, tell=False),
        *(Want(cid, block=True, tell=True) for cid in foreign),
    )
    async with pair(Shelf(LEAVES[:1])) as (alice, _, peer):
        ear = Ear(alice)
        await alice.reach(peer)
        await say(alice, peer.peer_id, message)
        await until(lambda: bool(ear.heard))
        assert ear.heard == [
            parse(encode_presences([(CIDS[0], True), (CIDS[1], False), *((cid, False) for cid in foreign)]))
        ]
        assert ear.heard[0].lacks == (CIDS[1], *foreign)


def wants(*entries: Want) -> bytes:
    """A wantlist as others may send it."""
    message = Message()
    for entry in entries:
        message.wantlist.entries.add(
            block=entry.cid, wantType="Block" if entry.block else "Have", sendDontHave=entry.tell
        )
    return message.SerializeToString()


async def test_a_block_that_nobody_asked_for_is_dropped_and_counted() -> None:
    async with pair() as (alice, bob, peer), a_network(server=False) as carol:
        ear = Ear(bob)
        await carol.connect(alice.listen_addrs()[0])
        small = a_leaf(9, 1_000)
        await say(carol, alice.peer_id, encode_block(raw_cid(small), small))
        await until(lambda: counted(alice) == {"bitswap-unsolicited": 1})
        async with alice.bitswap.session(peer) as session:
            await session.want([CIDS[0], raw_cid(small)])
            await until(lambda: bool(ear.heard))
            await say(carol, alice.peer_id, encode_block(raw_cid(small), small))  # of Bob it was wanted
            altered = LEAVES[0][:-1] + b"!"
            await say(
                bob,
                alice.peer_id,
                encode_block(CIDS[0], altered),
                encode_block(DAG_PB, LEAVES[0]),
                encode_block(b"\x01\x55\x12\x1f", LEAVES[0]),
                encode_block(CIDS[1], LEAVES[1]),
                encode_presences([(CIDS[1], False), (CIDS[0], True)]),
                encode_block(CIDS[0], LEAVES[0]),
                encode_block(CIDS[0], LEAVES[0]),
            )
            assert await session.receive() == (CIDS[0], LEAVES[0])
            await until(lambda: counted(alice) == {"bitswap-unsolicited": 7, "bitswap-received": 1})
            assert session.outstanding == {raw_cid(small)}


async def test_large_messages_are_for_those_who_were_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    large = encode_block(CIDS[0], LEAVES[0])
    async with pair(Shelf(LEAVES)) as (alice, bob, peer):
        async with alice.bitswap.session(peer) as session:
            await session.want(CIDS[:1])
            assert await session.receive() == (CIDS[0], LEAVES[0])
        await say(bob, alice.peer_id, large)  # it may have been on its way
        await until(lambda: counted(alice) == {"bitswap-received": 1, "bitswap-unsolicited": 1})
        monkeypatch.setattr(bitswap, "LINGER", 0.0)
        async with alice.bitswap.session(peer):
            pass
        with pytest.raises(PeerUnreachable):
            await say_until_refused(bob, alice.peer_id, large)
        await until(lambda: alice.counters["fault:5.2.3"] >= 1)


async def say_until_refused(network: Network, peer_id: bytes, message: bytes) -> None:
    while True:
        await say(network, peer_id, message)


@pytest.mark.parametrize(
    "message, status",
    [
        (b"\xff\xff", "5.6.0"),
        (b"\x0a\x02\x0a\x00", "5.6.0"),
        (b"\x1a\x00" * 40_000, "5.2.3"),
        (encode_block(RAW, bytes(limits.MAX_BLOCK + 1)), "5.2.3"),
        (bytes(limits.MAX_BLOCKS_FRAME + 1), "5.2.3"),
    ],
    ids=["no protobuf", "an empty CID", "empty parts", "a large block", "a large frame"],
)
async def test_a_message_that_breaks_the_rules_is_its_senders_fault(message: bytes, status: str) -> None:
    async with pair() as (alice, bob, peer):
        Ear(bob)
        async with alice.bitswap.session(peer):
            with pytest.raises(PeerUnreachable):
                await say_until_refused(bob, alice.peer_id, message)
            await until(lambda: alice.counters[f"fault:{status}"] >= 1)


async def test_a_peer_that_does_not_answer_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.network.bitswap_session.STALLED", SHORT)
    async with pair() as (alice, bob, peer):
        Ear(bob)
        with pytest.raises(PeerUnreachable, match="stopped sending"):
            await ask(alice, peer, CIDS[0])


async def ask(network: Network, peer: PeerAddress, cid: bytes) -> tuple[bytes, bytes | None]:
    async with network.bitswap.session(peer) as session:
        await session.want([cid])
        return await session.receive()


async def test_a_peer_that_goes_ends_the_session_at_once() -> None:
    async with pair() as (alice, bob, peer):
        ear = Ear(bob)
        async with alice.bitswap.session(peer) as session:
            await session.want(CIDS[:1])
            await until(lambda: bool(ear.heard))
            bob._connections.suspect(alice.peer_id)
            with pytest.raises(PeerUnreachable, match="ended the connection"):
                await session.receive()
            with pytest.raises(PeerUnreachable):
                await session.want(CIDS[1:2])


async def test_nobody_is_there_or_does_not_speak_it() -> None:
    async with pair() as (alice, bob, peer):
        with pytest.raises(PeerUnreachable):
            async with alice.bitswap.session(PeerAddress(b"\x00\x02xx")):
                pass
        bob._host.get_mux().handlers.pop(PROTOCOL)  # type: ignore[call-overload]
        with pytest.raises(PeerUnreachable, match="does not take"):
            await ask(alice, peer, CIDS[0])


async def test_two_sessions_with_one_peer_get_what_each_asked_for() -> None:
    async with pair(Shelf(LEAVES)) as (alice, _, peer):
        async with alice.bitswap.session(peer) as one, alice.bitswap.session(peer) as two:
            await one.want(CIDS[:2])
            await two.want(CIDS[1:3])
            assert dict([await one.receive() for _ in range(2)]) == dict(
                zip(CIDS[:2], LEAVES[:2], strict=True)
            )
            assert dict([await two.receive() for _ in range(2)]) == dict(
                zip(CIDS[1:3], LEAVES[1:3], strict=True)
            )


async def test_leaving_cancels_what_nobody_waits_for_any_more() -> None:
    async with pair() as (alice, bob, peer):
        ear = Ear(bob)
        async with alice.bitswap.session(peer) as one:
            await one.want(CIDS[:1])
            async with alice.bitswap.session(peer) as two:
                await two.want(CIDS[:3])
                await say(bob, alice.peer_id, encode_presences([(CIDS[2], False)]))
                assert await two.receive() == (CIDS[2], None)
            await until(lambda: len(ear.heard) == 3)
            assert ear.heard[2] == Heard(cancels=(CIDS[1],))
        await until(lambda: len(ear.heard) == 4)
        assert ear.heard[3] == Heard(cancels=(CIDS[0],))


async def test_what_was_on_its_way_when_it_was_dropped_is_late_once_and_nobodys_fault() -> None:
    async with pair() as (alice, bob, peer):
        ear = Ear(bob)
        async with alice.bitswap.session(peer) as session:
            await session.want(CIDS[:3])
            await session.drop(CIDS[:1])
            await until(lambda: len(ear.heard) == 2)
            late = encode_block(CIDS[0], LEAVES[0])
            await say(bob, alice.peer_id, late, late, encode_block(CIDS[1], LEAVES[1]))
            assert await session.receive() == (CIDS[1], LEAVES[1])
            found = {"bitswap-late": 1, "bitswap-unsolicited": 1, "bitswap-received": 1}
            assert counted(alice) == found
        await say(bob, alice.peer_id, encode_block(CIDS[2], LEAVES[2]), encode_block(CIDS[3], LEAVES[3]))
        await until(lambda: counted(alice) == found | {"bitswap-late": 2, "bitswap-unsolicited": 2})
        async with alice.bitswap.session(peer) as session:
            await session.want([*CIDS, *(raw_cid(a_leaf(number, 100)) for number in range(20))])
        assert len(alice.bitswap._late[bob.peer_id]) == len(LEAVES) + 20
        bob._connections.suspect(alice.peer_id)
        await until(lambda: alice.bitswap._late == {})


async def test_an_asker_that_does_not_read_costs_a_block_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bitswap, "ANSWER_TIMEOUT", 15 * SHORT)
    shelf = Shelf(map(a_leaf, range(50)))
    async with pair(shelf) as (alice, bob, peer), a_network(server=False) as carol:
        alice.serve(PROTOCOL, deaf, max_frame=1024, deadline=BOUND)
        await alice.reach(peer)
        await say(alice, peer.peer_id, encode_wants(shelf.held))
        await until(lambda: bool(shelf.read_so_far))
        assert await ask(carol, peer, CIDS[0]) == (CIDS[0], LEAVES[0])
        await until(lambda: counted(bob) == {"bitswap-sent": 1, "bitswap-given-up": 1})
        assert bob.bitswap.waiting(alice.peer_id) == 0
        assert shelf.read_so_far == CIDS[:1] * 2


async def test_an_asker_that_goes_is_forgotten_at_once() -> None:
    shelf = Shelf(LEAVES)
    shelf.gate = trio.Event()
    async with pair(shelf) as (alice, bob, peer):
        await alice.reach(peer)
        await say(alice, peer.peer_id, encode_wants(CIDS))
        await until(lambda: bob.bitswap.waiting(alice.peer_id) == 3)
        alice._connections.suspect(bob.peer_id)
        await until(lambda: bob.bitswap.waiting(alice.peer_id) == 0)
        shelf.gate.set()
        await until(lambda: not bob.is_connected(alice.peer_id))
        assert shelf.read_so_far == CIDS[:1]
        assert counted(bob) == {}


async def test_one_peer_has_so_many_streams_and_no_more() -> None:
    async with pair() as (alice, bob, peer):
        await alice.reach(peer)
        open_ = [
            alice.channel(peer, PROTOCOL, max_frame=1024, deadline=BOUND)
            for _ in range(limits.MAX_BITSWAP_STREAMS + 1)
        ]
        for channel in open_:
            await channel.__aenter__()
        await until(lambda: counted(bob) == {"bitswap-streams-refused": 1})
        for channel in open_:
            await channel.__aexit__(None, None, None)
