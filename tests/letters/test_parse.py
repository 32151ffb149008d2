"""Hostile messages: they parse, or raise RemoteProtocolError; and none costs more than it is long."""

import importlib.util
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.letters import limits
from node.letters.limits import MAX_AUTHORS, MAX_BODY_CHARS, MAX_SHOWN_RECIPIENTS
from node.letters.parse import CUT, Parts, Summary, read_parts, summarize
from protocol.errors import RemoteProtocolError
from tests.kit.hostile import damaged

CRLF = b"\r\n"


def message(*fields: bytes, body: bytes = b"Hi.\r\n") -> bytes:
    return CRLF.join([*fields, b"", body])


MIXED = message(
    b"From: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>",
    b"To: Bob <bob@example.net>, Team: carol@example.net;",
    b"Subject: =?iso-8859-1?Q?Gr=FC=DFe?= =?utf-8?B?IPCfmIA=?=",
    b"Date: Sun, 22 Nov 2026 21:00:00 +0100",
    b"Message-ID: <one@example.org>",
    b"References: <a@x> <b@x>",
    b"In-Reply-To: <b@x>",
    b"List-Id: <team.example.net>",
    b'Content-Type: multipart/mixed; boundary="outer"',
    body=CRLF.join(
        [
            b"preamble",
            b"--outer",
            b"Content-Type: multipart/alternative; boundary=inner",
            b"",
            b"--inner",
            b"Content-Type: text/plain; charset=iso-8859-1",
            b"Content-Transfer-Encoding: quoted-printable",
            b"",
            b"caf=E9",
            b"--inner",
            b"Content-Type: text/html; charset=utf-8",
            b"",
            b"<p>caf\xc3\xa9</p>",
            b"--inner--",
            b"--outer",
            b"Content-Type: application/pdf; name*0*=utf-8''%C3%A4; name*1=.pdf",
            b"Content-Disposition: attachment",
            b"Content-Transfer-Encoding: base64",
            b"",
            b"JVBERi0x",
            b"--outer",
            b"Content-Type: message/rfc822",
            b"",
            b"Subject: inside",
            b"",
            b"inner body",
            b"--outer--",
            b"",
        ]
    ),
)


def test_summary_of_a_message_with_everything() -> None:
    expected = Summary(
        from_mailboxes=("zoe@example.org",),
        from_text="Zoë <zoe@example.org>",
        to=("Bob <bob@example.net>", "carol@example.net"),
        subject="Grüße 😀",
        date=1_795_377_600_000,
        message_id="one@example.org",
        in_reply_to="b@x",
        references=("a@x", "b@x"),
        bulk=True,
        attachments=2,
        plain_only=False,
        text_bytes=0,
        size=len(MIXED),
        automatic=True,
    )
    assert expected == summarize(MIXED)


def test_parts_of_a_message_with_everything() -> None:
    parts = read_parts(MIXED)
    assert parts.text == "café"
    assert parts.html == "<p>café</p>"
    shown = [(one.n, one.filename, one.media_type, one.size) for one in parts.attachments]
    assert shown == [(1, "ä.pdf", "application/pdf", 6), (2, "message.eml", "message/rfc822", 29)]


def test_plain_text_is_told_with_its_size() -> None:
    summary = summarize(message(b"From: a@b.c", b"Content-Transfer-Encoding: base64", body=b"aGVsbG8=\r\n"))
    assert (summary.plain_only, summary.text_bytes, summary.attachments) == (True, 5, 0)


@pytest.mark.parametrize(
    "fields",
    [
        (b"Content-Type: text/html",),
        (b"Content-Type: text/plain; name=x.txt",),
        (b"Content-Disposition: attachment",),
        (b"Content-Type: multipart/mixed; boundary=x",),
        (b"Content-Type: image/png",),
    ],
)
def test_what_is_not_plain_text_alone(fields: tuple[bytes, ...]) -> None:
    assert not summarize(message(*fields)).plain_only


