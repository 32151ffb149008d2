"""What mail programs hand in: which fields each route shows, and that nothing else changes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.letters import Adopted, Faces, Mailbox
from node.letters.limits import MAX_RECEIVED
from node.letters.parse import summarize
from node.letters.submitted import adopt
from protocol.errors import RemoteProtocolError
from tests.kit.hostile import damaged
from tests.kit.letters import NOW

OWN, BOB, CARL = (f"0x{digit * 40}@mailio.alt" for digit in "abc")
FACES = Faces(OWN, {BOB: "", CARL: "carl@example.com"})
MAIL = "alice@example.org"
ID = "new@example.org"
UNDISCLOSED = b"To: undisclosed-recipients:;\r\n"
DATE = b"Date: Sun, 22 Nov 2026 21:00:00 +0000\r\n"
OUR_ID = b"Message-ID: <new@example.org>\r\n"

NAMED = re.compile(
    r"(?i)(resent-)?(from|sender|reply-to|to|cc|bcc|date|message-id|return-path)\Z|mail-followup-to\Z"
    r"|mail-reply-to\Z|disposition-notification-to\Z|return-receipt-to\Z|errors-to\Z"
)


def handed_in(*fields: str, body: bytes = b"Hi.\r\n", author: str = MAIL) -> bytes:
    """A message with a From, and the date and id that it needs."""
    header = [f"From: {author}", DATE.decode().strip(), "Message-ID: <a@example.org>", *fields]
    return "\r\n".join(header).encode() + b"\r\n\r\n" + body


def adopted(raw: bytes, faces: Faces = FACES) -> Adopted:
    return adopt(raw, faces, NOW, ID).adopted(raw)


def fields(raw: bytes) -> list[tuple[str, bytes]]:
    """The fields of a message, names in lower case, values with their folds."""
    header = raw.partition(b"\r\n\r\n")[0]
    split = (line.partition(b":") for line in re.split(rb"\r\n(?![ \t])", header) if line)
    return [(name.decode().lower(), value) for name, _, value in split]


def smtp_value(field: str) -> str | None:
    """What becomes of one field on the way by SMTP, unfolded; None where it is gone."""
    name = field.partition(":")[0].lower()
    found = [value for known, value in fields(adopted(handed_in(field)).smtp) if known == name]
    return found[0].decode().replace("\r\n", "").strip() if found else None


def test_what_has_passed_too_many_servers_goes_round_and_no_further() -> None:
    passed = [f"Received: from a{n}.example by b{n}.example" for n in range(MAX_RECEIVED + 1)]
    assert handed_in(*passed[1:]) == adopted(handed_in(*passed[1:])).smtp.replace(UNDISCLOSED, b"")
    with pytest.raises(RemoteProtocolError) as caught:
        adopted(handed_in(*passed))
    assert "5.4.6" == caught.value.status.code


def test_nothing_changes_that_needs_no_change() -> None:
    raw = handed_in(
        "To:\tx@example.com,\r\n\t(a) y@example.com", "subject:Grüße", "X-a:   b ", body=b"\xff\0"
    )
    got = adopted(raw)
    assert raw == got.smtp
    assert raw.replace(f"From: {MAIL}".encode(), f"From: {OWN}".encode()) == got.mailio
    assert got.summary == summarize(raw)


def test_each_route_shows_the_owner_by_its_own_name() -> None:
    got = adopted(handed_in(f"Sender: {MAIL}", author='"Liddell, Alicé" <alice@example.org>'))
    assert dict(fields(got.smtp))["from"] == ' "Liddell, Alicé" <alice@example.org>'.encode()
    assert summarize(got.mailio).from_text == f"Liddell, Alicé <{OWN}>"
    assert "sender" in dict(fields(got.smtp))
    assert "sender" not in dict(fields(got.mailio))


def test_from_that_is_our_mailbox_already_stays_and_has_no_face_by_smtp() -> None:
    raw = handed_in("To: bob", author=f"Alice  <{OWN}>")
    assert adopted(raw) == Adopted(summarize(raw), b"", raw)


def test_from_that_is_our_mailbox_is_shown_by_smtp_as_who_it_is() -> None:
    raw = handed_in(author=f"Alice  <{OWN}>")
    got = adopted(raw, Faces(OWN, {OWN: MAIL}))
    assert dict(fields(got.smtp))["from"] == b" Alice <alice@example.org>"
    assert raw == got.mailio


@pytest.mark.parametrize("name", ["Bcc", "bcc", "Resent-Bcc", "Return-Path"])
def test_what_no_recipient_may_know_is_gone(name: str) -> None:
    got = adopted(handed_in("To: x@example.com", f"{name}: secret@example.com,\r\n other@example.com"))
    assert b"secret" not in got.smtp + got.mailio
    assert b"other" not in got.smtp + got.mailio


@pytest.mark.parametrize(
    "field, shown",
    [
        (f"To: {BOB}, x@example.com", "x@example.com"),
        (f'To: "Carl, C" <{CARL.upper()}>', '"Carl, C" <carl@example.com>'),
        (f"Cc: {CARL}", "carl@example.com"),
        (f"To: team: {BOB}, (hi) x@example.com;, y@example.com", "(hi) x@example.com, y@example.com"),
        (f"To: {BOB} <x@example.com>", "x@example.com"),
        (f"To: x@example.com ({BOB})", "x@example.com"),
        ("To: =?utf-8?q?bob=40mailio.alt?= <x@example.com>", "x@example.com"),
        (f'Reply-To: Alice <{MAIL}>, "Bob" <{BOB}>', f"Alice <{MAIL}>"),
        (f"Reply-To: {BOB}", None),
        (f"Sender: {OWN}", None),
        (f"Resent-To: {BOB}", None),
        (f"Disposition-Notification-To: {OWN}", None),
        ('Cc: "b"@mailio.alt', None),
        ("Cc: b@mailio\r\n .alt", None),
        ("Cc: b@mailio(x).alt", None),
        ("Cc: b@MAILIO.ALT.", None),
        ("Subject: b@mailio.alt", "b@mailio.alt"),
    ],
)
def test_our_domain_is_not_shown_by_smtp(field: str, shown: str | None) -> None:
    assert shown == smtp_value(field)


def test_kept_recipients_stand_as_they_were_written() -> None:
    got = smtp_value(
        f'To: =?x?q?odd?= <X@Example.COM>, {BOB},\r\n "q\\"d" <y@example.com> (c), ü@example.com'
    )
    assert got == '=?x?q?odd?= <X@Example.COM>, "q\\"d" <y@example.com> (c), ü@example.com'


@pytest.mark.parametrize("people", [(), (f"To: {BOB}",), (f"To: {BOB}", f"Cc: {BOB}"), (f"Cc: {BOB}",)])
def test_where_nobody_is_left_the_field_says_so(people: tuple[str, ...]) -> None:
    got = adopted(handed_in(*people))
    assert [value for name, value in fields(got.smtp) if name in ("to", "cc")] == [
        b" undisclosed-recipients:;"
    ]
    assert len(people) == sum(name in ("to", "cc") for name, _ in fields(got.mailio))


@pytest.mark.parametrize(
    "header, want",
    [
        ("Received: x\r\nFrom: a@b.c\r\nTo: x@y.z\r\n", b"Received: x\r\n%D%IFrom: a@b.c\r\nTo: x@y.z\r\n"),
        ("Date: soon\r\nFrom: a@b.c\r\nTo: x@y.z\r\n", b"%D%IFrom: a@b.c\r\nTo: x@y.z\r\n"),
        (
            "From: a@b.c\r\nTo: x@y.z\r\nMessage-Id: <a b@c>\r\nMessage-ID: <>\r\nX: y\r\n",
            b"%DFrom: a@b.c\r\nTo: x@y.z\r\n%IX: y\r\n",
        ),
        (
            "From: a@b.c\r\nMESSAGE-ID: x\r\nTo: x@y.z\r\nMessage-ID:\r\n <ok@c>\r\nMessage-ID: <too@c>\r\n",
            b"%DFrom: a@b.c\r\nTo: x@y.z\r\nMessage-ID:\r\n <ok@c>\r\n",
        ),
    ],
)
def test_a_date_and_one_message_id_are_there_in_the_end(header: str, want: bytes) -> None:
    got = adopted(header.encode() + b"\r\nbody")
    want = want.replace(b"%D", DATE).replace(b"%I", OUR_ID)
    assert want + b"\r\nbody" == got.smtp
    shown = summarize(got.smtp)
    assert (got.summary.date, got.summary.message_id) == (shown.date, shown.message_id)


def test_a_header_alone_is_a_message() -> None:
    assert adopted(b"From: a@b.c").smtp == DATE + OUR_ID + b"To: undisclosed-recipients:;\r\nFrom: a@b.c\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\nFrom: a@b.c\r\n\r\n",
        b"To: x@y.z\r\n\r\nbody",
        b"From: a@b.c\r\nFrom: a@b.c\r\n\r\n",
        b"From: a@b.c, d@e.f\r\n\r\n",
        b"From: a@b.c,\r\nFROM:\r\n\r\n",
        b"From: team: a@b.c;\r\n\r\n",
        b"From: Alice\r\n\r\n",
        b"From: a@b.c\r\nno field\r\n\r\n",
        b"From alice Sun Nov 22 21:00:00 2026\r\nFrom: a@b.c\r\n\r\n",
        b"From: a@b.c\r\nBcc : x@y.z\r\n\r\n",
        b" folded\r\nFrom: a@b.c\r\n\r\n",
        b"From: a@b.c\n\nbody",
        b"From: a@b.c\r\n\r\nbare \n here",
        b"From: a@b.c\r\n\r\nbare \r here",
        b"From: a@b.c\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"From: a@b.c\r\n" + b"X: y\r\n" * 6_000 + b"\r\n",
    ],
)
def test_what_can_not_be_sent_is_refused(raw: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as fault:
        adopted(raw)
    assert fault.value.status.code == "5.6.0"


async def test_it_is_done_in_the_worker(mailbox: Mailbox) -> None:
    raw = handed_in(f"To: {BOB}, x@example.com", "Bcc: y@example.com")
    assert adopted(raw) == await mailbox.adopt(raw, FACES, NOW, ID)
    with pytest.raises(RemoteProtocolError):
        await mailbox.adopt(b"", FACES, NOW, ID)


MAILBOXES = st.sampled_from(
    [OWN, BOB, CARL, CARL.upper(), "x@example.com", "ü@example.com", '"q"@mailio.alt']
)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\x00", exclude_categories=["Cs"]), max_size=20
)
PIECES = (
    MAILBOXES | TEXTS | st.sampled_from([*'<>,;:()"\\@', "\r\n ", "=?utf-8?q?=40mailio.alt?=", "mailio.alt"])
)
VALUES = st.lists(PIECES, max_size=12).map("".join).map(lambda value: re.sub(r"\s*\Z", "", value))
NAMES = st.sampled_from(
    [
        *("To", "Cc", "Reply-To", "Sender", "Bcc", "Resent-To", "Resent-From", "Resent-Bcc", "Return-Path"),
        *("Subject", "X-Other", "Received", "Date", "Message-ID", "Errors-To", "References"),
    ]
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.integers(0, 8), st.binary(max_size=60))
def test_all_that_is_not_named_stays_byte_for_byte(
    others: list[tuple[str, str]], place: int, body: bytes
) -> None:
    lines = [f"{name}: {value}" for name, value in others]
    lines.insert(place, 'From: "A B" <alice@example.org>')
    body = re.sub(rb"[\r\n]+", b"\r\n", body)
    raw = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    got = adopted(raw)
    for face in (got.smtp, got.mailio):
        assert face.endswith(b"\r\n\r\n" + body)
        kept = [(name, value) for name, value in fields(raw) if not NAMED.match(name)]
        assert kept == [(name, value) for name, value in fields(face) if not NAMED.match(name)]
        names = [name for name, _ in fields(face)]
        assert names.count("date") == names.count("message-id") == names.count("from") == 1
        assert not {"bcc", "resent-bcc", "return-path"} & set(names)
        assert summarize(face).date is not None
        assert summarize(face).message_id == got.summary.message_id
    assert summarize(got.mailio).from_mailboxes == (OWN,)
    assert summarize(got.smtp).from_mailboxes == (MAIL,)
    shown = b"".join(value for name, value in fields(got.smtp) if NAMED.match(name) and name != "message-id")
    assert b"mailio.alt" not in re.sub(rb'[\s"\\]', b"", shown.lower())


@given(damaged(handed_in(f"To: {BOB}, x@example.com", f"Cc: g: {CARL};", "Bcc: y@example.com")))
def test_whatever_is_handed_in_is_shown_right_or_refused(raw: bytes) -> None:
    try:
        got = adopted(raw)
    except RemoteProtocolError:
        return
    assert summarize(got.mailio).from_mailboxes == (OWN,)
    assert b"\r\nBcc" not in got.mailio.partition(b"\r\n\r\n")[0]


def test_the_worker_loads_little() -> None:
    heavy = "{'trio', 'plyvel', 'nacl', 'cbor2', 'fastapi'}"
    check = f"import sys, node.letters.submitted; print(*{heavy} & set(sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", check], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
