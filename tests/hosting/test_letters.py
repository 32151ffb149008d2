"""How letters go: when every node has them, a week after the first, or at their end; never by a doubtful
clock (protocol.md §3, §6).
"""

import pytest
import trio

from node.hosting.letters import FETCHED_LIFE_MS, PAGE, REMEMBER_MS, STEP
from node.hosting.purging import EVERY_S
from node.storage import Batch
from node.storage.schema import HOST_BODY, HOST_DUE, HOST_ENVELOPE, HOST_LETTER, HOST_USE
from protocol.host import Acknowledge, List
from protocol.keys import SigningKey
from protocol.letter import LETTER_LIFE_MS, envelope_id
from protocol.offer import Result
from protocol.status import OK
from tests.kit.hosting import Guest, Inn, Lane, a_blob, an_offer, deposit
from tests.kit.wires import Wire

KEY = SigningKey.from_seed(b"k" * 32)
DAY_S = 86_400.0


async def bring(lane: Lane, inn: Inn, guest: Guest, *numbers: int, wire: Wire | None = None) -> list[bytes]:
    """Letters come; their envelopes' ids."""
    for number in numbers:
        blob = a_blob(number)
        offer = an_offer(guest.account(inn).public, blob, KEY)
        answer = await deposit(wire or lane.wire(), inn, offer, blob)
        assert isinstance(answer, Result)
        assert OK == answer.status
    return [envelope_id(a_blob(number)) for number in numbers]


async def waiting(guest: Guest, inn: Inn) -> list[bytes]:
    async with guest.talk(inn) as talk:
        return [letter.envelope_id for letter in (await talk.ask(List())).letters]


async def acknowledge(guest: Guest, inn: Inn, node: int, *ids: bytes) -> None:
    async with guest.talk(inn, node) as talk:
        await talk.ask(Acknowledge(ids))


def rows(inn: Inn) -> list[int]:
    """How much is left of letters: themselves, bodies, envelopes, times, uses."""
    spaces = (HOST_LETTER, HOST_BODY, HOST_ENVELOPE, HOST_DUE, HOST_USE)
    return [len(inn.store.scan(space, limit=10_000)) for space in spaces]


@pytest.fixture
async def letters(lane: Lane, inn: Inn, alice: Guest) -> list[bytes]:
    await alice.allow(inn, KEY)
    return await bring(lane, inn, alice, 1, 2)


async def test_a_letter_goes_when_both_nodes_have_it(inn: Inn, alice: Guest, letters: list[bytes]) -> None:
    await acknowledge(alice, inn, 0, letters[0])
    await acknowledge(alice, inn, 0, letters[0])
    assert letters == await waiting(alice, inn)
    await acknowledge(alice, inn, 1, *letters)
    assert letters[1:] == await waiting(alice, inn)
    assert 1 == inn.hosting.status()["letters"]


async def test_a_node_that_is_not_listed_does_not_count(
    lane: Lane, inn: Inn, alice: Guest, letters: list[bytes]
) -> None:
    third = Guest(alice.owner, [lane.wire()])
    await acknowledge(third, inn, 0, *letters)
    await acknowledge(alice, inn, 0, *letters)
    assert letters == await waiting(alice, inn)


async def test_an_account_without_nodes_is_its_clients(lane: Lane, inn: Inn) -> None:
    bob = lane.guest("bob")
    bob = Guest(bob.owner, bob.wires)
    await bob.settle(inn)
    async with bob.talk(inn) as talk:
        assert await talk.open(bob.opening(nodes=())) is None
    await bob.allow(inn, KEY)
    (letter,) = await bring(lane, inn, bob, 1)
    await acknowledge(bob, inn, 0, letter)
    assert [] == await waiting(bob, inn)


async def test_a_letter_stays_a_week_for_the_other_node(
    lane: Lane, inn: Inn, alice: Guest, letters: list[bytes]
) -> None:
    await lane.pass_time(2 * DAY_S)
    await acknowledge(alice, inn, 0, letters[0])
    await lane.pass_time(DAY_S)
    await acknowledge(alice, inn, 0, letters[0])  # again: the week began with the first time
    await lane.pass_time(FETCHED_LIFE_MS / 1000 - DAY_S - EVERY_S)
    assert letters == await waiting(alice, inn)
    await lane.pass_time(2 * EVERY_S)
    assert letters[1:] == await waiting(alice, inn)


