"""From what a person or a mail program wrote to the queue: which way it goes, what each way shows, once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as Parsed
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from node.handshakes import Handshakes
from node.identity import Identity
from node.letters import Mailbox, UploadBook
from node.names import Names
from node.outbox import Consignment, Letter, Outbox, Recipient, Result
from node.outbox.submission import MAX_RECIPIENTS, Message, Submission
from node.runtime.errors import NodeError
from node.runtime.events import Events
from node.runtime.home import Home
from node.storage import Batch
from node.storage import schema as spaces
from protocol.addresses import Addresses
from protocol.errors import RemoteProtocolError
from protocol.handshake import State
from protocol.status import NO_ANSWER, OK
from tests.kit.gates import Party, open_party
from tests.kit.houses import Inline
from tests.kit.letters import arrival, whole
from tests.kit.owners import owner
from tests.kit.stores import KEY, some_files

CAROL, DAVE = owner("carol").address, owner("dave").address
MAIN, SECOND = "alice@example.org", "shop@example.com"
BOB, EVE = "bob@example.net", "eve@example.net"
DAY = 86_400_000


@dataclass
class Road:
    """A carrier that notes what it is given; `asleep` ones are not reached."""

    route: str
    went: list[tuple[tuple[str, ...], bytes, str]] = field(default_factory=list)
    asleep: bool = False

    def lane(self, recipient: Recipient) -> str:
        return recipient.address if self.route == "mailio" else "smarthost"

    async def send(
        self, recipients: Sequence[Recipient], consignment: Consignment
    ) -> Mapping[Recipient, Result]:
        raw = await consignment.load(self.route)
        if self.asleep:
            return dict.fromkeys(recipients, Result("later", NO_ANSWER, way=True))
        assert raw is not None
        self.went.append((tuple(one.address for one in recipients), raw, consignment.letter.sender))
        return dict.fromkeys(recipients, Result("delivered", OK))


@dataclass
class Desk:
    """Alice's rooms."""

    party: Party
    names: Names
    mailbox: Mailbox
    outbox: Outbox
    handshakes: Handshakes
    submission: Submission
    sealed: Road
    mail: Road
    can_mail: list[bool]

    async def went(self) -> tuple[list[tuple[tuple[str, ...], Parsed]], list[tuple[tuple[str, ...], Parsed]]]:
        """What has gone sealed and what by mail: recipients and message."""
        await trio.testing.wait_all_tasks_blocked()
        sealed, mail = (
            sorted(((to, message_from_bytes(raw)) for to, raw, _ in road.went), key=lambda one: one[0])
            for road in (self.sealed, self.mail)
        )
        return sealed, mail

    async def contact(self, name: str, *who: str) -> None:
        await self.party.write(lambda batch: self.names.add(batch, name, who))

    def state(self, name: str) -> State:
        return self.party.consent.state(name, self.party.clock.now())

    async def sent_copies(self) -> list[bytes]:
        rows = self.mailbox.list("sent", 1000)
        return [await whole(self.mailbox, bytes.fromhex(row["id"])) for row in rows]

    def queued(self) -> list[Letter]:
        return self.outbox.list(everything=True)


class Nowhere:
    """A network in which nobody is found."""

    async def find_records(self, address: str) -> list[bytes]:
        await trio.lowlevel.checkpoint()
        return []

    def blame(self, peer_id: bytes, fault: str) -> None:
        raise AssertionError("nobody is blamed here")


async def ask_nobody(*_: object) -> tuple[bytes | None, int]:
    raise AssertionError("nobody is asked here")


