"""A node from start to stop, and two of them over real connections."""

import secrets
from contextlib import suppress
from typing import Any

import pytest
import trio

from node.api import Desk
from node.api.status import status_of
from node.app import open_desk, run_node
from node.app.running import DRAIN_S
from node.exchange.wire import LETTER, MAX_FRAME
from node.network import Channel, Network, PeerUnreachable
from node.network.addresses import parse_peer
from node.network.limits import FAULTS_PER_PEER
from node.outbox import Letter
from node.outbox.submission import Message
from node.runtime.errors import NodeError
from node.runtime.home import Home
from protocol.handshake import State
from protocol.link import ContactLink
from tests.app.conftest import Run, config
from tests.kit.client import open_client
from tests.kit.network import BOUND, until


def state(desk: Desk, letter: Letter | bytes) -> list[tuple[str, str]]:
    found = desk.outbox.get(letter if isinstance(letter, bytes) else letter.id)
    assert found is not None
    return [(d.state, d.code) for d in found.deliveries]


def folder(desk: Desk, name: str = "inbox") -> list[str]:
    return [row["subject"] for row in desk.mailbox.list(name)]


def network_of(desk: Desk) -> Network:
    assert isinstance(desk.network, Network)
    return desk.network


def addrs(desk: Desk) -> list[str]:
    return network_of(desk).listen_addrs()


async def send(desk: Desk, to: str, subject: str, text: str = "Hi.\n") -> Letter:
    return await desk.submission.send(Message((to,), subject=subject, text=text))


async def befriend(alice: Desk, bob: Desk) -> None:
    """Alice opens an invitation of bob's."""
    await alice.handshakes.open(await bob.handshakes.link())
    await until(lambda: bool(alice.handshakes.list()) and alice.handshakes.list()[0]["theirs"] == "accepted")


async def test_request_accept_letter_and_answer(alices: Home, bobs: Home, running: Run) -> None:
    async with running(alices) as alice, running(bobs, *addrs(alice)) as bob:
        link = await bob.handshakes.link(one_time=False)
        await alice.handshakes.request(link, "It's me.")
        await until(lambda: folder(bob, "handshake") == ["It's me."])
        await bob.handshakes.accept(alice.identity.address)
        await until(lambda: alice.handshakes.list()[0]["theirs"] == State.ACCEPTED.value)
        letter = await send(alice, bob.identity.address, "Tea?", "word " * 20_000)
        await until(lambda: state(alice, letter) == [("delivered", "2.0.0")])
        answer = await send(bob, alice.identity.address, "Yes")
        await until(lambda: state(bob, answer) == [("delivered", "2.0.0")])
        assert (["Tea?", "It's me."], ["Yes"]) == (folder(bob), folder(alice))
        for desk in (alice, bob):
            counters = network_of(desk).counters
            assert {} == {n: c for n, c in counters.items() if n.startswith("fault:")}


async def test_what_waits_goes_when_the_peer_connects(alices: Home, bobs: Home, running: Run) -> None:
    async with running(alices) as alice:
        async with running(bobs, *addrs(alice)) as bob:
            await befriend(alice, bob)
            address = bob.identity.address
        letter = await send(alice, address, "Awake?")
        await until(lambda: state(alice, letter) == [("queued", "4.4.1")])
        async with running(bobs, *addrs(alice)) as bob:
            await until(lambda: state(alice, letter) == [("delivered", "2.0.0")])
            assert ["Awake?"] == folder(bob)


async def test_what_waits_is_found_again_after_a_restart(alices: Home, bobs: Home, running: Run) -> None:
    async with running(alices) as alice:
        async with running(bobs, *addrs(alice)) as bob:
            await befriend(alice, bob)
            address = bob.identity.address
        letter = await send(alice, address, "Still there?")
        await until(lambda: state(alice, letter) == [("queued", "4.4.1")])
    async with running(alices) as alice, running(bobs, *addrs(alice)):
        await until(lambda: state(alice, letter) == [("delivered", "2.0.0")])


async def test_a_letter_of_the_closed_store_goes_when_the_node_runs(
    alices: Home, bobs: Home, running: Run
) -> None:
    async with running(bobs) as bob:
        link = await bob.handshakes.link(one_time=False)
        async with open_desk(alices, config(), None) as closed:
            letter = await send(closed, link, "From the closed store")
            assert [("queued", "")] == state(closed, letter)
            assert ["From the closed store"] == folder(closed, "sent")
            assert not status_of(closed)["running"]
        async with running(alices, *addrs(bob)) as alice:
            await until(lambda: state(alice, letter) == [("delivered", "2.0.0")])
        assert ["From the closed store"] == folder(bob, "handshake")


