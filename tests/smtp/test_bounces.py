"""What comes back of letters that went out by ordinary mail: shown once, where it belongs, and believed of
nobody who does not know the letter. Nothing is ever answered by itself.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import pytest

from node.consent import Rules
from node.letters import Reduced
from node.mailauth import Dmarc, Judgement, Proof, Spf
from node.outbox import Consignment, Letter, Outgoing, Recipient, Result
from node.smtp.budgets import BLOCK
from node.smtp.reply import Client, Envelope
from node.storage import Batch
from protocol.handshake import Type
from protocol.status import OK
from tests.kit.houses import Fuse, Street
from tests.kit.posts import OWNER, TAKEN, Post, open_post
from tests.kit.reports import bounce

ID = "one@home.example"
BEN = Recipient("ben@far.example", "smtp", "ben@far.example")
FAILED = ("ben@far.example", "failed", "5.1.1", "550 5.1.1 nobody")
ROBOT = "MAILER-DAEMON@far.example"


class Smarthost:
    """Takes everything (outbox.Carrier)."""

    def lane(self, recipient: Recipient) -> str:
        return "smarthost"

    async def send(
        self, recipients: Sequence[Recipient], consignment: Consignment
    ) -> Mapping[Recipient, Result]:
        return {recipient: Result("delivered", OK) for recipient in recipients}


async def open_sending(street: Street, opener: Fuse | None = None) -> Post:
    post = await open_post(street, opener=opener)
    post.house.owner.carriers["smtp"] = Smarthost()
    return post


@pytest.fixture
async def post(street: Street) -> Post:
    return await open_sending(street)


async def sent(post: Post) -> Letter:
    """A letter that the far server has taken."""
    owner, batch = post.house.owner, Batch()
    raw = f"From: {OWNER}\r\nTo: {BEN.to}\r\nSubject: Hello\r\nMessage-ID: <{ID}>\r\n\r\nHi.\r\n".encode()
    now, body = post.house.ground.clock.now(), {"smtp": Reduced(raw)}
    outgoing = Outgoing("letter", "Hello", now, (BEN,), body, sender=OWNER, message_id=ID)
    letter = owner.outbox.submit(batch, outgoing)
    await post.house.ground.store.write(batch)
    owner.outbox.started(letter)
    await post.street.quiet()
    assert [("delivered", "2.0.0")] == post.house.state(letter)
    return letter


async def test_reports_are_bounded_as_strangers_mail_is(post: Post) -> None:
    await sent(post)
    far = post.at("203.0.113.1")
    delayed = ("ben@far.example", "delayed", "4.4.1", "wait")
    for number in range(BLOCK.letters):
        report = bounce(ID, delayed, author=f"daemon@{number}.example")
        assert await far.deliver(report, "") == TAKEN, number
    assert (450, "4.7.1") == await far.deliver(bounce(ID, FAILED), "")
    assert TAKEN == await post.deliver(bounce(ID, FAILED), "")


async def test_a_bounce_is_shown_once_in_its_letters_thread(post: Post) -> None:
    letter = await sent(post)
    for number in range(2):
        assert await post.deliver(bounce(ID, FAILED), "") == TAKEN, number
    assert await post.deliver(bounce(ID, FAILED, author="postmaster@far.example"), "") == TAKEN
    assert [("failed", "5.1.1")] == post.house.state(letter)
    assert {"inbox": ["Not delivered: Hello"]} == post.lies()
    mailbox = post.house.owner.mailbox
    (notice,) = mailbox.thread(letter.letter_id.hex())
    text = (await mailbox.read(notice.id))["text"]
    assert (
        "  ben@far.example\n    their mail server took it and sent it back: 550 5.1.1 nobody (5.1.1)" in text
    )
    assert (2, 1, 0) == tuple(post.intake.counters[name] for name in ("reports", "again", "received"))


async def test_a_delay_is_noted_and_shown_nowhere_else(post: Post) -> None:
    letter = await sent(post)
    assert await post.deliver(bounce(ID, (BEN.to, "delayed", "4.4.1", "450 busy")), "") == TAKEN
    found = post.house.owner.outbox.get(letter.id)
    assert found is not None
    words = "their mail server has it and could not pass it on yet: 450 busy"
    assert [("delivered", words)] == [(d.state, d.detail) for d in found.deliveries]
    assert {} == post.lies()


@pytest.mark.parametrize(
    "raw",
    [
        bounce("guessed@home.example", FAILED),
        bounce(ID, ("eve@far.example", "failed", "5.1.1")),
        bounce(ID),
        bounce(ID, FAILED).replace(b"Message-ID: <", b"X: <"),
    ],
    ids=["another letter", "another recipient", "no recipient", "no Message-ID"],
)
async def test_a_bounce_that_fits_nothing_is_a_strangers_mail(post: Post, raw: bytes) -> None:
    letter = await sent(post)
    assert await post.deliver(raw, "") == TAKEN
    assert [("delivered", "2.0.0")] == post.house.state(letter)
    assert {"handshake": ["Undelivered Mail"]} == post.lies()


async def test_a_bounce_in_the_name_of_a_domain_that_disowns_it_is_refused(post: Post) -> None:
    letter = await sent(post)
    post.table.say("_dmarc.far.example", "v=DMARC1; p=reject")
    assert await post.at("203.0.113.9").deliver(bounce(ID, FAILED), "") == (550, "5.7.1")
    assert [("delivered", "2.0.0")] == post.house.state(letter)


async def test_a_vacation_reply_is_no_failure(post: Post) -> None:
    letter = await sent(post)
    away = (
        f"From: {BEN.to}\r\nTo: {OWNER}\r\nSubject: Away\r\nAuto-Submitted: auto-replied (vacation)\r\n"
        f"In-Reply-To: <{ID}>\r\nReferences: <{ID}>\r\nX-Failed-Recipients: nobody\r\n\r\nBack on Monday.\r\n"
    )
    assert await post.deliver(away.encode(), "") == TAKEN
    assert [("delivered", "2.0.0")] == post.house.state(letter)
    assert {"handshake": ["Away"]} == post.lies()


async def test_a_bounce_that_lay_at_a_provider_is_tied_too(post: Post) -> None:
    letter = await sent(post)
    nothing = Judgement(Proof((), (), ()), Spf("none", ""), Dmarc("none", "", "none"))
    envelope = Envelope(ROBOT, (OWNER,), Client("", "", tls=False))
    assert (await post.intake.pick_up(bounce(ID, FAILED), envelope, nothing)).is_ok
    assert [("failed", "5.1.1")] == post.house.state(letter)
    assert {"inbox": ["Not delivered: Hello"]} == post.lies()


@pytest.mark.parametrize("after", [False, True])
async def test_through_a_power_cut_it_is_told_once(street: Street, after: bool) -> None:
    fuse = Fuse()
    post = await open_sending(street, fuse)
    letter = await sent(post)
    fuse.set(0, after=after)
    with suppress(BaseException):
        await post.deliver(bounce(ID, FAILED), "")
    await street.close(post.house)
    again = await open_sending(street)
    assert await again.deliver(bounce(ID, FAILED), "") == TAKEN
    assert [("failed", "5.1.1")] == again.house.state(letter)
    assert {"inbox": ["Not delivered: Hello"]} == again.lies()


BY_MACHINES: Mapping[str, tuple[Mapping[str, str], str | None]] = {
    "null sender": ({}, ""),
    "automatic": ({"Auto-Submitted": "auto-generated"}, None),
    "list": ({"List-Id": "<news.far.example>", "Reply-To": "news@far.example"}, None),
    "bulk": ({"Precedence": "bulk"}, None),
    "receipt wanted": (
        {"Disposition-Notification-To": "e@f.example", "Return-Receipt-To": "e@f.example"},
        None,
    ),
}


@pytest.mark.parametrize("kind", BY_MACHINES)
async def test_nothing_is_ever_answered_by_itself(post: Post, kind: str) -> None:
    fields, envelope = BY_MACHINES[kind]
    assert await post.send("a", signed="stars.example", envelope=envelope, **fields) == TAKEN
    await post.accept("stella@stars.example")
    assert await post.send("b", signed="stars.example", envelope=envelope, **fields) == TAKEN
    await post.street.pass_time(86_400)
    assert [] == post.house.owner.outbox.list(everything=True)


@pytest.mark.parametrize(
    ("envelope", "folder"),
    [
        ("news-bounces+alice=home.example@stars.example", "goodreads"),
        ("bounce-12-alice=home.example@esp.example", "goodreads"),
        ("news-bounces+bob=home.example@stars.example", "inbox"),
        ("", "inbox"),
    ],
)
async def test_a_return_path_of_ones_own_is_a_lists(post: Post, envelope: str, folder: str) -> None:
    await post.accept("stella@stars.example", Rules(Type.SIGNUP, "news"))
    assert await post.send("news", signed="stars.example", envelope=envelope) == TAKEN
    assert {folder: ["news"]} == post.lies()


TOLD: Mapping[str, tuple[Mapping[str, str], str | None, tuple[bool, bool]]] = {
    "a person": ({}, None, (False, False)),
    "a program": ({"Auto-Submitted": "auto-replied"}, None, (False, True)),
    "a list": ({"List-Id": "<news.stars.example>"}, None, (True, True)),
    "a list by its return path": ({}, "news-bounces+alice=home.example@stars.example", (True, True)),
}


@pytest.mark.parametrize("who", TOLD)
async def test_who_reads_a_letter_is_told_whether_a_person_wrote_it(post: Post, who: str) -> None:
    fields, envelope, expected = TOLD[who]
    assert await post.send("x", signed="stars.example", envelope=envelope, **fields) == TAKEN
    (row,) = post.house.owner.mailbox.list("handshake")
    smtp = (await post.house.owner.mailbox.read(bytes.fromhex(row["id"])))["smtp"]
    assert expected == (smtp["bulk"], smtp["automatic"])
