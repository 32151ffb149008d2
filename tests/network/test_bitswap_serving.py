"""Answering without any network: the queues, their bounds, and what ends them."""

import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from node.network import PeerUnreachable, bitswap_serving, limits
from node.network.bitswap_serving import Serving
from node.network.bitswap_wire import Heard, Want, parse
from node.runtime.errors import NodeError
from protocol.unixfs import raw_cid
from tests.kit.network import Shelf, a_leaf

LEAVES = [a_leaf(number, 100) for number in range(20)]
CIDS = [raw_cid(leaf) for leaf in LEAVES]
BLOCK = "192.0.2.0/24"


class Post:
    """Takes what is sent to peers; `gate` is waited for before each message."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Heard]] = []
        self.sending: list[bytes] = []
        self.gate = trio.Event()
        self.gate.set()
        self.refuses: bytes | None = None

    async def send(self, peer_id: bytes, message: bytes) -> None:
        self.sending.append(peer_id)
        if peer_id == self.refuses:
            raise PeerUnreachable("it does not read")
        await self.gate.wait()
        self.sent.append((peer_id, parse(message)))

    def blocks(self, peer_id: bytes) -> list[bytes]:
        """Blocks that one peer was sent."""
        return [data for to, heard in self.sent if to == peer_id for _, data in heard.blocks]


class Bench:
    """A serving end whose tasks a test can wait for."""

    def __init__(self, shelf: Shelf, nursery: trio.Nursery) -> None:
        self.counters: Counter[str] = Counter()
        self.post, self.shelf, self.nursery = Post(), shelf, nursery
        self.serving = Serving(self.post.send, self.counters)
        self.serving.blocks = shelf

    def ask(
        self, peer: bytes, *cids: bytes, have: bool = False, full: bool = False, block: str = BLOCK
    ) -> None:
        entries = tuple(Want(cid, block=not have, tell=True) for cid in cids)
        self.serving.asked(peer, block, Heard(entries, full=full), self.nursery)

    async def done(self) -> None:
        """Until every queue is empty."""
        with trio.fail_after(5):
            while self.nursery.child_tasks:
                await trio.lowlevel.checkpoint()


@asynccontextmanager
async def bench(*leaves: bytes) -> AsyncIterator[Bench]:
    async with trio.open_nursery() as nursery:
        yield Bench(Shelf(leaves or LEAVES), nursery)
        nursery.cancel_scope.cancel()


async def test_answers_come_in_the_order_of_the_wants_a_block_a_message() -> None:
    async with bench(*LEAVES[:2]) as it:
        it.ask(b"a", CIDS[0], CIDS[5], CIDS[6], CIDS[1], CIDS[7])
        await it.done()
        expected = [
            Heard(blocks=((CIDS[0][:4], LEAVES[0]),)),
            Heard(lacks=(CIDS[5], CIDS[6])),
            Heard(blocks=((CIDS[1][:4], LEAVES[1]),)),
            Heard(lacks=(CIDS[7],)),
        ]
        assert [heard for _, heard in it.post.sent] == expected
        assert (it.counters, it.serving.waiting(b"a")) == ({"bitswap-sent": 2}, 0)


async def test_a_cancel_and_a_full_list_strike_what_waits() -> None:
    async with bench() as it:
        it.post.gate = trio.Event()
        it.ask(b"a", *CIDS[:6])
        await trio.testing.wait_all_tasks_blocked()
        it.serving.asked(b"a", BLOCK, Heard(cancels=(CIDS[0], CIDS[1], CIDS[9])), it.nursery)
        assert it.serving.waiting(b"a") == 4
        it.ask(b"a", CIDS[3], CIDS[7], full=True)
        it.serving.asked(b"b", BLOCK, Heard(cancels=(CIDS[1],)), it.nursery)  # of whom we know nothing
        it.post.gate.set()
        await it.done()
        assert it.post.blocks(b"a") == [LEAVES[0], LEAVES[3], LEAVES[7]]


async def test_a_want_for_the_block_is_more_than_one_to_know_of_it() -> None:
    async with bench() as it:
        it.post.gate = trio.Event()
        it.ask(b"a", CIDS[0])
        await trio.testing.wait_all_tasks_blocked()
        it.ask(b"a", CIDS[1], have=True)
        it.ask(b"a", CIDS[1])
        it.ask(b"a", CIDS[2])
        it.ask(b"a", CIDS[2], have=True)
        it.post.gate.set()
        await it.done()
        assert it.post.blocks(b"a") == LEAVES[:3]


async def test_wants_are_held_up_to_a_limit_for_each_and_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bitswap_serving, "MAX_WANTS_PER_PEER", 5)
    monkeypatch.setattr(bitswap_serving, "MAX_WANTS_HELD", 8)
    async with bench() as it:
        it.post.gate = trio.Event()
        it.ask(b"a", *CIDS[:7])
        it.ask(b"b", *CIDS[:5])
        assert (it.serving.waiting(b"a"), it.serving.waiting(b"b")) == (5, 3)
        assert it.counters == {"bitswap-wants-dropped": 4}
        it.ask(b"b", *CIDS[:3])  # known ones need no room
        it.serving.forget(b"a")
        it.ask(b"b", CIDS[8])
        assert (it.serving.waiting(b"a"), it.serving.waiting(b"b")) == (0, 4)
        it.post.gate.set()
        await it.done()
        assert it.counters == {"bitswap-wants-dropped": 4, "bitswap-sent": 4}
        it.ask(b"c", *CIDS[:5])  # all that was held has been given back
        it.ask(b"d", *CIDS[:3])
        assert it.counters["bitswap-wants-dropped"] == 4


async def test_so_many_are_answered_at_once_and_fewer_of_one_address_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench() as it:
        it.post.gate = trio.Event()
        for number in range(limits.MAX_ANSWERED_PER_BLOCK + 2):
            it.ask(b"farm%d" % number, *CIDS[:3])
        await trio.testing.wait_all_tasks_blocked()
        assert len(it.post.sending) == limits.MAX_ANSWERED_PER_BLOCK
        for number in range(limits.MAX_ANSWERED):
            it.ask(b"other%d" % number, CIDS[0], block=f"198.51.{number}.0/24")
        await trio.testing.wait_all_tasks_blocked()
        assert len(it.post.sending) == len(it.shelf.read_so_far) == limits.MAX_ANSWERED
        it.post.gate.set()
        await it.done()
        assert it.counters == {"bitswap-sent": 3 * (limits.MAX_ANSWERED_PER_BLOCK + 2) + limits.MAX_ANSWERED}
        assert it.serving._block_slots == {}


async def test_who_does_not_read_is_given_up_and_may_ask_again() -> None:
    async with bench() as it:
        it.post.refuses = b"a"
        it.ask(b"a", *CIDS)
        await it.done()
        assert (it.shelf.read_so_far, it.serving.waiting(b"a")) == (CIDS[:1], 0)
        assert it.counters == {"bitswap-given-up": 1}
        it.post.refuses = None
        it.ask(b"a", CIDS[3])
        await it.done()
        assert it.post.blocks(b"a") == [LEAVES[3]]


async def test_who_went_and_came_back_is_answered_anew() -> None:
    async with bench() as it:
        it.post.gate = trio.Event()
        it.ask(b"a", *CIDS[:3])
        await trio.testing.wait_all_tasks_blocked()
        it.serving.forget(b"a")
        it.ask(b"a", CIDS[5])
        it.post.gate.set()
        await it.done()
        assert it.post.blocks(b"a") == [LEAVES[5]]


class Broken(Shelf):
    """Can't be read, for a reason."""

    def __init__(self, why: Exception) -> None:
        super().__init__()
        self.why = why

    async def size(self, cid: bytes) -> int | None:
        raise self.why

    async def read(self, cid: bytes) -> bytes | None:
        raise self.why


