"""The sender against recipients' nodes that err, and what its letters hold (protocol.md §4, §6)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st

from node.exchange.wire import DEADLINE, LETTER, MAX_FRAME
from protocol.identity import IDENTITY_KIND, MAX_IDENTITY
from protocol.letter import Inner, open_envelope, read_inner
from protocol.offer import Answer, Challenge, GoAhead, Offer, Result, encode_answer
from protocol.receipt import Receipt, sign_receipt
from protocol.record import Record, sign_record
from protocol.status import OK, PREKEY_GONE, TIME, TOO_OFTEN, UNKNOWN_SENDER, Status
from tests.kit.client import Client
from tests.kit.hostile import examples
from tests.kit.houses import DAY_S, House, Street
from tests.kit.wires import WireChannel

LARGE = "word " * 5_000

Says = Answer | bytes


class Odd:
    """Carol's node, which answers each frame with the next of `says`, then keeps the rules."""

    def __init__(self, carol: Client) -> None:
        self.carol, self.says, self.heard = carol, list[Says](), list[bytes]()
        network: Any = carol.network
        network.serve(LETTER, self.handle, max_frame=MAX_FRAME, deadline=DEADLINE)

    async def handle(self, channel: WireChannel) -> None:
        while True:
            self.heard.append(await channel.receive())
            answer = self.says.pop(0) if self.says else self._good(self.heard[-1])
            await channel.send(answer if isinstance(answer, bytes) else encode_answer(answer))

    def _good(self, data: bytes) -> Answer:
        return GoAhead() if len(data) <= 1_024 else self.carol._take(data)

    @property
    def offers(self) -> list[Offer]:
        return [Offer.parse(data) for data in self.heard if len(data) <= 1_024]

    def read(self, envelope: bytes) -> tuple[bytes, Inner]:
        signed = open_envelope(envelope, self.carol._private)
        return signed, read_inner(signed, to=self.carol.record.public_key, now=self.carol.clock.now())


@pytest.fixture
async def carol(street: Street, alice: House) -> Client:
    """Whom alice may write to."""
    carol = street.client()
    inner = carol.inner(alice.record, records=[carol.accepts(alice.address)])
    (*_, answer) = await carol.deliver(alice.peer, carol.seal(carol.sign(inner), alice.record))
    assert isinstance(answer, Result)
    assert OK == answer.status
    await street.quiet()
    return carol


@pytest.fixture
def odd(carol: Client) -> Odd:
    return Odd(carol)


def changed_identity(carol: Client) -> bytes:
    """Carol's record, signed by her, that commits to another next key."""
    payload = Record.decode(carol.record.record, MAX_IDENTITY).verify(IDENTITY_KIND)
    later: dict[str, Any] = {**payload, "next": bytes(32), "seq": carol.record.seq + 1}
    return sign_record(IDENTITY_KIND, later, carol.key).encode()


async def test_sealed_anew_where_the_prekey_is_gone(street: Street, alice: House, odd: Odd) -> None:
    gone = Result(PREKEY_GONE, identity=odd.carol.record.record)
    odd.says = [GoAhead(), gone]
    letter = await alice.send(odd.carol.address, "Once")
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(letter)
    first, second = (odd.read(data) for data in odd.heard if len(data) > 1_024)
    assert first == second
    assert letter.letter_id == first[1].letter_id
    one, two = odd.offers
    assert one.envelope_id != two.envelope_id


async def test_a_first_letter_is_sealed_anew_too(street: Street, alice: House) -> None:
    odd = Odd(street.client())
    gone = Result(PREKEY_GONE, identity=odd.carol.record.record)
    week = odd.carol.record.first_week
    challenge = Challenge(bytes(16), 0, alice.ground.clock.now() + 60_000, week, 5, 16_384)
    odd.says = [challenge, GoAhead(), gone, replace(challenge, challenge=bytes(15) + b"2")]
    letter = await alice.send(odd.carol.address, "Once")
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(letter)
    first, second = (odd.read(data) for data in odd.heard if len(data) > 1_024)
    assert first == second
    assert [("NoneType"), "Stamp"] * 2 == [type(offer.proof).__name__ for offer in odd.offers]


async def test_a_prekey_that_is_always_gone(street: Street, alice: House, odd: Odd) -> None:
    odd.says = [Result(PREKEY_GONE, identity=odd.carol.record.record)] * 50
    letter = await alice.send(odd.carol.address, "Once")
    await street.quiet()
    assert [("queued", "4.8.1")] == alice.state(letter)
    assert 2 == len(odd.offers)


async def test_another_owners_identity_with_the_refusal(street: Street, alice: House, odd: Odd) -> None:
    odd.says = [Result(PREKEY_GONE, identity=street.client().record.record)]
    letter = await alice.send(odd.carol.address, "Once")
    await street.quiet()
    assert [("queued", "4.4.1")] == alice.state(letter)
    assert [] != alice.wire.blamed


