"""Messages that parts were taken out of are shown as if they were whole, as far as the parts are at hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.kinds import Sort
from node.letters.limits import MAX_HOLES, MAX_NAME
from node.letters.outline import read_outline
from node.letters.parse import Attachment, Hole, part_content, read_parts
from node.letters.transfer import Decoder
from protocol.errors import RemoteProtocolError
from protocol.place import Encoding
from tests.kit.corpus import mails
from tests.kit.cuts import Apart, take_apart
from tests.kit.mimes import CRLF, content, entity, in_base64, in_quoted_printable, messages, multipart

ROOM = 1_000_000
MIXED = b"Content-Type: multipart/mixed; boundary=x"
HTML = b"Content-Type: text/html"
PDF = b"Content-Type: application/pdf; name=a.pdf"
BASE64 = b"Content-Transfer-Encoding: base64"
QP = b"Content-Transfer-Encoding: quoted-printable"


def file_content(apart: Apart, one: Attachment) -> bytes:
    """What a person saves, from the message or from what lies outside."""
    holes = apart.holes()
    if one.hole is None:
        return part_content(apart.message, one.n, holes)
    with pytest.raises(RemoteProtocolError):
        part_content(apart.message, one.n, holes)
    decoder = Decoder(one.encoding)
    return decoder.feed(apart.stored[one.hole]) + decoder.end()


def is_shown_as_whole(raw: bytes, room: int) -> None:
    apart = take_apart(raw, room)
    whole, reduced = read_parts(raw), read_parts(apart.message, apart.holes())
    assert (whole.text, whole.html) == (reduced.text, reduced.html)
    files = [(one.n, one.filename, one.media_type) for one in whole.attachments]
    assert files == [(one.n, one.filename, one.media_type) for one in reduced.attachments]
    contents = [part_content(raw, one.n) for one in whole.attachments]
    assert contents == [file_content(apart, one) for one in reduced.attachments]
    sizes = [len(data) for data in contents]
    assert sizes == [
        size if one.encoding else one.size for size, one in zip(sizes, reduced.attachments, strict=True)
    ]
    assert all(one.size == apart.cuts[one.hole].size for one in reduced.attachments if one.hole is not None)


READABLE = [mail for mail in mails() if mail[0] != "mimekit/messages-stack-overflow.txt"]
"""That one's header is more than is read of any."""