@asynccontextmanager
async def opened(path: Path, addresses: Sequence[str] = (MAIN, SECOND)) -> AsyncIterator[Desk]:
    async with open_party("alice", path) as party:
        store, clock, events = party.store, party.clock, Events()
        names = Names(store, Nowhere(), ask_nobody, clock, lambda: clock.doubtful)
        inline = Inline()
        files = some_files(store, path, clock)
        await files.start()
        worker: Any = inline
        mailbox = Mailbox(store, worker, events, KEY.index, files=files, scope=b"alice")
        uploads = UploadBook(store, files, b"alice", clock, 10**9)
        sealed, mail = Road("mailio"), Road("smtp")
        outbox = Outbox(store, clock, events, {"mailio": sealed, "smtp": mail}, lambda *_: None, files)
        identity = Identity(Home(path / "alice"), KEY, party.owner.secrets, party.owner.chain)
        own, can_mail = Addresses.parse(addresses), [True]
        handshakes = Handshakes(
            store, party.consent, names, mailbox, outbox, identity, clock, events, own_emails=own
        )
        submission = Submission(
            store,
            names,
            mailbox,
            outbox,
            lambda: party.address,
            clock,
            party.consent,
            addresses=own,
            way_back=handshakes,
            can_mail=lambda: can_mail[0],
            mail_size=2_000_000,
            domains=frozenset(),
            files=files,
            uploads=uploads,
            pin=30 * DAY,
        )
        found = Desk(party, names, mailbox, outbox, handshakes, submission, sealed, mail, can_mail)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.run)
            yield found
            nursery.cancel_scope.cancel()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened(tmp_path) as found:
        yield found


def mailbox_of(address: str) -> str:
    return f"{address}@mailio.alt"


def shown(message: Parsed) -> dict[str, str | None]:
    return {name: message[name] for name in ("From", "To", "Cc", "Bcc")}


# ---- what a person writes


async def test_one_letter_goes_both_ways_and_each_copy_shows_what_it_may(desk: Desk) -> None:
    await desk.contact("Carol", CAROL, "carol@example.net")
    await desk.submission.send(
        Message(("Carol", BOB, DAVE), cc=(EVE,), bcc=("hidden@example.net",), subject="Hi", text="Text\n")
    )
    sealed, mail = await desk.went()
    assert sorted(to for to, _ in sealed) == sorted([(CAROL,), (DAVE,)])
    assert [to for to, _ in mail] == [(BOB, EVE, "hidden@example.net")]
    for _, copy in sealed:
        assert shown(copy) == {
            "From": mailbox_of(desk.party.address),
            "To": f"{mailbox_of(CAROL)}, {BOB},\r\n {mailbox_of(DAVE)}",
            "Cc": EVE,
            "Bcc": None,
        }
    ((_, copy),) = mail
    assert shown(copy) == {"From": MAIN, "To": f"carol@example.net, {BOB}", "Cc": EVE, "Bcc": None}
    assert {one["Message-ID"] for _, one in (*sealed, *mail)} == {copy["Message-ID"]}
    assert str(copy["Message-ID"]).endswith("@example.org>")
    assert {sender for _, _, sender in desk.mail.went} == {MAIN}
    assert (await desk.sent_copies()) == [desk.mail.went[0][1]]
    assert b"mailio.alt" not in desk.mail.went[0][1]
    assert all(b"hidden" not in raw for _, raw, _ in desk.sealed.went + desk.mail.went)


async def test_who_has_a_mailio_address_is_written_to_sealed_only(desk: Desk) -> None:
    await desk.contact("Carol", CAROL, "carol@example.net")
    await desk.submission.send(Message(("carol@example.net", "Carol", CAROL), subject="Hi"))
    sealed, mail = await desk.went()
    assert ([to for to, _ in sealed], mail) == ([(CAROL,)], [])
    assert str(sealed[0][1]["Message-ID"]).endswith("@mailio.alt>")
    assert desk.state("carol@example.net") is State.NONE


async def test_a_letter_to_mailio_owners_only_needs_no_e_mail(tmp_path: Path) -> None:
    async with opened(tmp_path, ()) as desk:
        desk.can_mail[0] = False
        await desk.submission.send(Message((CAROL,), subject="Hi"))
        sealed, mail = await desk.went()
        assert (len(sealed), mail) == (1, [])


