"""Who speaks for an account, who gets one, and what its owner may change of it (protocol.md §6)."""

import secrets
from dataclasses import replace

import pytest

from node.hosting import Limits
from node.hosting.opening import BLOCK_DAILY
from node.hosts import HostRefused
from protocol.account import NONCE_BYTES, Space, account_message, friend_message
from protocol.host import (
    Acknowledge,
    Answer,
    Digest,
    Fetch,
    Get,
    Hello,
    List,
    Open,
    Page,
    Prove,
    Put,
    Request,
    Wait,
    parse_request,
)
from protocol.identity import IdentityRecord, build_identity
from protocol.keys import SigningKey
from protocol.offer import Challenge, KeyProof, Result
from protocol.status import FAILED, FULL, MALFORMED, NOT_OFFERED, OK, PREKEY_GONE, TIME, Status
from tests.kit.hosting import (
    ROOMY,
    WEEK,
    Guest,
    Inn,
    Lane,
    a_blob,
    a_channel,
    an_offer,
    deposit,
    pay,
    refusal,
    talking,
)
from tests.kit.owners import NOW, Owner, owner
from tests.kit.wires import Wire, WireChannel

FRIEND = SigningKey.from_seed(b"f" * 32)
OWNERS: list[Request] = [
    Put(Space.HELD),
    Get(Space.HELD, ()),
    Digest(),
    Page(Space.KEY),
    List(),
    Wait(0, 0),
    Fetch(bytes(32)),
    Acknowledge(()),
]


def newer(who: Owner, later_ms: int) -> IdentityRecord:
    return build_identity(who.secrets, who.chain, price=6, created=NOW + later_ms)


async def said(channel: WireChannel, request: Request) -> Answer:
    await channel.send(request.encode())
    return Answer.parse(await channel.receive())


async def opens(guest: Guest, inn: Inn, **more: object) -> Status | str:
    """What becomes of an opening as it stands: its status, or "challenge"."""
    async with guest.talk(inn) as talk:
        try:
            challenge = await talk.open(guest.opening(**more))
        except HostRefused as fault:
            return fault.status
    return OK if challenge is None else "challenge"


async def test_an_account_is_opened_by_work(lane: Lane, inn: Inn) -> None:
    alice = lane.guest("alice")
    async with alice.talk(inn) as talk:
        challenge = await talk.open(alice.opening())
        assert isinstance(challenge, Challenge)
        assert (1, 0, 0) == (challenge.price, challenge.first_week, challenge.weeks)
        assert await talk.open(alice.opening(proof=pay(challenge))) is None
        assert (await talk.ask(Digest())).quota == ROOMY.account_size
    assert 1 == inn.hosting.status()["accounts"]
    assert alice.owner.identity.record == inn.hosting.record_of(alice.owner.address)
    assert inn.hosting.record_of(owner("bob").address) is None
    async with talking(alice.wires[0], inn) as talk:
        assert await talk.prove(alice.account(inn), inn.peer_id, alice.wires[0].peer_id)


async def test_work_for_one_account_opens_no_other(lane: Lane, inn: Inn) -> None:
    alice, bob = lane.guest("alice"), lane.guest("bob")
    bob = Guest(bob.owner, alice.wires)
    async with alice.talk(inn) as talk, bob.talk(inn) as other:
        challenge = await talk.open(alice.opening())
        assert isinstance(challenge, Challenge)
        stamp = pay(challenge)
        assert TIME == await refusal(other.open(bob.opening(proof=stamp)))
        assert await talk.open(alice.opening(proof=stamp)) is None
    assert 1 == inn.hosting.status()["accounts"]


async def test_nothing_is_done_on_a_stream_that_proved_nothing(lane: Lane, inn: Inn, alice: Guest) -> None:
    wire = lane.wire()
    async with talking(wire, inn) as talk:
        for request in (*OWNERS, alice.opening()):
            assert FAILED == await refusal(talk.ask(request))
    assert (len(OWNERS) + 1) * [(wire.peer_id, "host 5.8.1")] == inn.wire.blamed


async def test_nothing_is_done_in_an_account_that_is_not_open(lane: Lane, inn: Inn) -> None:
    bob = lane.guest("bob")
    async with bob.talk(inn) as talk:
        for request in OWNERS:
            assert FAILED == await refusal(talk.ask(request))


async def prove(channel: WireChannel, guest: Guest, inn: Inn, wire: Wire, host: bytes = b"") -> Prove:
    """A proof for the nonce that this stream has."""
    hello = await said(channel, Hello())
    assert hello.nonce is not None
    nonce, key = secrets.token_bytes(NONCE_BYTES), guest.account(inn)
    message = account_message(host or inn.peer_id, wire.peer_id, hello.nonce, nonce, key.public)
    return Prove(key.public, nonce, key.sign(message))