@pytest.mark.parametrize(
    "header, mailboxes",
    [
        (b"a@b.c", ("a@b.c",)),
        (b"A <a@B.C>", ("a@b.c",)),
        (b'"a@b.c" <d@e.f>', ("d@e.f",)),
        (b"A (b@c.d) <a@b.c>", ("a@b.c",)),
        (b"a@b.c (A)", ("a@b.c",)),
        (b"a@b.c, d@e.f", ("a@b.c", "d@e.f")),
        (b"group: a@b.c, d@e.f;", ("", "a@b.c", "d@e.f")),
        (b"group: a@b.c;", ("", "a@b.c")),
        (b"a@b.c <d@e.f> g@h.i", ("",)),
        (b"<a@b.c> <d@e.f>", ("",)),
        (b"<a@b.c", ("",)),
        (b"a@b.c>", ("",)),
        (b"alice@b.c)d@e.f", ("",)),
        (b"a@b.c\\, x", ("",)),
        (b"a@b@c.d", ("",)),
        (b"a\x00@b.c", ("",)),
        ("a@b\u202e.c".encode(), ("",)),
        (b"nobody", ("",)),
        (b"", ("",)),
        (b"((((((a@b.c))))))", ("",)),
    ],
)
def test_an_author_is_one_address_that_all_would_read_alike(
    header: bytes, mailboxes: tuple[str, ...]
) -> None:
    assert mailboxes == summarize(message(b"From: " + header)).from_mailboxes


def test_a_second_from_field_is_an_author_too() -> None:
    assert summarize(message(b"From: a@b.c", b"from: d@e.f")).from_mailboxes == ("a@b.c", "d@e.f")


def test_shown_text_has_nothing_that_deceives() -> None:
    subject = "a\x00b\x1b[31mc\u202egnp.exe\u2066\u200b d".encode()
    summary = summarize(message(b"Subject: " + subject, "From: \u202eEvil <a@b.c>".encode()))
    assert summary.subject == "a b [31mcgnp.exe d"
    assert summary.from_text == "Evil <a@b.c>"


def test_encoded_words_bring_no_line_ends_and_no_second_decoding() -> None:
    summary = summarize(
        message(b"Subject: =?utf-8?q?a=0D=0AFrom:_x@y.z?= =?utf-8?q?=3D=3Futf-8=3Fq=3Fb=3F=3D?=")
    )
    assert summary.subject == "a From: x@y.z=?utf-8?q?b?="


@pytest.mark.parametrize(
    "charset",
    [b"us-ascii", b"utf-8", b"punycode", b"zlib", b"unicode_escape", b"no-such", b"x" * 900, b"\xff"],
)
def test_a_lie_about_the_charset_shows_as_replacement(charset: bytes) -> None:
    raw = message(b"Content-Type: text/plain; charset=" + charset, body=b"a\xffb\x00c\x1b\r\nd\n")
    assert read_parts(raw).text == "a\ufffdb\ufffdc\ufffd\nd\n"


@pytest.mark.parametrize(
    "name, safe",
    [
        (b"../../etc/passwd", "passwd"),
        (b"..\\..\\boot.ini", "boot.ini"),
        (b"...", "attachment-1"),
        (b"a\x00b\x1b.txt", "a b.txt"),
        ("x\u202egnp.exe".encode(), "xgnp.exe"),
        (b"C:evil|<>.txt", "C_evil___.txt"),
        (b"a" * 400 + b".txt", "a" * 251 + ".txt"),
        (("é" * 400 + ".txt").encode(), "é" * 125 + ".txt"),
        (b"/", "attachment-1"),
    ],
)
def test_filenames_are_safe_to_create(name: bytes, safe: str) -> None:
    raw = message(b'Content-Disposition: attachment; filename="' + name.replace(b"\\", b"\\\\") + b'"')
    found = read_parts(raw).attachments[0].filename
    assert found == safe
    assert len(found.encode()) <= limits.MAX_FILENAME_BYTES


@pytest.mark.parametrize("header", [b"", b"a@b.c,", b"x:;"])
def test_a_second_from_that_names_nobody_is_an_author_too(header: bytes) -> None:
    """Which of the two a reader shows is its own choice."""
    assert len(summarize(message(b"From: d@e.f", b"From: " + header)).from_mailboxes) == 2


