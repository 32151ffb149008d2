"""An author who is not there, and its hosts that are: what it sent comes from them, under keys that say
nothing of us, in no more time than a person waits (§7).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import trio

from node.exchange.providers import NODE_S, PATIENCE_S
from node.exchange.swarm import WORTH_S
from node.files import KuboAway
from node.network import PeerAddress, PeerFault
from node.runtime.clock import DAY_MS
from protocol.account import KeptFile
from protocol.identity import Host, build_identity
from protocol.peers import Peer
from protocol.stream import ContentRef, padded_size, sealed_size
from tests.kit.client import Client
from tests.kit.houses import DAY_S, House, Street
from tests.kit.shelves import DATA, Scene, Shelf, ref, set_scene, tree
from tests.kit.wires import BITSWAP, Act, Frame, Wire

STEP_S = 0.1
OTHER = b"another file\n" * 30_000


@dataclass
class Place:
    """A host of carol's."""

    wire: Wire
    shelf: Shelf

    @property
    def peer_id(self) -> bytes:
        """Its peer id."""
        return self.wire.peer_id


@dataclass
class Hosted(Scene):
    """Carol, with hosts that have nothing of hers yet."""

    hosts: Sequence[Place] = ()

    @property
    def home(self) -> Wire:
        """Carol's own node."""
        return _wire(self.carol)

    async def send_two(self, first: ContentRef, second: ContentRef) -> None:
        """A letter with text and these."""
        head = f"From: {self.carol.mailbox}\r\nSubject: bad\r\n\r\nHi.\r\n".encode()
        assert "2.0.0" == await self.send(first, second, message=head)

    async def state(self, subject: str = "bad") -> list[str]:
        return [one["state"] for one in await self.shown(subject)]

    def asked_as(self, place: Place) -> list[bytes]:
        """Who this host saw, other than the key that bob has for it today."""
        day = self.bob.ground.clock.now() // DAY_MS
        mask = self.bob.wire.masked.ids.get((place.peer_id, day))
        return [peer_id for peer_id in place.wire.bitswap.askers if peer_id != mask]

    async def soon(self, seconds: float) -> float:
        """Until carol's file is there, at most so many seconds; how many it were."""
        passed = 0.0
        while await self.state() != ["complete"] and passed < seconds:
            await self.street.pass_time(STEP_S, STEP_S)
            passed += STEP_S
        return passed


def _wire(client: Client) -> Wire:
    network: Any = client.network
    assert isinstance(network, Wire)
    return network


def place(street: Street) -> Place:
    wire, shelf = _wire(street.client()), Shelf()
    wire.bitswap.serve(shelf)
    return Place(wire, shelf)


def lists(scene: Scene, hosts: Sequence[bytes], nodes: Sequence[bytes] = ()) -> None:
    """Carol's record names these from now on."""
    carol = scene.carol
    carol.record = build_identity(
        carol.secrets,
        carol.chain,
        nodes=[Peer(peer_id) for peer_id in [carol.network.peer_id, *nodes]],
        hosts=[Host(peer_id, (), bytes(32), ("letters",)) for peer_id in hosts],
        price=6,
        created=carol.record.created + 1,
    )
    scene.street.wires.records[carol.address] = [carol.record.record]


@pytest.fixture
async def scene(street: Street, bob: House) -> Hosted:
    first = await set_scene(street, bob)
    hosts = sorted([place(street) for _ in range(3)], key=lambda one: one.peer_id)
    lists(first, [one.peer_id for one in hosts])
    return Hosted(first.street, first.bob, first.carol, first.shelf, hosts)


@pytest.mark.parametrize("which", range(3))
async def test_from_a_host_while_its_author_is_away(scene: Hosted, which: int) -> None:
    scene.hosts[which].shelf.blocks, root = tree(DATA)
    letter = scene.send(ref(DATA, root))
    scene.home.bitswap.blocks = None  # it delivers the letter, and is gone
    assert "2.0.0" == await letter
    assert ["complete"] == await scene.state()
    assert DATA == await scene.saved()
    assert [[], [], []] == [scene.asked_as(one) for one in scene.hosts]
    assert scene.bob.wire.blamed == []


async def test_no_host_is_asked_while_its_author_has_it(scene: Hosted) -> None:
    scene.shelf.blocks, root = tree(DATA)
    for one in scene.hosts:
        one.shelf.blocks = scene.shelf.blocks
    assert "2.0.0" == await scene.send(ref(DATA, root))
    assert ["complete"] == await scene.state()
    assert [[], [], []] == [one.wire.bitswap.askers for one in scene.hosts]
    assert [scene.bob.wire.peer_id] == scene.home.bitswap.askers


