"""What another mail server reports of a letter of ours that it took: delivery status notifications (RFC
3464), and the two older forms that are still met, Exim's and qmail's. Hostile input: run it in the worker
process. Whether the letter is ours at all is the outbox's to say.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from node.letters.fields import parse_message_ids, split_addresses
from node.letters.limits import MAX_HEADER_BYTES, MAX_MAILBOX
from node.letters.structure import Part
from node.letters.text import clean_line

Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]

MAX_REPORTED: Final = 100
"""Recipients of one report that are looked at: as many as a letter by SMTP has for one server."""

MAX_STATUS_BYTES: Final = 65_536
"""Of a delivery status, and of an older report's words: 100 recipients with five lines each fit."""

MAX_SAID: Final = 200
"""Characters of what the other server said that are kept."""

_ACTIONS: Final[dict[str, Action]] = {
    "failed": "failed",
    "delayed": "delayed",
    "delivered": "delivered",
    "relayed": "relayed",
    "expanded": "expanded",
}
_BY_CLASS: Final[dict[str, Action]] = {"5": "failed", "4": "delayed", "2": "delivered"}
_STATUS: Final = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})(?!\d)", re.ASCII)
_SAID_STATUS: Final = re.compile(r"#([245]\.\d{1,3}\.\d{1,3})(?!\d)", re.ASCII)
_FOLD: Final = re.compile(r"\r?\n[ \t]+")
_LINE: Final = re.compile(r"\r?\n|\r")
_MESSAGE_ID: Final = re.compile(
    r"^message-id[ \t]*:([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", re.IGNORECASE | re.MULTILINE
)
_BLANK: Final = re.compile(r"\r?\n[ \t]*\r?\n")

_STATUSES: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RETURNED: Final = frozenset(
    {
        *("message/rfc822", "message/global", "text/rfc822-headers"),
        *("message/rfc822-headers", "message/global-headers"),
    }
)
"""What the letter that the report is about comes back as (RFC 6522 §3, RFC 6533 §3); message/rfc822-headers
is a common mistake.
"""

_QMAIL: Final = re.compile(r"\s*Hi\. This is ")
_COPY: Final = re.compile(
    r"^-+ (?:Below this line is|This is) a copy of (?:the|your) message\b[^\r\n]*", re.MULTILINE
)
"""Behind this line qmail (QSBMF) and Exim put the letter itself."""

_QMAIL_PARAGRAPH: Final = re.compile(r"<([^<>\s]{1,320})>:[ \t]*\r?\n")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the letter for one recipient, whom we may know by any of `recipients`; `status` is RFC
    3463's or "", `text` the other server's words, safe to show.
    """

    recipients: tuple[str, ...]
    action: Action
    status: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """About the letter with this Message-ID (without angle brackets)."""

    message_id: str
    outcomes: tuple[Outcome, ...]


def read_report(root: Part) -> Report | None:
    """The report that a message is, None for one that is none, or tells no Message-ID or no recipient."""
    text, returned = "", ""
    outcomes: list[Outcome] = []
    if root.media_type.startswith("multipart/"):
        for part in root.leaves():
            if part.media_type in _STATUSES:
                outcomes += islice(_outcomes(_text(part, MAX_STATUS_BYTES)), MAX_REPORTED - len(outcomes))
            elif part.media_type in _RETURNED:
                returned = returned or _text(part, MAX_HEADER_BYTES)
            elif part.media_type == "text/plain":
                text = text or _text(part, MAX_STATUS_BYTES)
    elif root.media_type.startswith("text/"):
        text = _text(root, MAX_STATUS_BYTES + MAX_HEADER_BYTES)
    if copy := _COPY.search(text):
        returned = returned or text[copy.end() :].lstrip()
        text = text[: copy.start()]
    outcomes = outcomes or list(islice(_older(root, text), MAX_REPORTED))
    message_id = _message_id(returned) if outcomes else ""
    return Report(message_id, tuple(outcomes)) if message_id else None


def may_report(root: Part) -> bool:
    """Whether it is worth a look, from what is known of it anyway."""
    return (
        root.media_type == "multipart/report"
        or "x-failed-recipients" in root.texts
        or (root.media_type == "text/plain" and _QMAIL.match(_text(root, 100)) is not None)
    )


def _text(part: Part, most: int) -> str:
    return part.content()[:most].decode("utf-8", "replace")


def _message_id(returned: str) -> str:
    """Of the header that begins here, whatever a program put in front of it."""
    header = _BLANK.split(returned.lstrip(), maxsplit=1)[0]
    found = _MESSAGE_ID.search(header)
    return next(iter(parse_message_ids(found[1])), "") if found else ""


def _outcomes(status: str) -> Iterator[Outcome]:
    """Of each group of fields about a recipient (RFC 3464 §2.3). Some programs leave the empty line between
    groups out, some put one within.
    """
    group: dict[str, str] = {}
    for line in _LINE.split(_FOLD.sub(" ", status)):
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        ends = not line.strip() and "action" in group and _who(group)
        if ends or (colon and name in group):
            yield from _outcome(group)
            group = {}
        if colon:
            group[name] = value.strip()
    yield from _outcome(group)


def _who(group: dict[str, str]) -> tuple[str, ...]:
    """By what we wrote and by where it went in the end."""
    named = (group.get(name, "").rpartition(";")[2] for name in ("original-recipient", "final-recipient"))
    found = (clean_line(one.strip().strip("<>"), MAX_MAILBOX) for one in named)
    return tuple(dict.fromkeys(one for one in found if one))


def _outcome(group: dict[str, str]) -> Iterator[Outcome]:
    who, status = _who(group), _STATUS.match(group.get("status", ""))
    code = status[1] if status else ""
    action = _ACTIONS.get(group.get("action", "").lower().partition(" ")[0]) or _BY_CLASS.get(code[:1])
    if who and action is not None:
        said = group.get("diagnostic-code", "")
        kind, semicolon, words = said.partition(";")
        yield Outcome(
            who, action, code, clean_line(words if semicolon and " " not in kind.strip() else said, MAX_SAID)
        )


def _older(root: Part, text: str) -> Iterator[Outcome]:
    """Both report failures for good only; Exim names who failed in the header, qmail in paragraphs."""
    if _QMAIL.match(text):
        for paragraph in _BLANK.split(text):
            if found := _QMAIL_PARAGRAPH.match(paragraph.lstrip()):
                words = clean_line(paragraph.lstrip()[found.end() :], MAX_SAID)
                status = _SAID_STATUS.search(words)
                yield Outcome(
                    (clean_line(found[1], MAX_MAILBOX),), "failed", status[1] if status else "", words
                )
        return
    for field in root.texts.get("x-failed-recipients", ()):
        for address, _ in split_addresses(field):
            if address.mailbox:
                yield Outcome((address.mailbox,), "failed", "", "")
