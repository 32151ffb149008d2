"""Messages of many parts, as hypothesis strategies: any nesting, encoding and line ends, and boundaries that
look like each other. What is to become of them is the tests' to say.
"""

import base64
import quopri
import random
from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

CRLF: Final = b"\r\n"
HEAD: Final = (
    b"From: Ann <ann@example.org>",
    b"To: bob@example.net",
    b"Subject: files",
    b"Date: Fri, 15 Jan 2027 08:00:00 +0000",
    b"Message-ID: <1@example.org>",
    b"MIME-Version: 1.0",
)

_SIZES: Final = st.sampled_from([0, 1, 57, 700, 1_500, 5_000, 24_576, 33_000])
_LENGTHS: Final = st.sampled_from([60, 64, 72, 76, 77, 75, 4, 3, 998]) | st.integers(1, 998)
_NAMES: Final = st.sampled_from(
    ["", "a.pdf", "../../etc/passwd", "x\u202egnp.exe", "n" * 300 + ".txt", "a\x1b[2J", "ä.pdf", "/", "CON"]
)
_TYPES: Final = st.sampled_from(["text/plain", "text/html", "image/png", "application/pdf", "x", ""])
_MULTIPARTS: Final = st.sampled_from(["mixed", "alternative", "related", "signed", "encrypted", "digest"])
_BOUNDARIES: Final = st.sampled_from(["b", "b-", "b--", "--b", "bb", "a b", "a:b", "=_?(b)"])
_PROSE: Final = st.lists(
    st.sampled_from(
        [b"", b"--", b"--b", b"--bb", b"--b--x", b"-- ", b"text", b"From me", b".", b"A: b", b" "]
    ),
    max_size=9,
).map(CRLF.join)


def content(seed: int, size: int) -> bytes:
    """The same bytes for the same seed."""
    return random.Random(seed).randbytes(size)


contents: Final = st.builds(content, st.integers(0, 99), _SIZES)


def in_base64(data: bytes, length: int, ends: bytes = b"") -> bytes:
    """In lines, with line ends behind them."""
    text = base64.b64encode(data)
    return CRLF.join(text[at : at + length] for at in range(0, len(text), length)) + ends


def in_quoted_printable(data: bytes) -> bytes:
    return quopri.encodestring(data).replace(b"\n", CRLF)


def entity(*fields: bytes, body: bytes) -> bytes:
    """A part, or a message, of its header and its body."""
    return b"".join(field + CRLF for field in fields) + CRLF + body


def multipart(
    boundary: bytes, parts: Sequence[bytes], before: bytes = b"", after: bytes | None = b""
) -> bytes:
    """Its body; without `after` it is cut off."""
    inside = b"".join(b"--" + boundary + CRLF + part + CRLF for part in parts)
    end = b"" if after is None else b"--" + boundary + b"--" + CRLF + after
    return (before + CRLF if before else b"") + inside + end


def _fields(kind: str, name: str, encoding: bytes, attached: bool) -> list[bytes]:
    named = '; name="' + name.replace("\\", "\\\\") + '"' if name else ""
    fields = [f"Content-Type: {kind}{named}".encode()] if kind else []
    fields += [b"Content-Transfer-Encoding: " + encoding] if encoding else []
    return [*fields, b"Content-Disposition: attachment"] if attached else fields


@st.composite
def _leaves(draw: st.DrawFn) -> bytes:
    data, form = (
        draw(contents),
        draw(st.sampled_from(["base64", "odd base64", "qp", "8bit", "binary", "text"])),
    )
    encoding = b"base64" if form.endswith("base64") else b"quoted-printable" if form == "qp" else b""
    if form == "base64":
        ends = draw(st.sampled_from([b"", CRLF, CRLF * 3, CRLF * 700]))
        body = draw(st.sampled_from([b"", CRLF])) + in_base64(data, draw(_LENGTHS), ends)
    elif form == "odd base64":
        body = draw(st.sampled_from([b" ", b"="])).join([in_base64(data, 76), b"QUI="])
    elif form == "qp":
        body = in_quoted_printable(data)
    elif form == "text":
        body = draw(_PROSE) + CRLF + b"words and more\r\n" * (len(data) // 16)
    else:
        body = data.hex().encode() if form == "8bit" else data
    return entity(*_fields(draw(_TYPES), draw(_NAMES), encoding, draw(st.booleans())), body=body)


@st.composite
def _multiparts(draw: st.DrawFn, parts: st.SearchStrategy[bytes]) -> bytes:
    boundary = draw(_BOUNDARIES).encode() + draw(st.sampled_from([b"1", b"2", b""]))
    kind = b"Content-Type: multipart/" + draw(_MULTIPARTS).encode() + b'; boundary="' + boundary + b'"'
    inside = draw(st.lists(parts, max_size=4))
    after = draw(st.none() | _PROSE)
    return entity(kind, body=multipart(boundary, inside, draw(_PROSE), after))


def _message(part: bytes) -> bytes:
    return b"".join(field + CRLF for field in HEAD) + part


def _enclosed(part: bytes) -> bytes:
    return entity(b"Content-Type: message/rfc822", body=_message(part))


def _with_more(parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return _multiparts(parts) | parts.map(_enclosed)


messages: Final = st.recursive(_leaves(), _with_more, max_leaves=6).map(_message)
"""With CRLF at lines' ends, as far as they are text."""
