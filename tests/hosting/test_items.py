"""What an owner keeps in an account: the newest wins, room has a bound, digests tell (protocol.md §3)."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
import trio

from node.hosting import Limits
from node.hosting.crowd import FINDS, FINDS_OF_BLOCK
from node.hosting.items import OVERHEAD, PAGE
from protocol.account import MAX_VAULT_BYTES, Item, KeptFile, KeyRule, Space
from protocol.handshake import Sender, Terms, accept
from protocol.held import digest, parse_held, seal_held
from protocol.host import MAX_ITEMS_BYTES, Answer, Digest, Find, Get, Page, Put
from protocol.kdf import blake2b
from protocol.keys import SigningKey
from protocol.record import MAX_AHEAD_MS
from protocol.status import (
    BUSY,
    FAILED,
    FULL,
    MALFORMED,
    NO_ANSWER,
    NOT_OFFERED,
    TIME,
    WRONG_RECIPIENT,
    Status,
)
from tests.kit.hosting import Guest, Inn, Lane, an_item, refusal, talking
from tests.kit.owners import GRANT, NOW, owner
from tests.kit.wires import Wire

EMPTY = blake2b(b"")
CID = b"\x01\x55\x12\x20" + bytes(32)
KEPT = KeptFile(CID, 1_000, NOW + 1_000_000)


async def put(guest: Guest, inn: Inn, space: Space, *items: Item, drop: tuple[bytes, ...] = ()) -> Answer:
    async with guest.talk(inn) as talk:
        return await talk.ask(Put(space, items, drop))


async def all_of(guest: Guest, inn: Inn, space: Space) -> list[Item]:
    async with guest.talk(inn) as talk:
        entries = (await talk.ask(Page(space))).entries
        items = (await talk.ask(Get(space, tuple(entry.id for entry in entries)))).items
    assert list(entries) == [item.entry for item in items]
    return list(items)


async def digests(guest: Guest, inn: Inn) -> Answer:
    async with guest.talk(inn) as talk:
        return await talk.ask(Digest())


def of(items: Sequence[Item]) -> bytes:
    entries = [item.entry for item in items]
    return digest((entry.id, entry.seq, entry.hash) for entry in entries)


def held(guest: Guest, inn: Inn, name: str, seq: int = NOW) -> Item:
    """A handshake of this owner's for another, as it lies at this host."""
    handshake = accept(
        guest.owner.key,
        Sender(address=owner(name).address),
        Terms(expires=NOW + 10**9),
        previous=None,
        fresh_grant=GRANT,
        now=seq,
    )
    record = seal_held(handshake, guest.owner.lets(owner(name)), guest.account(inn))
    found = parse_held(record)
    return Item(found.tag, found.seq, record)


async def test_what_is_put_is_there(lane: Lane, inn: Inn, alice: Guest) -> None:
    items = [an_item(n, NOW + n, bytes([n])) for n in range(250)]
    assert {} == (await put(alice, inn, Space.VAULT, *reversed(items))).refused
    assert items == await all_of(alice, inn, Space.VAULT)
    await lane.close(inn)
    inn = await lane.open()
    assert items == await all_of(alice, inn, Space.VAULT)
    assert [] == await all_of(alice, inn, Space.KEY)


async def test_the_newest_wins(inn: Inn, alice: Guest) -> None:
    one, two = sorted([an_item(1, NOW, b"one"), an_item(1, NOW, b"two")], key=lambda item: item.entry.hash)
    for item, stays in [(two, two), (one, one), (two, one), (an_item(1, NOW - 1), one)]:
        assert {} == (await put(alice, inn, Space.VAULT, item)).refused  # the loser is passed over
        assert [stays] == await all_of(alice, inn, Space.VAULT)
    later = an_item(1, NOW + 1, b"later")
    await put(alice, inn, Space.VAULT, later)
    assert [later] == await all_of(alice, inn, Space.VAULT)


async def test_of_several_in_one_put_the_newest_is_kept_and_charged(inn: Inn, alice: Guest) -> None:
    old, new = an_item(1, NOW, b"o" * 100), an_item(1, NOW + 1, b"new")
    await put(alice, inn, Space.VAULT, old, new, old)
    assert [new] == await all_of(alice, inn, Space.VAULT)
    assert OVERHEAD + 3 == (await digests(alice, inn)).used


async def test_nothing_comes_from_the_future(lane: Lane, inn: Inn, alice: Guest) -> None:
    soon, far = an_item(1, NOW + MAX_AHEAD_MS), an_item(2, NOW + MAX_AHEAD_MS + 1)
    assert {far.id: TIME} == (await put(alice, inn, Space.VAULT, soon, far)).refused
    assert [soon] == await all_of(alice, inn, Space.VAULT)
    inn.doubts[0] = True
    assert {} == (await put(alice, inn, Space.VAULT, far)).refused
    assert [] == inn.wire.blamed


