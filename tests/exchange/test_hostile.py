"""The receiver against peers that keep no rule: each is answered as protocol.md says, counted, and nothing of
theirs is kept; whoever keeps the rules is served right after.
"""

import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest
import trio
from hypothesis import strategies as st

from node.exchange.wire import MAX_FRAME
from node.network import ChannelClosed
from node.network.limits import MAX_BODIES, MAX_BODIES_PER_BLOCK
from node.storage import Batch
from protocol.cbor import encode
from protocol.handshake import State
from protocol.identity import build_identity
from protocol.keys import SigningKey
from protocol.letter import MAX_ENVELOPE, MAX_SIGNED, MIN_ENVELOPE
from protocol.offer import MAX_OFFER_BYTES, Answer, Challenge, GoAhead, KeyProof, Result, Stamp, parse_answer
from protocol.peers import Peer
from protocol.record import sign_record
from protocol.stamps import NONCE_BYTES
from protocol.stream import ContentRef, Place
from tests.kit.client import Client, find_stamp
from tests.kit.hostile import damaged, examples, values
from tests.kit.houses import DAY_S, House, Street

DAY_MS = round(DAY_S * 1000)
PLACE = Place(0)
T = TypeVar("T")


@dataclass
class Scene:
    """Bob, whom carol may write to and dave may not."""

    street: Street
    bob: House
    carol: Client
    dave: Client

    @property
    def key(self) -> SigningKey:
        found = self.carol.delivery_key(self.bob.record, self.bob.wire.peer_id)
        assert found is not None
        return found

    @property
    def to(self) -> str:
        return f"{self.bob.address}@mailio.alt"

    def envelope(self, who: Client, subject: str = "bad", text: str = "Hi.", **more: Any) -> bytes:
        """A sealed letter of `who`; `more` as in Client.message."""
        message = who.message(text, to=self.to, subject=subject, **more)
        return self.seal(who, who.sign(who.inner(self.bob.record, message)))

    def seal_week(self, week: int) -> bytes:
        return self.carol.seal(_signed(self), self.bob.record, week=week)

    def seal(self, who: Client, signed: bytes) -> bytes:
        return who.seal(signed, self.bob.record)

    async def by_key(self, envelope: bytes, **more: Any) -> str:
        """Carol's envelope; the last answer."""
        return code((await self.carol.deliver(self.bob.peer, envelope, key=self.key, **more))[-1])

    async def by_stamp(self, envelope: bytes, who: Client | None = None) -> str:
        """A stranger's envelope, paid for."""
        return code((await (who or self.dave).deliver(self.bob.peer, envelope))[-1])

    async def untouched(self, *, counted: bool) -> None:
        """Nothing of the attack is there, it was counted (or not), and good letters come through."""
        assert [] == self.bob.mail()
        assert State.NONE == self.bob.owner.consent.state(self.dave.address, self.street.wires.clock.now())
        assert counted == bool(self.bob.wire.blamed)
        assert "2.0.0" == await self.by_key(self.envelope(self.carol, "good"))
        assert "2.0.0" == await self.by_stamp(self.envelope(self.dave, "good too"))
        assert (["good"], ["good too"]) == (self.bob.folder(), self.bob.folder("handshake"))
        assert [] == self.street.wires.bugs


def code(answer: Answer) -> str:
    return answer.status.code if isinstance(answer, Result) else type(answer).__name__


@pytest.fixture
async def scene(street: Street, bob: House) -> Scene:
    carol, dave = street.client(), street.client()
    await bob.owner.handshakes.accept(carol.address)
    await street.quiet()
    assert carol.accepted_by(bob.address)
    return Scene(street, bob, carol, dave)


async def say(scene: Scene, who: Client, *frames: bytes) -> list[str]:
    """Send these frames one after the other and give the answer to each."""
    async with who.channel(scene.bob.peer) as channel:
        for frame in frames:
            await channel.send(frame)
            await scene.street.quiet()
        return [code(parse_answer(await channel.receive())) for _ in frames]


# ---- offers


