"""Parts come out of messages and go back in: whatever the message, not a byte of it changes."""

import functools
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.letters import limits
from node.letters.cutting import REF_BYTES, Cut, find_cuts
from node.letters.limits import LARGE_PART, LEAST_CUT, MAX_HOLES
from node.letters.outline import read_outline
from node.letters.structure import read_structure
from protocol.errors import RemoteProtocolError
from protocol.place import Encoding
from protocol.status import TOO_LARGE
from protocol.stream import MAX_FILENAME_BYTES, MAX_MEDIA_TYPE_BYTES, MAX_REFS
from tests.kit.bombs import bombs
from tests.kit.corpus import CORPUS, mails, with_crlf
from tests.kit.cuts import Apart, take_apart
from tests.kit.dkim_keys import ed25519_key, sign
from tests.kit.hostile import damaged
from tests.kit.mimes import CRLF, content, entity, in_base64, in_quoted_printable, messages, multipart

ROOM = 1_000_000
BASE64 = b"Content-Transfer-Encoding: base64"
MIXED = b"Content-Type: multipart/mixed; boundary=x"
PDF = b'Content-Type: application/pdf; name="a.pdf"'


def least_room(raw: bytes) -> int:
    """With which every message can be a letter: its header, and as much as a ref to all the rest needs."""
    return read_outline(raw).body + 2_048


def apart(raw: bytes, room: int) -> Apart:
    """Taken apart within `room`, and proven to go together."""
    found = take_apart(raw, room)
    assert found.used <= room
    assert raw == found.whole()
    return found


def one_part(body: bytes, *fields: bytes) -> bytes:
    return entity(b"From: a@b.c", MIXED, body=multipart(b"x", [entity(*fields, body=body)]))


# ---- any message