async def test_another_owner_keeps_it_without_its_key(scene: Hosted, alice: House) -> None:
    """A real host: from carol's node into its files, and from there to bob when carol is gone."""
    lists(scene, [alice.wire.peer_id])
    scene.shelf.blocks, root = tree(DATA)
    kept = KeptFile(root, sealed_size(padded_size(len(DATA))), alice.ground.clock.now() + DAY_MS)
    account = bytes(range(32))
    async with alice.wire.bitswap.session(PeerAddress(scene.home.peer_id)) as session:
        await alice.owner.files.hosted.keep(account, kept, session)
    scene.home.bitswap.blocks = None
    assert "2.0.0" == await scene.send(ref(DATA, root))
    assert ["complete"] == await scene.state()
    assert DATA == await scene.saved()
    mask = scene.bob.wire.masked.ids[alice.wire.peer_id, scene.bob.ground.clock.now() // DAY_MS]
    assert [mask] == alice.wire.bitswap.askers
    assert mask not in (scene.bob.wire.peer_id, alice.wire.peer_id)


async def test_bob_switches_on_when_its_author_is_off(scene: Hosted, street: Street) -> None:
    """What he missed is there at once, for the first try after a start waits for nothing."""
    scene.home.bitswap.blocks = None
    blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root))
    assert ["fetching"] == await scene.state()
    await street.pass_time(3 * 3_600)
    await street.close(scene.bob)
    scene.hosts[1].shelf.blocks = blocks
    scene.home.leave()
    scene.bob = await street.open("bob")
    await street.quiet()
    assert ["complete"] == await scene.state()


def hangs(scene: Hosted) -> None:
    scene.home.suspended = True


def says_nothing(scene: Hosted) -> None:
    scene.shelf.stalls = set(scene.hosts[0].shelf.blocks)


@pytest.mark.parametrize("how", [hangs, says_nothing])
async def test_a_suspended_author_costs_seconds(scene: Hosted, how: Callable[[Hosted], None]) -> None:
    scene.hosts[0].shelf.blocks, root = tree(DATA)
    scene.hosts[0].shelf.blocks |= tree(OTHER)[0]
    how(scene)
    await scene.send_two(ref(DATA, root), ref(OTHER, tree(OTHER)[1]))
    assert ["fetching", "fetching"] == await scene.state()
    await scene.street.pass_time(PATIENCE_S - 0.5, 0.5)
    assert ["fetching", "fetching"] == await scene.state()
    await scene.street.pass_time(1, 0.5)
    assert ["complete", "complete"] == await scene.state()  # it does not cost them for each file
    scene.home.suspended, scene.shelf.stalls = False, set()
    scene.bob.fetcher.connected(scene.home.peer_id)


async def test_four_suspended_nodes_cost_seconds_together(scene: Hosted) -> None:
    nodes = [scene.home, *[place(scene.street).wire for _ in range(3)]]
    lists(scene, [one.peer_id for one in scene.hosts], [one.peer_id for one in nodes[1:]])
    for one in nodes:
        one.suspended = True
    scene.hosts[0].shelf.blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root))
    assert PATIENCE_S < await scene.soon(60) < PATIENCE_S + 3 * NODE_S + 0.3


async def test_who_stalls_in_the_middle_costs_seconds(scene: Hosted) -> None:
    data = DATA * 8
    scene.shelf.blocks, root = tree(data)
    scene.hosts[0].shelf.blocks = dict(scene.shelf.blocks)
    scene.shelf.stalls = {list(scene.shelf.blocks)[-3]}
    assert "2.0.0" == await scene.send(ref(data, root))
    assert ["fetching"] == await scene.state()
    assert await scene.soon(60) < PATIENCE_S + 0.3
    assert data == await scene.saved()
    assert scene.bob.wire.blamed == []