async def test_a_frame_over_the_limit(scene: Scene) -> None:
    assert ["5.2.3"] == await say(scene, scene.carol, bytes(MAX_FRAME + 1))
    await scene.untouched(counted=True)


async def test_an_offer_of_a_letters_size(scene: Scene) -> None:
    """What is begun in place of an offer is held for half a minute: it must not be a mebibyte."""
    assert ["5.2.3"] == await say(scene, scene.carol, bytes(MAX_OFFER_BYTES + 1))
    await scene.untouched(counted=True)


async def test_an_envelope_over_the_limit(scene: Scene) -> None:
    offer = scene.carol.offer(bytes(5_000), key=scene.key)
    assert ["GoAhead", "5.2.3"] == await say(scene, scene.carol, offer.encode(), bytes(MAX_FRAME + 1))
    await scene.untouched(counted=True)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"\xff" * 100, bytes(1_000), encode({"answer": "go"}), encode({}), encode([1])],
    ids=["empty", "zero", "ff", "long", "an answer", "no field", "a list"],
)
async def test_no_offer_at_all(scene: Scene, data: bytes) -> None:
    assert ["5.6.0"] == await say(scene, scene.carol, data)
    await scene.untouched(counted=True)


@pytest.mark.parametrize(
    ("size", "status"), [(MAX_ENVELOPE + 1, "5.2.3"), (MIN_ENVELOPE - 1, "5.6.0"), (-1, "5.6.0")]
)
async def test_sizes_that_no_envelope_has(scene: Scene, size: int, status: str) -> None:
    offer = replace(scene.carol.offer(bytes(5_000), key=scene.key), size=size)
    assert [status] == await say(scene, scene.carol, offer.encode())
    await scene.untouched(counted=True)


async def test_a_wrongly_signed_offer(scene: Scene) -> None:
    offer = scene.carol.offer(bytes(5_000), key=scene.key)
    assert isinstance(offer.proof, KeyProof)
    forged = replace(offer, proof=KeyProof(offer.proof.key, bytes(64)))
    other = replace(offer, envelope_id=bytes(32))  # a proof that is over another envelope
    assert ["5.8.1", "5.8.1"] == await say(scene, scene.carol, forged.encode(), other.encode())
    await scene.untouched(counted=True)


async def test_a_proof_for_an_account_does_not_open_the_node(scene: Scene) -> None:
    offer = replace(scene.carol.offer(bytes(5_000), key=scene.key), account=bytes(range(32)))
    assert ["5.8.1"] == await say(scene, scene.carol, offer.encode())
    await scene.untouched(counted=True)


async def test_a_key_that_nobody_gave(scene: Scene) -> None:
    envelope = scene.envelope(scene.dave)
    answers = await scene.dave.deliver(scene.bob.peer, envelope, key=scene.dave.key)
    assert ["4.8.9"] == [code(answer) for answer in answers]
    await scene.untouched(counted=False)


async def test_an_offer_too_large_for_a_stranger_gets_no_challenge(scene: Scene) -> None:
    assert "5.2.3" == await scene.by_stamp(scene.envelope(scene.dave, text="long " * 10_000))
    await scene.untouched(counted=False)


async def test_a_service_letter_that_is_too_large(scene: Scene) -> None:
    assert "5.6.0" == await scene.by_key(scene.envelope(scene.carol, text="x" * 30_000), service=True)
    await scene.untouched(counted=True)


# ---- stamps


async def test_a_stamp_that_was_not_paid_for(scene: Scene) -> None:
    scene.bob.owner.consent._challenges._least = 10  # or one in two would do
    envelope = scene.envelope(scene.dave)
    async with scene.dave.channel(scene.bob.peer) as channel:
        offer = scene.dave.offer(envelope)
        (challenge,) = await scene.dave.say(channel, offer, envelope)
        assert isinstance(challenge, Challenge)
        lazy = replace(offer, proof=Stamp(challenge.challenge, bytes(NONCE_BYTES)))
        assert ["5.8.1"] == [code(a) for a in await scene.dave.say(channel, lazy, envelope)]
        again = await scene.dave.say(channel, lazy, envelope)  # and the challenge is used up by it
        assert ["4.8.3"] == [code(a) for a in again]
    scene.bob.owner.consent._challenges._least = 1
    await scene.untouched(counted=True)


