"""What strangers leave behind at an owner who never answers: nothing, once their time is over."""

from node.storage import Batch, Store
from node.storage.schema import HABIT, NODES, OURS, PIN, REQUEST, THEIRS, WAITING
from protocol.handshake import State
from tests.kit.client import Client
from tests.kit.houses import DAY_S, House, Street

SPACES = (OURS, REQUEST, THEIRS, PIN, NODES, HABIT, WAITING)


def rows(store: Store) -> dict[str, int]:
    return {space.name: len(store.scan(space, limit=100)) for space in SPACES}


async def knock(bob: House, who: Client) -> str:
    """A stranger's first letter, with all that may ride in one."""
    message = who.message("Hi.", to=f"{bob.address}@mailio.alt")
    signed = who.sign(who.inner(bob.record, message, [who.accepts(bob.address)]))
    return type((await who.deliver(bob.peer, who.seal(signed, bob.record)))[-1]).__name__


async def test_an_unanswered_stranger_is_forgotten(street: Street, bob: House) -> None:
    before = rows(bob.ground.store)
    strangers = [street.client() for _ in range(3)]
    for one in strangers:
        assert await knock(bob, one) == "Result"
    assert [one.address for one in strangers if bob.owner.names.pinned(one.address) is None] == []
    assert rows(bob.ground.store)["theirs"] == 3
    await street.pass_time(61 * DAY_S, DAY_S)
    await bob.owner.handshakes.expire()
    batch = Batch()
    bob.owner.mailbox.trim(batch, bob.ground.clock.now())
    await bob.ground.store.write(batch)
    assert before == rows(bob.ground.store)


async def test_whoever_the_owner_turned_to_is_not(street: Street, bob: House) -> None:
    asked, accepted, contact = (street.client() for _ in range(3))
    for one in (asked, accepted, contact):
        assert await knock(bob, one) == "Result"
    await bob.owner.handshakes.request(asked.address)
    await bob.owner.handshakes.accept(accepted.address)
    await street.quiet()
    batch = Batch()
    bob.owner.names.add(batch, "Carol", [contact.address])
    await bob.ground.store.write(batch)
    await street.pass_time(61 * DAY_S, DAY_S)
    await bob.owner.handshakes.expire()
    pinned = [bob.owner.names.pinned(one.address) is not None for one in (asked, accepted, contact)]
    assert [True, True, True] == pinned
    assert bob.owner.consent.state(accepted.address, bob.ground.clock.now()) is State.ACCEPTED