async def test_no_letter_stays_beyond_its_end(
    lane: Lane, inn: Inn, alice: Guest, letters: list[bytes]
) -> None:
    await lane.pass_time(LETTER_LIFE_MS / 1000 - 2 * DAY_S)
    await acknowledge(alice, inn, 0, letters[0])
    await lane.pass_time(2 * DAY_S - EVERY_S)
    assert letters == await waiting(alice, inn)
    await lane.pass_time(2 * EVERY_S)
    assert [] == await waiting(alice, inn)
    assert [0, 0, 2, 2, 1] == rows(inn)
    await lane.pass_time(REMEMBER_MS / 1000 + EVERY_S)
    assert [0, 0, 0, 0, 1] == rows(inn)
    assert 0 == inn.hosting.status()["letters"]


async def test_a_doubtful_clock_removes_nothing(
    lane: Lane, inn: Inn, alice: Guest, letters: list[bytes]
) -> None:
    inn.doubts[0] = True
    await lane.pass_time(LETTER_LIFE_MS / 1000 + DAY_S)
    assert letters == await waiting(alice, inn)
    inn.doubts[0] = False
    await lane.pass_time(EVERY_S)
    assert [] == await waiting(alice, inn)


async def test_a_doubtful_clock_begins_no_week(
    lane: Lane, inn: Inn, alice: Guest, letters: list[bytes]
) -> None:
    inn.doubts[0] = True
    await acknowledge(alice, inn, 0, *letters)
    inn.doubts[0] = False
    await lane.pass_time(FETCHED_LIFE_MS / 1000 + DAY_S)
    assert letters == await waiting(alice, inn)


async def test_what_has_run_out_while_the_host_was_off_goes_at_its_start(
    lane: Lane, inn: Inn, alice: Guest, letters: list[bytes]
) -> None:
    await lane.close(inn)
    await lane.pass_time(LETTER_LIFE_MS / 1000)
    inn = await lane.open()
    await lane.quiet()
    assert [] == await waiting(alice, inn)


async def test_many_letters_are_listed_in_pages_and_go_in_steps(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY)
    count, wire = STEP + 50, lane.wire()
    ids = await bring(lane, inn, alice, *range(count), wire=wire)
    assert ids == await waiting(alice, inn)
    async with alice.talk(inn) as talk:
        rest = await talk.ask(List(after=count - 3))
    assert ([count - 2, count - 1, count], False) == ([letter.n for letter in rest.letters], rest.more)
    for node in (0, 1):
        await acknowledge(alice, inn, node, *ids, *ids[:10])
    assert ([], 0) == (await waiting(alice, inn), inn.hosting.status()["letters"])
    assert count < PAGE


async def test_more_than_a_page_waits(lane: Lane, inn: Inn, alice: Guest) -> None:
    """Written into the store: a page has hundreds."""
    await alice.allow(inn, KEY)
    (letter,) = await bring(lane, inn, alice, 1)
    account = alice.account(inn).public
    row = inn.store.get(HOST_LETTER, (account, 1))
    batch = Batch()
    for n in range(2, PAGE + 3):
        batch.put(HOST_LETTER, (account, n), row)
    await inn.store.write(batch)
    async with alice.talk(inn) as talk:
        one = await talk.ask(List())
        two = await talk.ask(List(after=one.letters[-1].n))
    assert (PAGE, True, 2, False) == (len(one.letters), one.more, len(two.letters), two.more)
    assert letter == one.letters[0].envelope_id


async def test_both_nodes_acknowledge_at_once(lane: Lane, inn: Inn, alice: Guest) -> None:
    await alice.allow(inn, KEY)
    ids = await bring(lane, inn, alice, *range(20))
    async with trio.open_nursery() as nursery:
        for node in (0, 1, 0, 1):
            nursery.start_soon(acknowledge, alice, inn, node, *ids)
    assert ([], 0) == (await waiting(alice, inn), inn.hosting.status()["letters"])
