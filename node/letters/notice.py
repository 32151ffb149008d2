"""The letter that tells an author that a letter of theirs failed, or is late: plain words first, then the
same for programs (RFC 3462, 3464), then the header of the letter in question.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.letters import render
from node.letters.fields import split_addresses
from node.letters.limits import MAX_HEADER_BYTES
from node.letters.text import clean_line
from protocol.status import Status

MAX_RETURNED_HEADER: Final = 16_384
"""Bytes of the failed letter's header that come back with the notice."""

MAX_SHOWN: Final = 300
"""Characters of anything that others said."""

_REPLY: Final = re.compile(r"(?<!\S)[45][0-9][0-9](?: .*)?$")
"""A mail server's reply (RFC 5321 §4.2), behind words of ours."""

NOTICE_MAILBOX: Final = "mailer-daemon@mailio.alt"
"""Who writes notices: our own node. No such mailbox exists, nothing can be sent to it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One recipient that a letter did not reach: as typed, with which status, why, what can be done; and the
    e-mail address that it went to by SMTP, needed only where `to` is not that itself.
    """

    to: str
    status: Status
    reason: str
    remedy: str = ""
    email: str = ""


def failure_notice(
    owner: tuple[str, str],
    subject: str,
    written: int,
    failures: Sequence[Failure],
    original: bytes,
    now: int,
    message_id: str,
) -> bytes:
    """The notice's bytes. `owner` is (name, mailbox); `subject` and `written` (Unix ms) are the failed
    letter's; `original` its message, of which only the header is used, b"" for none.
    """
    shown = clean_line(subject, MAX_SHOWN) or "(no subject)"
    head = _head(owner, f"Not delivered: {shown}", now, message_id)
    words = _words(shown, written, failures, "did not reach", _ENDED)
    return _report(head, words, _for_programs(failures, written, "failed"), original)


def delay_notice(
    owner: tuple[str, str],
    subject: str,
    written: int,
    late: Sequence[Failure],
    until: int,
    original: bytes,
    now: int,
    message_id: str,
) -> bytes:
    """The same of a letter that is still on its way, and tried `until` then (Unix ms)."""
    shown = clean_line(subject, MAX_SHOWN) or "(no subject)"
    head = _head(owner, f"Delayed: {shown}", now, message_id)
    words = _words(shown, written, late, "has not reached yet", _going_on(until))
    return _report(head, words, _for_programs(late, written, "delayed", until), original)


def _head(owner: tuple[str, str], subject: str, now: int, message_id: str) -> list[bytes]:
    return [
        render.field("Date", render.date_tokens(now)),
        render.field("From", render.address_tokens([("Your Mailio node", NOTICE_MAILBOX)])),
        render.field("To", render.address_tokens([owner])),
        render.field("Subject", render.text_tokens(subject)),
        render.field("Message-ID", [f"<{message_id}>"]),
        b"Auto-Submitted: auto-replied\r\n",  # RFC 3834 §5: nobody is to answer this by machine
        b"MIME-Version: 1.0\r\n",
    ]


def _report(head: Sequence[bytes], words: str, for_programs: bytes, original: bytes) -> bytes:
    """RFC 3462: all three parts."""
    boundary = f"mailio-{secrets.token_hex(16)}"
    parts = [
        render.text_part(words),
        b"Content-Type: message/delivery-status\r\n\r\n" + for_programs,
    ]
    if original:
        header = _header(original)
        encoding = b"7bit" if header.isascii() else b"8bit"
        parts.append(
            b"Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: "
            + encoding
            + b"\r\n\r\n"
            + header
        )
    delimiter = b"--" + boundary.encode()
    return b"".join(
        [
            *head,
            render.field(
                "Content-Type",
                ["multipart/report;", "report-type=delivery-status;", f'boundary="{boundary}"'],
            ),
            b"\r\n",
            *(delimiter + b"\r\n" + part + b"\r\n" for part in parts),
            delimiter + b"--\r\n",
        ]
    )


_ENDED: Final = ('It is still in your folder "sent". Nothing more is tried by itself.',)


def _going_on(until: int) -> tuple[str, ...]:
    day = " ".join(render.date_tokens(until)[:-1])
    return (
        f"Your node is still trying, until {day} (UTC). You need do nothing: you will hear",
        "if it fails. To stop it: mailio outbox, then mailio outbox cancel ID",
    )


def _words(subject: str, written: int, failures: Sequence[Failure], what: str, end: Sequence[str]) -> str:
    day = " ".join(render.date_tokens(written)[:-1])
    lines = [f'Your letter "{subject}" of {day} (UTC) {what}', ""]
    for failure in failures:
        lines.append(f"  {clean_line(failure.to, MAX_SHOWN)}")
        lines.append(f"    {clean_line(failure.reason, MAX_SHOWN)} ({failure.status.code})")
        if failure.remedy:
            lines.append(f"    What you can do: {clean_line(failure.remedy, MAX_SHOWN)}")
        lines.append("")
    lines += [*end, "", "Your Mailio node"]
    return "\n".join(lines)


def _for_programs(failures: Sequence[Failure], written: int, action: str, until: int = 0) -> bytes:
    """RFC 3464 §2. What a person typed may be any text; it goes in as ASCII."""
    retry = render.field("Will-Retry-Until", render.date_tokens(until)) if until else b""
    blocks = [
        b"Reporting-MTA: x-mailio; mailio.alt\r\n" + render.field("Arrival-Date", render.date_tokens(written))
    ]
    blocks += [
        b"\r\n"
        + render.field("Final-Recipient", _recipient(failure))
        + render.field("Action", [action])
        + render.field("Status", [failure.status.code])
        + render.field("Diagnostic-Code", _diagnosis(failure))
        + retry
        for failure in failures
    ]
    return b"".join(blocks)


def _recipient(failure: Failure) -> list[str]:
    email = _email(failure)
    return ["rfc822;", email] if email else ["x-mailio;", _ascii(failure.to)]


def _email(failure: Failure) -> str:
    """The address that a mail server knows the recipient by, "" for none that fits here."""
    found = [address.mailbox for address, _ in split_addresses(failure.email or failure.to[:MAX_SHOWN])]
    fits = len(found) == 1 and found[0].isascii() and not found[0].endswith("@mailio.alt")
    return found[0] if fits else ""


def _diagnosis(failure: Failure) -> list[str]:
    """RFC 3464 §2.3.6: what the mail server said where it is that, else in our own words."""
    reason = _ascii(failure.reason)
    reply = _REPLY.search(reason) if _email(failure) else None
    return ["smtp;", *reply[0].split()] if reply else ["x-mailio;", *reason.split()]


def _ascii(text: str) -> str:
    return clean_line(text, MAX_SHOWN).encode("ascii", "replace").decode() or "unknown"


def _header(original: bytes) -> bytes:
    """As it stands, whole lines only; it was ours, so its lines end in CRLF."""
    end = original[:MAX_HEADER_BYTES].find(b"\r\n\r\n")
    header = original[: end + 2 if end >= 0 else 0]
    return (
        header
        if len(header) <= MAX_RETURNED_HEADER
        else header[: header.rfind(b"\r\n", 0, MAX_RETURNED_HEADER) + 2]
    )