@pytest.mark.parametrize(("pace", "slow"), [(0.15, False), (0.45, True)])
async def test_a_host_is_asked_beside_a_slow_author(scene: Hosted, pace: float, slow: bool) -> None:
    """Where what is left would take long, and only then: of 47 blocks each takes so many seconds."""
    data = DATA * 20
    scene.shelf.blocks, root = tree(data)
    for one in scene.hosts:
        one.shelf.blocks = scene.shelf.blocks

    async def slowly(frame: Frame) -> Act:
        if frame.protocol == BITSWAP and frame.data:
            await trio.sleep(pace)
        return Act.PASS

    scene.street.wires.judge = slowly
    assert "2.0.0" == await scene.send(ref(data, root), whole=None)
    assert await scene.soon(60) < (1.4 if slow else 1.0) * WORTH_S
    assert [slow, False, False] == [bool(one.shelf.asked) for one in scene.hosts]
    assert len(scene.hosts[0].shelf.asked) < len(scene.shelf.blocks) // 2
    assert [[], [], []] == [scene.asked_as(one) for one in scene.hosts]


async def test_how_far_it_is_is_told_once_a_second(scene: Hosted) -> None:
    """And in the end what became of it, with the reason."""
    data = DATA * 20
    scene.shelf.blocks, root = tree(data)

    async def slowly(frame: Frame) -> Act:
        if frame.protocol == BITSWAP and frame.data:
            await trio.sleep(0.15)
        return Act.PASS

    scene.street.wires.judge = slowly
    told: list[dict[str, object]] = []

    async def listen() -> None:
        async with scene.bob.ground.events.subscribe() as events:
            async for event in events:
                told.extend([dict(event.data)] if event.name == "attachment" else [])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        assert "2.0.0" == await scene.send(ref(data, root), ref(OTHER, tree(OTHER)[1]), whole=None)
        await scene.soon(30)
        nursery.cancel_scope.cancel()
    (letter,) = {str(one["letter"]) for one in told}
    assert letter == scene.bob.owner.mailbox.list()[0]["id"]
    coming = [one for one in told if one["state"] == "fetching"]
    assert 3 < len(coming) <= 10
    assert [(0, len(data))] * len(coming) == [(one["ref"], one["size"]) for one in coming]
    fetched = [int(str(one["fetched"])) for one in coming]
    assert fetched == sorted(fetched)
    assert 0 <= fetched[0] < fetched[-1] <= len(data)
    assert all(500_000 < int(str(one["rate"])) < 3_000_000 for one in coming[1:])
    ends = [one | {"letter": ""} for one in told if one["state"] != "fetching"]
    assert {"letter": "", "ref": 0, "state": "complete"} in ends
    detail = "its sender does not keep it any more"
    assert {"letter": "", "ref": 1, "state": "expired", "detail": detail} in ends


async def test_a_suspended_host_is_passed_over_too(scene: Hosted) -> None:
    scene.home.bitswap.blocks = None
    scene.hosts[0].wire.suspended = True
    scene.hosts[1].shelf.blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root))
    assert PATIENCE_S - 0.2 < await scene.soon(60) < PATIENCE_S + 0.3


async def test_who_is_slow_is_waited_for_when_nobody_else_has_it(scene: Hosted) -> None:
    scene.shelf.blocks, root = tree(DATA)

    async def slowly(frame: Frame) -> Act:
        if frame.protocol == BITSWAP and frame.data:
            await trio.sleep(PATIENCE_S + 1)
        return Act.PASS

    scene.street.wires.judge = slowly
    assert "2.0.0" == await scene.send(ref(DATA, root))
    assert await scene.soon(120) < 60
    assert ["complete"] == await scene.state()


async def test_a_host_that_lacks_it_is_asked_again(scene: Hosted) -> None:
    scene.home.bitswap.blocks = None
    blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root))
    (shown,) = await scene.shown()
    assert ("fetching", "its sender's node: nobody is there; its sender's hosts do not have it yet") == (
        shown["state"],
        shown["detail"],
    )
    await scene.street.pass_time(30 * DAY_S, DAY_S / 24)
    assert ["fetching"] == await scene.state()  # for good says nobody but its author
    scene.hosts[2].shelf.blocks = blocks
    await scene.street.pass_time(DAY_S / 4, DAY_S / 24)
    assert ["complete"] == await scene.state()


async def test_its_author_wakes_before_a_host_has_it(scene: Hosted) -> None:
    serving, scene.home.bitswap.blocks = scene.home.bitswap.blocks, None
    scene.shelf.blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root))
    await scene.street.pass_time(DAY_S)
    assert ["fetching"] == await scene.state()
    scene.home.bitswap.blocks = serving
    scene.bob.fetcher.connected(scene.home.peer_id)
    await scene.street.quiet()
    assert ["complete"] == await scene.state()
    assert scene.home.bitswap.askers == [scene.bob.wire.peer_id]


