"""What a host has and sees of a letter and of a handshake: not who wrote, not what (protocol.md §10)."""

import cbor2

from node.storage import SPACES
from protocol.account import Item, Space
from protocol.handshake import Sender, Terms, accept
from protocol.held import parse_held, seal_held
from protocol.host import Acknowledge, Digest, Find, List, Page, Put
from protocol.letter import envelope_id, open_envelope, read_inner
from protocol.offer import Result
from protocol.status import OK
from tests.kit.hosting import Inn, Lane, an_offer, deposit, sealed, talking
from tests.kit.owners import GRANT, NOW, PEER_ID, Owner, owner

TEXT = "the plans for the garden party"


def secrets_of(sender: Owner) -> dict[str, bytes]:
    """What nobody but the recipient may learn of a sender."""
    return {
        "address": sender.address.encode(),
        "address without 0x": sender.address[2:].encode(),
        "address as bytes": bytes.fromhex(sender.address[2:]),
        "identity key": sender.public,
        "pair key": sender.secrets.pair_public,
        "record": sender.identity.record,
        "listed peer id": PEER_ID,
        "plaintext": TEXT.encode(),
    }


def all_that_is_stored(inn: Inn) -> bytes:
    """Every key and value of the host's store, opened."""
    found = []
    for space in SPACES:
        for key, value in inn.store.scan(space, limit=10_000):
            found.append(b"".join(part for part in key if isinstance(part, bytes)))
            found.append(cbor2.dumps(value))
    return b"\n".join(found)


async def test_a_host_learns_nothing_of_a_sender(lane: Lane) -> None:
    """From its deposit to its end at the host; the sender is in nothing that the host had or was sent."""
    alice, bob = lane.guest("alice"), owner("bob")
    inn = await lane.open()
    account = await alice.settle(inn)
    handshake = accept(
        alice.owner.key,
        Sender(address=bob.address),
        Terms(expires=NOW + 10**9),
        previous=None,
        fresh_grant=GRANT,
        now=NOW,
    )
    record = seal_held(handshake, alice.owner.lets(bob), alice.account(inn))
    held = parse_held(record)
    pair = bob.may_use(alice.owner)
    key = pair.delivery_key(GRANT, inn.peer_id)
    await alice.allow(inn, key)
    async with alice.talk(inn) as talk:
        await talk.ask(Put(Space.HELD, (Item(held.tag, held.seq, record),)))
        await talk.ask(Page(Space.HELD))
        await talk.ask(Digest())
    envelope = sealed(bob, alice.owner, TEXT)
    name, guest = envelope_id(envelope), lane.wire()
    async with talking(guest, inn) as talk:
        assert record == (await talk.ask(Find(account, pair.tag))).record
    answer = await deposit(guest, inn, an_offer(account, envelope, key), envelope)
    assert isinstance(answer, Result)
    assert OK == answer.status
    stored = all_that_is_stored(inn)
    async with alice.talk(inn) as talk:
        (letter,) = (await talk.ask(List())).letters
        fetched = await talk.fetch(letter.envelope_id)
        await talk.ask(Acknowledge((name,)))
    assert (
        TEXT.encode()
        == read_inner(open_envelope(fetched, alice.owner.private_of), to=alice.owner.public, now=NOW).message
    )
    assert name in stored  # what is looked through is what there is
    assert envelope in stored
    said = b"\n".join(frame.data for frame in lane.wires.frames)
    assert envelope in said
    for what, secret in secrets_of(bob).items():
        assert (what, False, False, False) == (
            what,
            secret in stored,
            secret in all_that_is_stored(inn),
            secret in said,
        )


async def test_two_hosts_see_two_owners(lane: Lane, inn: Inn) -> None:
    """Account and delivery key are others at each host, so that two can't tell by them whom they share."""
    alice, bob = lane.guest("alice"), owner("bob")
    pair = bob.may_use(alice.owner)
    elsewhere = PEER_ID
    assert alice.owner.secrets.account_seed(inn.peer_id) != alice.owner.secrets.account_seed(elsewhere)
    assert pair.delivery_key(GRANT, inn.peer_id) != pair.delivery_key(GRANT, elsewhere)
