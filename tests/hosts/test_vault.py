"""What is kept of an owner at its hosts (protocol.md §3, *Vault*): all of it, and one page anew a change."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from node.consent import Rules
from node.hosts.vault import AGAIN_S, SETTLE_S
from node.storage import Batch
from protocol.cbor import encode
from protocol.handshake import State
from protocol.nodes import build_nodes
from protocol.peers import Peer
from protocol.vault import FULL_BYTES, Entry
from tests.kit.keeper import Keeper, of, open_keeper
from tests.kit.owners import NOW, owner


@pytest.fixture
async def alice(tmp_path: Path) -> AsyncIterator[Keeper]:
    async with open_keeper("alice", tmp_path) as keeper:
        yield keeper


async def test_all_that_the_owner_decided_is_kept(alice: Keeper) -> None:
    bob, carol, consent = owner("bob"), owner("carol"), alice.party.consent
    told = build_nodes(bob.key, [Peer(b"\x00\x24" + bytes(36), ("/ip4/203.0.113.1/tcp/1",))], NOW).record
    await alice.do(
        *(alice.learn(name) for name in ("bob", "carol", "eve")),
        alice.accept(of("bob")),
        alice.accept_mail("dave@example.org"),
        lambda batch: alice.names.learn_nodes(batch, [told], bob.identity, NOW),
        lambda batch: consent.revoke(batch, carol.address, NOW),
        lambda batch: consent.request_arrived(batch, owner("eve").identity, "Hi", NOW),
        lambda batch: consent.asked(batch, owner("frank").address, NOW),
        lambda batch: alice.names.add(batch, "Grace", [owner("grace").address, "grace@example.org"]),
    )
    assert sorted(
        [
            ("contact/1", ""),
            ("ours/1", bob.address),
            ("ours/1", "dave@example.org"),
            ("owner/1", bob.address),
            ("ours/1", carol.address),
            ("owner/1", carol.address),
            ("theirs/1", owner("frank").address),
        ]
    ) == sorted(await alice.kept())


async def test_what_strangers_send_is_not_kept(alice: Keeper) -> None:
    """They decide how much it is."""
    eve = owner("eve")
    await alice.do(
        alice.learn("eve"), lambda batch: alice.party.consent.request_arrived(batch, eve.identity, "", NOW)
    )
    assert [] == await alice.kept()


async def test_a_request_does_not_take_an_earlier_handshake_away(alice: Keeper) -> None:
    bob, consent = owner("bob"), alice.party.consent
    soon = Rules(until=NOW + 1_000)
    await alice.do(lambda batch: consent.accept(batch, of("bob"), soon, NOW))
    alice.party.clock.time = later = NOW + 2_000
    await alice.do(lambda batch: consent.request_arrived(batch, bob.identity, "again?", later))
    kept = {e.kind: e for e in await alice.entries()}["ours/1"]
    assert b"again?" not in kept.value
    assert b"request" not in kept.value
    assert State.REQUEST is consent.state(bob.address, later)


async def test_a_change_makes_one_page_anew(alice: Keeper) -> None:
    alice.more[:] = many(400)
    await alice.do()
    before = {item.id: item for item in await alice.items()}
    assert 1 == await alice.do(alice.accept(of("bob")))
    after = {item.id: item for item in await alice.items()}
    changed = [i for i in after if after[i] != before[i]]
    place = alice.keys.place("ours/1", owner("bob").address.encode())
    assert [alice.keys.page_id(place % len(after))] == changed
    assert before.keys() == after.keys() == alice.notes()
    assert len(after) > 1


async def test_what_did_not_change_stays_as_it_is(alice: Keeper) -> None:
    await alice.do(alice.accept(of("bob")))
    before = await alice.items()
    alice.party.clock.time += 1_000
    assert 0 == await alice.vault.renew()
    alice.vault = alice.fresh()
    assert 0 == await alice.vault.renew()
    assert before == await alice.items()


async def test_a_change_back_is_a_change(alice: Keeper) -> None:
    await alice.do()
    await alice.do(lambda batch: alice.names.add(batch, "Grace", ["grace@example.org"]))
    seqs = [item.seq for item in await alice.items()]
    await alice.do(lambda batch: alice.names.remove(batch, "Grace"))
    assert [seq + 1 for seq in seqs] == [item.seq for item in await alice.items()]
    assert [] == await alice.entries()


def many(count: int, size: int = 1_000) -> list[Entry]:
    return [Entry("more/1", n.to_bytes(2, "big"), encode(bytes(size - 3))) for n in range(count)]


async def test_pages_double_when_one_is_full(alice: Keeper) -> None:
    counts = []
    for wanted in (0, 100, 200, 400, 1_000):
        alice.more[:] = many(wanted)
        alice.party.clock.time += 1_000
        await alice.do()
        pages = await alice.pages()
        counts.append(len(pages))
        assert {len(pages)} == {page.count for page in pages}
        assert max(sum(e.size for e in page.entries) for page in pages) <= FULL_BYTES
        assert alice.more == [e for e in await alice.entries() if e.kind == "more/1"]
    assert sorted(counts) == counts
    assert (1, 1) == (counts[0], counts[1])
    assert counts[-1] >= 8
    alice.more.clear()
    await alice.do()
    assert (counts[-1], []) == (len(await alice.items()), await alice.entries())


async def test_what_moves_is_told_before_what_it_moves_from(alice: Keeper) -> None:
    alice.more[:] = many(300)
    await alice.do()
    numbers = [page.number for page in await alice.pages()]
    assert list(reversed(range(len(numbers)))) == numbers
    assert len(numbers) > 1


async def test_a_page_from_a_clock_that_ran_ahead_is_dated_anew(alice: Keeper) -> None:
    alice.party.clock.time = NOW + 86_400_000
    await alice.do()
    alice.party.clock.time = NOW
    await alice.do(alice.accept(of("bob")))
    assert [NOW] == [item.seq for item in await alice.items()]


async def test_nothing_is_written_while_the_clock_is_doubtful(
    alice: Keeper, autojump_clock: trio.testing.MockClock
) -> None:
    alice.party.clock.doubtful = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alice.vault.run)
        await trio.sleep(10)
        assert [] == await alice.items()
        alice.party.clock.doubtful = False
        await trio.sleep(AGAIN_S + SETTLE_S)
        assert 1 == len(await alice.items())
        nursery.cancel_scope.cancel()


async def test_changes_are_noticed_and_gathered(
    alice: Keeper, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alice.vault.run)
        await trio.sleep(60)
        for name in ("bob", "carol"):
            batch = Batch()
            alice.party.consent.accept(batch, of(name), Rules(), NOW)
            await alice.party.store.write(batch)
            alice.vault.changed()
            alice.party.clock.time += 1
        await trio.sleep(2 * SETTLE_S)
        nursery.cancel_scope.cancel()
    assert 2 == len(await alice.kept())
