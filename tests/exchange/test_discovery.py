"""Sealed to an e-mail address of which nothing is known but itself (protocol.md §4), with a real name server;
and the From line that such an address may be (§6).
"""

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from node.exchange.wire import LETTER
from node.files import in_pieces
from node.names.bindings import HOLD_OFF_S
from node.outbox import Letter
from node.outbox.submission import Message
from node.runtime.dns import MAX_TTL_S
from node.storage import Batch
from protocol.dns import format_key, txt_name
from protocol.exchange_identity import PROTOCOL_ID as IDENTITY
from protocol.offer import Result
from tests.kit.client import Client
from tests.kit.houses import House, Street
from tests.kit.letters import whole
from tests.kit.names_server import Fault, Names, open_names

ALICE, BOB = "alice@example.org", "bob@example.net"
TXT = txt_name("example.org")
PATIENCE_S = 20.0
"""Of real time: answers of the name server come over sockets while the tests' clock stands still."""


@dataclass
class Scene:
    """Alice has a domain; Bob knows nobody, and can send ordinary mail."""

    street: Street
    names: Names
    alice: House
    bob: House

    async def until(self, done: Callable[[], object]) -> None:
        """Let everything happen, what comes over sockets too."""
        end = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end, "it does not come about"
            await self.street.quiet()

    async def send(self, subject: str, to: str = ALICE, text: str = "Hi.\n", **more: Any) -> Letter:
        message = Message((to,), subject=subject, text=text, **more)
        return await self.bob.owner.submission.send(message)

    async def became(self, letter: Letter, *states: tuple[str, str]) -> None:
        await self.until(lambda: self.bob.state(letter) == list(states))

    async def waits(self, letter: Letter) -> None:
        """Until it was tried in vain, and a later time is set."""

        def waiting() -> bool:
            found = self.bob.owner.outbox.get(letter.id)
            now = self.street.wires.clock.now()
            return found is not None and any(
                (d.state, d.code) == ("queued", "4.4.1") and d.next > now for d in found.deliveries
            )

        await self.until(waiting)

    async def asleep(self, seconds: float = MAX_TTL_S) -> None:
        """Time goes by: what the DNS said is asked for again, and letters are tried again."""
        await self.street.pass_time(seconds, step=seconds)

    @property
    def opened(self) -> list[str]:
        """To whom something went by ordinary mail."""
        return [one for to, _, _ in self.bob.road.went for one in to]


@pytest.fixture
async def scene(street: Street) -> AsyncIterator[Scene]:
    async with open_names() as names:
        alice = await street.open("alice", emails=(ALICE,), domains=("example.org",))
        bob = await street.open(
            "bob", emails=(BOB,), dns=names.address, smarthost="smtp://bob@mail.example.net:587"
        )
        names.txt(TXT, format_key(alice.owner.identity.public_key))
        await street.quiet()
        yield Scene(street, names, alice, bob)


async def test_who_knows_only_the_address_reaches_its_owner_sealed(scene: Scene) -> None:
    letter = await scene.send("Hello")
    await scene.became(letter, ("delivered", "2.0.0"))
    assert (["Hello"], []) == (scene.alice.folder("handshake"), scene.opened)
    (recipient,) = (one.recipient for one in letter.deliveries)
    assert (ALICE, "mailio", scene.alice.address) == (recipient.to, recipient.route, recipient.address)
    (row,) = scene.alice.owner.mailbox.list("handshake")
    message = message_from_bytes(await whole(scene.alice.owner.mailbox, bytes.fromhex(row["id"])))
    assert (ALICE, f"{scene.bob.address}@mailio.alt") == (message["To"], message["From"])


async def test_a_second_letter_asks_nobody(scene: Scene) -> None:
    await scene.became(await scene.send("One"), ("delivered", "2.0.0"))
    asked = len(scene.street.wires.said(IDENTITY, asks=True))
    await scene.became(await scene.send("Two"), ("delivered", "2.0.0"))
    assert (1, asked) == (scene.names.asked(TXT), len(scene.street.wires.said(IDENTITY, asks=True)))