async def test_a_second_process_on_the_home_is_refused(alices: Home, running: Run) -> None:
    async with running(alices):
        with pytest.raises(NodeError) as refused:
            await run_node(alices, config(), None, stop=trio.Event())
        assert "store-locked" == refused.value.code
        with pytest.raises(NodeError) as refused:
            async with open_desk(alices, config(), None):
                await trio.lowlevel.checkpoint()
        assert "store-locked" == refused.value.code
    async with open_desk(alices, config(), None) as desk:
        assert [] == folder(desk)


async def test_no_identity_no_node(tmp_path: Any) -> None:
    with pytest.raises(NodeError) as refused:
        await run_node(Home(tmp_path / "none"), config(), None, stop=trio.Event())
    assert "\n" not in refused.value.text


async def test_it_ends_in_time_with_a_peer_that_hangs(alices: Home, running: Run) -> None:
    heard = trio.Event()

    async def silent(channel: Channel) -> None:
        await channel.receive()
        heard.set()
        await trio.sleep_forever()

    async with open_client() as carol:
        carol.serve()
        carol.network.serve(LETTER, silent, max_frame=MAX_FRAME, deadline=3_600)
        stop, opened, ended = trio.Event(), trio.Event(), trio.Event()

        async def ready(desk: Desk) -> None:
            where = tuple(carol.network.listen_addrs())
            link = ContactLink(carol.address, carol.record.public_key, where, None)
            await send(desk, link.encode(), "Hello?")
            opened.set()

        async with trio.open_nursery() as nursery:

            async def run() -> None:
                await run_node(alices, config(), None, stop=stop, ready=ready)
                ended.set()

            nursery.start_soon(run)
            with trio.fail_after(BOUND):
                await opened.wait()
                await heard.wait()
            stop.set()
            with trio.fail_after(DRAIN_S):
                await ended.wait()
    async with open_desk(alices, config(), None) as desk:
        assert [("queued", "")] == [(d.state, d.code) for x in desk.outbox.list() for d in x.deliveries]


async def test_status_has_what_programs_read(alices: Home, running: Run) -> None:
    async with running(alices) as alice:
        status = status_of(alice)
    assert alice.identity.address == status["address"]
    assert {
        "address",
        "peerId",
        "listen",
        "peers",
        "reachability",
        "outbox",
        "hosts",
        "disk",
        "warnings",
        "letters",
        "published",
    } <= status.keys()
    assert {"libp2p", "http", "smtp", "submission", "imap"} == status["listen"].keys()
    assert {"queued": 0, "failed": 0} == status["outbox"]
    assert {"used", "free"} == status["disk"].keys()
    assert {"taken": 0, "firstContacts": 0, "refusedBeforeBody": 0, "refusedAfterBody": 0} == status[
        "letters"
    ]
    assert all({"code", "text", "remedy"} == warning.keys() for warning in status["warnings"])


async def test_rubbish_costs_the_peer_that_sends_it(alices: Home, bobs: Home, running: Run) -> None:
    async with open_client() as eve, running(alices) as alice, running(bobs, *addrs(alice)) as bob:
        await befriend(alice, bob)
        network, peer = network_of(bob), parse_peer(addrs(bob)[0])
        sent_away = trio.Event()

        async def rubbish() -> None:
            while not sent_away.is_set():
                with suppress(PeerUnreachable):
                    async with eve.channel(peer) as channel:
                        while not sent_away.is_set():
                            await channel.send(secrets.token_bytes(100))
                            await channel.receive()
                if network.counters["fault:letter 5.6.0"] >= FAULTS_PER_PEER:
                    sent_away.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(rubbish)
            letters = [await send(alice, bob.identity.address, f"{n}") for n in range(10)]
            await until(lambda: all(state(alice, x) == [("delivered", "2.0.0")] for x in letters))
            with trio.fail_after(BOUND):
                await sent_away.wait()
        await until(lambda: not network.is_connected(eve.network.peer_id))
        assert sorted(f"{n}" for n in range(10)) == sorted(folder(bob))
        late = await send(alice, bob.identity.address, "Late")
        await until(lambda: state(alice, late) == [("delivered", "2.0.0")])