async def test_a_stamp_pays_once_and_for_its_peer_alone(scene: Scene) -> None:
    first, second = scene.envelope(scene.dave, "first"), scene.envelope(scene.dave, "second")
    async with scene.dave.channel(scene.bob.peer) as channel:
        (challenge,) = await scene.dave.say(channel, scene.dave.offer(first), first)
        assert isinstance(challenge, Challenge)
        stamp = await find_stamp(challenge)
        async with scene.carol.channel(scene.bob.peer) as other:
            stolen = await scene.carol.say(other, scene.carol.offer(first, stamp=stamp), first)
        assert ["4.8.3"] == [code(a) for a in stolen]
        paid = await scene.dave.say(channel, scene.dave.offer(first, stamp=stamp), first)
        assert ["GoAhead", "2.0.0"] == [code(a) for a in paid]
        again = await scene.dave.say(channel, scene.dave.offer(second, stamp=stamp), second)
        assert ["4.8.3"] == [code(a) for a in again]
    assert ["first"] == scene.bob.mail()
    assert [] == scene.bob.wire.blamed


# ---- envelopes


@pytest.mark.parametrize(
    ("damage", "status"),
    [
        (lambda e: e[:-1], "5.6.0"),
        (lambda e: e + b"\0", "5.6.0"),
        (lambda e: e[:-1] + bytes([e[-1] ^ 1]), "5.6.0"),
        (lambda e: b"x", "5.6.0"),
    ],
    ids=["cut", "longer", "another", "next to nothing"],
)
async def test_another_envelope_than_the_one_offered(
    scene: Scene, damage: Callable[[bytes], bytes], status: str
) -> None:
    envelope = scene.envelope(scene.carol)
    async with scene.carol.channel(scene.bob.peer) as channel:
        offer = scene.carol.offer(envelope, key=scene.key)
        answers = await scene.carol.say(channel, offer, damage(envelope))
    assert ["GoAhead", status] == [code(answer) for answer in answers]
    await scene.untouched(counted=True)


@pytest.mark.parametrize("size", [MIN_ENVELOPE, MAX_ENVELOPE])
async def test_another_size_than_the_one_offered(scene: Scene, size: int) -> None:
    """It was judged by that size."""
    envelope = scene.envelope(scene.carol, text="long " * 2_000)
    async with scene.carol.channel(scene.bob.peer) as channel:
        offer = replace(scene.carol.offer(envelope, key=scene.key), size=size)
        answers = await scene.carol.say(channel, offer, envelope)
    assert ["GoAhead", "5.6.0"] == [code(answer) for answer in answers]
    await scene.untouched(counted=True)


Bad = Callable[[Scene], bytes | Awaitable[bytes]]


def _signed(scene: Scene, **fields: Any) -> bytes:
    """Carol's good letter with other fields of Inner."""
    message = scene.carol.message("Hi.", to=scene.to, subject="bad")
    return scene.carol.sign(scene.carol.inner(scene.bob.record, **{"message": message, **fields}))


def _at(scene: Scene, ms: int) -> bytes:
    """A letter written at another time, with an identity of that time."""
    carol = scene.carol
    created = carol.clock.now() + ms
    record = build_identity(
        carol.secrets, carol.chain, nodes=[Peer(carol.network.peer_id)], price=6, created=created
    )
    return scene.seal(carol, _signed(scene, created=created, sender=record))


def _with_message(message: Callable[[Scene], bytes]) -> Bad:
    def make(scene: Scene) -> bytes:
        inner = scene.carol.inner(scene.bob.record, message(scene))
        return scene.seal(scene.carol, scene.carol.sign(inner))

    return make


def _as_another(scene: Scene) -> bytes:
    """Carol's letter with dave's identity inside."""
    change: dict[str, Any] = {"from": scene.dave.record.record}
    return scene.carol.resign(_signed(scene), **change)