async def test_an_address_elsewhere_gets_ordinary_mail(scene: Scene) -> None:
    letter = await scene.send("Hello", "carol@legacy.example")
    await scene.became(letter, ("delivered", "2.0.0"))
    assert ["carol@legacy.example"] == scene.opened
    nobody = await scene.send("Hello", "nobody@example.org")
    await scene.became(nobody, ("delivered", "2.0.0"))
    assert ["carol@legacy.example", "nobody@example.org"] == scene.opened
    assert [] == scene.street.wires.said(LETTER, asks=True)


async def test_while_the_dns_is_silent_it_waits_and_then_it_goes_sealed(scene: Scene) -> None:
    scene.names.fault(TXT, Fault.SERVFAIL)
    letter = await scene.send("Patience")
    await scene.waits(letter)
    await scene.asleep()
    await scene.waits(letter)
    scene.names.fault(TXT, None)
    await scene.asleep(2 * MAX_TTL_S)
    await scene.became(letter, ("delivered", "2.0.0"))
    assert (["Patience"], []) == (scene.alice.folder("handshake"), scene.opened)


async def test_while_the_dns_is_silent_it_waits_and_then_it_goes_open(scene: Scene) -> None:
    scene.names.fault(TXT, Fault.SERVFAIL)
    letter = await scene.send("Patience")
    await scene.waits(letter)
    scene.names.fault(TXT, None)
    scene.names.forget(TXT)
    await scene.asleep()
    await scene.became(letter, ("delivered", "2.0.0"))
    assert ([ALICE], []) == (scene.opened, scene.alice.mail())


async def test_while_the_owner_sleeps_it_waits_over_a_restart_and_goes_sealed(scene: Scene) -> None:
    await scene.street.close(scene.alice)
    letter = await scene.send("Sleep well", text="x" * 3_000)
    await scene.waits(letter)
    await scene.street.close(scene.bob)
    scene.bob = await scene.street.open(
        "bob", emails=(BOB,), dns=scene.names.address, smarthost="smtp://bob@mail.example.net:587"
    )
    await scene.waits(letter)
    scene.alice = await scene.street.open("alice", emails=(ALICE,), domains=("example.org",))
    await scene.street.quiet()
    await scene.asleep()
    await scene.until(lambda: scene.bob.state(letter) != [("queued", "4.4.1")])
    assert ([("held", "4.8.9")], []) == (scene.bob.state(letter), scene.opened)  # too large for a stranger
    await scene.alice.owner.handshakes.accept(scene.bob.address)
    await scene.became(letter, ("delivered", "2.0.0"))
    assert ["Sleep well"] == scene.alice.folder()


async def test_one_letter_goes_both_ways(scene: Scene) -> None:
    who = (ALICE, "carol@legacy.example", "dave@silent.example")
    scene.names.fault(txt_name("silent.example"), Fault.SERVFAIL)
    letter = await scene.bob.owner.submission.send(Message(who, subject="All", text="Hi.\n"))
    await scene.waits(letter)
    await scene.became(letter, ("delivered", "2.0.0"), ("delivered", "2.0.0"), ("queued", "4.4.1"))
    assert ["carol@legacy.example"] == scene.opened
    ((_, raw, _),) = scene.bob.road.went
    assert ", ".join(who) == " ".join(str(message_from_bytes(raw)["To"]).split())
    scene.names.fault(txt_name("silent.example"), None)
    await scene.asleep()
    await scene.became(letter, *[("delivered", "2.0.0")] * 3)
    assert ["carol@legacy.example", "dave@silent.example"] == scene.opened