async def test_what_can_not_be_read_now_is_not_said_to_be_gone(caplog: pytest.LogCaptureFixture) -> None:
    """Who hears that the author lacks it takes it for expired; who hears nothing asks again."""
    async with bench() as it:
        it.serving.blocks = Broken(NodeError("disk", "the disk is broken"))
        it.ask(b"a", CIDS[0])
        it.ask(b"a", CIDS[1], have=True)
        await it.done()
        assert (it.post.sent, it.serving.waiting(b"a")) == ([], 0)
        assert it.counters == {"bitswap-unreadable": 2}
        it.serving.blocks = it.shelf
        it.ask(b"a", CIDS[0])
        await it.done()
        assert it.post.blocks(b"a") == LEAVES[:1]
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


async def test_a_bug_ends_one_peers_answers_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async with bench() as it:
        it.serving.blocks = Broken(ZeroDivisionError())
        it.ask(b"a", *CIDS[:3])
        await it.done()
        it.serving.blocks = it.shelf
        it.ask(b"a", CIDS[0])
        await it.done()
        assert it.post.blocks(b"a") == LEAVES[:1]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_block_over_two_mebibytes_is_not_sent() -> None:
    large = bytes(limits.MAX_BLOCK + 1)
    async with bench(large) as it:
        it.ask(b"a", raw_cid(large))
        await it.done()
        assert it.post.sent == [(b"a", Heard(lacks=(raw_cid(large),)))]


async def test_many_presences_go_in_several_messages() -> None:
    cids = [raw_cid(bytes([number // 256, number % 256])) for number in range(limits.MAX_PRESENCES + 1)]
    async with bench() as it:
        it.ask(b"a", *cids, have=True)
        await it.done()
        assert [heard.lacks for _, heard in it.post.sent] == [tuple(cids[:-1]), tuple(cids[-1:])]