@pytest.mark.parametrize(
    "can_mail, addresses, code, remedy",
    [
        (False, (MAIN,), "no-smarthost", "mailio config set smtp.smarthost smtp://USER@HOST:587"),
        (True, (), "no-address", "mailio config set mail.addresses you@example.org"),
        (True, ("*@example.org",), "no-address", "name it first"),
    ],
)
async def test_without_the_means_an_e_mail_recipient_is_refused_at_once(
    tmp_path: Path, can_mail: bool, addresses: tuple[str, ...], code: str, remedy: str
) -> None:
    async with opened(tmp_path, addresses) as desk:
        desk.can_mail[0] = can_mail
        with pytest.raises(NodeError) as caught:
            await desk.submission.send(Message((CAROL, BOB), subject="Hi"))
        assert (caught.value.code, caught.value.remedy[: len(remedy)]) == (code, remedy)
        assert desk.queued() == []


async def test_whom_the_owner_writes_to_may_answer(desk: Desk) -> None:
    letter = arrival(1, author=EVE, folder="handshake")
    await desk.party.write(lambda batch: desk.mailbox.take_in(batch, letter))
    await desk.submission.send(Message((BOB,), bcc=(EVE,), subject="Hi"))
    assert (desk.state(BOB), desk.state(EVE)) == (State.ACCEPTED, State.ACCEPTED)
    assert [row["author"] for row in desk.mailbox.list("inbox")] == [EVE]
    assert desk.mailbox.list("handshake") == []
    desk.party.clock.time += 91 * DAY
    assert desk.state(BOB) is not State.ACCEPTED


async def test_who_is_revoked_may_be_written_to_and_stays_revoked(desk: Desk) -> None:
    await desk.handshakes.revoke(BOB)
    await desk.submission.send(Message((BOB,), subject="The last word"))
    _, mail = await desk.went()
    assert [to for to, _ in mail] == [(BOB,)]
    assert desk.state(BOB) is State.REVOKED


async def test_a_refused_letter_leaves_nothing(desk: Desk) -> None:
    many = tuple(f"r{n}@example.net" for n in range(MAX_RECIPIENTS + 1))
    for message in (Message(()), Message(many), Message((BOB,), subject="x\ny")):
        with pytest.raises(NodeError):
            await desk.submission.send(message)
    assert (desk.queued(), (await desk.sent_copies()), desk.state(BOB)) == ([], [], State.NONE)


async def test_no_letter_goes_open_to_who_became_a_mailio_contact_meanwhile(desk: Desk) -> None:
    class Late:
        async def hashes(self, emails: object) -> dict[str, str]:
            await desk.contact("Bob", CAROL, BOB)
            return {}

        def wrote_to(self, *_: object) -> tuple[()]:
            raise AssertionError("nobody is written to")

    desk.submission._way_back = Late()
    with pytest.raises(NodeError) as caught:
        await desk.submission.send(Message((BOB,), subject="Hi"))
    assert caught.value.code == "recipient-changed"
    assert desk.queued() == []


async def test_recipients_and_senders_can_be_checked_before_the_letter_is_there(desk: Desk) -> None:
    desk.submission.check([BOB, CAROL])
    for sender in ("", MAIN, SECOND.upper(), mailbox_of(desk.party.address)):
        desk.submission.check_sender(sender)
    for sender in ("mallory@example.org", mailbox_of(CAROL), "alice", "alice@example.org>"):
        with pytest.raises(NodeError):
            desk.submission.check_sender(sender)
    desk.can_mail[0] = False
    with pytest.raises(NodeError):
        desk.submission.check([BOB])


# ---- what a mail program hands in


def written(author: str = MAIN, more: str = "", body: str = "Hi.\r\n", message_id: str = "<1@mail>") -> bytes:
    ids = f"Message-ID: {message_id}\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n" if message_id else ""
    return f"From: Alice <{author}>\r\nSubject: Hi\r\n{ids}{more}\r\n{body}".encode()