async def test_what_its_author_keeps_no_more_a_host_may_have(scene: Hosted) -> None:
    scene.hosts[1].shelf.blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root))
    assert ["complete"] == await scene.state()


async def test_what_one_of_its_authors_nodes_lacks_another_may_have(scene: Hosted) -> None:
    """For good it is only when all of them say so."""
    second, blocks = place(scene.street), tree(DATA)[0]
    lists(scene, [], [second.peer_id])
    second.wire.leave()
    assert "2.0.0" == await scene.send(ref(DATA, tree(DATA)[1]))
    await scene.street.pass_time(DAY_S, DAY_S / 24)
    assert ["fetching"] == await scene.state()
    second.wire.awake, second.wire.gone = True, False
    second.shelf.blocks = {cid: blocks[cid] for cid in list(blocks)[1:]}
    await scene.street.pass_time(DAY_S / 4, DAY_S / 24)
    assert ["expired"] == await scene.state()
    second.shelf.blocks, scene.shelf.blocks = {}, blocks
    await scene.bob.fetcher.ask(bytes.fromhex(scene.bob.owner.mailbox.list()[0]["id"]))
    await scene.street.quiet()
    assert ["complete"] == await scene.state()


async def test_two_nodes_of_an_author_give_what_neither_has_whole(scene: Hosted) -> None:
    second, blocks = place(scene.street), tree(DATA * 8)[0]
    lists(scene, [], [second.peer_id])
    found = list(blocks.items())
    scene.shelf.blocks, second.shelf.blocks = dict(found[5:]), dict(found[:5])
    assert "2.0.0" == await scene.send(ref(DATA * 8, found[-1][0]), whole=None)
    assert ["complete"] == await scene.state()
    assert DATA * 8 == await scene.saved()


async def test_what_its_author_keeps_no_more_and_no_host_has_is_over(scene: Hosted) -> None:
    scene.hosts[1].wire.leave()
    assert "2.0.0" == await scene.send(ref(DATA, tree(DATA)[1]))
    (shown,) = await scene.shown()
    assert ("expired", "its sender does not keep it any more") == (shown["state"], shown["detail"])


class Nonsense(Shelf):
    """What is no message of any kind."""

    async def read(self, cid: bytes) -> bytes | None:
        await trio.lowlevel.checkpoint()
        raise PeerFault("no message of Bitswap")


class Wrong(Shelf):
    """Blocks that were asked for by another name."""

    async def read(self, cid: bytes) -> bytes | None:
        await trio.lowlevel.checkpoint()
        return b"something else"


@pytest.mark.parametrize("bad", [Nonsense(), Wrong()], ids=["no message", "other blocks"])
async def test_a_host_that_answers_nonsense(scene: Hosted, bad: Shelf) -> None:
    """It is not blamed under our name, and the next one is asked."""
    scene.home.bitswap.blocks = None
    scene.hosts[0].wire.bitswap.serve(bad)
    scene.hosts[1].shelf.blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root))
    assert await scene.soon(60) < PATIENCE_S + 0.3
    assert (await scene.state(), scene.bob.wire.blamed) == (["complete"], [])
    assert DATA == await scene.saved()
    assert [[], [], []] == [scene.asked_as(one) for one in scene.hosts]


async def test_a_node_that_answers_nonsense_is_blamed(scene: Hosted) -> None:
    scene.home.bitswap.serve(Nonsense())
    scene.hosts[0].shelf.blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root))
    assert (await scene.state(), scene.bob.wire.blamed) == (
        ["complete"],
        [(scene.home.peer_id, "blocks")],
    )


async def test_what_has_come_from_its_author_does_not_come_again(scene: Hosted) -> None:
    data = DATA * 8
    scene.shelf.blocks, root = tree(data)
    scene.hosts[0].shelf.blocks = scene.shelf.blocks
    come = 0

    async def ten(frame: Frame) -> Act:
        nonlocal come
        come += frame.protocol == BITSWAP
        return Act.LOSE if come == 11 else Act.PASS

    scene.street.wires.judge = ten
    assert "2.0.0" == await scene.send(ref(data, root), whole=None)
    assert ["complete"] == await scene.state()
    assert come == len(scene.shelf.blocks) + 1
    assert len(scene.hosts[0].shelf.asked) == len(scene.shelf.blocks) - 10


