"""Whatever happens in whatever order: what is counted is what is there, for each account and for all."""

from random import Random

import pytest

from node.hosting.book import Book
from node.hosting.rows import Account, Kept, Letter, Totals
from node.storage.schema import HOST_ENTRY, HOST_LETTER, ITEM_SPACE
from protocol.account import Item, Space
from protocol.host import Acknowledge, Cancel, Digest, Put
from protocol.kdf import blake2b
from protocol.keys import SigningKey
from protocol.letter import envelope_id
from tests.kit.hosting import Guest, Inn, Lane, a_blob, an_offer, deposit, refusal, talking
from tests.kit.owners import NOW

KEYS = [SigningKey.from_seed(bytes([n]) * 32) for n in range(2)]
SECRET = b"s" * 32
ACTS = 120


def counted(inn: Inn, account: bytes) -> tuple[int, int, int, int, int, dict[bytes, int]]:
    """By looking at every row: letters, strangers, their bytes, and what items are charged with; bytes that
    wait by delivery key.
    """
    rows = inn.store.scan(HOST_LETTER, (account,), limit=10_000)
    letters = [Letter.from_row(int(key[1]), row) for key, row in rows]
    strange = [letter for letter in letters if letter.key is None]
    items = [Kept.from_row(bytes(32), row) for _, row in inn.store.scan(HOST_ENTRY, (account,), limit=10_000)]
    waiting = {key.public: sum(letter.size for letter in letters if letter.key == key.public) for key in KEYS}
    return (
        len(letters),
        sum(letter.size for letter in letters),
        len(strange),
        sum(letter.size for letter in strange),
        sum(item.charge for item in items),
        waiting,
    )


def told(book: Book, account: Account) -> tuple[int, int, int, int, int, dict[bytes, int]]:
    """By the account's own row."""
    return (
        account.letters,
        account.letter_size,
        account.strangers,
        account.stranger_size,
        account.item_size,
        {key.public: book.use(account.key, key.public).waiting for key in KEYS},
    )


@pytest.mark.parametrize("seed", range(4))
async def test_sums_are_right(lane: Lane, inn: Inn, seed: int) -> None:
    chance, guests = Random(seed), [lane.guest("alice", nodes=2), lane.guest("bob")]
    for guest in guests:
        await guest.settle(inn)
        for key in KEYS:
            await guest.allow(inn, key)
    for _ in range(ACTS):
        await act(lane, inn, chance, chance.choice(guests))
    book, sums = Book(inn.store), Totals(accounts=len(guests))
    for guest in guests:
        account = book.account(guest.account(inn).public)
        assert account is not None
        assert counted(inn, account.key) == told(book, account)
        sums = Totals(sums.accounts, sums.letters + account.letters, sums.size + account.size)
    assert sums == book.totals()
    assert sorted(ITEM_SPACE.values()) == list(range(len(Space)))


async def act(lane: Lane, inn: Inn, chance: Random, guest: Guest) -> None:
    """Something that an owner, a sender or time does."""
    account, number = guest.account(inn).public, chance.randrange(12)
    blob = a_blob(number, 4_200 + number)
    match chance.randrange(6):
        case 0 | 1:
            key = chance.choice([*KEYS, None])
            offer = an_offer(account, blob, key, cancel=blake2b(SECRET), service=chance.random() < 0.2)
            await deposit(lane.wire(), inn, offer, blob)
        case 2:
            async with guest.talk(inn, chance.randrange(len(guest.wires))) as talk:
                await talk.ask(Acknowledge((envelope_id(blob),)))
        case 3:
            async with talking(lane.wire(), inn) as talk:
                await refusal(talk.ask(Cancel(account, envelope_id(blob), SECRET)))
        case 4:
            items = [
                Item(
                    bytes([chance.randrange(6)]) * 32, NOW + chance.randrange(9), bytes(chance.randrange(99))
                )
                for _ in range(3)
            ]
            drop = (bytes([chance.randrange(6)]) * 32,)
            async with guest.talk(inn) as talk:
                await talk.ask(Put(Space.VAULT, tuple(items), drop))
                await talk.ask(Digest())
        case 5:
            await lane.pass_time(chance.choice([1.0, 86_400.0]))