async def test_changed_keys_hold_the_letter(street: Street, alice: House, odd: Odd) -> None:
    odd.says = [Result(PREKEY_GONE, identity=changed_identity(odd.carol))]
    letter = await alice.send(odd.carol.address, "Once")
    await street.pass_time(6 * DAY_S)
    assert [("held", "4.8.1")] == alice.state(letter)
    assert ["key-changed"] == [warning.code for warning in alice.owner.names.warnings()]
    assert 1 == len(odd.heard)


async def test_changed_keys_in_the_directory_hold_the_letter(
    street: Street, alice: House, carol: Client
) -> None:
    street.wires.nodes[carol.network.peer_id].awake = False
    street.wires.records[carol.address] = [changed_identity(carol)]
    letter = await alice.send(carol.address, "Once")
    await street.pass_time(6 * DAY_S)
    assert [("held", "4.8.1")] == alice.state(letter)


@pytest.mark.parametrize("keys", ["pairKey", "prekeys"])
async def test_an_owner_with_keys_of_low_order(street: Street, alice: House, bob: House, keys: str) -> None:
    """Nothing can be shared with it; it is that letter's end alone."""
    carol = street.client()
    payload = Record.decode(carol.record.record, MAX_IDENTITY).verify(IDENTITY_KIND)
    worthless = {"pairKey": bytes(32), "prekeys": [bytes(32)] * len(carol.record.prekeys)}
    low: dict[str, Any] = {**payload, keys: worthless[keys]}
    street.wires.records[carol.address] = [sign_record(IDENTITY_KIND, low, carol.key).encode()]
    letter = await alice.send(carol.address, "Once")
    good = await alice.send(bob, "Good")
    await street.pass_time(6 * DAY_S)
    assert alice.state(letter)[0][0] in ("refused", "failed")
    assert [("delivered", "2.0.0")] == alice.state(good)


async def test_taken_without_a_receipt(street: Street, alice: House, odd: Odd) -> None:
    """What can't have been a first contact is delivered by a receipt alone."""
    odd.says = [GoAhead(), Result(OK)]
    letter = await alice.send(odd.carol.address, "Large", LARGE)
    await street.quiet()
    assert [("queued", "4.4.1")] == alice.state(letter)
    assert [] != alice.wire.blamed
    await street.pass_time(600, 60)
    assert [("delivered", "2.0.0")] == alice.state(letter)


@pytest.mark.parametrize("wrong", ["letter", "signer", "bytes"])
async def test_a_receipt_for_something_else(street: Street, alice: House, odd: Odd, wrong: str) -> None:
    letter = await alice.send(odd.carol.address, "Large", LARGE)
    signer = alice.owner.identity.signing_key if wrong == "signer" else odd.carol.key
    letter_id = bytes(32) if wrong == "letter" else letter.letter_id
    receipt = sign_receipt(Receipt(letter_id, bytes(32), OK, (), 0), signer)
    odd.says = [GoAhead(), Result(OK, receipt=b"x" if wrong == "bytes" else receipt)]
    await street.quiet()
    assert [("queued", "4.4.1")] == alice.state(letter)
    assert [] != alice.wire.blamed


@pytest.mark.parametrize("ago", [0, 60_000, None])
async def test_a_time_that_is_over_is_no_time(
    street: Street, alice: House, odd: Odd, ago: int | None
) -> None:
    odd.says = [Result(TOO_OFTEN, until=None if ago is None else alice.ground.clock.now() - ago)] * 1_000
    letter = await alice.send(odd.carol.address, "Once")
    await street.quiet()
    assert 1 == len(odd.heard)
    assert [("queued", "4.8.10")] == alice.state(letter)


async def test_a_time_that_never_comes_is_asked_about_again(street: Street, alice: House, odd: Odd) -> None:
    odd.says = [Result(TOO_OFTEN, until=2**52)]
    letter = await alice.send(odd.carol.address, "Once")
    await street.pass_time(29 * DAY_S, DAY_S)
    assert [("queued", "4.8.10")] == alice.state(letter)
    await street.pass_time(2 * DAY_S, DAY_S)
    assert 2 <= len(odd.offers)


async def test_a_high_price_is_asked_of_the_author(street: Street, alice: House) -> None:
    odd = Odd(street.client())
    challenge = Challenge(bytes(16), 11, alice.ground.clock.now() + 60_000, 0, 5, 16_384)
    odd.says = [challenge]
    letter = await alice.send(odd.carol.address, "Dear")
    await street.pass_time(6 * DAY_S)
    assert [("held", "4.8.9")] == alice.state(letter)
    odd.says = [replace(challenge, price=0)]
    await alice.owner.outbox.approve(letter.id)
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(letter)