async def test_what_is_dropped_is_gone(inn: Inn, alice: Guest) -> None:
    items = [an_item(n) for n in range(300)]
    await put(alice, inn, Space.VAULT, *items)
    before = await digests(alice, inn)
    gone = tuple(item.id for item in items[:200])
    await put(alice, inn, Space.VAULT, drop=(*gone, *gone, b"n" * 32))
    assert items[200:] == await all_of(alice, inn, Space.VAULT)
    after = await digests(alice, inn)
    assert (before.used // 3, of(items[200:])) == (after.used, after.digests[Space.VAULT])


async def test_digests_are_those_of_the_protocol(lane: Lane, inn: Inn, alice: Guest) -> None:
    pages = [an_item(n, NOW + n) for n in range(300)]
    keys = [Item(hashlib.sha256(bytes([n])).digest(), NOW, KeyRule(n, 1).encode()) for n in range(20)]
    await put(alice, inn, Space.VAULT, *pages)
    await put(alice, inn, Space.KEY, *keys)
    expected = {
        Space.HELD: EMPTY,
        Space.KEY: of(keys),
        Space.VAULT: of(pages),
        Space.FILE: EMPTY,
    }
    assert expected == (await digests(alice, inn)).digests
    assert expected == (await digests(alice, inn)).digests  # from where it is kept
    await lane.close(inn)
    inn = await lane.open()
    assert expected == (await digests(alice, inn)).digests
    await put(alice, inn, Space.KEY, drop=(keys[0].id,))
    assert expected | {Space.KEY: of(keys[1:])} == (await digests(alice, inn)).digests


async def test_pages_follow_each_other(inn: Inn, alice: Guest) -> None:
    items = [Item(hashlib.sha256(n.to_bytes(2, "big")).digest(), NOW, b"") for n in range(PAGE + 5)]
    for first in range(0, len(items), 500):
        await put(alice, inn, Space.VAULT, *items[first : first + 500])
    expected = sorted((item.entry for item in items), key=lambda entry: entry.id)
    async with alice.talk(inn) as talk:
        one = await talk.ask(Page(Space.VAULT))
        two = await talk.ask(Page(Space.VAULT, after=one.entries[-1].id))
    assert (PAGE, True, 5, False) == (len(one.entries), one.more, len(two.entries), two.more)
    assert expected == [*one.entries, *two.entries]


async def test_get_gives_what_fits_in_the_order_asked(lane: Lane) -> None:
    inn, alice = await lane.open(limits=Limits()), lane.guest("alice")
    await alice.settle(inn)
    items = [an_item(n, NOW, bytes([n]) * MAX_VAULT_BYTES) for n in range(4)]
    for item in items:
        await put(alice, inn, Space.VAULT, item)
    ids = tuple(item.id for item in reversed(items))
    async with alice.talk(inn) as talk:
        answer = await talk.ask(Get(Space.VAULT, (b"n" * 32, *ids)))
        assert (items[:0:-1], True) == (list(answer.items), answer.more)
        assert sum(len(item.data) for item in answer.items) < MAX_ITEMS_BYTES
        rest = await talk.ask(Get(Space.VAULT, ids[3:]))
        assert (items[:1], False) == (list(rest.items), rest.more)


async def test_room_is_for_so_many_bytes(lane: Lane) -> None:
    inn = await lane.open(limits=Limits(account_size=3 * (OVERHEAD + 100), size=10**9))
    alice = lane.guest("alice")
    await alice.settle(inn)
    items = [an_item(n, NOW, bytes(100)) for n in range(4)]
    assert {items[3].id: FULL} == (await put(alice, inn, Space.VAULT, *items)).refused
    assert items[:3] == await all_of(alice, inn, Space.VAULT)
    smaller = replace(items[0], seq=NOW + 1, data=b"")
    assert {} == (await put(alice, inn, Space.VAULT, smaller)).refused  # in place of what is there
    larger = replace(items[1], seq=NOW + 1, data=bytes(201))
    assert {larger.id: FULL} == (await put(alice, inn, Space.VAULT, larger)).refused
    answer = await put(alice, inn, Space.VAULT, items[3], drop=(items[1].id,))
    assert {} == answer.refused
    answer = await digests(alice, inn)
    assert (3 * OVERHEAD + 200, 3 * (OVERHEAD + 100)) == (answer.used, answer.quota)


async def test_all_accounts_share_the_hosts_room(lane: Lane) -> None:
    inn = await lane.open(limits=Limits(account_size=10**6, size=2 * OVERHEAD))
    alice, bob, item = lane.guest("alice"), lane.guest("bob"), an_item(1, NOW, b"")
    await bob.settle(inn)
    await alice.settle(inn)
    assert {} == (await put(alice, inn, Space.VAULT, item)).refused
    assert {} == (await put(bob, inn, Space.VAULT, item)).refused
    assert {an_item(2).id: FULL} == (await put(bob, inn, Space.VAULT, an_item(2))).refused


async def test_accounts_do_not_see_each_other(lane: Lane, inn: Inn, alice: Guest) -> None:
    bob = lane.guest("bob")
    await bob.settle(inn)
    await put(alice, inn, Space.VAULT, an_item(1))
    assert [] == await all_of(bob, inn, Space.VAULT)
    await put(bob, inn, Space.VAULT, drop=(an_item(1).id,))
    assert [an_item(1)] == await all_of(alice, inn, Space.VAULT)


# ---- handshakes


async def test_a_handshake_is_found_by_its_tag_alone(lane: Lane, inn: Inn, alice: Guest) -> None:
    item = held(alice, inn, "bob")
    assert {} == (await put(alice, inn, Space.HELD, item)).refused
    account = alice.account(inn).public
    async with talking(lane.wire(), inn) as talk:
        assert item.data == (await talk.ask(Find(account, item.id))).record
        assert NO_ANSWER == await refusal(talk.ask(Find(account, bytes(32))))
        assert WRONG_RECIPIENT == await refusal(talk.ask(Find(bytes(32), item.id)))
        for space in (Space.HELD, Space.VAULT):
            assert FAILED == await refusal(talk.ask(Get(space, (item.id,))))


async def test_only_handshakes_that_this_account_signed(lane: Lane, inn: Inn, alice: Guest) -> None:
    bob = lane.guest("bob")
    foreign, ours = held(bob, inn, "eve"), held(alice, inn, "eve")
    wrong = [
        (foreign, FAILED),
        (replace(ours, id=bytes(32)), MALFORMED),
        (replace(ours, id=b"1" * 32, seq=ours.seq + 1), MALFORMED),
        (replace(ours, id=b"2" * 32, data=b"no record"), MALFORMED),
        (replace(ours, id=b"3" * 32, data=ours.data[:-1] + b"\0"), MALFORMED),
    ]
    answer = await put(alice, inn, Space.HELD, *(item for item, _ in wrong))
    assert {item.id: status for item, status in wrong} == answer.refused
    assert [] == await all_of(alice, inn, Space.HELD)
    assert [(alice.wires[0].peer_id, "host item")] == inn.wire.blamed


async def test_look_ups_are_counted(lane: Lane, inn: Inn, alice: Guest) -> None:
    account, wire = alice.account(inn).public, lane.wire()

    async def find(by: Wire) -> Status:
        async with talking(by, inn) as talk:
            return await refusal(talk.ask(Find(account, bytes(32))))

    assert {NO_ANSWER} == {await find(wire) for _ in range(FINDS)}
    assert BUSY == await find(wire)
    assert NO_ANSWER == await find(lane.wire())
    assert {NO_ANSWER} == {await find(lane.wire()) for _ in range(FINDS_OF_BLOCK - FINDS - 1)}
    assert BUSY == await find(lane.wire())
    assert NO_ANSWER == await find(lane.wire("192.0.2.0/24"))
    await lane.pass_time(60)
    assert NO_ANSWER == await find(wire)
    assert [] == inn.wire.blamed


# ---- delivery keys and files


@pytest.mark.parametrize("space", [Space.KEY, Space.FILE])
async def test_what_is_no_rule_and_no_file(inn: Inn, alice: Guest, space: Space) -> None:
    item = Item(KEPT.id, NOW, b"nonsense")
    status = MALFORMED if space is Space.KEY else NOT_OFFERED
    assert {item.id: status} == (await put(alice, inn, space, item)).refused
    assert [] == await all_of(alice, inn, space)


async def test_a_rule_says_what_it_says(inn: Inn, alice: Guest) -> None:
    key = SigningKey.from_seed(bytes(32)).public
    item = Item(key, NOW, KeyRule(60_000, 5, NOW + 1).encode())
    await put(alice, inn, Space.KEY, item)
    assert [item] == await all_of(alice, inn, Space.KEY)
    assert KeyRule(60_000, 5, NOW + 1) == KeyRule.parse(item.data)


async def test_two_streams_do_not_charge_twice(lane: Lane, inn: Inn, alice: Guest) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(8):
            items = [an_item(n, NOW + number, bytes(number)) for n in range(120)]
            nursery.start_soon(put, alice, inn, Space.VAULT, *items)
    answer = await digests(alice, inn)
    last = [an_item(n, NOW + 7, bytes(7)) for n in range(120)]
    assert (of(last), 120 * (OVERHEAD + 7)) == (answer.digests[Space.VAULT], answer.used)
    assert answer.used == inn.hosting.status()["used"]