def _flipped(data: bytes) -> bytes:
    """With one bit of what is signed turned over."""
    place = data.index(b"Subject: bad")
    return data[:place] + b"subject" + data[place + 7 :]


BAD: dict[str, tuple[Bad, str, bool]] = {
    "unknown version": (lambda s: b"\x02" + s.envelope(s.carol)[1:], "5.6.0", True),
    "unknown suite": (lambda s: b"\x01\x02" + s.envelope(s.carol)[2:], "5.6.0", True),
    "does not open": (lambda s: s.envelope(s.carol)[:-9] + secrets.token_bytes(9), "5.8.1", True),
    "garbage behind a good head": (
        lambda s: s.envelope(s.carol)[:38] + secrets.token_bytes(1_000_000),
        "5.8.1",
        True,
    ),
    "a prekey of long ago": (lambda s: s.seal_week(0), "4.8.1", False),
    "a prekey of the far future": (lambda s: s.seal_week(2**32 - 1), "4.8.1", False),
    "not a record": (lambda s: s.seal(s.carol, b"x" * 900), "5.6.0", True),
    "a megabyte of nothing": (lambda s: s.seal(s.carol, bytes(MAX_SIGNED)), "5.6.0", True),
    "changed after signing": (lambda s: s.seal(s.carol, _flipped(_signed(s))), "5.6.0", True),
    "signed by another": (
        lambda s: s.seal(s.carol, s.carol.resign(_signed(s), key=s.dave.key)),
        "5.6.0",
        True,
    ),
    "another kind": (lambda s: s.seal(s.carol, s.carol.resign(_signed(s), kind="letter/2")), "5.6.0", True),
    "the identity of another": (
        lambda s: s.seal(s.carol, _as_another(s)),
        "5.6.0",
        True,
    ),
    "for another recipient": (
        lambda s: s.seal(s.carol, s.carol.resign(_signed(s), to=s.dave.record.public_key)),
        "5.1.1",
        True,
    ),
    "from the future": (lambda s: _at(s, 11 * 60_000), "4.8.3", False),
    "past its thirty days": (lambda s: _at(s, -31 * DAY_MS), "5.8.3", False),
    "an identity that was not yet": (
        lambda s: s.seal(s.carol, s.carol.resign(_signed(s), created=1)),
        "4.8.3",
        False,
    ),
    "a handshake of another": (
        lambda s: s.seal(s.carol, _signed(s, records=[s.dave.accepts(s.bob.address)])),
        "5.6.0",
        True,
    ),
    "a handshake about another": (
        lambda s: s.seal(s.carol, _signed(s, records=[s.carol.accepts(s.dave.address)])),
        "5.6.0",
        True,
    ),
    "records that are none": (lambda s: s.seal(s.carol, _signed(s, records=[b"x"])), "5.6.0", True),
    "another's letter under carol's key": (lambda s: s.envelope(s.dave), "5.8.1", True),
    "a forged From": (lambda s: s.envelope(s.carol, sender=s.dave.mailbox), "5.7.1", True),
    "a From whose domain nobody can be asked about": (
        lambda s: s.envelope(s.carol, sender="carol@example.com"),
        "4.4.1",
        False,
    ),
    "two in From": (
        lambda s: s.envelope(s.carol, sender=f"{s.carol.mailbox}, {s.dave.mailbox}"),
        "5.7.1",
        True,
    ),
    "two From": (
        lambda s: s.envelope(s.carol, headers=[f"From: {s.dave.mailbox}"]),
        "5.7.1",
        True,
    ),
    "no From": (_with_message(lambda s: b"Subject: x\r\n\r\nHi.\r\n"), "5.7.1", True),
    "a message of garbage": (_with_message(lambda s: secrets.token_bytes(1_000_000)), "5.7.1", True),
    "a message of one line": (_with_message(lambda s: b"x" * 1_000_000), "5.6.0", True),
    "fifty thousand headers": (
        _with_message(lambda s: f"From: {s.carol.mailbox}\r\n".encode() + b"a: b\r\n" * 50_000 + b"\r\n"),
        "5.6.0",
        True,
    ),
    "fifty thousand recipients": (
        _with_message(
            lambda s: f"From: {s.carol.mailbox}\r\nTo: ".encode() + b"a@b.c, " * 50_000 + b"d@e.f\r\n\r\n"
        ),
        "5.6.0",
        True,
    ),
    "a nest of parts": (
        _with_message(
            lambda s: f"From: {s.carol.mailbox}\r\n".encode()
            + b"".join(b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(99))
        ),
        "5.6.0",
        True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
async def test_a_letter_that_keeps_no_rule(scene: Scene, name: str) -> None:
    make, status, counted = BAD[name]
    envelope = make(scene)
    assert isinstance(envelope, bytes)
    assert status == await scene.by_key(envelope)
    await scene.untouched(counted=counted)


async def test_a_doubtful_clock_refuses_nothing_for_good(scene: Scene) -> None:
    """Three peers say that it is another time: what looks old may come again, and no record is signed."""
    for n in range(3):
        scene.bob.ground.watch.told(bytes([n]), scene.bob.ground.clock.now() + DAY_MS)
    assert "4.8.3" == await scene.by_key(_at(scene, -31 * DAY_MS))
    (*_, answer) = await scene.carol.deliver(scene.bob.peer, scene.seal_week(0), key=scene.key)
    assert ("4.8.1", None) == (code(answer), answer.identity if isinstance(answer, Result) else b"")
    assert "2.0.0" == await scene.by_key(scene.envelope(scene.carol, "good"))
    assert [] == scene.bob.wire.blamed


# ---- strangers


def _first(scene: Scene, *headers: str, body: str = "Hi.") -> bytes:
    """Dave's letter with a form of its own."""
    lines = [f"From: {scene.dave.mailbox}", f"To: {scene.to}", "Subject: bad", *headers, "", body, ""]
    return scene.seal(
        scene.dave, scene.dave.sign(scene.dave.inner(scene.bob.record, "\r\n".join(lines).encode()))
    )


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ((), "x" * 2_049),
        (("Content-Type: text/html",), "<b>Hi.</b>"),
        (("Content-Type: application/pdf",), "Hi."),
        (
            ("Content-Type: multipart/mixed; boundary=b",),
            "--b\r\n\r\nHi.\r\n--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--",
        ),
    ],
    ids=["long", "HTML", "another type", "attachment"],
)
async def test_a_first_letter_is_a_short_plain_note(
    scene: Scene, headers: tuple[str, ...], body: str
) -> None:
    assert "5.2.3" == await scene.by_stamp(_first(scene, *headers, body=body))
    await scene.untouched(counted=True)