@pytest.mark.parametrize(
    "answer",
    [
        Challenge(bytes(16), 1, 2**40, 0, 5, 16_384),
        Result(Status("2.9.9")),
        Result(Status("4.9.9")),
        b"",
        b"\xff" * 50,
        bytes(MAX_FRAME),
    ],
)
async def test_answers_out_of_turn_keep_the_letter(
    street: Street, alice: House, odd: Odd, answer: Says
) -> None:
    odd.says = [answer]
    letter = await alice.send(odd.carol.address, "Large", LARGE)
    await street.quiet()
    assert "queued" == alice.state(letter)[0][0]
    await street.pass_time(7_200, 600)
    assert [("delivered", "2.0.0")] == alice.state(letter)


async def test_any_answers_at_all(street: Street, alice: House, odd: Odd) -> None:
    statuses = st.sampled_from([OK, PREKEY_GONE, TOO_OFTEN, UNKNOWN_SENDER, Status("5.0.0")])
    results = st.builds(Result, statuses, until=st.none() | st.integers(0, 2**53 - 1))
    challenges = st.builds(
        Challenge,
        st.binary(min_size=16, max_size=16),
        st.just(0),
        st.just(0),
        st.just(0),
        st.just(0),
        st.just(0),
    )
    answers = st.one_of(st.binary(min_size=1, max_size=60), results, challenges, st.just(GoAhead()))
    for says in examples(st.lists(answers, max_size=6), 40):
        odd.says = list(says)
        letter = await alice.send(odd.carol.address, "Any")
        await street.quiet()
        assert alice.state(letter)[0][0] in ("queued", "held", "delivered", "refused")
    odd.says = []
    last = await alice.send(odd.carol.address, "Last")
    await street.pass_time(DAY_S)
    assert [("delivered", "2.0.0")] == alice.state(last)


async def test_previous_and_thread(street: Street, alice: House, odd: Odd) -> None:
    letters = []
    for subject in ("One", "Two"):
        letters.append(await alice.send(odd.carol.address, subject))
        await street.quiet()
    one, two = (odd.read(data)[1] for data in odd.heard if len(data) > 1_024)
    assert (letters[0].letter_id, letters[1].letter_id) == (two.previous, two.letter_id)
    assert [x.letter_id.hex() for x in letters] == [one.thid, two.thid]
    assert one.pthid is None


async def test_a_retry_sends_the_same_envelope(street: Street, alice: House, odd: Odd) -> None:
    odd.says = [Result(Status("4.3.2"))] * 3
    await alice.send(odd.carol.address, "Once")
    alice = await street.reopen(alice)
    await street.pass_time(DAY_S)
    assert 4 == len(odd.offers)
    assert 1 == len({offer.envelope_id for offer in odd.offers})


async def test_signed_anew_where_the_times_do_not_fit(street: Street, alice: House, odd: Odd) -> None:
    """What our own clock dated wrongly would be refused for ever."""
    odd.says = [GoAhead(), Result(TIME)]
    letter = await alice.send(odd.carol.address, "Once")
    await street.quiet()
    assert [("queued", "4.8.3")] == alice.state(letter)
    await street.pass_time(120, 60)
    assert [("delivered", "2.0.0")] == alice.state(letter)
    first, second = (odd.read(data)[1] for data in odd.heard if len(data) > 1_024)
    assert first.letter_id == second.letter_id == letter.letter_id
    assert first.created < second.created
    assert first.previous == second.previous


async def test_an_owner_that_nobody_knows(street: Street, alice: House) -> None:
    letter = await alice.send("0x" + "12" * 20, "Who?")
    await street.quiet()
    assert [("queued", "4.4.1")] == alice.state(letter)
    await street.pass_time(6 * DAY_S)
    assert [("failed", "4.4.1")] == alice.state(letter)


async def test_a_node_that_never_answers_holds_up_nobody(
    street: Street, alice: House, bob: House, carol: Client
) -> None:
    async def silent(channel: WireChannel) -> None:
        while True:
            await channel.receive()

    network: Any = carol.network
    network.serve(LETTER, silent, max_frame=MAX_FRAME, deadline=DEADLINE)
    stuck = [await alice.send(carol.address, f"{n}") for n in range(20)]
    good = await alice.send(bob, "Good")
    await street.quiet()
    assert [("delivered", "2.0.0")] == alice.state(good)
    await street.pass_time(120, 10)
    assert ("queued", "4.4.1") in [alice.state(letter)[0] for letter in stuck]


async def test_no_letter_is_older_than_who_wrote_it(street: Street, friends: tuple[House, House]) -> None:
    """By a clock that fell behind it would be, and left at a host nobody would ever take it."""
    alice, bob = friends
    alice.machine.misdate(-1, told=True)
    letter = await alice.send(bob, "Yesterday")
    await street.quiet()
    assert ([("delivered", "2.0.0")], ["Yesterday"]) == (alice.state(letter), bob.folder())