def test_authors_beyond_the_limit_are_nobody() -> None:
    authors = summarize(message(b"From: " + b"a@b.c, " * 1_001)).from_mailboxes
    assert authors == ("a@b.c",) * MAX_AUTHORS + ("",)


@pytest.mark.parametrize("count", [MAX_AUTHORS, MAX_AUTHORS + 1, MAX_AUTHORS + 2, 500])
@pytest.mark.parametrize("value", [b"", b"a@b.c", b"a@b.c, d@e.f"])
def test_hundreds_of_from_fields_are_too_many_authors(count: int, value: bytes) -> None:
    authors = summarize(message(*[b"From: " + value] * count)).from_mailboxes
    assert min(count * max(value.count(b"@"), 1), MAX_AUTHORS + 1) == len(authors)


def test_of_very_many_recipients_the_first_are_shown() -> None:
    raw = message(b"To: " + b", ".join(b"r%d@b.c" % n for n in range(5_000)), b"Cc: x@y.z")
    assert summarize(raw).to == tuple(f"r{n}@b.c" for n in range(MAX_SHOWN_RECIPIENTS))


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_of_a_very_long_body_the_start_is_shown(kind: str) -> None:
    raw = message(f"Content-Type: text/{kind}".encode(), body=b"x" * (MAX_BODY_CHARS + 1))
    parts = read_parts(raw)
    assert parts.text + parts.html == "x" * MAX_BODY_CHARS + CUT
    parts = read_parts(raw[:-1])
    assert parts.text + parts.html == "x" * MAX_BODY_CHARS


BOMBS: dict[str, bytes] = {
    "RFC 2231 segments": message(
        b"Content-Type: text/plain;" + b"".join(b" a*%d=x;" % i for i in range(9000))
    ),
    "addresses": message(b"To: " + b"a@b.c, " * 16_000),
    "authors": message(b"From: " + b"a@b.c, " * 1_001),
    "parentheses": message(b"From: " + b"(" * 100_000),
    "angles": message(b"From: " + b"<" * 100_000),
    "quotes": message(b"From: " + b'"\\' * 50_000),
    "groups": message(b"To: " + b"a:" * 50_000),
    "word starts": message(b"Subject: " + b"=?a?q?" * 20_000),
    "words": message(b"Subject: " + b"=?utf-8?b?YQ==?= " * 7_000),
    "ids": message(b"References: " + b"<a" * 60_000),
    "folds": b"Subject: a\n" + b" \n" * 40_000 + b"\n\n",
    "fields": b"A: b\n" * 20_000 + b"\n",
    "empty lines": message(body=b"\n" * 590_000),
    "lines": message(body=b"\n" * 1_000_000),
    "parts": message(b"Content-Type: multipart/mixed; boundary=x", body=b"--x\n\nhi\n" * 20_000),
    "parameters": message(
        b"Content-Type: multipart/mixed; boundary=x",
        body=(b"--x\nContent-Type: a/b;" + b"".join(b" a*%d=x;" % i for i in range(60)) + b"\n\n") * 900,
    ),
    "nesting": b"".join(
        b"Content-Type: multipart/mixed; boundary=x%d\n\n--x%d\n" % (i, i) for i in range(1_500)
    ),
    "messages in messages": b"Content-Type: message/rfc822\n\n" * 2_000,
    "digest": b"Content-Type: multipart/digest; boundary=x\n\n" + b"--x\n\n" * 999,
    "delivery status": b"Content-Type: message/delivery-status\n\n" + b"A: b\n\n" * 5_000,
    "base64": message(b"Content-Transfer-Encoding: base64", body=b"====A" * 200_000),
    "quoted-printable": message(b"Content-Transfer-Encoding: quoted-printable", body=b"==\n=" * 200_000),
    "punycode": message(b"Content-Type: text/plain; charset=punycode", body=b"a" * 500_000),
    "NUL": bytes(100_000),
    "long header": b"A: " + b"x" * 400_000,
    "long boundary": message(b"Content-Type: multipart/mixed; boundary=" + b"x" * 3_000),
    "dates": message(b"Date: " + b"1 " * 50_000),
    "year": message(b"Date: Sun, 22 Nov 99999999999999 21:00:00 +9999999999"),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("read", [summarize, read_parts])
def test_bombs_cost_no_more_than_their_length(name: str, read: Callable[[bytes], object]) -> None:
    """The standard library alone needs minutes for some of these, or ends in RecursionError."""
    outcome(read, BOMBS[name])


@pytest.mark.parametrize(
    "name",
    [
        *("RFC 2231 segments", "fields", "lines", "parts", "nesting"),
        *("long header", "long boundary"),
    ],
)
def test_what_is_beyond_a_limit_is_refused(name: str) -> None:
    with pytest.raises(RemoteProtocolError) as fault:
        summarize(BOMBS[name])
    assert fault.value.status.code == "5.6.0"


def outcome(read: Callable[[bytes], object], raw: bytes) -> object:
    """What it returns; None if it raises what it may raise."""
    try:
        return read(raw)
    except RemoteProtocolError:
        return None


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_refused(raw: bytes) -> None:
    outcome(summarize, raw)
    outcome(read_parts, raw)


FRAGMENTS = st.sampled_from(
    [
        *(
            b"From: ",
            b"To: ",
            b"Subject: ",
            b"Content-Type: ",
            b"multipart/mixed; boundary=x",
            b"--x",
            b"--x--",
        ),
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b"\r\n\r\n",
            b" ",
            b"\t",
            b"=?utf-8?q?",
            b"?=",
            b"=?big5?b?",
            b"a*0*=",
            b"a*1=",
        ),
        *(
            b'"',
            b"\\",
            b"<",
            b">",
            b"(",
            b")",
            b",",
            b";",
            b":",
            b"@",
            b"a@b.c",
            b"\x00",
            b"\xff",
            b"\xc3\xa9",
        ),
        *(
            b"Content-Transfer-Encoding: base64",
            b"Content-Disposition: attachment; filename=",
            b"message/rfc822",
        ),
        *(b"charset=utf-16", b"charset=iso2022_jp", b"\x1b$B", b"From x", b"Date: ", b"Sun, 31 Feb -1 25:61"),
    ]
)