async def test_a_first_letter_with_references(scene: Scene) -> None:
    ref = ContentRef("x.txt", "text/plain", 5, bytes(32), "ipfs://bafkreib", PLACE, bytes(32))
    inner = scene.dave.inner(scene.bob.record, b"From: x\r\n\r\n", refs=(ref,), message_hash=bytes(32))
    assert "5.6.0" == await scene.by_stamp(scene.seal(scene.dave, scene.dave.sign(inner)))
    await scene.untouched(counted=True)


async def test_a_forged_from_of_a_stranger(scene: Scene) -> None:
    assert "5.7.1" == await scene.by_stamp(scene.envelope(scene.dave, sender=scene.carol.mailbox))
    await scene.untouched(counted=True)


async def test_a_revoked_sender_who_pays_like_a_stranger(scene: Scene) -> None:
    await scene.bob.owner.handshakes.revoke(scene.dave.address)
    assert "5.8.2" == await scene.by_stamp(scene.envelope(scene.dave))
    assert [] == scene.bob.mail()
    assert "2.0.0" == await scene.by_key(scene.envelope(scene.carol, "good"))


async def test_a_stranger_who_comes_often_is_one_request(scene: Scene) -> None:
    for n in range(5):
        assert "2.0.0" == await scene.by_stamp(scene.envelope(scene.dave, f"{n}"))
    rows = [row for row in scene.bob.owner.handshakes.list() if row["address"] == scene.dave.address]
    assert [("request", 5)] == [(row["status"], row["waiting"]) for row in rows]


