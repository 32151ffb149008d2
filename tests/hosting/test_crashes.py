"""Whichever write of a host's is its last: no letter that was promised is lost, none is there twice, and what
is counted is what is there (protocol.md §6).
"""

from typing import Any

import pytest

from node.network import ChannelClosed, PeerUnreachable
from node.storage import Store
from node.storage.schema import HOST_BODY, HOST_DUE, HOST_ENTRY, HOST_ENVELOPE, HOST_ITEM, HOST_LETTER
from protocol.account import KeyRule, Space, parse_deposit
from protocol.host import Acknowledge, Cancel, Digest, List, Put
from protocol.kdf import blake2b
from protocol.keys import SigningKey
from protocol.letter import envelope_id
from protocol.offer import Result
from protocol.status import OK
from tests.kit.hosting import Guest, Inn, Lane, a_blob, an_item, an_offer, deposit, talking
from tests.kit.houses import Fuse
from tests.kit.owners import NOW
from tests.kit.stores import Trouble

KEY = SigningKey.from_seed(b"k" * 32)
BLOB, SECRET = a_blob(1), b"s" * 32


async def opened(lane: Lane, fuse: Fuse) -> tuple[Inn, Guest]:
    """A host with one account, in which KEY is good."""
    inn, alice = await lane.open(fuse), lane.guest("alice")
    await alice.settle(inn)
    await alice.allow(inn, KEY)
    return inn, alice


def counted(store: Store) -> list[int]:
    spaces = (HOST_LETTER, HOST_BODY, HOST_ENVELOPE, HOST_DUE)
    return [len(store.scan(space, limit=100)) for space in spaces]


async def until_it_is_done(lane: Lane, fuse: Fuse, inn: Inn, act: Any) -> Inn:
    """Do it; if the machine dies of it start it again and do it again."""
    try:
        await act(inn)
    except (ChannelClosed, PeerUnreachable):
        await inn.ended.wait()
        fuse.set(-1, after=False)
        inn = await lane.open(fuse)
        await act(inn)
    return inn


@pytest.mark.parametrize("after", [False, True])
async def test_a_deposit_whose_write_is_the_last(lane: Lane, after: bool) -> None:
    fuse = Fuse()
    inn, alice = await opened(lane, fuse)
    account, promised = alice.account(inn).public, []

    async def bring(inn: Inn) -> None:
        answer = await deposit(lane.wire(), inn, an_offer(account, BLOB, KEY), BLOB)
        assert isinstance(answer, Result)
        assert answer.receipt is not None
        promised.append((answer.status, parse_deposit(answer.receipt, inn.peer_id).envelope_id))

    fuse.set(0, after=after)
    inn = await until_it_is_done(lane, fuse, inn, bring)
    assert [(OK, envelope_id(BLOB))] == promised
    assert [1, 1, 1, 1] == counted(inn.store)
    async with alice.talk(inn) as talk:
        (letter,) = (await talk.ask(List())).letters
        assert BLOB == await talk.fetch(letter.envelope_id)
    status = inn.hosting.status()
    item = 256 + len(KeyRule(0, 1_000_000).encode())
    assert (1, 1, len(BLOB) + item) == (status["accounts"], status["letters"], status["used"])


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("node", [0, 1])
async def test_an_acknowledgement_whose_write_is_the_last(lane: Lane, after: bool, node: int) -> None:
    fuse, alice = Fuse(), lane.guest("alice", nodes=2)
    inn = await lane.open(fuse)
    await alice.settle(inn)
    await alice.allow(inn, KEY)
    account, other = alice.account(inn).public, a_blob(2)
    for blob in (BLOB, other):
        await deposit(lane.wire(), inn, an_offer(account, blob, KEY), blob)

    async def acknowledge(inn: Inn, node: int) -> None:
        async with alice.talk(inn, node) as talk:
            await talk.ask(Acknowledge((envelope_id(BLOB),)))

    for each in (0, 1):
        if each == node:
            fuse.set(0, after=after)
        inn = await until_it_is_done(lane, fuse, inn, lambda inn, each=each: acknowledge(inn, each))
        left = 2 - each
        assert left == inn.hosting.status()["letters"]
    assert [1, 1, 2, 2] == counted(inn.store)  # the one that is gone is known for two days
    async with alice.talk(inn) as talk:
        assert [envelope_id(other)] == [letter.envelope_id for letter in (await talk.ask(List())).letters]


@pytest.mark.parametrize("after", [False, True])
async def test_a_cancel_whose_write_is_the_last(lane: Lane, after: bool) -> None:
    fuse = Fuse()
    inn, alice = await opened(lane, fuse)
    account = alice.account(inn).public
    await deposit(lane.wire(), inn, an_offer(account, BLOB, KEY, cancel=blake2b(SECRET)), BLOB)

    async def cancel(inn: Inn) -> None:
        async with talking(lane.wire(), inn) as talk:
            await talk.ask(Cancel(account, envelope_id(BLOB), SECRET))

    fuse.set(0, after=after)
    inn = await until_it_is_done(lane, fuse, inn, cancel)
    assert [0, 0, 1, 1] == counted(inn.store)
    assert 0 == inn.hosting.status()["letters"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("write", [0, 1, 2])
async def test_items_whose_write_is_the_last(lane: Lane, write: int, after: bool) -> None:
    """Three writes: a hundred items each, and a rest."""
    fuse = Fuse()
    inn, alice = await opened(lane, fuse)
    items = tuple(an_item(n, NOW, b"x" * n) for n in range(250))

    async def put(inn: Inn) -> None:
        async with alice.talk(inn) as talk:
            assert {} == (await talk.ask(Put(Space.VAULT, items))).refused

    fuse.set(write, after=after)
    inn = await until_it_is_done(lane, fuse, inn, put)
    assert [251, 251] == [len(inn.store.scan(space, limit=1_000)) for space in (HOST_ENTRY, HOST_ITEM)]
    rule = len(KeyRule(0, 1_000_000).encode())
    async with alice.talk(inn) as talk:
        assert sum(256 + n for n in range(250)) + 256 + rule == (await talk.ask(Digest())).used


@pytest.mark.parametrize("after", [False, True])
async def test_an_opening_whose_write_is_the_last(lane: Lane, after: bool) -> None:
    fuse, alice = Fuse(), lane.guest("alice")
    inn = await lane.open(fuse, policy="friends")
    voucher = await inn.hosting.voucher()

    async def settle(inn: Inn) -> None:
        async with alice.talk(inn) as talk:
            assert await talk.open(alice.opening(voucher=voucher)) is None

    fuse.set(0, after=after)
    inn = await until_it_is_done(lane, fuse, inn, settle)
    assert 1 == inn.hosting.status()["accounts"]


async def test_nothing_is_promised_on_a_full_disk(lane: Lane) -> None:
    trouble = Trouble()
    inn, alice = await lane.open(trouble), lane.guest("alice")
    await alice.settle(inn)
    await alice.allow(inn, KEY)
    trouble.full = True
    offer = an_offer(alice.account(inn).public, BLOB, KEY)
    answer = await deposit(lane.wire(), inn, offer, BLOB)
    assert isinstance(answer, Result)
    assert 4 == answer.status.category
    trouble.full = False
    assert [0, 0, 0, 0] == counted(inn.store)
    answer = await deposit(lane.wire(), inn, offer, BLOB)
    assert isinstance(answer, Result)
    assert (OK, [1, 1, 1, 1]) == (answer.status, counted(inn.store))
    assert all(trouble.synced[-1:])
