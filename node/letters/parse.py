"""What a message says, for the index and for a reader. Hostile input: run it in the worker process
(reader.py); it imports little. Everything raises RemoteProtocolError or returns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from node.kinds import MOST_LOOKED, Sort, find_whole
from node.letters import limits
from node.letters.fields import Address, parse_date, parse_message_ids, split_addresses
from node.letters.holes import Found, Gaps
from node.letters.holes import Hole as Hole  # noqa: PLC0414 - whoever calls read_parts needs it
from node.letters.report import Report, may_report, read_report
from node.letters.structure import Part, read_structure
from node.letters.text import clean_body, clean_filename, clean_line, decode_charset, decode_words
from protocol.errors import RemoteProtocolError
from protocol.place import Encoding

CUT: Final = "\n[Too long to be shown whole. The letter as it came has all of it.]\n"
"""Ends a body of which the rest is not shown."""

BODIES: Final = {"text/plain": "text.txt", "text/html": "text.html"}
"""What is shown as text, and what it is called where it is missing."""

_LOOKED: Final = 2_097_152
"""Bytes of a message's files that are looked at for what they are: a second, at worst."""

_TRANSFER: Final = frozenset({"base64", "quoted-printable"})
_BULK: Final = frozenset({"bulk", "list"})
_BY_MACHINE: Final = frozenset({"junk", "auto_reply"})
_LIST_FIELDS: Final = frozenset({"list-id", "list-post", "list-unsubscribe"})
"""What mailing lists put on what they pass on (RFC 2369, RFC 2919)."""

_NOBODY: Final = Address("", "")


@dataclass(frozen=True, slots=True)
class Summary:
    """What the index keeps of a message, and what its acceptance is judged by.

    `from_mailboxes` has an entry for each author in any From field, "" for one that can't be told for
    sure: also for an empty field, a group's name, and authors beyond the limit. Texts are safe to show.
    `plain_only`: one text/plain part and nothing else; `text_bytes` are its bytes, transfer encoding
    undone, and 0 for any other message. `bulk`: a list's; `automatic`: no person is to be answered, a list's
    included; `report`: what another server reports of a letter.
    """

    from_mailboxes: tuple[str, ...]
    from_text: str
    to: tuple[str, ...]
    subject: str
    date: int | None
    message_id: str
    in_reply_to: str
    references: tuple[str, ...]
    bulk: bool
    attachments: int
    plain_only: bool
    text_bytes: int
    size: int
    automatic: bool = False
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is shown as a file; `n` counts from 1 in the message's order, `size` is decoded bytes.

    What lies outside of the message has the index of its `hole`, and that one's size; `encoding` is the
    transfer encoding that is to be undone on what is stored there, or "". `sort` is what was found in the
    bytes of what is inside.
    """

    n: int
    filename: str
    media_type: str
    size: int
    hole: int | None = None
    encoding: str = ""
    sort: Sort | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What a reader sees, the start of it if it is very long. `html` is as hostile as it came."""

    text: str
    html: str
    attachments: tuple[Attachment, ...]


def summarize(raw: bytes) -> Summary:
    """The summary of a message. Raises RemoteProtocolError."""
    root = read_structure(raw, header_only=True)
    if root.media_type.startswith("multipart/"):
        root = read_structure(raw)
    plain_only = root.media_type == "text/plain" and is_body(root)
    authors, bulk = _authors(root), _is_bulk(root)
    return Summary(
        from_mailboxes=tuple(author.mailbox for author in authors),
        from_text=", ".join(
            author.text for author in authors[: limits.MAX_SHOWN_RECIPIENTS] if author != _NOBODY
        ),
        to=tuple(person.text for person in _recipients(root)),
        subject=clean_line(decode_words(root.field("subject")), limits.MAX_SUBJECT),
        date=parse_date(root.field("date")),
        message_id=next(iter(parse_message_ids(root.field("message-id"))), ""),
        in_reply_to=next(iter(parse_message_ids(root.field("in-reply-to"))), ""),
        references=tuple(parse_message_ids(root.field("references"))[-limits.MAX_REFERENCES :]),
        bulk=bulk,
        attachments=sum(not is_body(part) for part in root.leaves()),
        plain_only=plain_only,
        text_bytes=len(root.content()) if plain_only else 0,
        size=len(raw),
        automatic=bulk or _is_automatic(root),
        report=read_report(root) if may_report(root) else None,
    )


def read_parts(raw: bytes, holes: Sequence[Hole] = ()) -> Parts:
    """Bodies and attachments of a message. Of one that parts were taken out of, `holes` are these: bodies
    that are missing are listed as attachments, last what no place was found for. Raises RemoteProtocolError.
    """
    gaps = Gaps(raw, holes)
    bodies = {kind: _Body() for kind in BODIES}
    attachments: list[Attachment] = []
    looked = 0
    for part in read_structure(gaps.raw).leaves():
        n, found = len(attachments) + 1, gaps.take(part)
        if found.hole is not None:
            attachments.append(_missing(part, n, found.hole, holes[found.hole]))
        elif is_body(part):
            bodies[part.kind].add(part)
        else:
            content = part.content()
            sort = find_whole(content) if looked < _LOOKED and not found.within else None
            looked += min(len(content), MOST_LOOKED)
            attachments.append(Attachment(n, file_name(part, n), file_type(part), len(content), sort=sort))
    for index in gaps.left():
        attachments.append(_stray(len(attachments) + 1, index, holes[index]))
    return Parts(bodies["text/plain"].shown(), bodies["text/html"].shown(), tuple(attachments))


