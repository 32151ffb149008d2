"""Parts at their places: just those that the standard parser finds, in whatever is a message or looks so."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.letters.outline import read_outline
from node.letters.structure import read_structure
from protocol.errors import RemoteProtocolError
from tests.kit.bombs import bombs
from tests.kit.corpus import mails
from tests.kit.hostile import damaged
from tests.kit.mimes import messages

Part = tuple[str, str, bytes]


def expected(raw: bytes) -> list[Part] | str:
    """What structure.py finds: media type, encoding, bytes; or why it refuses."""
    try:
        return [(part.media_type, part.encoding, part.encoded()) for part in read_structure(raw).leaves()]
    except RemoteProtocolError as error:
        return str(error)


def found(raw: bytes) -> list[Part] | str:
    try:
        leaves = read_outline(raw).leaves
    except RemoteProtocolError as error:
        return str(error)
    assert all(one.end <= next_.start for one, next_ in pairwise(leaves))
    return [(leaf.part.media_type, leaf.part.encoding, raw[leaf.start : leaf.end]) for leaf in leaves]


@pytest.mark.parametrize("name, raw", mails())
def test_real_mails(name: str, raw: bytes) -> None:
    for mail in (raw, raw.replace(b"\r\n", b"\n"), raw.replace(b"\r\n", b"\r")):
        assert expected(mail) == found(mail)


@pytest.mark.parametrize("name, raw", bombs().items())
def test_bombs(name: str, raw: bytes) -> None:
    assert expected(raw) == found(raw)


@given(messages)
def test_messages_of_many_parts(raw: bytes) -> None:
    for mail in (raw, raw.replace(b"\r\n", b"\n")):
        assert expected(mail) == found(mail)


FRAGMENTS = st.sampled_from(
    [
        *(
            b"--x",
            b"--y",
            b"--",
            b" ",
            b":",
            b"a",
            b"\r",
            b"\n",
            b"\r\n",
            b"\r\n\r\n",
            b"text\r\n",
            b"A: b\r\n",
        ),
        *(b"--x\r\n", b"--x--\r\n", b"--y\r\n", b"--y--\r\n", b"\r\n--x\r\n", b"\r\n--x--\r\n", b"--a:x\n"),
        b"Content-Type: multipart/mixed; boundary=x\r\n",
        b"Content-Type: multipart/mixed; boundary=y\r\n\r\n",
        b'Content-Type: multipart/mixed; boundary="x--"\r\n',
        b'Content-Type: multipart/mixed; boundary="a:x"\n',
        b"Content-Type: multipart/mixed\r\n",
        b"Content-Type: message/rfc822\r\n",
    ]
)


@given(st.lists(FRAGMENTS, max_size=60).map(b"".join))
def test_whatever_looks_like_parts(raw: bytes) -> None:
    for mail in (raw, b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + raw):
        assert expected(mail) == found(mail)


@given(st.data())
def test_damaged_mails(data: st.DataObject) -> None:
    raw = data.draw(damaged(data.draw(st.sampled_from(mails()))[1]))
    if b"From " not in raw:
        assert expected(raw) == found(raw)


def test_a_header_that_ends_in_a_line_of_a_mailbox_file() -> None:
    """The standard parser gives that line to the body and drops the empty one behind it."""
    raw = b"A: b\r\nFrom me\r\n\r\nbody\r\n"
    assert [("text/plain", "", b"From me\r\nbody\r\n")] == expected(raw)
    assert [("text/plain", "", b"From me\r\n\r\nbody\r\n")] == found(raw)


def test_a_multipart_that_names_no_boundary_is_one_part() -> None:
    inner = b"Content-Type: multipart/mixed\r\n\r\ntext\r\n"
    raw = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + inner + b"--x--\r\n"
    assert [("multipart/mixed", "", b"text\r\n")] == expected(raw) == found(raw)


def test_where_the_body_begins() -> None:
    assert 8 == read_outline(b"A: b\r\n\r\nbody").body
    assert 0 == read_outline(b"body").body
    assert 2 == read_outline(b"\r\nbody").body