async def test_who_is_node_and_host_of_its_author_never_sees_us(scene: Hosted) -> None:
    """An author that lists a host as its node would have us tell it who fetches."""
    lists(scene, [one.peer_id for one in scene.hosts], [one.peer_id for one in scene.hosts])
    scene.home.bitswap.blocks = None
    scene.hosts[2].shelf.blocks, root = tree(DATA)
    assert "2.0.0" == await scene.send(ref(DATA, root))
    assert ["complete"] == await scene.state()
    assert [1, 1, 1] == [len(one.wire.bitswap.askers) for one in scene.hosts]
    assert [[], [], []] == [scene.asked_as(one) for one in scene.hosts]


async def test_we_are_its_host_ourselves(scene: Hosted) -> None:
    """Bob keeps it for carol's account at him, and asks nobody."""
    lists(scene, [scene.bob.wire.peer_id])
    scene.shelf.blocks, root = tree(DATA)
    kept = KeptFile(root, sealed_size(padded_size(len(DATA))), scene.bob.ground.clock.now() + DAY_MS)
    async with scene.bob.wire.bitswap.session(PeerAddress(scene.home.peer_id)) as session:
        await scene.bob.owner.files.hosted.keep(bytes(32), kept, session)
    scene.home.bitswap.blocks = None
    said = len(scene.street.wires.frames)
    assert "2.0.0" == await scene.send(ref(DATA, root))
    assert ["complete"] == await scene.state()
    assert [] == [frame for frame in scene.street.wires.frames[said:] if frame.protocol == BITSWAP]
    assert DATA == await scene.saved()


async def test_what_we_keep_as_its_host_and_can_not_read_now_waits(
    scene: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The IPFS daemon that has it is away: that is no fault of ours, and no loss."""
    lists(scene, [scene.bob.wire.peer_id])
    scene.shelf.blocks, root = tree(DATA)
    kept = KeptFile(root, sealed_size(padded_size(len(DATA))), scene.bob.ground.clock.now() + DAY_MS)
    async with scene.bob.wire.bitswap.session(PeerAddress(scene.home.peer_id)) as session:
        await scene.bob.owner.files.hosted.keep(bytes(32), kept, session)
    scene.home.bitswap.blocks = None

    async def away(cid: bytes) -> bytes:
        raise KuboAway("nowhere", "is not there")

    with monkeypatch.context() as patch:
        patch.setattr(scene.bob.owner.files.blocks, "read", away)
        assert "2.0.0" == await scene.send(ref(DATA, root))
        await scene.street.pass_time(60.0)
        assert ["fetching"] == await scene.state()
    await scene.street.pass_time(DAY_S)
    assert ["complete"] == await scene.state()


async def test_a_letter_has_its_author_tried_at_once(scene: Hosted) -> None:
    scene.home.bitswap.blocks = None
    assert "2.0.0" == await scene.send(ref(DATA, tree(DATA)[1]))
    await scene.street.pass_time(DAY_S)
    assert ["fetching"] == await scene.state()
    scene.hosts[0].shelf.blocks, root = tree(OTHER)
    scene.hosts[0].shelf.blocks |= tree(DATA)[0]
    head = f"From: {scene.carol.mailbox}\r\nSubject: next\r\n\r\n"
    assert "2.0.0" == await scene.send(ref(OTHER, root), message=head.encode())
    assert (["complete"], ["complete"]) == (await scene.state("next"), await scene.state())


async def test_one_file_that_hosts_lack_keeps_no_other_away(scene: Hosted) -> None:
    scene.home.bitswap.blocks = None
    scene.hosts[0].shelf.blocks, root = tree(OTHER)
    await scene.send_two(ref(DATA, tree(DATA)[1]), ref(OTHER, root))
    await scene.street.pass_time(60, 1)
    assert ["fetching", "complete"] == await scene.state()


async def test_another_day_another_key(scene: Hosted) -> None:
    scene.home.bitswap.blocks = None
    assert "2.0.0" == await scene.send(ref(DATA, tree(DATA)[1]))
    await scene.street.pass_time(DAY_S)
    scene.hosts[0].shelf.blocks = tree(DATA)[0]
    await scene.bob.fetcher.ask(bytes.fromhex(scene.bob.owner.mailbox.list()[0]["id"]))
    await scene.street.quiet()
    assert ["complete"] == await scene.state()
    seen = set(scene.hosts[0].wire.bitswap.askers)
    assert len(seen) == 2
    assert scene.bob.wire.peer_id not in seen
