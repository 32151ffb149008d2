"""Letters made to break whoever reads them, each one that SMTP can carry.

What is to become of each (stored and shown as far as can be, or 5.6.0) is the tests' to say.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

_HEAD: Final = "From: Bomber <bomber@example.org>\r\nTo: owner@home.example\r\nSubject: {0}\r\n"


def bombs() -> dict[str, bytes]:
    """Name to letter. The largest has some four megabytes; all together are made in under a second."""
    return {name: make(name) for name, make in _BOMBS.items()}


def bomb(name: str) -> bytes:
    """The letter of that name."""
    return _BOMBS[name](name)


def _letter(name: str, more: str, body: str = "body\r\n") -> bytes:
    return f"{_HEAD.format(name)}{more}\r\n{body}".encode("latin-1")


def _without_from(text: str) -> Callable[[str], bytes]:
    return lambda name: f"{text}To: owner@home.example\r\nSubject: {name}\r\n\r\nbody\r\n".encode("latin-1")


def _headers(more: str) -> Callable[[str], bytes]:
    return lambda name: _letter(name, more)


def _mime(content_type: str, body: str) -> Callable[[str], bytes]:
    return lambda name: _letter(name, f"MIME-Version: 1.0\r\nContent-Type: {content_type}\r\n", body)


def _addresses(name: str) -> bytes:
    listed = ",\r\n ".join(f"Person {n} <p{n}@example.net>" for n in range(20_000))
    return _letter(name, f"Cc: {listed}\r\n")


def _long_continuation(name: str) -> bytes:
    return _letter(name, "X-Long: " + "word\r\n " * 200_000 + "end\r\n")


def _rfc2231(name: str) -> bytes:
    pieces = ";\r\n ".join(f"name*{n}*=%41%42" for n in range(5_000))
    return _letter(name, f"MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n {pieces}\r\n")


def _nested(name: str) -> bytes:
    """Multiparts in multiparts, 1,500 deep."""
    depth = 1_500
    opens = "".join(
        f'--b{n}\r\nContent-Type: multipart/mixed; boundary="b{n + 1}"\r\n\r\n' for n in range(depth)
    )
    body = f"{opens}--b{depth}\r\n\r\ndeep\r\n--b{depth}--\r\n"
    return _letter(name, 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b0"\r\n', body)


def _messages(name: str) -> bytes:
    """Messages in messages, 1,500 deep."""
    inner = "Content-Type: message/rfc822\r\n\r\n" * 1_500 + "Subject: deep\r\n\r\ndeep\r\n"
    return _letter(name, "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n", inner)


def _parts(name: str) -> bytes:
    part = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    return _letter(
        name,
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
        part * 20_000 + "--b--\r\n",
    )


def _boundaries(name: str) -> bytes:
    """A boundary that almost every line begins like."""
    return _letter(
        name, 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="----"\r\n', "-----\r\n" * 100_000
    )


def _html(name: str) -> bytes:
    return _letter(
        name, "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n", "<div>\r\n" * 50_000
    )


def _base64_lie(name: str) -> bytes:
    body = base64.encodebytes(b"\xff\xfe\x00" * 10_000).decode().replace("\n", "\r\n").replace("A", "*")
    return _letter(
        name, "Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n", body
    )


def _cut(name: str) -> bytes:
    body = "--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBE\r\n"
    return _letter(name, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n", body)


def _report(name: str, groups: str) -> bytes:
    kind = "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n"
    status = f"--b\r\nContent-Type: message/delivery-status\r\n\r\n{groups * 20_000}\r\n"
    returned = "--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <a@b.example>\r\n\r\n--b--\r\n"
    return _letter(name, kind, status + returned)


_BOMBS: Final[dict[str, Callable[[str], bytes]]] = {
    "no From": _without_from(""),
    "two Froms": _without_from("From: a@example.org\r\nFrom: b@example.org\r\n"),
    "two mailboxes in From": _without_from("From: a@example.org, b@example.org\r\n"),
    "a group in From": _without_from("From: Friends: a@example.org, b@example.org;\r\n"),
    "an empty group in From": _without_from("From: undisclosed-recipients:;\r\n"),
    "From of brackets": _without_from(f"From: {'(' * 900}\r\n"),
    "folded brackets in From": _without_from("From: " + ("(" * 70 + "\r\n ") * 300 + "a@example.org\r\n"),
    "From of quotes": _without_from('From: "' + '\\"' * 400 + "<a@example.org>\r\n"),
    "From that is encoded": _without_from("From: =?utf-8?q?a=40example.org_=3Cb=40example.net=3E?=\r\n"),
    "From with a NUL": _without_from("From: a\x00b@example.org\r\n"),
    "From with 8 bits": _without_from("From: M\xfcller <m\xfcller@example.org>\r\n"),
    "no header": lambda name: b"\r\nonly a body\r\n",
    "nothing": lambda name: b"\r\n",
    "only a colon": lambda name: b":\r\n\r\nbody\r\n",
    "From line of a mailbox": lambda name: b"From a@example.org Mon Nov 23\r\n" + _letter(name, ""),
    "20,000 addresses": _addresses,
    "megabytes of header": lambda name: _letter(name, "X-Filler: some words of it\r\n" * 100_000),
    "one field of a megabyte": _long_continuation,
    "100,000 Received": lambda name: _letter(name, "Received: by a; now\r\n" * 100_000),
    "RFC 2231 in pieces": _rfc2231,
    "RFC 2231 without end": _headers("Content-Type: text/plain; name*99999999999=x; name*0*=utf-8''%\r\n"),
    "multiparts 1,500 deep": _nested,
    "messages 1,500 deep": _messages,
    "20,000 parts": _parts,
    "a boundary of dashes": _boundaries,
    "an empty boundary": _mime('multipart/mixed; boundary=""', "--\r\n\r\nx\r\n----\r\n"),
    "a boundary of 10,000": _mime("multipart/mixed; boundary=" + "b\r\n b" * 5_000, "x\r\n"),
    "a multipart cut off": _cut,
    "50,000 divs": _html,
    "an unknown charset": _mime("text/plain; charset=x-no-such-charset", "\xe9\xff\r\n"),
    "a charset that is code": _mime("text/plain; charset=zlib_codec", "x\x9c\r\n"),
    "a charset that lies": _mime("text/plain; charset=utf-16", "\xff\xfe\xd8\r\n"),
    "a charset of idna": _mime("text/plain; charset=idna", "xn--" + "a" * 900 + "\r\n"),
    "utf-7": _mime("text/plain; charset=utf-7", "+ADw-script+AD4-\r\n"),
    "base64 that is none": _base64_lie,
    "uuencode that lies": _mime(
        "text/plain\r\nContent-Transfer-Encoding: x-uuencode", "begin 644 ../../etc/passwd\r\n\xff\r\n"
    ),
    "NUL": _mime("text/plain", "a\x00b\r\n" * 100),
    "a name that climbs": _headers('Content-Disposition: attachment; filename="../../../etc/passwd"\r\n'),
    "a date of the year 99999": _headers("Date: Mon, 99 Nov 99999 99:99:99 +9999\r\n"),
    "a date without sense": _headers("Date: " + "9" * 900 + "\r\n"),
    "a Message-ID of brackets": _headers("Message-ID: " + "<" * 900 + "\r\n"),
    "encoded words in thousands": lambda name: _letter(
        name, "X: " + "=?utf-8?b?4pyT?=\r\n " * 20_000 + "x\r\n"
    ),
    "a report of 20,000": lambda name: _report(
        name, "Final-Recipient: x; a@b.example\r\nAction: failed\r\n\r\n"
    ),
    "a report of folds": lambda name: _report(name, "Final-Recipient: x;\r\n \r\n \r\n"),
    "a subject of controls": _headers("Subject: \x1b[2J\x07\x08\x7f\r\n"),
    "DKIM-Signatures in hundreds": lambda name: (
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; h=from; bh=AA==; b=AA==\r\n" * 500
        + _letter(name, "")
    ),
    "a DKIM-Signature of tags": lambda name: (
        b"DKIM-Signature: " + b"a=b;\r\n " * 20_000 + b"v=1\r\n" + _letter(name, "")
    ),
}
