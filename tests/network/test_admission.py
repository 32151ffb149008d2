"""Budgets by peer and by block, on a virtual clock."""

from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass

import pytest
import trio
from trio.testing import MockClock

from node.network import Busy
from node.network.admission import Admission, Bodies
from node.network.limits import (
    FAULT_WINDOW,
    FAULTS_PER_BLOCK,
    FAULTS_PER_PEER,
    MAX_BODIES,
    MAX_BODIES_PER_BLOCK,
    MAX_BODIES_PER_SENDER,
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_PER_BLOCK,
    MAX_COUNTERS,
    MAX_HANDSHAKES,
    MAX_HANDSHAKES_PER_BLOCK,
    MAX_STREAMS_PER_BLOCK,
    MAX_STREAMS_PER_PEER,
    REFUSAL,
    RESERVED_BODIES,
)

PUBLIC = "8.8.8.8"


@dataclass(frozen=True)
class Sender:
    remote_block: str


async def test_a_peer_over_its_fault_budget_is_refused_for_a_while(mock_clock: MockClock) -> None:
    admission = Admission()
    results = [admission.blame(b"peer", PUBLIC, "5.6.0") for _ in range(FAULTS_PER_PEER)]
    assert results == [False] * (FAULTS_PER_PEER - 1) + [True]
    assert admission.refuses(b"peer")
    assert admission.counters["fault:5.6.0"] == FAULTS_PER_PEER
    mock_clock.jump(REFUSAL + 1)
    assert not admission.refuses(b"peer")


async def test_new_names_of_faults_do_not_grow_the_counters_for_ever() -> None:
    admission = Admission()
    for number in range(2 * MAX_COUNTERS):
        admission.blame(b"peer", PUBLIC, f"4.9.{number}")
    assert admission.counters["fault:4.9.0"] == 1
    assert len(admission.counters) == MAX_COUNTERS + 1
    assert admission.counters["fault:other"] == MAX_COUNTERS
    admission.blame(b"peer", PUBLIC, "4.9.0")
    assert admission.counters["fault:4.9.0"] == 2


async def test_old_faults_do_not_add_up(mock_clock: MockClock) -> None:
    admission = Admission()
    for _ in range(3 * FAULTS_PER_PEER):
        assert not admission.blame(b"peer", PUBLIC, "5.6.0")
        mock_clock.jump(FAULT_WINDOW / (FAULTS_PER_PEER - 2))


async def test_a_block_over_its_fault_budget_may_not_connect() -> None:
    admission = Admission()
    for number in range(FAULTS_PER_BLOCK):
        admission.blame(str(number).encode(), PUBLIC, "5.6.0")
    with pytest.raises(Busy), admission.connection("8.8.8.99"):
        pass
    with admission.connection("8.8.9.8"):
        pass


async def test_faults_on_loopback_shut_nobody_else_out() -> None:
    admission = Admission()
    for number in range(2 * FAULTS_PER_BLOCK):
        admission.blame(str(number).encode(), "127.0.0.1", "5.6.0")
    with admission.connection("127.0.0.1"):
        pass


async def test_connections_are_limited_by_block_and_in_total() -> None:
    admission = Admission()
    with ExitStack() as held:
        for _ in range(MAX_CONNECTIONS_PER_BLOCK):
            held.enter_context(admission.connection(PUBLIC))
        with pytest.raises(Busy), admission.connection("8.8.8.9"):
            pass
        for number in range(MAX_CONNECTIONS - MAX_CONNECTIONS_PER_BLOCK):
            held.enter_context(admission.connection(f"9.{number // 256}.{number % 256}.1"))
        with pytest.raises(Busy), admission.connection("11.0.0.1"):
            pass
    with admission.connection(PUBLIC):
        pass


async def test_handshakes_are_limited_by_block_and_in_total() -> None:
    admission = Admission()
    with ExitStack() as held:
        for _ in range(MAX_HANDSHAKES_PER_BLOCK):
            held.enter_context(admission.handshake(PUBLIC))
        with pytest.raises(Busy), admission.handshake("8.8.8.9"):
            pass
        for number in range(MAX_HANDSHAKES - MAX_HANDSHAKES_PER_BLOCK):
            held.enter_context(admission.handshake(f"9.0.{number}.1"))
        with pytest.raises(Busy), admission.handshake("11.0.0.1"):
            pass
    with admission.handshake(PUBLIC):
        pass


async def test_streams_are_limited_by_peer() -> None:
    admission = Admission()
    with ExitStack() as held:
        for _ in range(MAX_STREAMS_PER_PEER):
            held.enter_context(admission.stream(b"a", PUBLIC))
        with pytest.raises(Busy), admission.stream(b"a", PUBLIC):
            pass
        with admission.stream(b"b", PUBLIC):
            pass
    with admission.stream(b"a", PUBLIC):
        pass


async def test_bodies_keep_a_reserve_for_accepted_senders() -> None:
    bodies = Bodies()
    async with AsyncExitStack() as held:
        for number in range(MAX_BODIES - RESERVED_BODIES):
            await held.enter_async_context(bodies.slot(Sender(f"block {number}"), None))
        with pytest.raises(Busy):
            await held.enter_async_context(bodies.slot(Sender("another block"), None))
        for _ in range(RESERVED_BODIES):
            await held.enter_async_context(bodies.slot(Sender("block"), "0xfriend"))
        with pytest.raises(Busy):
            await held.enter_async_context(bodies.slot(Sender("block"), "0xfriend"))
    async with bodies.slot(Sender("block"), None):
        await trio.lowlevel.checkpoint()


async def test_one_block_of_strangers_does_not_take_all_bodies() -> None:
    bodies = Bodies()
    async with AsyncExitStack() as held:
        for _ in range(MAX_BODIES_PER_BLOCK):
            await held.enter_async_context(bodies.slot(Sender("one"), None))
        with pytest.raises(Busy):
            await held.enter_async_context(bodies.slot(Sender("one"), None))
        await held.enter_async_context(bodies.slot(Sender("two"), None))


async def test_one_accepted_sender_does_not_take_all_bodies_whatever_peers_it_uses() -> None:
    bodies = Bodies()
    async with AsyncExitStack() as held:
        for number in range(MAX_BODIES_PER_SENDER):
            await held.enter_async_context(bodies.slot(Sender(f"block {number}"), "0xfoe"))
        with pytest.raises(Busy):
            await held.enter_async_context(bodies.slot(Sender("another block"), "0xfoe"))
        await held.enter_async_context(bodies.slot(Sender("block"), "0xfriend"))
    async with bodies.slot(Sender("block"), "0xfoe"):
        await trio.lowlevel.checkpoint()


async def test_streams_are_limited_by_block_but_on_loopback() -> None:
    admission = Admission()
    with ExitStack() as held:
        for number in range(MAX_STREAMS_PER_BLOCK):
            held.enter_context(admission.stream(b"peer %d" % number, PUBLIC))
        with pytest.raises(Busy), admission.stream(b"another peer", "8.8.8.9"):
            pass
        with admission.stream(b"another peer", "9.0.0.1"):
            pass
    with ExitStack() as held:
        for number in range(MAX_STREAMS_PER_BLOCK + 1):
            held.enter_context(admission.stream(b"peer %d" % number, "127.0.0.1"))