@pytest.mark.parametrize("name, raw", mails())
def test_real_mails(name: str, raw: bytes) -> None:
    """As SMTP carries them, and with the line ends of the file."""
    for mail in (raw, (CORPUS / name).read_bytes()):
        if name == "mimekit/messages-stack-overflow.txt":  # a header of more than is read of any
            survives(mail)
            continue
        sizes = [leaf.end - leaf.start for leaf in read_outline(mail).leaves]
        found = apart(mail, ROOM)
        assert sum(size > LARGE_PART for size in sizes) == len(found.cuts)
        assert found.cuts or mail == found.message
        apart(mail, least_room(mail))
        apart(mail, max(least_room(mail), len(mail) // 2))


@given(messages, st.sampled_from([0, 3_000, 40_000, ROOM]))
def test_messages_of_many_parts(raw: bytes, more: int) -> None:
    for mail in (raw, raw.replace(CRLF, b"\n")):
        found = apart(mail, least_room(mail) + more)
        left = read_outline(found.message).leaves
        assert all(leaf.end - leaf.start <= LARGE_PART for leaf in left)


@given(messages)
def test_signatures_still_hold(raw: bytes) -> None:
    dkim, key, raw = pytest.importorskip("dkim"), ed25519_key(), with_crlf(raw)
    for canon in ("simple/simple", "relaxed/relaxed"):
        signed = sign(raw, key, "example.org", "sel", canon=canon)
        found = apart(signed, least_room(signed))
        texts = {b"sel._domainkey.example.org.": key.txt.encode()}
        assert dkim.verify(signed, dnsfunc=lambda name, timeout=5, texts=texts: texts[name])
        assert dkim.verify(found.whole(), dnsfunc=lambda name, timeout=5, texts=texts: texts[name])


def survives(raw: bytes) -> None:
    """It is cut so that it goes together again, or refused; refused is what can't be read either."""
    for room in (0, 700, 5_000, ROOM):
        try:
            apart(raw, room)
        except RemoteProtocolError as error:
            if error.status != TOO_LARGE:
                with pytest.raises(RemoteProtocolError):
                    read_structure(raw)


@given(st.binary(max_size=300) | st.integers(0, 9).map(functools.partial(content, size=50_000)))
def test_any_bytes(raw: bytes) -> None:
    survives(raw)


@given(st.data())
def test_damaged_mails(data: st.DataObject) -> None:
    mail = data.draw(st.sampled_from([raw for _, raw in mails()]) | messages)
    survives(data.draw(damaged(mail)))


@pytest.mark.parametrize("name, raw", bombs().items())
def test_bombs(name: str, raw: bytes) -> None:
    survives(raw)


@pytest.mark.parametrize(
    "raw",
    [
        multipart(b"x", [b"\r\nhi"] * 20_000),
        b"".join(b"Content-Type: multipart/mixed; boundary=x%d\r\n\r\n--x%d\r\n" % (n, n) for n in range(99)),
        b"A: b\r\n" * 200_000,
        b"\r\n" * 600_001,
        bytes(limits.MAX_MESSAGE_BYTES + 1),
        b"Content-Type: multipart/mixed; boundary=" + b"x" * 500 + b"\r\n\r\n",
    ],
)
def test_what_nobody_may_read_is_not_cut_either(raw: bytes) -> None:
    for mail in (raw, MIXED + CRLF + CRLF + raw):
        expected = []
        for read in (read_structure, functools.partial(find_cuts, room=ROOM)):
            try:
                read(mail)
            except RemoteProtocolError as error:
                expected.append(str(error))
        assert len(expected) in (0, 2)
        assert len(set(expected)) < 2


# ---- what is taken


def cut(raw: bytes, room: int = ROOM) -> Cut:
    (found,) = apart(raw, room).cuts
    return found


@pytest.mark.parametrize("length", [1, 2, 3, 4, 60, 64, 72, 75, 76, 77, 997, 998])
@pytest.mark.parametrize("size", [LARGE_PART, LARGE_PART + 1, LARGE_PART + 2])
def test_base64_is_stored_decoded(length: int, size: int) -> None:
    body = in_base64(content(1, size), length)
    for around in (b"", CRLF, CRLF * 3):
        raw = one_part(around + body + around, BASE64, PDF)
        start = raw.index(body)
        expected = Cut(start, start + len(body), size, "a.pdf", "application/pdf", Encoding.BASE64, length)
        found = apart(raw, ROOM)
        assert ((expected,), (content(1, size),)) == (found.cuts, found.stored)


DATA = content(2, 60_000)
GOOD = in_base64(DATA, 76)
OTHER: dict[str, bytes] = {
    "LF at the lines' ends": GOOD.replace(CRLF, b"\n"),
    "one LF": GOOD.replace(CRLF, b"\n", 1),
    "one long line": in_base64(DATA, 10**6),
    "lines of two lengths": GOOD[:39_000] + in_base64(DATA, 70)[39_000:],
    "an empty line within": GOOD.replace(CRLF, CRLF + CRLF, 1),
    "a space at a line's end": GOOD.replace(CRLF, b" " + CRLF, 1),
    "a space at the end": GOOD + b" ",
    "a list's footer": GOOD + b"\r\n____\r\nthe list\r\n",
    "padding within": in_base64(DATA[:50_000], 76) + CRLF + GOOD,
    "padding that is not needed": in_base64(DATA, 76) + b"====",
    "no padding": in_base64(DATA + b"1", 76).rstrip(b"="),
    "bits that count for nothing": in_base64(DATA + b"1", 76).replace(b"MQ==", b"MR=="),
    "another alphabet": GOOD.replace(b"+", b"-").replace(b"/", b"_"),
    "a NUL": GOOD.replace(b"A", b"\0", 1),
    "very many empty lines": GOOD + CRLF * 20_000,
    "nothing but empty lines": CRLF * 20_000,
    "no base64 at all": content(3, 40_000),
}


@pytest.mark.parametrize("name", OTHER)
def test_what_only_looks_like_base64_is_stored_as_it_stands(name: str) -> None:
    raw = one_part(OTHER[name], BASE64, PDF)
    start = raw.index(PDF) + len(PDF) + 4
    expected = Cut(start, start + len(OTHER[name]), len(OTHER[name]), "a.pdf", "application/pdf")
    assert expected == cut(raw)


def test_what_is_not_said_to_be_base64_is_stored_as_it_stands() -> None:
    assert Encoding.IDENTITY == cut(one_part(GOOD, PDF)).encoding


@pytest.mark.parametrize(
    "body, fields",
    [
        (in_quoted_printable(DATA), (b"Content-Transfer-Encoding: quoted-printable",)),
        (DATA.hex().encode(), (b"Content-Transfer-Encoding: 8bit",)),
        (DATA, (b"Content-Transfer-Encoding: binary",)),
        (entity(PDF, BASE64, body=GOOD), (b"Content-Type: message/rfc822",)),
    ],
)
def test_other_parts_are_stored_as_they_stand(body: bytes, fields: tuple[bytes, ...]) -> None:
    for raw in (one_part(body, *fields), entity(*fields, body=body)):
        found = apart(raw, ROOM)
        assert (body,) == found.stored
        assert raw.replace(body, b"") == found.message


def test_parts_of_signed_and_encrypted_messages_are_parts_like_others() -> None:
    for kind in (b"signed", b"encrypted"):
        parts = [entity(PDF, BASE64, body=GOOD), entity(b"Content-Type: application/x", body=b"x" * 40_000)]
        raw = entity(b"Content-Type: multipart/" + kind + b"; boundary=x", body=multipart(b"x", parts))
        assert (DATA, b"x" * 40_000) == apart(raw, ROOM).stored


def sized(*sizes: int) -> bytes:
    return entity(
        MIXED, body=multipart(b"x", [entity(body=b"%d" % (n % 10) * size) for n, size in enumerate(sizes)])
    )


def test_large_parts_are_always_taken_others_only_as_many_as_must_be() -> None:
    raw = sized(5_000, LARGE_PART + 1, 900, LARGE_PART, 20_000, 5_001)
    rooms = {ROOM: [1], 61_000: [1, 3], 31_000: [1, 3, 4], 11_000: [1, 3, 4, 5], 7_000: [0, 1, 3, 4, 5]}
    got = {room: [int(data[:1]) for data in apart(raw, room).stored] for room in rooms}
    assert rooms == got


def test_small_parts_are_left_and_at_last_the_whole_body_goes() -> None:
    raw = sized(*[LEAST_CUT - 1] * 900)
    assert () == apart(raw, len(raw)).cuts
    body = read_outline(raw).body
    assert Cut(body, len(raw), len(raw) - body, "", "multipart/mixed") == cut(raw, len(raw) - 1)


def test_what_is_in_no_part_goes_with_the_whole_body() -> None:
    for raw in (
        entity(MIXED, body=multipart(b"x", [entity(body=b"hi")], b"before" * 9_000)),
        entity(MIXED, body=multipart(b"x", [entity(body=b"hi")], after=b"behind" * 9_000)),
        entity(MIXED, body=multipart(b"x", [entity(b"A: " + b"b" * 60_000, body=b"hi")])),
    ):
        assert len(MIXED + CRLF * 2) == cut(raw, 50_000).start
        assert () == apart(raw, 100_000).cuts


def test_a_header_too_large_for_a_letter_is_refused() -> None:
    raw = entity(b"A: " + b"b" * 9_000, body=b"x" * 100_000)
    apart(raw, 9_005 + 2 + REF_BYTES + len("text/plain"))
    for room in (0, 9_000, 9_005 + 2 + REF_BYTES + len("text/plain") - 1):
        with pytest.raises(RemoteProtocolError) as fault:
            find_cuts(raw, room)
        assert TOO_LARGE == fault.value.status


def test_as_many_parts_as_refs() -> None:
    assert MAX_REFS == MAX_HOLES
    raw = sized(*[2_000] * (limits.MAX_PARTS - 1))
    assert limits.MAX_PARTS - 1 == len(apart(raw, 339_500).cuts)


@pytest.mark.parametrize(
    "fields, filename, media_type",
    [
        ((), "", "text/plain"),
        ((b"Content-Type: text/html; charset=utf-8",), "", "text/html"),
        ((b"Content-Type: text/plain; name=notes.txt",), "notes.txt", "text/plain"),
        ((b"Content-Disposition: attachment",), "attachment-2", "text/plain"),
        ((b"Content-Type: message/rfc822",), "message.eml", "message/rfc822"),
        ((b'Content-Disposition: inline; filename="../../etc/passwd"',), "passwd", "text/plain"),
        ((b"Content-Type: a/b; name*0*=utf-8''%C3%A4; name*1=.pdf",), "ä.pdf", "a/b"),
        (("Content-Type: a/b; name=x\u202egnp\x1b.exe".encode(),), "xgnp.exe", "a/b"),
        ((b"Content-Type: a/b; name=" + b"n" * 900 + b".txt",), "n" * 251 + ".txt", "a/b"),
        ((b"Content-Type: a/b; name=..",), "attachment-2", "a/b"),
        ((b"Content-Type: \x1b[2J/\x07b; name=x",), "x", "[2j/ b"),
        ((b"Content-Type: a/" + b"b" * 3_000 + b"; name=x",), "x", "a/" + "b" * 197 + "…"),
    ],
)
def test_names_and_types_are_those_shown(fields: tuple[bytes, ...], filename: str, media_type: str) -> None:
    parts = [entity(b"Content-Type: a/b", body=b"first"), entity(*fields, body=b"x" * 40_000)]
    found = cut(entity(MIXED, body=multipart(b"x", parts)))
    assert (filename, media_type) == (found.filename, found.media_type)
    assert len(found.filename.encode()) <= MAX_FILENAME_BYTES
    assert len(found.media_type.encode()) <= MAX_MEDIA_TYPE_BYTES


def test_25_megabytes() -> None:
    data = content(4, 18_000_000)
    raw = one_part(in_base64(data, 76), BASE64, PDF)
    assert (data,) == apart(raw, ROOM).stored


def test_the_worker_loads_no_more_than_for_reading() -> None:
    heavy = "{'trio', 'plyvel', 'nacl', 'cbor2', 'fastapi'}"
    check = f"import sys, node.letters.cutting; print(*{heavy} & set(sys.modules))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", check], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