async def test_the_envelope_decides_who_gets_it_and_nothing_else_is_changed(desk: Desk) -> None:
    raw = written(more=f"To: {EVE}\r\nBcc: {BOB}\r\nX-Odd:  kept\r\n")
    await desk.submission.submit(raw, SECOND, [BOB], "laptop")
    assert desk.mail.went == []
    await desk.went()
    assert desk.mail.went == [((BOB,), raw.replace(f"Bcc: {BOB}\r\n".encode(), b""), SECOND)]
    assert (await desk.sent_copies()) == [desk.mail.went[0][1]]
    assert (desk.state(BOB), desk.state(EVE)) == (State.ACCEPTED, State.NONE)


async def test_an_address_with_a_tag_is_the_owners_to_write_from(desk: Desk) -> None:
    name, _, domain = MAIN.partition("@")
    tagged = f"{name}+shop@{domain}"
    raw = written(tagged, f"To: {BOB}\r\n")
    await desk.submission.submit(raw, tagged, [BOB], "laptop")
    await desk.went()
    assert [((BOB,), raw, tagged)] == desk.mail.went


async def test_a_mail_program_reaches_both_kinds_at_once(desk: Desk) -> None:
    await desk.contact("Carol", CAROL, "carol@example.net")
    raw = written(more=f"To: {mailbox_of(CAROL)}, {BOB}\r\nCc: {mailbox_of(DAVE)}\r\n")
    await desk.submission.submit(raw, MAIN, [mailbox_of(CAROL), BOB, mailbox_of(DAVE)], "laptop")
    sealed, mail = await desk.went()
    assert sorted(to for to, _ in sealed) == sorted([(CAROL,), (DAVE,)])
    ((to, copy),) = mail
    assert (to, shown(copy)["Cc"]) == ((BOB,), None)
    assert "carol@example.net" in str(copy["To"])
    assert b"mailio.alt" not in desk.mail.went[0][1]
    for _, one in sealed:
        assert mailbox_of(desk.party.address) in str(one["From"])
        assert one["Message-ID"] == copy["Message-ID"] == "<1@mail>"


async def test_what_lacks_an_id_gets_one_of_the_owners_domain(desk: Desk) -> None:
    await desk.submission.submit(written(message_id=""), SECOND, [BOB], "laptop")
    _, ((_, copy),) = await desk.went()
    assert str(copy["Message-ID"]).endswith("@example.com>")
    assert copy["Date"] is not None


async def test_a_letter_to_mailio_owners_goes_out_under_the_owners_mailio_name(desk: Desk) -> None:
    desk.can_mail[0] = False
    own = mailbox_of(desk.party.address)
    for number, author in enumerate((MAIN, own)):
        raw = written(author, message_id=f"<{number}@mail>")
        await desk.submission.submit(raw, own, [mailbox_of(CAROL)], "laptop")
    sealed, mail = await desk.went()
    assert mail == []
    assert [own in str(one["From"]) for _, one in sealed] == [True, True]
    assert len(await desk.sent_copies()) == 2


@pytest.mark.parametrize(
    "author, sender, to, code",
    [
        ("mallory@example.org", MAIN, [BOB], "not-your-address"),
        (MAIN, "mallory@example.org", [BOB], "not-your-address"),
        (mailbox_of(CAROL), MAIN, [mailbox_of(DAVE)], "not-your-address"),
        (mailbox_of(owner("alice").address), MAIN, [BOB], "not-your-address"),
        (MAIN, MAIN, [], "no-recipient"),
    ],
)
async def test_only_the_owners_names_stand_in_from(
    desk: Desk, author: str, sender: str, to: list[str], code: str
) -> None:
    with pytest.raises(NodeError) as caught:
        await desk.submission.submit(written(author), sender, to, "laptop")
    assert caught.value.code == code
    assert desk.queued() == []


@pytest.mark.parametrize(
    "raw",
    [
        written(more=f"From: {MAIN}\r\n"),
        written(f"{MAIN}>, <{SECOND}"),
        b"Subject: no From\r\n\r\nx\r\n",
        written() + b"bare\n.\r\n",
        b"",
    ],
)
async def test_what_is_no_letter_is_refused(desk: Desk, raw: bytes) -> None:
    with pytest.raises((NodeError, RemoteProtocolError)):
        await desk.submission.submit(raw, MAIN, [BOB], "laptop")
    assert desk.queued() == []


