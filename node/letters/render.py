"""Writes RFC 5322: header fields folded and encoded, bodies in the transfer encoding that fits. Values are
checked by who calls; nothing that is put in here can begin a field of its own.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final
from urllib.parse import quote

from protocol.place import Encoder, Encoding, Place

LINE: Final = 76
"""Characters of a line; RFC 5322 §2.1.1 recommends 78 at most, RFC 2047 §2 allows 76."""

MAX_LINE: Final = 998
"""Bytes of a line, without its end, that every program takes (RFC 5322 §2.1.1)."""

IN_LINES: Final = Place(0, Encoding.BASE64, LINE)
"""How files stand in a message that we write, wherever in it they are."""

WORD_BYTES: Final = 39
"""Of text in an encoded word: 52 characters of base64 and 12 around them fit a line behind "Subject: "."""

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9 !#$&'()+,.;=@\[\]^_`{}~-]{1,60}")
_PLAIN: Final = re.compile(r"[!-~]+(?: [!-~]+)*")
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")


def field(name: str, tokens: Iterable[str]) -> bytes:
    """A header field, folded between its tokens."""
    lines, line = [], f"{name}:"
    for token in tokens:
        if len(line) + 1 + len(token) > LINE and line.strip() and line != f"{name}:":
            lines.append(line)
            line = ""
        line += " " + token
    return "\r\n".join([*lines, line]).encode("ascii") + b"\r\n"


def text_tokens(text: str) -> list[str]:
    """Free text (a subject): as it stands where it is plain, else as encoded words."""
    if _PLAIN.fullmatch(text) and "=?" not in text and max(map(len, text.split(" "))) < MAX_LINE // 2:
        return text.split(" ")
    return encoded_words(text) if text else []


def encoded_words(text: str) -> list[str]:
    """RFC 2047 with base64, cut between characters; the space between two of them counts for nothing."""
    chunks, chunk = [], b""
    for char in text:
        data = char.encode("utf-8", "replace")
        if len(chunk) + len(data) > WORD_BYTES:
            chunks.append(chunk)
            chunk = b""
        chunk += data
    return [f"=?utf-8?B?{base64.b64encode(data).decode()}?=" for data in [*chunks, chunk]]


def address_tokens(people: Iterable[tuple[str, str]]) -> list[str]:
    """An address list of (name, mailbox); mailboxes are ASCII."""
    tokens: list[str] = []
    for name, mailbox in people:
        if tokens:
            tokens[-1] += ","
        tokens += [*_phrase(name), f"<{mailbox}>"] if name else [mailbox]
    return tokens


def _phrase(name: str) -> list[str]:
    if _ATOMS.fullmatch(name) and "=?" not in name:
        return name.split(" ")
    if _PLAIN.fullmatch(name) and "=?" not in name and len(name) < LINE - 2:
        return ['"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"']
    return encoded_words(name)


def date_tokens(time_ms: int) -> list[str]:
    """A Date field's value, in UTC: where its author is, is nobody's business."""
    return format_datetime(datetime.fromtimestamp(time_ms // 1000, UTC)).split(" ")


def text_part(text: str, media_type: str = "text/plain") -> bytes:
    """Content fields, an empty line and the body, with CRLF, ending in one."""
    lines = _LINE_END.split(text)
    if lines[-1] == "":
        lines.pop()
    body = "".join(line + "\r\n" for line in lines).encode("utf-8", "replace")
    encoding, body = _transfer(body)
    return (
        field("Content-Type", [f"{media_type};", "charset=utf-8"])
        + field("Content-Transfer-Encoding", [encoding])
        + b"\r\n"
        + body
    )


def file_header(filename: str, media_type: str) -> bytes:
    """Content fields of a part that is a file in base64, and the empty line. The name goes as RFC 2231 has it
    where it is not plain; both values are safe names (text.py, uploads.py).
    """
    if _PLAIN_NAME.fullmatch(filename):
        name = f'filename="{filename}"'
    else:
        name = f"filename*=utf-8''{quote(filename, safe='')}"
    return (
        field("Content-Type", [media_type])
        + field("Content-Transfer-Encoding", ["base64"])
        + field("Content-Disposition", ["attachment;", name])
        + b"\r\n"
    )


def base64_lines(content: bytes) -> bytes:
    """In lines, no line end behind the last."""
    encoder = Encoder(IN_LINES)
    return encoder.feed(content) + encoder.end()


def _transfer(body: bytes) -> tuple[str, bytes]:
    longest = max(map(len, body.split(b"\r\n")))
    control = body.translate(None, b"\t\r\n" + bytes(range(32, 127)))
    if not control and longest <= MAX_LINE and b"\nFrom " not in b"\n" + body:
        return "7bit", body
    if len(control) * 3 < len(body):
        return "quoted-printable", _quoted_printable(body)
    return "base64", base64.encodebytes(body).replace(b"\n", b"\r\n")


def _quoted_printable(body: bytes) -> bytes:
    lines = (binascii.b2a_qp(line, istext=False) for line in body.split(b"\r\n"))
    # mbox files mark a message's start by "From ", and some programs alter such a line on the way.
    safe = (b"=46" + line[1:] if line.startswith(b"From ") else line for line in lines)
    return b"\r\n".join(line.replace(b"=\n", b"=\r\n") for line in safe)
