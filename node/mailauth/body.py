"""The body as a signature covers it (RFC 6376 §3.4), in time linear in its size: dkimpy's way is
quadratic in a run of spaces.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Final

from protocol.errors import RemoteProtocolError

PIECE: Final = 262_144
"""Bytes that are looked at together where a digest is wanted: a millisecond's work, next to no memory."""

MAX_LINE: Final = 1_048_576
"""Bytes of a line that is signed: looking at a longer one holds up the other threads. SMTP allows 998."""

_CRLF: Final = b"\r\n"
_TURNED_LINES: Final = re.compile(rb"(?:\n\r)*")


def canonical_body(body: bytes, canon: str) -> bytes:
    """`canon` is "simple" or "relaxed"."""
    if canon == "relaxed":
        body = _squeezed(body)
    body = _without_last_lines(body)
    if not body:
        return _CRLF if canon == "simple" else b""  # RFC 6376 §3.4.3, §3.4.4
    return body + _CRLF


def relaxed_digest(raw: bytes, start: int, piece: int = PIECE) -> bytes:
    """SHA-256 of what canonical_body makes of the body that begins at `start`, relaxed. Raises
    RemoteProtocolError for a line of more than MAX_LINE.
    """
    digest, ends, any_text = hashlib.sha256(), 0, False
    for lines in _pieces(raw, start, piece):
        lines = _squeezed(lines)
        body = _without_last_lines(lines)
        if body:
            digest.update(_CRLF * ends + body)
            ends, any_text = 0, True
        ends += (len(lines) - len(body)) // len(_CRLF)
    if any_text:
        digest.update(_CRLF)
    return digest.digest()


def _pieces(raw: bytes, start: int, piece: int) -> Iterator[bytes]:
    """Whole lines."""
    while start < len(raw):
        found = raw.find(_CRLF, start + piece)
        end = len(raw) if found < 0 else found + len(_CRLF)
        if end - start > piece + MAX_LINE:
            raise RemoteProtocolError(f"a line of more than {MAX_LINE} bytes")
        yield raw[start:end]
        start = end


def _squeezed(body: bytes) -> bytes:
    """Runs of white space become one space, at a line's end none."""
    body = body.replace(b"\t", b" ")
    while b"  " in body:  # a run is halved each time
        body = body.replace(b"  ", b" ")
    return body.replace(b" \r\n", _CRLF).removesuffix(b" ")


def _without_last_lines(body: bytes) -> bytes:
    """Without the line ends at its end."""
    ends = body[len(body.rstrip(_CRLF)) :]
    found = _TURNED_LINES.match(ends[::-1])  # from the end: looked for forwards it would be quadratic
    return body[: len(body) - (found.end() if found else 0)]
