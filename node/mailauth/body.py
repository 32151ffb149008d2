"""The body as a signature covers it (RFC 6376 §3.4), in time linear in its size: dkimpy's way is
quadratic in a run of spaces.
"""

import re
from typing import Final

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
