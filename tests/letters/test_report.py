"""Reports of other mail servers, real ones and made ones, and what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.letters.parse import summarize
from node.letters.report import MAX_REPORTED, Outcome, Report
from protocol.errors import RemoteProtocolError
from tests.kit.corpus import mails
from tests.kit.reports import bounce

LETTER = "one@home.example"
MAILS = dict(mails())

REAL: dict[str, Report | None] = {
    "bounceparser/postfix-orig.msg": Report(
        "20060527213404.GN13012@mta.domain-1.com",
        (
            Outcome(
                ("original@dest.example.com", "final@dest.example.com"),
                "failed",
                "5.0.0",
                "host mx-all.example.com[208.58.1.198] said: 554 <bounce@dest.example.com>: Relay"
                " access denied (in reply to RCPT TO command)",
            ),
        ),
    ),
    "bounceparser/qmail.unknown.msg": Report(
        "200608282008.k7SK8Bbu032023@somehost.example.com",
        (
            Outcome(
                ("recipient@example.net",), "failed", "5.1.1", "Sorry, no mailbox here by that name. (#5.1.1)"
            ),
        ),
    ),
    "bounceparser/non-autoreply.msg": Report(  # Exim's
        "200607250935.k6P9Zdos034419@bacchus.thegestalt.org",
        (Outcome(("hbsdpphvfex@blackwebportal.com",), "failed", "", ""),),
    ),
    "mail/multipart_report_emails-report_422.eml": Report(
        "15655788.13.1200472642578.JavaMail.Administrator@mail.ttttt.com.au",
        (
            Outcome(
                ("fraser@oooooooo.com.au",),
                "delayed",
                "4.2.2",
                "452 4.2.2 <fraser@oooooooo.com.au>... Mailbox full",
            ),
        ),
    ),
    "mimekit/messages-delivery-status-no-blank-line.txt": Report(
        "31FC7EB4.41C6@netscape.com",
        (Outcome(("newsletter-request@imusic.com",), "failed", "", "500 (err.nosuchuser)"),),
    ),
    "mimekit/messages-disposition-notification.txt": None,
    "bounceparser/aol-vacation.msg": None,
    "bounceparser/autoreply.msg": None,
    "bounceparser/polish-autoreply.msg": None,
    "spamassassin/nice-mailman_message.txt": None,
}


@pytest.mark.parametrize("name", REAL)
def test_what_real_servers_say(name: str) -> None:
    assert REAL[name] == summarize(MAILS[name]).report


def test_nearly_all_real_reports_are_understood() -> None:
    reports = [
        summarize(raw).report
        for name, raw in mails()
        if name.startswith("bounceparser/") and b"message/delivery-status" in raw
    ]
    assert (62, 61) == (len(reports), sum(report is not None for report in reports))


def test_each_recipient_has_its_own_outcome() -> None:
    raw = bounce(
        LETTER, ("bob@far.example", "failed", "5.1.1", "550 nobody"), ("eve@far.example", "delayed", "4.4.1")
    )
    expected = (
        Outcome(("bob@far.example",), "failed", "5.1.1", "550 nobody"),
        Outcome(("eve@far.example",), "delayed", "4.4.1", ""),
    )
    assert Report(LETTER, expected) == summarize(raw).report


def test_what_they_say_is_safe_to_show_and_bounded() -> None:
    raw = bounce(LETTER, ("bob@far.example", "failed", "5.1.1", "550 \x1b[2J\u202e" + "x" * 1_000))
    report = summarize(raw).report
    assert report is not None
    assert [(200, "550 [2Jx", "…")] == [(len(o.text), o.text[:8], o.text[-1]) for o in report.outcomes]


def test_of_very_many_recipients_the_first_count() -> None:
    raw = bounce(LETTER, *((f"b{n}@far.example", "failed", "5.1.1") for n in range(MAX_REPORTED + 1)))
    report = summarize(raw).report
    assert report is not None
    assert MAX_REPORTED == len(report.outcomes)


@pytest.mark.parametrize(
    ("field", "automatic", "bulk"),
    [
        (b"X: y", False, False),
        (b"Auto-Submitted: no", False, False),
        (b"Auto-Submitted: Auto-Replied (vacation)", True, False),
        (b"Auto-Submitted: auto-generated; x=y", True, False),
        (b"Precedence: Bulk", True, True),
        (b"Precedence: list", True, True),
        (b"Precedence: junk", True, False),
        (b"Precedence: first-class", False, False),
        (b"List-Id: News <news.example>", True, True),
        (b"List-Unsubscribe: <https://news.example/u>", True, True),
        (b"Content-Type: multipart/report; report-type=disposition-notification; boundary=b", True, False),
    ],
)
def test_machines_and_lists_are_told_from_people(field: bytes, automatic: bool, bulk: bool) -> None:
    summary = summarize(b"From: a@b.example\r\n" + field + b"\r\n\r\nHi.\r\n")
    assert (automatic, bulk) == (summary.automatic, summary.bulk)


PIECES = st.sampled_from(
    [
        *(
            "Final-Recipient: rfc822;",
            "Original-Recipient: x;<",
            "bob@far.example",
            "Action:",
            " failed",
            "Status",
        ),
        *(
            ":",
            ";",
            " ",
            "\t",
            "\r\n",
            "\r\n\r\n",
            "\n",
            "\r",
            "5.1.1",
            "4.",
            "#5.1.1",
            "Diagnostic-Code: smtp;",
        ),
        *(
            "Hi. This is ",
            "<a@b.c>:\r\n",
            "--- Below this line is a copy of the message.",
            "Message-ID: <a@b>",
        ),
        *(
            "X-Failed-Recipients: a@b.c, ",
            "Content-Type: multipart/report; boundary=b\r\n",
            "--b\r\n",
            "--b--",
        ),
        *("Content-Type: message/delivery-status\r\n\r\n", "Content-Type: message/rfc822\r\n\r\n", "\0", "é"),
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join), st.booleans())
def test_any_sequence_of_their_pieces_is_read_or_refused(text: str, whole: bool) -> None:
    raw = text.encode() if whole else bounce(LETTER, (text, text, text, text))
    try:
        report = summarize(raw).report
    except RemoteProtocolError:
        return
    assert report is None or (report.message_id and report.outcomes)