async def test_a_proof_is_good_once_and_on_its_stream(lane: Lane, inn: Inn, alice: Guest) -> None:
    wire = alice.wires[0]
    async with a_channel(wire, inn) as one, a_channel(wire, inn) as two:
        proof = await prove(one, alice, inn, wire)
        assert FAILED == (await said(two, proof)).status  # no nonce was asked for there
        assert (await said(two, Hello())).nonce is not None
        assert FAILED == (await said(two, proof)).status  # nor is it this one
        assert FAILED == (await said(two, List())).status
        assert Answer(opened=True) == await said(one, proof)
        assert OK == (await said(one, List())).status
        assert FAILED == (await said(one, proof)).status  # it was used
    assert 4 * [(wire.peer_id, "host 5.8.1")] == inn.wire.blamed


async def test_a_proof_names_both_peers(lane: Lane, inn: Inn, alice: Guest) -> None:
    """Neither may another host pass a proof on to this one, nor may another peer use it."""
    wire, thief = alice.wires[0], lane.wire()
    async with a_channel(wire, inn) as one, a_channel(thief, inn) as two:
        assert FAILED == (await said(one, await prove(one, alice, inn, wire, host=thief.peer_id))).status
        assert FAILED == (await said(two, await prove(two, alice, inn, wire))).status
        forged = replace(await prove(one, alice, inn, wire), signature=bytes(64))
        assert FAILED == (await said(one, forged)).status
        assert FAILED == (await said(one, List())).status


async def test_an_open_account_stays_its_owners(lane: Lane, inn: Inn, alice: Guest) -> None:
    bob, later = owner("bob"), newer(alice.owner, 1_000)
    assert FAILED == await opens(alice, inn, identity=bob.identity.record)
    assert OK == await opens(alice, inn, identity=later.record, first_week=WEEK)
    assert later.record == inn.hosting.record_of(alice.owner.address)
    assert OK == await opens(alice, inn)  # an older record changes nothing of that
    assert later.record == inn.hosting.record_of(alice.owner.address)


async def test_an_update_is_what_deposits_are_measured_by(lane: Lane, inn: Inn, alice: Guest) -> None:
    blob, key = a_blob(1), FRIEND
    await alice.allow(inn, key)
    assert OK == await opens(alice, inn, first_week=WEEK + 1)
    offer = an_offer(alice.account(inn).public, blob, key)
    found = await deposit(lane.wire(), inn, offer, blob)
    assert isinstance(found, Result)
    assert PREKEY_GONE == found.status
    assert OK == await opens(alice, inn)
    assert Result(OK) != await deposit(lane.wire(), inn, offer, blob)


async def test_a_record_that_is_none(lane: Lane, inn: Inn) -> None:
    alice = lane.guest("alice")
    assert MALFORMED == await opens(alice, inn, identity=b"no record")
    assert TIME == await opens(alice, inn, identity=newer(alice.owner, 3_600_000).record)
    await lane.pass_time(91 * 86_400)
    assert TIME == await opens(alice, inn)
    inn.doubts[0] = True  # who doubts his clock judges no times
    assert "challenge" == await opens(alice, inn)


@pytest.mark.parametrize("policy", ["no", "friends", "all"])
async def test_for_whom_a_host_is_one(lane: Lane, policy: str) -> None:
    inn = await lane.open(policy=policy)
    inn.friends.add(FRIEND.public)
    voucher = await inn.hosting.voucher()
    names = ("stranger", "friend", "guest", "no friend")
    stranger, friend, guest, other = (lane.guest(name) for name in names)
    enemy = SigningKey.from_seed(b"e" * 32)

    def proof(who: Guest, key: SigningKey) -> KeyProof:
        return KeyProof(key.public, key.sign(friend_message(who.account(inn).public)))

    found = [
        await opens(stranger, inn),
        await opens(friend, inn, proof=proof(friend, FRIEND)),
        await opens(guest, inn, voucher=voucher),
        await opens(other, inn, proof=proof(other, enemy)),
    ]
    expected = {
        "no": [NOT_OFFERED] * 4,
        "friends": [NOT_OFFERED, OK, OK, NOT_OFFERED],
        "all": ["challenge", OK, OK, NOT_OFFERED],
    }
    assert expected[policy] == found
    assert [] == inn.wire.blamed


async def test_a_friends_proof_is_for_one_account(lane: Lane) -> None:
    inn = await lane.open(policy="friends")
    inn.friends.add(FRIEND.public)
    alice, bob = lane.guest("alice"), lane.guest("bob")
    for_bob = KeyProof(FRIEND.public, FRIEND.sign(friend_message(bob.account(inn).public)))
    assert FAILED == await opens(alice, inn, proof=for_bob)
    assert [(alice.wires[0].peer_id, "host 5.8.1")] == inn.wire.blamed


async def test_a_voucher_is_good_once(lane: Lane) -> None:
    inn = await lane.open(policy="friends")
    first, second = await inn.hosting.voucher(), await inn.hosting.voucher()
    alice, bob = lane.guest("alice"), lane.guest("bob")
    assert (16, True) == (len(first), first != second)
    assert FAILED == await opens(alice, inn, voucher=bytes(16))
    assert OK == await opens(alice, inn, voucher=first)
    assert OK == await opens(alice, inn, voucher=first)  # said again, it is an update
    assert FAILED == await opens(bob, inn, voucher=first)
    await lane.close(inn)
    inn = await lane.open(policy="friends")
    assert FAILED == await opens(bob, inn, voucher=first)
    assert OK == await opens(bob, inn, voucher=second)