# ---- service letters and replays


async def test_a_service_letter_holds_no_message(scene: Scene) -> None:
    assert "5.6.0" == await scene.by_key(scene.envelope(scene.carol), service=True)
    await scene.untouched(counted=True)


async def test_service_letters_of_a_key_have_an_allowance(scene: Scene) -> None:
    got = []
    for _ in range(25):
        inner = scene.carol.inner(scene.bob.record, records=[scene.carol.accepts(scene.bob.address)])
        got.append(await scene.by_key(scene.seal(scene.carol, scene.carol.sign(inner)), service=True))
    assert ["2.0.0"] * 24 + ["4.8.10"] == got
    await scene.untouched(counted=False)


async def test_a_replay_is_answered_before_any_check(scene: Scene) -> None:
    envelope = scene.envelope(scene.carol, "once")
    first = await scene.carol.deliver(scene.bob.peer, envelope, key=scene.key)
    assert [GoAhead, Result] == [type(answer) for answer in first]
    for who, proof in (
        (scene.carol, {"key": scene.key}),
        (scene.carol, {}),
        (scene.dave, {"key": scene.dave.key}),
        (scene.dave, {"stamp": Stamp(bytes(16), bytes(NONCE_BYTES))}),
    ):
        async with who.channel(scene.bob.peer) as channel:
            answers = await who.say(channel, who.offer(envelope, **proof), envelope)
        assert first[1:] == answers
    assert ["once"] == scene.bob.mail()
    assert [] == scene.bob.wire.blamed


