"""What a person wrote, as an RFC 5322 message: once for each route. Who it goes to is for others."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from node.letters import render
from node.letters.errors import DraftError
from node.letters.limits import MAX_MAILBOX, MAX_NAME, MAX_REFERENCES
from protocol.place import Place

MAX_SUBJECT: Final = 1_000
"""Characters of a subject that may be written."""

MAX_TEXT_BYTES: Final = 1_000_000
"""Of a body as written; a letter's padded inner ends at 1,032,192 (protocol §6)."""

MAX_RECIPIENTS: Final = 500
"""To and Cc of one letter; each is sealed for singly."""

MESSAGE_ID_BYTES: Final = 16
"""Of chance in a Message-ID; it says nothing of its author."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MAILBOX: Final = re.compile(r"[!-;=?-~]{1,256}@[!-;=?-~]{1,255}")
_SPECIAL: Final = re.compile(r'[\s"(),:;<>\[\]\\]')


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be written. `to` and `cc` are (name, mailbox), the name may be ""; Message-IDs stand
    without angle brackets.
    """

    from_name: str
    from_mailbox: str
    to: tuple[tuple[str, str], ...]
    cc: tuple[tuple[str, str], ...] = ()
    subject: str = ""
    text: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()


def new_message_id(domain: str = "mailio.alt") -> str:
    """A Message-ID, without angle brackets; `domain` is one in its normal form (ASCII)."""
    return f"{secrets.token_hex(MESSAGE_ID_BYTES)}@{domain}"


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that goes with a letter. `content` is what it holds; None where it is to lie outside."""

    filename: str
    media_type: str
    content: bytes | None = None


def render_draft(draft: Draft, now: int, message_id: str) -> bytes:
    """The message's bytes, `now` (Unix ms) as its date. Raises DraftError for what no message can hold."""
    return render_with(draft, (), now, message_id)[0]


def render_with(
    draft: Draft, attached: Sequence[Attached], now: int, message_id: str
) -> tuple[bytes, list[Place]]:
    """The message with files behind its text, and for each of those that lie outside its place. Raises
    DraftError.
    """
    _check(draft)
    head, text = b"".join(_header(draft, now, message_id)), render.text_part(draft.text)
    if not attached:
        return head + text, []
    boundary = secrets.token_hex(MESSAGE_ID_BYTES)
    delimiter = f"\r\n--{boundary}".encode()
    field = render.field("Content-Type", ["multipart/mixed;", f'boundary="{boundary}"'])
    message = bytearray(head + field + delimiter + b"\r\n" + text)
    places = []
    for one in attached:
        message += delimiter + b"\r\n" + render.file_header(one.filename, one.media_type)
        if one.content is None:
            places.append(replace(render.IN_LINES, offset=len(message)))
        else:
            message += render.base64_lines(one.content)
    return bytes(message + delimiter + b"--\r\n"), places


def _header(draft: Draft, now: int, message_id: str) -> list[bytes]:
    fields = [
        render.field("Date", render.date_tokens(now)),
        render.field("From", render.address_tokens([(draft.from_name, draft.from_mailbox)])),
    ]
    if draft.to:
        fields.append(render.field("To", render.address_tokens(draft.to)))
    if draft.cc:
        fields.append(render.field("Cc", render.address_tokens(draft.cc)))
    fields += [
        render.field("Subject", render.text_tokens(draft.subject)),
        render.field("Message-ID", [f"<{message_id}>"]),
    ]
    if draft.in_reply_to:
        fields.append(render.field("In-Reply-To", [f"<{draft.in_reply_to}>"]))
    if draft.references:
        fields.append(render.field("References", [f"<{one}>" for one in draft.references[-MAX_REFERENCES:]]))
    return [*fields, b"MIME-Version: 1.0\r\n"]


def _check(draft: Draft) -> None:
    people = [(draft.from_name, draft.from_mailbox), *draft.to, *draft.cc]
    if len(people) - 1 > MAX_RECIPIENTS:
        raise DraftError(
            "draft-recipients", f"a letter goes to {MAX_RECIPIENTS} recipients at most", "send several"
        )
    for name, mailbox in people:
        if _CONTROL.search(name) or len(name) > MAX_NAME:
            raise DraftError(
                "draft-name", "a name has control characters in it, or is too long", "shorten it"
            )
        if not _MAILBOX.fullmatch(mailbox) or _SPECIAL.search(mailbox) or len(mailbox) > MAX_MAILBOX:
            raise DraftError(
                "draft-address", "a recipient's address can't stand in a letter", "check its spelling"
            )
    if _CONTROL.search(draft.subject) or len(draft.subject) > MAX_SUBJECT:
        raise DraftError(
            "draft-subject", f"the subject is one line of at most {MAX_SUBJECT} characters", "shorten it"
        )
    if len(draft.text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        raise DraftError(
            "draft-too-large", f"the text is longer than {MAX_TEXT_BYTES // 1000:,} KB", "shorten it"
        )
    if any(_CONTROL.search(one) or _SPECIAL.search(one) for one in (draft.in_reply_to, *draft.references)):
        raise DraftError(
            "draft-reference", "the letter to be answered has a Message-ID that can't be referred to"
        )