@given(st.lists(FRAGMENTS, max_size=60).map(b"".join))
def test_any_sequence_of_mail_like_pieces_parses_or_is_refused(raw: bytes) -> None:
    summary, parts = outcome(summarize, raw), outcome(read_parts, raw)
    if isinstance(summary, Summary) and isinstance(parts, Parts):
        assert summary.attachments == len(parts.attachments)


@given(damaged(MIXED))
def test_a_damaged_message_parses_or_is_refused(raw: bytes) -> None:
    summary, parts = outcome(summarize, raw), outcome(read_parts, raw)
    if isinstance(summary, Summary) and isinstance(parts, Parts):
        assert summary.attachments == len(parts.attachments)


def corpus() -> list[bytes]:
    """The mails that CPython tests its own parser with, where this interpreter has them; else ours alone."""
    spec = importlib.util.find_spec("test")
    folders = [
        Path(place) / "test_email" / "data" for place in ((spec and spec.submodule_search_locations) or [])
    ]
    files = [file for folder in folders if folder.is_dir() for file in sorted(folder.glob("*.txt"))]
    return [MIXED, *(file.read_bytes() for file in files)]


@pytest.mark.parametrize("number", range(len(corpus())))
def test_known_mails_parse_whole_cut_and_mutated(number: int) -> None:
    raw, chance = corpus()[number], random.Random(number)
    summary, parts = summarize(raw), read_parts(raw)
    assert summary.attachments == len(parts.attachments)
    for _ in range(40):
        bad = bytearray(raw[: chance.randrange(len(raw) + 1)] if chance.random() < 0.5 else raw)
        for _ in range(chance.randrange(8) if bad else 0):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        outcome(summarize, bytes(bad))
        outcome(read_parts, bytes(bad))


def test_the_worker_loads_the_parser_alone() -> None:
    """Each module more is memory and time of every worker, and within reach of hostile input."""
    heavy = "{'trio', 'plyvel', 'nacl', 'cbor2', 'fastapi'}"
    check = f"import sys, node.letters.parse; print(*{heavy} & set(sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", check], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