async def test_a_record_that_goes_holds_the_letter_until_its_author_decides(scene: Scene) -> None:
    await scene.became(await scene.send("Sealed"), ("delivered", "2.0.0"))
    scene.names.forget(TXT)
    await scene.asleep()
    letter = await scene.send("Not open")
    await scene.became(letter, ("held", "4.8.1"))
    await scene.asleep()
    assert ([("held", "4.8.1")], []) == (scene.bob.state(letter), scene.opened)

    scene.names.txt(TXT, format_key(scene.alice.owner.identity.public_key))
    await scene.asleep()
    scene.bob.owner.outbox.retry(letter.id)
    await scene.became(letter, ("delivered", "2.0.0"))
    assert (["Not open", "Sealed"], []) == (scene.alice.folder("handshake"), scene.opened)


async def test_its_author_may_send_it_open_all_the_same(scene: Scene) -> None:
    await scene.became(await scene.send("Sealed"), ("delivered", "2.0.0"))
    scene.names.forget(TXT)
    await scene.asleep()
    letter = await scene.send("Open then")
    await scene.became(letter, ("held", "4.8.1"))
    await scene.bob.owner.outbox.approve(letter.id)
    await scene.became(letter, ("delivered", "2.0.0"))
    assert [ALICE] == scene.opened


async def test_another_key_holds_the_letter_until_the_address_book_knows_it(scene: Scene) -> None:
    await scene.became(await scene.send("Sealed"), ("delivered", "2.0.0"))
    eve = await scene.street.open("eve", emails=(ALICE,), domains=("example.org",))
    scene.names.forget(TXT)
    scene.names.txt(TXT, format_key(eve.owner.identity.public_key))
    await scene.asleep()
    letter = await scene.send("For Alice")
    await scene.became(letter, ("held", "4.8.1"))
    assert ([], []) == (eve.mail(), scene.opened)
    await _add_contact(scene.bob, "Alice", ALICE, scene.alice.address)
    scene.bob.owner.outbox.retry(letter.id)
    await scene.became(letter, ("delivered", "2.0.0"))
    assert ["For Alice", "Sealed"] == scene.alice.folder("handshake")


async def test_nothing_waits_open_for_who_becomes_a_mailio_owner(scene: Scene) -> None:
    key = format_key(scene.alice.owner.identity.public_key)
    scene.names.forget(TXT)
    scene.bob.road.asleep = True
    letter = await scene.send("Late")
    await scene.waits(letter)
    scene.names.txt(TXT, key)
    scene.bob.road.asleep = False
    await scene.asleep()
    await scene.became(letter, ("held", "4.8.1"))
    assert [] == scene.opened


async def test_without_a_mail_server_who_can_be_reached_sealed_is(scene: Scene) -> None:
    carol = await scene.street.open("carol", dns=scene.names.address)
    letter = await carol.send(ALICE, "No bridge needed")
    await scene.until(lambda: carol.state(letter) == [("delivered", "2.0.0")])
    for to, code in (("x@legacy.example", "no-smarthost"), ("x@silent.example", "recipient-later")):
        scene.names.fault(txt_name("silent.example"), Fault.SERVFAIL)
        with pytest.raises(Exception, match="x@") as caught:
            await carol.send(to, "Nothing")
        assert code == getattr(caught.value, "code", None)


async def test_what_a_mail_program_hands_in_goes_the_same_ways(scene: Scene) -> None:
    raw = f"From: Bob <{BOB}>\r\nTo: {ALICE}\r\nSubject: By hand\r\n\r\nHi.\r\n".encode()
    letter = await scene.bob.owner.submission.submit(raw, BOB, [ALICE], "laptop")
    await scene.became(letter, ("delivered", "2.0.0"))
    assert (["By hand"], []) == (scene.alice.folder("handshake"), scene.opened)