@pytest.mark.parametrize("name, raw", READABLE)
def test_real_mails(name: str, raw: bytes) -> None:
    for room in (ROOM, read_outline(raw).body + 2_048, read_outline(raw).body + 2_048 + len(raw) // 2):
        is_shown_as_whole(raw, room)


@given(messages, st.sampled_from([2_048, 6_000, 40_000, ROOM]))
def test_messages_of_many_parts(raw: bytes, more: int) -> None:
    for mail in (raw, raw.replace(CRLF, b"\n")):
        is_shown_as_whole(mail, read_outline(mail).body + more)


def letter(*parts: bytes) -> bytes:
    return entity(b"From: a@b.c", MIXED, body=multipart(b"x", parts))


def test_what_lies_outside_has_the_names_of_its_parts_and_its_own_size() -> None:
    data = content(1, 50_000)
    text = in_quoted_printable(data)
    apart = take_apart(
        letter(
            entity(body=b"hello"),
            entity(PDF, BASE64, body=in_base64(data, 76)),
            entity(PDF, b"Content-Disposition: attachment; filename=b.pdf", QP, body=text),
            entity(PDF, body=b"small"),
        ),
        ROOM,
    )
    parts = read_parts(apart.message, apart.holes())
    assert parts.text == "hello"
    assert parts.attachments == (
        Attachment(1, "a.pdf", "application/pdf", 50_000, 0, ""),
        Attachment(2, "b.pdf", "application/pdf", len(text), 1, "quoted-printable"),
        Attachment(3, "a.pdf", "application/pdf", 5, sort=Sort("text/plain", "text", "", "utf-8")),
    )
    assert part_content(apart.message, 3, apart.holes()) == b"small"


def test_a_body_that_is_not_at_hand_is_listed_so_that_it_is_missed() -> None:
    text, html = b"text " * 10_000, b"<p>html</p>" * 10_000
    apart = take_apart(
        letter(entity(body=text), entity(PDF, body=b"%"), entity(HTML, QP, body=html), entity(body=b"end")),
        ROOM,
    )
    parts = read_parts(apart.message, apart.holes(filled=False))
    assert (parts.text, parts.html) == ("end", "")
    assert parts.attachments == (
        Attachment(1, "text.txt", "text/plain", len(text), 0),
        Attachment(2, "a.pdf", "application/pdf", 1, sort=Sort("text/plain", "text", "", "utf-8")),
        Attachment(3, "text.html", "text/html", len(html), 1, "quoted-printable"),
    )
    whole = read_parts(apart.message, apart.holes())
    assert (whole.text, whole.html) == (f"{text.decode()}\nend", html.decode())
    assert [one.n for one in whole.attachments] == [1]


def test_a_whole_body_that_is_not_at_hand_is_one_file() -> None:
    raw = letter(entity(PDF, body=b"%"), entity(body=b"hi")) + b"behind" * 9_000
    apart = take_apart(raw, 1_024)
    size = len(raw) - read_outline(raw).body
    missing = Attachment(1, "body.mime", "multipart/mixed", size, 0)
    assert read_parts(apart.message, apart.holes(filled=False)).attachments == (missing,)
    assert read_parts(apart.message, apart.holes()) == read_parts(raw)


# ---- refs that our own node does not make


SMALL = letter(entity(body=b"hello"), entity(PDF, body=b"%PDF"))


def at(offset: int, **changes: object) -> Hole:
    return replace(Hole(offset, 9, "f.bin", "a/b"), **changes)  # type: ignore[arg-type]  # any of its fields


def test_what_no_part_stands_for_comes_last_under_its_own_clean_name() -> None:
    hostile = at(0, filename="../../\x1b[2J\u202e/etc/passwd", media_type="\x07" + "a" * 999)
    parts = read_parts(
        SMALL, [hostile, at(len(SMALL), filename="..", media_type="", encoding=Encoding.BASE64)]
    )
    assert parts.attachments[-2:] == (
        Attachment(2, "passwd", "a" * (MAX_NAME - 1) + "…", 9, 0),
        Attachment(3, "attachment-3", "application/octet-stream", 9, 1),
    )


def test_a_name_in_the_message_counts_before_that_of_the_ref() -> None:
    raw = letter(entity(PDF, body=b""), entity(b"Content-Type: a/b", body=b""), entity(body=b""))
    places = [index + 4 for index in range(len(raw)) if raw.startswith(CRLF + CRLF + CRLF, index)]
    parts = read_parts(raw, [at(place, filename="../x/ref.bin") for place in places])
    assert [(one.filename, one.hole) for one in parts.attachments] == [
        ("a.pdf", 0),
        ("ref.bin", 1),
        ("ref.bin", 2),
    ]
    parts = read_parts(raw, [at(place, filename="") for place in places])
    assert [one.filename for one in parts.attachments] == ["a.pdf", "attachment-2", "text.txt"]


def test_a_part_with_a_hole_in_its_middle_is_shown_without_it_and_not_saved() -> None:
    """A file with a hole would be taken for the file."""
    holes = [at(SMALL.index(b"llo")), at(SMALL.index(b"DF\r\n")), at(SMALL.index(b"F\r\n--"))]
    parts = read_parts(SMALL, holes)
    assert parts.text == "hello"
    assert [(one.filename, one.size, one.hole) for one in parts.attachments] == [
        ("a.pdf", 4, None),
        *(("f.bin", 9, n) for n in range(3)),
    ]
    for n in range(6):
        with pytest.raises(RemoteProtocolError):
            part_content(SMALL, n, holes)
    assert part_content(SMALL, 1, holes[:1]) == b"%PDF"
    filled = [replace(hole, fill=b"1") for hole in holes]
    assert part_content(SMALL, 1, filled) == b"%P1D1F"
    assert read_parts(SMALL, filled).text == "he1llo"


def test_two_in_one_place_are_two_files() -> None:
    place = SMALL.index(b"%PDF")
    parts = read_parts(SMALL.replace(b"%PDF", b""), [at(place), at(place, filename="g.bin")])
    assert [(one.filename, one.size, one.hole) for one in parts.attachments] == [
        ("a.pdf", 0, None),
        ("f.bin", 9, 0),
        ("g.bin", 9, 1),
    ]


def test_refs_stand_in_any_order() -> None:
    holes = [
        at(SMALL.index(b"DF\r\n"), fill=b"2"),
        at(SMALL.index(b"%PDF"), fill=b"1"),
        at(SMALL.index(b"hello")),
    ]
    assert part_content(SMALL, 1, holes) == b"1%P2DF"
    assert [one.hole for one in read_parts(SMALL, holes).attachments] == [None, 2]


@pytest.mark.parametrize("holes", [[at(-1)], [at(len(SMALL) + 1)], [at(0)] * (MAX_HOLES + 1)])
def test_holes_that_no_letter_has_are_refused(holes: list[Hole]) -> None:
    for read in (read_parts, lambda raw, holes: part_content(raw, 1, holes)):
        with pytest.raises(RemoteProtocolError):
            read(SMALL, holes)


def test_an_attachment_that_is_not_there_is_refused() -> None:
    assert part_content(SMALL, 1) == b"%PDF"
    for n in (-1, 0, 2):
        with pytest.raises(RemoteProtocolError):
            part_content(SMALL, n)


holes = st.lists(
    st.builds(
        Hole,
        offset=st.integers(0, len(SMALL)),
        size=st.integers(0, 2**53 - 1),
        filename=st.text(max_size=20),
        media_type=st.text(max_size=20),
        fill=st.none()
        | st.sampled_from([b"", b"--x", b"\r\n--x\r\n", b"\r\n--x--\r\n", b"A: b\r\n", b"\r\n\r\n"]),
        encoding=st.sampled_from(Encoding),
    ),
    max_size=6,
)


@given(holes)
def test_whatever_is_missing_is_listed_once(holes: list[Hole]) -> None:
    parts = read_parts(SMALL, holes)
    missing = [index for index, hole in enumerate(holes) if hole.fill is None]
    assert missing == sorted(one.hole for one in parts.attachments if one.hole is not None)
    assert [one.n for one in parts.attachments] == list(range(1, len(parts.attachments) + 1))
    for one in parts.attachments:
        if one.hole is not None:
            assert one.size == holes[one.hole].size
