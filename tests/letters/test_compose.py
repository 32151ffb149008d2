"""What we write, we read back the same, and no text can become a header field."""

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.letters import Draft, DraftError, Failure, failure_notice, new_message_id, render_draft
from node.letters.parse import read_parts, summarize
from node.letters.text import clean_body, clean_line
from protocol.status import REVOKED

NOW = 1_795_381_200_000
ALICE = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@mailio.alt"
BOB = "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb@mailio.alt"

TEXT = st.text(max_size=400)
LINE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=150)


def draft(**changes: object) -> Draft:
    fields: dict[str, object] = {"from_name": "Alice", "from_mailbox": ALICE, "to": (("Bob", BOB),)} | changes
    return Draft(**fields)  # type: ignore[arg-type]  # the tests' own names


def test_a_plain_letter_is_readable_as_it_stands() -> None:
    raw = render_draft(draft(subject="Lunch?", text="At noon?\nYours, A."), NOW, "one@mailio.alt")
    assert raw.decode("ascii").split("\r\n") == [
        "Date: Sun, 22 Nov 2026 21:00:00 +0000",
        f"From: Alice <{ALICE}>",
        f"To: Bob <{BOB}>",
        "Subject: Lunch?",
        "Message-ID: <one@mailio.alt>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 7bit",
        "",
        "At noon?",
        "Yours, A.",
        "",
    ]


@given(name=LINE, subject=LINE, text=TEXT, other=LINE)
def test_what_is_written_is_read_back(name: str, subject: str, text: str, other: str) -> None:
    raw = render_draft(
        draft(from_name=name, subject=subject, text=text, cc=((other, "carol@example.org"),)),
        NOW,
        "one@mailio.alt",
    )
    summary = summarize(raw)
    assert summary.from_mailboxes == (ALICE,)
    assert summary.subject == clean_line(subject, 500)
    shown = clean_line(name, 200)
    assert summary.from_text == (f"{shown} <{ALICE}>" if shown and shown != ALICE else ALICE)
    assert [one.rpartition("<")[2].rstrip(">") for one in summary.to] == [BOB, "carol@example.org"]
    assert summary.plain_only
    expected = clean_body(text)
    assert read_parts(raw).text in (expected, expected + "\n")


@given(name=LINE, subject=LINE, text=TEXT)
def test_other_programs_read_it_too(name: str, subject: str, text: str) -> None:
    raw = render_draft(draft(from_name=name, subject=subject, text=text), NOW, "one@mailio.alt")
    raw.decode("ascii")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\nFrom " not in raw
    found = email.message_from_bytes(raw, policy=email.policy.compat32)
    assert found.keys() == [
        *("Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"),
        "Content-Transfer-Encoding",
    ]
    body = found.get_payload(decode=True)
    assert isinstance(body, bytes)
    lines = body.decode().replace("\r\n", "\n")
    expected = text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")
    assert lines in (expected, expected + "\n")


@pytest.mark.parametrize(
    "subject", ["é" * 900, "word " * 150 + "end", "x" * 999, "=?utf-8?q?no?=", "😀" * 200, "a" * 400 + " b"]
)
def test_long_and_odd_subjects_are_folded_and_come_back(subject: str) -> None:
    raw = render_draft(draft(subject=subject), NOW, "one@mailio.alt")
    assert summarize(raw).subject == clean_line(subject, 500)
    header = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert max(map(len, header)) <= (998 if subject.startswith("a") else 76)


@pytest.mark.parametrize(
    "text",
    ["x" * 2_000, "From me\nFrom you\n", "é\nFrom you\nFrom me", "From é", "é" * 2_000, "\x00\x1b"],
)
def test_bodies_that_need_an_encoding_get_one(text: str) -> None:
    raw = render_draft(draft(text=text), NOW, "one@mailio.alt")
    raw.decode("ascii")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\nFrom " not in raw
    assert read_parts(raw).text.rstrip("\n") == clean_body(text).rstrip("\n")


def test_an_answer_refers_to_what_it_answers() -> None:
    references = tuple(f"{n}@x" for n in range(60))
    raw = render_draft(draft(in_reply_to="59@x", references=references), NOW, new_message_id())
    summary = summarize(raw)
    assert (summary.in_reply_to, summary.references) == ("59@x", references[-50:])


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "a\nBcc: x@y.z"},
        {"subject": "a\r\n\r\nbody"},
        {"subject": "x" * 1_001},
        {"from_name": "a\x00"},
        {"from_name": "x" * 201},
        {"from_mailbox": "a b@c.d"},
        {"to": (("", "a@b.c>, <d@e.f"),)},
        {"to": (("", "nobody"),)},
        {"to": (("", "a@b.c"),) * 501},
        {"in_reply_to": "a> <b"},
        {"references": ("a\r\nb",)},
        {"text": "x" * 1_000_001},
    ],
)
def test_what_no_message_can_hold_is_said_to_its_author(wrong: dict[str, object]) -> None:
    with pytest.raises(DraftError):
        render_draft(draft(**wrong), NOW, "one@mailio.alt")


