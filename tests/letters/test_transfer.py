"""Transfer encodings in pieces: the same comes out as at once."""

import base64
import binascii
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.letters.text import decode_base64
from node.letters.transfer import Decoder

FRAGMENTS = st.sampled_from(
    [b"=", b"==", b"=\r\n", b"=\n", b"\r", b"\n", b"=4", b"1", b"QUJD", b" ", b"\xff", b"="]
)
chunks = st.lists(st.lists(FRAGMENTS, max_size=9).map(b"".join) | st.binary(max_size=40), max_size=9)


def undo(encoding: str, *pieces: bytes) -> bytes:
    decoder = Decoder(encoding)
    return b"".join([*map(decoder.feed, pieces), decoder.end()])


@given(chunks)
def test_any_pieces_give_what_the_whole_gives(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert decode_base64(whole) == undo("base64", *pieces)
    assert binascii.a2b_qp(whole) == undo("quoted-printable", *pieces)
    assert whole == undo("8bit", *pieces)


@pytest.mark.parametrize("step", [1, 7, 4_096, 1_000_000])
def test_what_was_encoded_comes_back(step: int) -> None:
    data = bytes(range(256)) * 40
    for encoding, text in (
        ("base64", base64.encodebytes(data)),
        ("quoted-printable", quopri.encodestring(data)),
    ):
        assert data == undo(encoding, *(text[at : at + step] for at in range(0, len(text), step)))


def test_a_line_without_end_is_not_held_back() -> None:
    decoder = Decoder("quoted-printable")
    line = b"=41" * 30_000
    got = [len(decoder.feed(line[at : at + 1_000])) for at in range(0, len(line), 1_000)]
    assert sum(got) > 20_000
    assert sum(got) + len(decoder.end()) == 30_000
