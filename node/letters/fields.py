"""The structured header fields: parameters, address lists, Message-IDs, dates. Each scans its text once;
nothing of the standard library's, whose cost or recursion grows faster than the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote_to_bytes

from node.letters.limits import (
    MAX_DATE_CHARS,
    MAX_MAILBOX,
    MAX_MESSAGE_ID,
    MAX_NAME,
    MAX_PARAMETERS,
    MAX_STRUCTURED_BYTES,
)
from node.letters.text import clean_line, decode_charset, decode_words
from protocol.errors import RemoteProtocolError

MAX_TIME_MS: Final = 2**53 - 1
"""The largest integer of our records."""

_MESSAGE_ID: Final = re.compile(rf"<([^<>\s]{{1,{MAX_MESSAGE_ID}}})>")
_SPECIAL: Final = r'\s"(),:;<>@\[\]\\\x00-\x1f\x7f'
_MAILBOX: Final = re.compile(rf"[^{_SPECIAL}]{{1,256}}@[^{_SPECIAL}]{{1,255}}")
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[(),:;<>]|[^"(),:;<>\\]++|\\.?', re.DOTALL)
_COMMENT: Final = re.compile(r"[()]|[^()\\]++|\\.?", re.DOTALL)
_QUOTED_PAIR: Final = re.compile(r'\\(.)|"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """One entry of an address list. `mailbox` is "" where there is no address that all would read alike."""

    name: str
    mailbox: str

    @property
    def text(self) -> str:
        """To show: `Name <mailbox>`."""
        if not self.mailbox:
            return self.name or "(no address)"
        return f"{self.name} <{self.mailbox}>" if self.name and self.name != self.mailbox else self.mailbox


class _Entry:
    """What was seen of an address list's entry so far."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.angle: list[str] = []
        self.comment: list[str] = []
        self.state = "before"  # the angle brackets; then "inside", "after"
        self.broken = False

    def add(self, piece: str) -> None:
        if piece in ("<", ">"):
            self._bracket(piece)
        elif self.state == "inside":
            self.angle.append(piece)
        elif self.state == "before":
            self.words.append(piece)
        elif piece.strip():
            self.broken = True

    def _bracket(self, piece: str) -> None:
        if (piece, self.state) == ("<", "before"):
            self.state = "inside"
        elif (piece, self.state) == (">", "inside"):
            self.state = "after"
        else:
            self.broken = True

    def addresses(self) -> list[Address]:
        """What it says, if anything."""
        text = "".join(self.words).strip()
        if not (text or self.comment or self.broken or self.state != "before"):
            return []
        if self.state == "before":
            mailbox, name = text, "".join(self.comment)
        else:
            mailbox, name = "".join(self.angle).strip(), _unquote(text)
        if self.broken or self.state == "inside" or not _MAILBOX.fullmatch(mailbox):
            return [Address(clean_line(decode_words(name or text or mailbox), MAX_NAME), "")]
        local, _, domain = mailbox.rpartition("@")
        mailbox = f"{local}@{domain.lower()}"
        # An address that looks different from what it is belongs to nobody.
        honest = clean_line(mailbox, MAX_MAILBOX) == mailbox
        return [Address(clean_line(decode_words(name), MAX_NAME), mailbox if honest else "")]


def split_addresses(text: str, *, group_names: bool = False) -> Iterator[tuple[Address, str]]:
    """The entries of an address list (RFC 5322 §3.4) one by one, each with the piece of the text that it
    was read from. Comments nest to any depth. Groups are flattened; with `group_names` a group's name is
    an entry too, one without a mailbox.
    """
    entry, depth, position, start = _Entry(), 0, 0, 0
    while match := (_COMMENT if depth else _TOKEN).match(text, position):
        piece, position = match[0], match.end()
        if not piece:
            break
        if piece == "(" or (depth and piece == ")"):
            depth += 1 if piece == "(" else -1
        elif depth:
            entry.comment.append(piece)
        elif piece in ",;" or (piece == ":" and entry.state == "before"):
            entry.broken |= piece == ":"
            if piece != ":" or group_names:
                yield from ((address, text[start : match.start()]) for address in entry.addresses())
            entry, start = _Entry(), position
        else:
            entry.add(piece)
    yield from ((address, text[start:]) for address in entry.addresses())


def _unquote(text: str) -> str:
    return _QUOTED_PAIR.sub(lambda found: found[1] or "", text)


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """`text/plain; charset=utf-8` → the first word in lower case, and the parameters (RFC 2045 §5.1),
    those of RFC 2231 put together and decoded. Raises RemoteProtocolError beyond the limits.
    """
    if len(value) > MAX_STRUCTURED_BYTES:
        raise RemoteProtocolError("a Content field is too long")
    first, *rest = _split_outside_quotes(value)
    if len(rest) > MAX_PARAMETERS:
        raise RemoteProtocolError("a Content field has too many parameters")
    plain: dict[str, str] = {}
    segments: dict[str, dict[int, tuple[str, bool]]] = {}
    for piece in rest:
        name, equals, text = piece.partition("=")
        name, text = name.strip().lower(), _parameter_value(text.strip())
        if not equals or not name:
            continue
        base, star, suffix = name.partition("*")
        if not star:
            plain.setdefault(name, text)
        elif (number := suffix.rstrip("*") or "0").isascii() and number.isdigit() and len(number) <= 4:
            segments.setdefault(base, {}).setdefault(int(number), (text, suffix.endswith("*") or not suffix))
    for base, parts in segments.items():
        plain[base] = _join_segments(parts)
    main = first.partition("(")[0].split()
    return (main[0].lower() if main else ""), plain


def _split_outside_quotes(value: str) -> list[str]:
    pieces, start, quoted, escaped = [], 0, False, False
    for index, char in enumerate(value):
        if escaped:
            escaped = False
        elif char == "\\" and quoted:
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == ";" and not quoted:
            pieces.append(value[start:index])
            start = index + 1
    return [*pieces, value[start:]]


def _parameter_value(text: str) -> str:
    if text.startswith('"'):
        end = text.rfind('"')
        return _unquote(text[1 : end if end > 0 else len(text)])
    return text.split(maxsplit=1)[0] if text else ""


def _join_segments(parts: dict[int, tuple[str, bool]]) -> str:
    """RFC 2231 §3 and §4: in order without a gap; the first encoded one names the charset."""
    charset, data = "utf-8", b""
    for number in range(len(parts)):
        if number not in parts:
            break
        text, encoded = parts[number]
        if encoded and number == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        data += unquote_to_bytes(text) if encoded else text.encode("utf-8", "replace")
    return decode_charset(data, charset)


def parse_message_ids(text: str) -> list[str]:
    """The Message-IDs in a field, without their angle brackets; overlong ones are left out."""
    return _MESSAGE_ID.findall(text)


def parse_date(text: str) -> int | None:
    """A Date field as Unix ms, or None where it is none."""
    try:
        moment = parsedate_to_datetime(text[:MAX_DATE_CHARS])
        if moment.tzinfo is None:  # -0000: UTC, zone unknown (RFC 5322 §3.3)
            moment = moment.replace(tzinfo=UTC)
        time = round(moment.timestamp() * 1000)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return time if 0 <= time <= MAX_TIME_MS else None