def test_a_message_id_tells_nothing_and_never_repeats() -> None:
    ids = {new_message_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(one.endswith("@mailio.alt") and len(one) == 32 + 11 for one in ids)
    assert new_message_id("example.org").endswith("@example.org")


def test_a_failure_notice_says_what_failed_why_and_what_to_do() -> None:
    original = render_draft(draft(subject="Grüße", text="secret body"), NOW, "one@mailio.alt")
    failure = Failure("bob", REVOKED, "Bob has revoked you\r\nX: y", "ask Bob to accept you again")
    raw = failure_notice(("Alice", ALICE), "Grüße", NOW, [failure], original, NOW + 1000, "two@mailio.alt")
    summary, parts = summarize(raw), read_parts(raw)
    assert summary.subject == "Not delivered: Grüße"
    assert summary.to == (f"Alice <{ALICE}>",)
    assert parts.text.split("\n")[:5] == [
        'Your letter "Grüße" of Sun, 22 Nov 2026 21:00:00 (UTC) did not reach',
        "",
        "  bob",
        "    Bob has revoked you X: y (5.8.2)",
        "    What you can do: ask Bob to accept you again",
    ]
    assert [one.media_type for one in parts.attachments] == ["message/delivery-status", "text/rfc822-headers"]
    assert b"Status: 5.8.2\r\n" in raw
    assert b"Message-ID: <one@mailio.alt>\r\n" in raw
    assert b"secret body" not in raw
    assert "X" not in email.message_from_bytes(raw)


@pytest.mark.parametrize(
    "failure, recipient, diagnosis",
    [
        (
            Failure("bob@example.org", REVOKED, "mx.example.org says: 550 5.1.1 No such user"),
            "rfc822; bob@example.org",
            "smtp; 550 5.1.1 No such user",
        ),
        (
            Failure("Bob", REVOKED, "nobody answered for 5 days", email="bob@example.org"),
            "rfc822; bob@example.org",
            "x-mailio; nobody answered for 5 days",
        ),
        (Failure("Bob <bob@example.org>", REVOKED, "550"), "rfc822; bob@example.org", "smtp; 550"),
        (Failure(ALICE, REVOKED, "said 550 x"), f"x-mailio; {ALICE}", "x-mailio; said 550 x"),
        (Failure("bob", REVOKED, "said 550 x"), "x-mailio; bob", "x-mailio; said 550 x"),
        (Failure("ü@example.org", REVOKED, "x"), "x-mailio; ?@example.org", "x-mailio; x"),
    ],
)
def test_a_notice_names_who_failed_as_mail_programs_do(
    failure: Failure, recipient: str, diagnosis: str
) -> None:
    """RFC 3464 §2.3: the reply of a mail server only where it is one."""
    raw = failure_notice(("", ALICE), "x", NOW, [failure], b"", NOW, "two@mailio.alt")
    report = next(part for part in email.message_from_bytes(raw).walk() if part["Final-Recipient"])
    fields = {name: " ".join(value.split()) for name, value in report.items()}
    assert fields == {
        "Final-Recipient": recipient,
        "Action": "failed",
        "Status": "5.8.2",
        "Diagnostic-Code": diagnosis,
    }


def test_a_notice_returns_a_header_beyond_ascii_as_it_was() -> None:
    original = "Subject: Grüße\r\n\r\nsecret".encode()
    raw = failure_notice(("", ALICE), "x", NOW, [], original, NOW, "two@mailio.alt")
    assert b"Content-Transfer-Encoding: 8bit\r\n\r\n" + original.partition(b"\r\nsecret")[0] in raw


@given(to=TEXT, reason=TEXT, remedy=TEXT, subject=TEXT, original=st.binary(max_size=200))
def test_a_notice_is_well_formed_whatever_others_said(
    to: str, reason: str, remedy: str, subject: str, original: bytes
) -> None:
    failures = [Failure(to, REVOKED, reason, remedy)]
    raw = failure_notice(("", ALICE), subject, NOW, failures, original, NOW, "two@mailio.alt")
    summary = summarize(raw)
    assert summary.from_mailboxes == ("mailer-daemon@mailio.alt",)
    assert summary.attachments == (2 if original else 1)
    assert len(read_parts(raw).attachments) == summary.attachments