@pytest.mark.parametrize("by_hand", [False, True], ids=["composed", "handed in"])
async def test_what_lies_outside_of_a_letter_that_waited_is_there_to_be_fetched(
    scene: Scene, by_hand: bool
) -> None:
    await scene.street.befriend(scene.bob, scene.alice)
    scene.names.fault(TXT, Fault.SERVFAIL)
    owner, data = scene.bob.owner, random.Random(1).randbytes(400_000)
    if by_hand:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = BOB, ALICE, "Photo"
        mail.set_content("Hi.\n")
        mail.add_attachment(data, maintype="image", subtype="png", filename="a.png")
        letter = await owner.submission.submit(mail.as_bytes(policy=SMTP), BOB, [ALICE], "laptop")
    else:
        upload = await owner.uploads.add("a.png", "image/png", len(data), in_pieces(data))
        letter = await scene.send("Photo", attachments=(upload.id.hex(),))
    await scene.waits(letter)
    await owner.files.collect()
    scene.names.fault(TXT, None)
    await scene.asleep()
    await scene.became(letter, ("delivered", "2.0.0"))
    await scene.street.quiet()
    (row,) = (row for row in scene.alice.owner.mailbox.list() if row["subject"] == "Photo")
    found = await scene.alice.owner.mailbox.attachment(bytes.fromhex(row["id"]), 1)
    async with aclosing(found.source) as pieces:
        assert data == b"".join([piece async for piece in pieces])


# ---- the From line


@pytest.fixture
async def carol(scene: Scene) -> Client:
    """Made by hand, accepted by Bob; her domain is example.com."""
    carol = scene.street.client()
    await scene.bob.owner.handshakes.accept(carol.address)
    await scene.street.quiet()
    assert carol.accepted_by(scene.bob.address)
    scene.names.txt(txt_name("example.com"), format_key(carol.record.public_key))
    return carol


async def _writes(scene: Scene, carol: Client, sender: str) -> str:
    """Her letter from this address; how it was answered."""
    bob = scene.bob
    message = carol.message("Hi.", to=f"{bob.address}@mailio.alt", subject=sender, sender=sender)
    envelope = carol.seal(carol.sign(carol.inner(bob.record, message)), bob.record)
    key = carol.delivery_key(bob.record, bob.peer.peer_id)
    last = (await carol.deliver(bob.peer, envelope, key=key))[-1]
    assert isinstance(last, Result)
    return last.status.code


async def test_from_may_be_an_address_that_its_domain_says_is_the_author_s(
    scene: Scene, carol: Client
) -> None:
    carol.domain.owner = carol.record.public_key
    assert "4.4.1" == await _writes(scene, carol, "carol@example.com")
    await scene.asleep(HOLD_OFF_S)
    carol.domain.speaks = True
    assert "2.0.0" == await _writes(scene, carol, "Carol@Example.com")
    assert ["Carol@Example.com"] == scene.bob.folder()
    letter = await scene.send("Re: Hi", "carol@example.com")
    assert ["mailio"] == [one.recipient.route for one in letter.deliveries]


async def test_from_is_not_an_address_of_somebody_else(scene: Scene, carol: Client) -> None:
    carol.domain.speaks = True
    for owner in (None, scene.alice.owner.identity.public_key):
        carol.domain.owner = owner
        assert "5.7.1" == await _writes(scene, carol, f"carol{owner is None}@example.com")
    assert "5.7.1" == await _writes(scene, carol, ALICE)
    assert "5.7.1" == await _writes(scene, carol, "carol@legacy.example")
    assert "5.7.1" == await _writes(scene, carol, "no address")
    assert [] == scene.bob.mail()


async def test_from_is_a_contact_s_address_without_any_look_up(scene: Scene, carol: Client) -> None:
    await _add_contact(scene.bob, "Carol", "carol@legacy.example", carol.address)
    assert "2.0.0" == await _writes(scene, carol, "carol@legacy.example")
    assert 0 == scene.names.asked(txt_name("legacy.example"))


async def _add_contact(house: House, name: str, *who: str) -> None:
    batch = Batch()
    house.owner.names.add(batch, name, who)
    await house.ground.store.write(batch)
