"""Helia, JavaScript's IPFS, as the other end: it finds our CIDs, has what a node keeps for a recipient, and
gives what a letter refers to; and it stalls, ends and says what nobody asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from node.exchange.swarm import Member, PeerSession, Swarm
from node.files import ContentMissing
from node.files.fetching import AT_ONCE
from node.network import Network, PeerUnreachable, parse_peer
from node.network.bitswap_wire import encode_block
from node.network.limits import STALLED
from protocol.frames import encode_frame
from protocol.stream import padded_size, sealed_size
from protocol.unixfs import LEAF_BYTES, WIDTH, cid_text, parse_cid, raw_cid
from tests.kit.blocks import Place, a_place
from tests.kit.bulk import random_file, sha256_of
from tests.kit.helia import Helia, a_helia, why_no_helia
from tests.kit.network import a_leaf, a_network, until
from tests.kit.peers import needs
from tests.kit.processes import a_village
from tests.kit.traffic_bench import asking, friends
from tests.kit.trees import OnDisk, cid_of, had, sealed

pytestmark = needs(why_no_helia())

SIZES = (
    0,
    1,
    LEAF_BYTES - 1,
    LEAF_BYTES,
    LEAF_BYTES + 1,
    WIDTH * LEAF_BYTES,
    WIDTH * LEAF_BYTES + 1,
    100_000_000,
)


@pytest.fixture
async def helia() -> AsyncIterator[Helia]:
    async with a_helia() as helia:
        yield helia


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    async with a_network(server=False) as network:
        yield network


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path / "place") as place:
        yield place


# ---- the same files


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_goes_both_ways_under_one_cid(
    helia: Helia, network: Network, tmp_path: Path, size: int
) -> None:
    """Any bytes: what Helia makes of them we find in it, and what we make of others it finds."""
    theirs = random_file(tmp_path / "theirs", size)
    cid = await helia.add(theirs)
    assert cid == cid_of(theirs)
    async with network.bitswap.session(helia.peer) as session:
        assert size == await had(session, parse_cid(cid), size)
    ours = random_file(tmp_path / "ours", size)
    network.bitswap.serve(served := OnDisk(ours))
    await helia.dial(network.listen_addrs()[0])
    found = await helia.cat(cid_text(served.root), tmp_path / "came")
    assert (found.size, found.sha256) == (size, sha256_of(ours))
    assert sha256_of(ours) == sha256_of(tmp_path / "came")
    assert network.counters["bitswap-unsolicited"] == 0


# ---- a letter's files


async def test_it_has_what_a_node_keeps_for_a_recipient(helia: Helia, tmp_path: Path) -> None:
    """From a node as a person runs it, whose letter waits for a recipient who is away."""
    async with a_village(tmp_path) as village:
        await village.open_bootstrap()
        alice, bob = await village.owner("alice"), await village.owner("bob")
        await friends(asking(alice), alice.address, bob)
        await bob.stop()
        files = [random_file(tmp_path / f"{size}.bin", size) for size in SIZES]
        attached = [argument for path in files for argument in ("--attach", str(path))]
        await alice.mailio("send", bob.address, "--subject", "s", "--body", "t", "--no-wait", *attached)
        await helia.dial((await alice.mailio("status"))["listen"]["libp2p"][0])
        (sent,) = await alice.mailio("list", "sent")
        shown = (await alice.mailio("read", sent["id"]))["attachments"]
        kept = [one for one in shown if one["reference"]]
        assert [size for size in SIZES if size > 32_768] == [one["size"] for one in kept]
        for one in kept:
            cid = one["reference"].removeprefix("ipfs://")
            found = await helia.cat(cid, tmp_path / "came")
            assert found.size == sealed_size(padded_size(one["size"]))
            assert cid == cid_of(tmp_path / "came")  # no other bytes have it


@pytest.mark.parametrize("size", SIZES)
async def test_a_node_has_from_it_what_a_letter_refers_to(
    helia: Helia, network: Network, place: Place, tmp_path: Path, size: int
) -> None:
    wanted = sealed(tmp_path / "sealed", size, place)
    assert cid_text(wanted.cid) == await helia.add(tmp_path / "sealed")
    await place.want(wanted)
    async with network.bitswap.session(helia.peer) as session:
        await place.files.fetch(wanted, session)
    assert place.files.whole(wanted.name)
    assert wanted.hash == hashlib.blake2b(await place.read(wanted), digest_size=32).digest()
    assert network.counters["bitswap-unsolicited"] == 0
    place.consistent()


@pytest.mark.parametrize("size", [0, 1, LEAF_BYTES])
async def test_it_has_what_files_keep_for_a_recipient(
    helia: Helia, network: Network, place: Place, tmp_path: Path, size: int
) -> None:
    """Small ones too, which letters made here hold themselves."""
    put = await place.put(random_file(tmp_path / "file", size).read_bytes())
    cid = cid_text(put.content.cid)
    network.bitswap.serve(place.files.blocks)
    await helia.dial(network.listen_addrs()[0])
    assert (await helia.cat(cid, tmp_path / "came")).size == put.content.size
    assert cid == cid_of(tmp_path / "came")


# ---- an end that does not do as it should


MIDDLE = 30
"""Blocks after which it happens, of some hundred."""


class Watched:
    """A session, and something that is done after so many blocks."""

    def __init__(self, session: PeerSession, count: int, then: Callable[[], None]) -> None:
        self._session, self._count, self._then = session, count, then

    @property
    def heard(self) -> float:
        return self._session.heard

    async def want(self, cids: Sequence[bytes]) -> None:
        await self._session.want(cids)

    async def drop(self, cids: Sequence[bytes]) -> None:
        await self._session.drop(cids)

    async def receive(self) -> tuple[bytes, bytes | None]:
        answer = await self._session.receive()
        self._count -= 1
        if not self._count:
            self._then()
        return answer


def member(network: Network, helia: Helia, then: Callable[[], None]) -> Member:
    """Helia as one of several, and what it does in the middle."""

    @asynccontextmanager
    async def session() -> AsyncIterator[PeerSession]:
        async with network.bitswap.session(helia.peer) as session:
            yield Watched(session, MIDDLE, then)

    return Member(session, 0.0)


@asynccontextmanager
async def another(path: Path, network: Network) -> AsyncIterator[tuple[OnDisk, Member]]:
    """A node of ours that has a file, as one of several that is asked when nothing comes for a second."""
    async with a_network(server=False) as other:
        other.bitswap.serve(served := OnDisk(path))
        yield served, Member(partial(network.bitswap.session, parse_peer(other.listen_addrs()[0])), 1.0)


@pytest.mark.parametrize("how", [Helia.suspend, Helia.kill])
async def test_in_the_middle_another_goes_on(
    helia: Helia, network: Network, place: Place, tmp_path: Path, how: Callable[[Helia], None]
) -> None:
    """At once where it ends, in seconds where it is silent; what it has given does not come again."""
    wanted = sealed(tmp_path / "sealed", 100 * LEAF_BYTES, place)
    await helia.add(tmp_path / "sealed")
    await place.want(wanted)
    async with another(tmp_path / "sealed", network) as (served, other):
        first = member(network, helia, lambda: how(helia))
        with trio.fail_after(STALLED):
            await Swarm([first, other], lambda: 0).run(partial(place.files.fetch, wanted))
    assert place.files.whole(wanted.name)
    assert len(served.given) <= wanted.content.shape.blocks - MIDDLE + 1


async def test_with_nobody_else_it_goes_on_later(
    helia: Helia, network: Network, place: Place, tmp_path: Path
) -> None:
    wanted = sealed(tmp_path / "sealed", 100 * LEAF_BYTES, place)
    await helia.add(tmp_path / "sealed")
    await place.want(wanted)
    first = member(network, helia, helia.kill)
    with pytest.raises(ContentMissing):
        await Swarm([first], lambda: 0).run(partial(place.files.fetch, wanted))
    assert isinstance(first.fault, PeerUnreachable)
    assert (MIDDLE - 2) * LEAF_BYTES < place.files.come(wanted.name) < wanted.content.size
    async with a_helia() as later:
        await later.add(tmp_path / "sealed")
        async with network.bitswap.session(later.peer) as session:
            await place.files.fetch(wanted, session)
    assert place.files.whole(wanted.name)
    # What was on its way from one to the disk when it ended comes again.
    assert network.counters["bitswap-received"] <= wanted.content.shape.blocks + AT_ONCE


async def test_what_nobody_asked_it_for_is_dropped(helia: Helia, network: Network) -> None:
    addr, leaf = network.listen_addrs()[0], a_leaf(1, 4_096)
    await helia.push(addr, encode_frame(encode_block(raw_cid(leaf), leaf)))
    await until(lambda: network.counters["bitswap-unsolicited"] == 1)
    async with network.bitswap.session(helia.peer) as session:
        await session.want([raw_cid(b"another")])
        await helia.push(addr, encode_frame(encode_block(raw_cid(leaf), leaf)))
        await until(lambda: network.counters["bitswap-unsolicited"] == 2)
    assert network.counters["bitswap-received"] == 0