async def test_the_null_sender_stays_null(desk: Desk) -> None:
    await desk.submission.submit(written(), "", [BOB], "laptop")
    await desk.went()
    assert [sender for _, _, sender in desk.mail.went] == [""]


async def test_what_is_too_large_for_ordinary_mail_says_for_whom(desk: Desk) -> None:
    raw = written(body="x" * 76 + "\r\n", more=f"To: {BOB}\r\n") + (b"x" * 76 + b"\r\n") * 14_000
    await desk.submission.submit(raw, MAIN, [BOB], "laptop")
    await desk.went()
    assert [one[1] for one in desk.mail.went] == [raw]
    assert list(desk.party.store.walk(spaces.OUTBOX_BODY)) == []
    with pytest.raises(NodeError) as caught:
        await desk.submission.submit(raw * 2, MAIN, [BOB, mailbox_of(CAROL)], "laptop")
    assert caught.value.code == "letter-too-large"
    assert BOB in caught.value.text
    assert mailbox_of(CAROL) not in caught.value.text


# ---- once


async def test_a_mail_program_that_hands_in_the_same_again_has_it_sent_once(desk: Desk) -> None:
    first = await desk.submission.submit(written(), MAIN, [BOB, EVE], "laptop")
    again = await desk.submission.submit(written(), MAIN, [EVE, BOB], "phone")
    assert (again.id, len(desk.queued()), len(await desk.sent_copies())) == (first.id, 1, 1)
    await desk.went()
    assert len(desk.mail.went) == 1


async def test_both_of_two_clients_at_once_hear_of_one_letter(desk: Desk) -> None:
    found: list[bytes] = []

    async def hand_in() -> None:
        found.append((await desk.submission.submit(written(), MAIN, [BOB], "laptop")).id)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(hand_in)
    assert (len(set(found)), len(desk.queued())) == (1, 1)


async def test_it_is_known_after_a_restart_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as desk:
        first = await desk.submission.submit(written(), MAIN, [BOB], "laptop")
    async with opened(tmp_path) as desk:
        again = await desk.submission.submit(written(), MAIN, [BOB], "laptop")
        assert again.id == first.id


@pytest.mark.parametrize("change", ["bytes", "recipients", "sender", "a day later", "cancelled", "no id"])
async def test_what_is_not_the_same_is_another_letter(desk: Desk, change: str) -> None:
    message_id = "" if change == "no id" else "<1@mail>"
    desk.mail.asleep = True
    first = await desk.submission.submit(written(message_id=message_id), MAIN, [BOB], "laptop")
    raw = written(message_id=message_id, body="Hi!\r\n" if change == "bytes" else "Hi.\r\n")
    if change == "a day later":
        desk.party.clock.time += DAY + 1
    if change == "cancelled":
        await desk.outbox.cancel(first.id)
    to = [BOB, EVE] if change == "recipients" else [BOB]
    second = await desk.submission.submit(raw, SECOND if change == "sender" else MAIN, to, "laptop")
    assert second.id != first.id
    assert len(desk.queued()) == 2


async def test_rows_from_before_ordinary_mail_are_read(desk: Desk) -> None:
    desk.sealed.asleep = True
    letter = await desk.submission.send(Message((CAROL,), subject="Hi"))
    row = desk.party.store.get(spaces.OUTBOX, (letter.id,))
    assert isinstance(row, dict)
    old = {name: value for name, value in row.items() if name not in ("sender", "digest")}

    def put(batch: Batch) -> None:
        batch.put(spaces.OUTBOX, (letter.id,), old)

    await desk.party.write(put)
    found = desk.outbox.get(letter.id)
    assert found is not None
    assert (found.sender, found.digest, found.subject) == ("", b"", "Hi")