async def test_the_same_letter_in_another_envelope(scene: Scene) -> None:
    signed = _signed(scene)
    answers = [
        await scene.carol.deliver(scene.bob.peer, scene.seal(scene.carol, signed), key=scene.key)
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert ["bad"] == scene.bob.mail()


async def test_a_deleted_letter_does_not_come_back(scene: Scene) -> None:
    signed = _signed(scene)
    assert "2.0.0" == await scene.by_key(scene.seal(scene.carol, signed))
    mailbox, store = scene.bob.owner.mailbox, scene.bob.ground.store
    for folder in ("inbox", "trash"):
        (row,) = mailbox.list(folder)
        batch = Batch()
        mailbox.delete(batch, bytes.fromhex(row["id"]))
        await store.write(batch)
    assert "2.0.0" == await scene.by_key(scene.seal(scene.carol, signed))
    assert [] == scene.bob.mail()


async def test_the_largest_letter_is_taken(scene: Scene) -> None:
    message = scene.carol.message("", to=scene.to, subject="large")
    room = MAX_SIGNED - len(scene.carol.sign(scene.carol.inner(scene.bob.record, message))) - 8
    message += b"x\r\n" * (room // 3)
    assert "2.0.0" == await scene.by_key(
        scene.seal(scene.carol, scene.carol.sign(scene.carol.inner(scene.bob.record, message)))
    )
    assert ["large"] == scene.bob.mail()


# ---- streams


async def test_a_body_that_does_not_come(scene: Scene) -> None:
    street, bob = scene.street, scene.bob
    async with scene.carol.channel(bob.peer) as channel:
        await channel.send(scene.carol.offer(scene.envelope(scene.carol), key=scene.key).encode())
        assert GoAhead() == parse_answer(await channel.receive())
        await street.pass_time(29, 1)
        assert [] == bob.wire.blamed
        street.time.jump(2)  # type: ignore[attr-defined]  # it is a MockClock
        assert "5.6.0" == code(parse_answer(await channel.receive()))
        with pytest.raises(ChannelClosed):
            await channel.receive()
    await scene.untouched(counted=True)


async def test_bodies_have_room_and_accepted_senders_a_reserve(scene: Scene) -> None:
    """Strangers hold every place that they can get; carol's letter comes through beside them."""
    street, bob = scene.street, scene.bob
    envelope = scene.envelope(scene.dave)
    held: list[Any] = []
    got: list[str] = []

    async def hold(who: Client) -> None:
        async with who.channel(bob.peer) as channel:
            (challenge,) = await who.say(channel, who.offer(envelope), b"")
            assert isinstance(challenge, Challenge)
            stamp = await find_stamp(challenge)
            await channel.send(who.offer(envelope, stamp=stamp).encode())
            got.append(code(parse_answer(await channel.receive())))
            if got[-1] == "GoAhead":
                held.append(channel)
                await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for _ in range(MAX_BODIES):
            nursery.start_soon(hold, street.client())
        while len(got) < MAX_BODIES:
            await trio.lowlevel.checkpoint()
        assert MAX_BODIES_PER_BLOCK == len(held)
        assert {"GoAhead", "4.3.2"} == set(got)
        assert "2.0.0" == await scene.by_key(scene.envelope(scene.carol, "good"))
        nursery.cancel_scope.cancel()
    await street.quiet()
    assert [] == bob.wire.blamed
    assert "2.0.0" == await scene.by_stamp(scene.envelope(scene.dave, "good too"))


# ---- anything


async def never_breaks(scene: Scene, *frames: bytes) -> None:
    """Whatever is said: it is answered or the stream ends, and no exception comes out."""
    async with scene.carol.channel(scene.bob.peer) as channel:
        for frame in frames:
            with suppress(ChannelClosed):
                await channel.send(frame)
        await scene.street.quiet()  # fails where a handler let out anything but its peer's fault


async def test_any_bytes_for_an_offer(scene: Scene) -> None:
    for data in examples(st.binary(min_size=1, max_size=300)):
        await never_breaks(scene, data)
    await scene.untouched(counted=True)


async def test_any_damage_to_an_offer(scene: Scene) -> None:
    offer = scene.carol.offer(bytes(5_000), key=scene.key).encode()
    for data in examples(damaged(offer)):
        await never_breaks(scene, data or b"x", bytes(5_000))
    await scene.untouched(counted=True)


async def test_any_damage_to_an_envelope(scene: Scene) -> None:
    envelope = scene.envelope(scene.carol)
    for data in examples(damaged(envelope)):
        if data != envelope and len(data) >= MIN_ENVELOPE:
            await never_breaks(scene, scene.carol.offer(data, key=scene.key).encode(), data)
    await scene.untouched(counted=True)


async def test_any_damage_to_what_was_signed(scene: Scene) -> None:
    signed = _signed(scene)
    for data in examples(damaged(signed)):
        if data != signed:
            envelope = scene.seal(scene.carol, data)
            await never_breaks(scene, scene.carol.offer(envelope, key=scene.key).encode(), envelope)
    await scene.untouched(counted=True)


async def test_any_change_to_what_is_signed(scene: Scene) -> None:
    """Signed by carol herself: what is wrong in it is found by reading it."""
    names = ("letterId", "to", "from", "created", "records", "messageHash", "refs")
    changes = st.dictionaries(st.sampled_from(names), values(), min_size=1, max_size=2)
    for change in examples(changes):
        fields: dict[str, Any] = dict(change)
        envelope = scene.seal(scene.carol, scene.carol.resign(_signed(scene), **fields))
        await never_breaks(scene, scene.carol.offer(envelope, key=scene.key).encode(), envelope)
    assert {"bad"} >= set(scene.bob.mail())  # another letterId, or no refs, is as good
    assert "2.0.0" == await scene.by_key(scene.envelope(scene.carol, "good"))


async def test_any_records(scene: Scene) -> None:
    """Kinds that ride along, with any payload, signed by carol."""
    kinds = st.sampled_from(["handshake", "receipt/1", "nodes/1", "held/1", "other/9"])
    payloads = st.dictionaries(st.text(max_size=8), values(), max_size=3)
    for kind, payload in examples(st.tuples(kinds, payloads)):
        record = sign_record(kind, payload, scene.carol.key).encode()
        envelope = scene.seal(scene.carol, _signed(scene, message=None, records=(record,)))
        await never_breaks(scene, scene.carol.offer(envelope, key=scene.key).encode(), envelope)
    scene.bob.wire.blamed.append((b"", "some of them are nobody's fault"))
    await scene.untouched(counted=True)