async def test_a_host_with_all_the_accounts_that_it_takes(lane: Lane) -> None:
    inn = await lane.open(limits=replace(ROOMY, accounts=2))
    for name in ("alice", "bob"):
        await lane.guest(name).settle(inn)
    eve = lane.guest("eve")
    assert FULL == await opens(eve, inn)
    assert FULL == await opens(eve, inn, voucher=await inn.hosting.voucher())
    assert OK == await opens(lane.guest("alice"), inn)
    warnings = inn.hosting.status()["warnings"]
    assert isinstance(warnings, list)
    assert ["host-accounts"] == [warning.code for warning in warnings]
    assert ["warn"] == [check.state for check in await inn.hosting.checks()]


async def test_accounts_get_dearer_as_they_fill_the_host(lane: Lane) -> None:
    inn, prices = await lane.open(limits=replace(ROOMY, accounts=4)), []
    for name in ("alice", "bob", "eve"):
        guest = lane.guest(name)
        async with guest.talk(inn) as talk:
            challenge = await talk.open(guest.opening())
            assert isinstance(challenge, Challenge)
            prices.append(challenge.price)
        assert OK == await opens(guest, inn, voucher=await inn.hosting.voucher())
    async with lane.guest("mallory").talk(inn) as talk:
        challenge = await talk.open(lane.guest("mallory").opening())
        assert isinstance(challenge, Challenge)
    assert [1, 1, 1, 7] == [*prices, challenge.price]


async def test_one_network_opens_so_many_a_day(lane: Lane) -> None:
    inn = await lane.open(policy="friends")

    async def try_one(name: str, block: str) -> Status | str:
        guest = Guest(owner(name), [lane.wire(block)])
        return await opens(guest, inn, voucher=await inn.hosting.voucher())

    found = [await try_one(f"many {number}", "192.0.2.0/24") for number in range(BLOCK_DAILY + 1)]
    assert [OK] * BLOCK_DAILY + [FULL] == found
    assert OK == await try_one("elsewhere", "198.51.100.0/24")
    assert OK == await opens(Guest(owner("many 0"), [lane.wire("192.0.2.0/24")]), inn)
    await lane.pass_time(86_400)
    assert OK == await try_one("tomorrow", "192.0.2.0/24")


async def test_a_host_whose_room_is_gone(lane: Lane) -> None:
    inn = await lane.open(limits=Limits(accounts=10, account_size=10_000, size=0))
    assert FULL == await opens(lane.guest("alice"), inn)


async def test_two_accounts_of_one_owner_share_its_record(lane: Lane, inn: Inn, alice: Guest) -> None:
    """A stale record that somebody else brings does not hide the newer one."""
    later = newer(alice.owner, 1_000)
    assert OK == await opens(alice, inn, identity=later.record)
    eve = lane.guest("eve")
    async with eve.talk(inn) as talk:
        challenge = await talk.open(eve.opening(identity=alice.owner.identity.record))
        assert isinstance(challenge, Challenge)
        opening = eve.opening(identity=alice.owner.identity.record, proof=pay(challenge))
        assert await talk.open(opening) is None
    assert later.record == inn.hosting.record_of(alice.owner.address)


async def test_nonsense_is_answered_and_counted(lane: Lane, inn: Inn) -> None:
    wire = lane.wire()
    async with a_channel(wire, inn) as channel:
        for nonsense in (b"\xff", b"\xa0", b"\xa1\x64verb\x63eat"):
            await channel.send(nonsense)
            assert Answer(MALFORMED) == Answer.parse(await channel.receive())
        assert (await said(channel, Hello())).nonce is not None
    assert 3 * [(wire.peer_id, "host 5.6.0")] == inn.wire.blamed


def test_the_verbs_of_this_file_are_real() -> None:
    assert OWNERS == [parse_request(request.encode()) for request in OWNERS]
    assert isinstance(parse_request(Open(b"", (), 0).encode()), Open)


async def test_a_stream_that_proves_another_account_is_that_ones(lane: Lane, inn: Inn, alice: Guest) -> None:
    bob = lane.guest("bob")
    await bob.settle(inn)
    bob = Guest(bob.owner, alice.wires)
    blob = a_blob(1)
    await alice.allow(inn, FRIEND)
    await deposit(lane.wire(), inn, an_offer(alice.account(inn).public, blob, FRIEND), blob)
    wire = alice.wires[0]
    async with talking(wire, inn) as talk:
        await talk.prove(alice.account(inn), inn.peer_id, wire.peer_id)
        assert 1 == len((await talk.ask(List())).letters)
        await talk.prove(bob.account(inn), inn.peer_id, wire.peer_id)
        assert 0 == len((await talk.ask(List())).letters)