def part_content(raw: bytes, n: int, holes: Sequence[Hole] = ()) -> bytes:
    """The bytes of attachment `n`, as `read_parts` counts, transfer encoding undone. Raises
    RemoteProtocolError if there is none, or none that lies in the message as a whole.
    """
    gaps, number = Gaps(raw, holes), 0
    for part in read_structure(gaps.raw).leaves():
        found = gaps.take(part)
        if found.hole is None and is_body(part):
            continue
        number += 1
        if number == n and found == Found():
            return part.content()
    raise RemoteProtocolError(f"attachment {n} is not in the message as a whole")


class _Body:
    """The text of all parts of one kind, as much as is shown. Cut before it is decoded and cleaned: for
    25 MB in some charsets that alone took four seconds.
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._room = limits.MAX_BODY_CHARS
        self._cut = False

    def add(self, part: Part) -> None:
        """Any charset, declared truly or not. A character has four bytes at most."""
        if self._cut:
            return
        data = part.content()
        window = data[: 4 * self._room]
        text = decode_charset(window, part.parameters.get("charset", "utf-8"))
        self._cut = len(window) < len(data) or len(text) > self._room
        self._texts.append(clean_body(text[: self._room]))
        self._room -= min(len(text), self._room)

    def shown(self) -> str:
        return "\n".join(self._texts) + (CUT if self._cut else "")


def is_body(part: Part) -> bool:
    """Whether a leaf is shown as text and not as a file."""
    return part.kind in BODIES and part.disposition != "attachment" and not part.filename


def file_name(part: Part, n: int, fallback: str = "") -> str:
    """What a leaf that is attachment `n` is called: safe to show and to create."""
    usual = "message.eml" if part.media_type == "message/rfc822" else f"attachment-{n}"
    return clean_filename(decode_words(part.filename), clean_filename(fallback, usual))


def file_type(part: Part) -> str:
    """A leaf's media type, safe to show."""
    return clean_line(part.media_type, limits.MAX_NAME)


def _missing(part: Part, n: int, index: int, hole: Hole) -> Attachment:
    """A leaf whose content is elsewhere."""
    fallback = hole.filename or (BODIES.get(part.media_type, "body.mime") if is_body(part) else "")
    left = part.encoding if hole.encoding is Encoding.IDENTITY and part.encoding in _TRANSFER else ""
    return Attachment(n, file_name(part, n, fallback), file_type(part), hole.size, index, left)


def _stray(n: int, index: int, hole: Hole) -> Attachment:
    """Content that no leaf stands for: all that is known of it is what its ref says."""
    name = clean_filename(hole.filename, f"attachment-{n}")
    media_type = clean_line(hole.media_type, limits.MAX_NAME) or "application/octet-stream"
    return Attachment(n, name, media_type, hole.size, index)


def _authors(root: Part) -> list[Address]:
    """All of every From: a second one is as much a claim as the first."""
    found: list[Address] = []
    for text in root.texts.get("from", ()):
        room = limits.MAX_AUTHORS + 1 - len(found)
        if room <= 0:
            break
        authors = [author for author, _ in islice(split_addresses(text, group_names=True), room)]
        found += authors or [_NOBODY]
    return found if len(found) <= limits.MAX_AUTHORS else [*found[: limits.MAX_AUTHORS], _NOBODY]


def _is_bulk(root: Part) -> bool:
    return not _LIST_FIELDS.isdisjoint(root.texts) or root.field("precedence").strip().lower() in _BULK


def _is_automatic(root: Part) -> bool:
    """RFC 3834 §5, and what was usual before it; a report is one whatever it says of itself."""
    submitted = root.field("auto-submitted").partition(";")[0].strip().lower()
    by_machine = root.field("precedence").strip().lower() in _BY_MACHINE
    return submitted not in ("", "no") or by_machine or root.media_type == "multipart/report"


def _recipients(root: Part) -> Iterator[Address]:
    """As many as are shown. The others stay in the message, and what they cost is not spent."""
    texts = root.texts.get("to", []) + root.texts.get("cc", [])
    found = chain.from_iterable(map(split_addresses, texts))
    return (address for address, _ in islice(found, limits.MAX_SHOWN_RECIPIENTS))


def summarize_all(raws: Sequence[bytes]) -> list[Summary | RemoteProtocolError]:
    """The summary of each, or what is wrong with it."""
    return [_summary_or_error(raw) for raw in raws]


def _summary_or_error(raw: bytes) -> Summary | RemoteProtocolError:
    try:
        return summarize(raw)
    except RemoteProtocolError as error:
        return error
