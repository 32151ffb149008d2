"""What a mail program hands in, as each route shows it: single header fields are taken out, put in or written
anew, all other bytes stay. Runs in the worker process (reader.py); it imports little.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from node.letters import limits, render
from node.letters.fields import Address, parse_date, split_addresses
from node.letters.parse import Summary, summarize
from node.letters.structure import header_end
from node.letters.text import decode_words, raw_text
from protocol.errors import RemoteProtocolError
from protocol.status import Status

OUR_DOMAIN: Final = "mailio.alt"
"""Exists between nodes only; it is never sent to or accepted from SMTP (protocol §2)."""

_DROPPED: Final = frozenset({"bcc", "resent-bcc", "return-path"})
"""Say what no recipient is to know (RFC 5322 §3.6.3), or what only the last server may write."""

_PEOPLE: Final = frozenset(
    {
        *("from", "sender", "reply-to", "to", "cc"),
        *("resent-from", "resent-sender", "resent-reply-to", "resent-to", "resent-cc"),
        *(
            "mail-followup-to",
            "mail-reply-to",
            "disposition-notification-to",
            "return-receipt-to",
            "errors-to",
        ),
    }
)
"""Fields with addresses in them, none of which may be ours by SMTP."""

LOOP: Final = Status("5.4.6")
"""RFC 3463: routing loop."""

_FIELD: Final = re.compile(rb"([!-9;-~]+):(.*)", re.DOTALL)
_FIELD_ENDS: Final = re.compile(rb"\r\n(?![ \t])")
_ID: Final = re.compile(rf"<[!-;=?A-~]{{1,{limits.MAX_MESSAGE_ID - 2}}}@[!-;=?A-~]+>")
_NOISE: Final = re.compile(r'[\s"\\]|\([^()]*\)')


@dataclass(frozen=True, slots=True)
class Faces:
    """Who is shown under which name: `mailio` is the owner's own `@mailio.alt` mailbox, `known` has for such
    a mailbox (lower case) the e-mail address that stands in its place by SMTP, "" for none.
    """

    mailio: str
    known: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Adopted:
    """A submitted message for each route. `summary` is of what was handed in, with the date and the
    Message-ID that both routes show. `smtp` is b"" where From has no e-mail address to show.
    """

    summary: Summary
    smtp: bytes
    mailio: bytes


@dataclass(frozen=True, slots=True)
class Headers:
    """What the worker answers: the headers alone, for the body from `end` on is the same everywhere."""

    summary: Summary
    smtp: bytes
    mailio: bytes
    end: int

    def adopted(self, raw: bytes) -> Adopted:
        """Whole messages, of the message that `adopt` was given."""
        body = memoryview(raw)[self.end :]
        smtp = b"".join((self.smtp, body)) if self.smtp else b""
        return Adopted(self.summary, smtp, b"".join((self.mailio, body)))


@dataclass(frozen=True, slots=True)
class _Field:
    """A field as it stands, its line end with it; `name` in lower case, `text` its value, folds and all."""

    name: str
    data: bytes

    @property
    def text(self) -> str:
        return self.data.partition(b":")[2].decode("utf-8", "surrogateescape")


def adopt(raw: bytes, faces: Faces, now: int, message_id: str) -> Headers:
    """The header for each route. Added fields stand before From: what servers wrote above stays above.

    Raises RemoteProtocolError for what can't be sent: a header that is none, bare CR or LF, not exactly
    one From with one address, a letter that has gone round, or more than the limits allow.
    """
    limits.check_size(raw)
    if not raw.count(b"\r\n") == raw.count(b"\r") == raw.count(b"\n"):
        raise RemoteProtocolError("the message has line ends other than CRLF")
    end = 0 if raw.startswith(b"\r\n") else header_end(raw)
    fields = _split(raw[:end])
    if sum(field.name == "received" for field in fields) > limits.MAX_RECEIVED:
        raise RemoteProtocolError(
            "the message has passed too many mail servers: it goes round in a loop", LOOP
        )
    summary = summarize(raw)
    author = _author(fields)
    kept = [field for field in fields if field.name not in _DROPPED]
    kept = _with_one(kept, "date", _has_date, render.field("Date", render.date_tokens(now)))
    kept = _with_one(kept, "message-id", _has_id, render.field("Message-ID", [f"<{message_id}>"]))
    date, identity = _only(kept, "date"), _only(kept, "message-id")
    return Headers(
        replace(summary, date=parse_date(date.text.strip()), message_id=identity.text.strip()[1:-1]),
        _smtp_face(kept, faces),
        _mailio_face(kept, author, faces),
        end,
    )


def _split(header: bytes) -> list[_Field]:
    if header and not header.endswith(b"\r\n"):
        header += b"\r\n"
    lines = _FIELD_ENDS.split(header)
    if len(lines) > limits.MAX_FIELDS:
        raise RemoteProtocolError(f"the message has more than {limits.MAX_FIELDS} header fields")
    fields = []
    for line in lines[:-1]:
        match = _FIELD.match(line)
        if match is None:
            raise RemoteProtocolError("a line of the message's header is no field")
        fields.append(_Field(match[1].decode("ascii").lower(), line + b"\r\n"))
    return fields


def _author(fields: Iterable[_Field]) -> Address:
    found = [
        address
        for field in fields
        if field.name == "from"
        for address, _ in split_addresses(raw_text(field.text), group_names=True)
    ]
    if len(found) != 1 or not found[0].mailbox or sum(field.name == "from" for field in fields) != 1:
        raise RemoteProtocolError("the message needs one From with one address")
    return found[0]


def _with_one(
    fields: Sequence[_Field], name: str, sane: Callable[[_Field], bool], new: bytes
) -> list[_Field]:
    """The first sane field of that name and no other; `new` where there is none."""
    those = [field for field in fields if field.name == name]
    kept = next(filter(sane, those), _Field(name, new))
    place = fields.index(kept if kept in those else those[0]) if those else _place(fields, "from")
    before, after = fields[:place], fields[place:]
    others = [field for field in after if field.name != name]
    return [*(field for field in before if field.name != name), kept, *others]


def _has_date(field: _Field) -> bool:
    return parse_date(field.text.strip()) is not None


def _has_id(field: _Field) -> bool:
    text = field.text.strip()
    return len(text) <= limits.MAX_MESSAGE_ID + 2 and _ID.fullmatch(text) is not None


def _only(fields: Sequence[_Field], name: str) -> _Field:
    return fields[_place(fields, name)]


def _place(fields: Sequence[_Field], name: str) -> int:
    return next(place for place, field in enumerate(fields) if field.name == name)


def _mailio_face(fields: Iterable[_Field], author: Address, faces: Faces) -> bytes:
    """From is the name that the sealed letter proves (protocol §6), so nobody sends in its place."""
    shown = render.field("From", render.address_tokens([(author.name, faces.mailio)]))
    data = []
    for field in fields:
        if field.name == "from" and author.mailbox != faces.mailio:
            data.append(shown)
        elif field.name != "sender":
            data.append(field.data)
    return b"".join(data)


def _smtp_face(fields: Sequence[_Field], faces: Faces) -> bytes:
    """No `@mailio.alt` where a mail program would answer to it. b"" if that leaves no From."""
    data = [_without_ours(field, faces) if field.name in _PEOPLE else field.data for field in fields]
    if not data[_place(fields, "from")]:
        return b""
    people = [place for place, field in enumerate(fields) if field.name in ("to", "cc")]
    if not any(data[place] for place in people):
        place = people[0] if people else _place(fields, "from")
        data.insert(place, b"To: undisclosed-recipients:;\r\n")
    return b"".join(data)


def _without_ours(field: _Field, faces: Faces) -> bytes:
    if not _shows_ours(field.text):
        return field.data
    entries = [_entry(address, piece, faces) for address, piece in split_addresses(field.text)]
    left = [entry for entry in entries if entry]
    name = field.data.partition(b":")[0]
    return name + b": " + ",\r\n ".join(left).encode("utf-8", "surrogateescape") + b"\r\n" if left else b""


def _entry(address: Address, piece: str, faces: Faces) -> str:
    """One recipient as it may be shown, as it stands if that is possible; "" if it may not."""
    mailbox = address.mailbox
    if mailbox.endswith(f"@{OUR_DOMAIN}"):
        email = faces.known.get(mailbox.lower(), "")
        name = "" if _shows_ours(address.name) else address.name
        tokens = render.address_tokens([(name, email)]) if email else []
        short = sum(map(len, tokens)) + len(tokens) <= render.LINE
        return (" " if short else "\r\n ").join(tokens)
    if not _shows_ours(piece):
        return piece.strip()
    return "" if _shows_ours(mailbox) else mailbox


def _shows_ours(text: str) -> bool:
    """Whether our domain can be read in it, however it is quoted, folded, encoded or cut by comments."""
    plain = raw_text(text)
    texts = [one.lower() for one in (plain, decode_words(plain))]
    return any(OUR_DOMAIN in one or OUR_DOMAIN in _NOISE.sub("", one) for one in texts)
