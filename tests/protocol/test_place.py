"""Parts go back into their message exactly: in any pieces, as the standard library encodes them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.place import MAX_LINE_LENGTH, Encoder, Encoding, Place, encoded_size, rebuilt_size, spans
from protocol.stream import ContentRef

PLAIN = Place(0)
PERIOD = bytes(range(256)) * 3_000  # more than is encoded at once


def in_lines(length: int, last_line_end: bool = False, offset: int = 0) -> Place:
    return Place(offset, Encoding.BASE64, length, last_line_end)


def ref(size: int, place: Place, name: str = "") -> ContentRef:
    return ContentRef(name, "a/b", size, bytes(32), "ipfs://ba", place, bytes(32))


def encode(place: Place, *chunks: bytes) -> bytes:
    encoder = Encoder(place)
    return b"".join([*map(encoder.feed, chunks), encoder.end()])


def by_hand(data: bytes, place: Place) -> bytes:
    """By the standard library, line by line."""
    text, length = base64.b64encode(data), place.line_length
    lines = [text[start : start + length] for start in range(0, len(text), length)]
    return b"\r\n".join(lines) + (b"\r\n" if lines and place.last_line_end else b"")


places = st.builds(in_lines, st.integers(1, 80) | st.integers(1, MAX_LINE_LENGTH), st.booleans())


@given(st.lists(st.binary(max_size=300), max_size=8), places)
def test_any_pieces_give_what_the_standard_library_gives(chunks: list[bytes], place: Place) -> None:
    data = b"".join(chunks)
    assert by_hand(data, place) == encode(place, *chunks) == encode(place, data)
    assert len(by_hand(data, place)) == encoded_size(place, len(data))


@given(places, st.integers(0, len(PERIOD)), st.integers(0, len(PERIOD)))
def test_more_than_is_encoded_at_once(place: Place, size: int, cut: int) -> None:
    data = PERIOD[:size]
    assert by_hand(data, place) == encode(place, data[:cut], data[cut:])
    assert len(by_hand(data, place)) == encoded_size(place, size)


@pytest.mark.parametrize("length", [1, 3, 4, 75, 76, 77, 997, 998])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 57, 58, 114])
def test_byte_by_byte(length: int, last: bool, size: int) -> None:
    place = in_lines(length, last)
    chunks = [PERIOD[at : at + 1] for at in range(size)]
    assert by_hand(PERIOD[:size], place) == encode(place, *chunks)


@given(st.lists(st.binary(max_size=9), max_size=5))
def test_what_is_stored_as_it_stands_passes_through(chunks: list[bytes]) -> None:
    assert b"".join(chunks) == encode(PLAIN, *chunks)
    assert sum(map(len, chunks)) == encoded_size(PLAIN, sum(map(len, chunks)))


def test_pieces_and_parts_alternate_in_the_order_of_their_places() -> None:
    late, first, second = ref(5, Place(6)), ref(3, in_lines(4, offset=2), "1"), ref(9, Place(2), "2")
    assert [b"ab", first, second, b"cdef", late] == spans(b"abcdef", [late, first, second])
    assert [ref(0, PLAIN), b"x"] == spans(b"x", [ref(0, PLAIN)])
    assert [b"x"] == spans(b"x", [])
    assert [] == spans(b"", [])
    assert rebuilt_size(6, [late, first, second]) == 6 + 5 + 4 + 9


def test_a_place_beyond_the_end_is_refused() -> None:
    assert [b"x", ref(0, Place(1))] == spans(b"x", [ref(0, Place(1))])
    with pytest.raises(RemoteProtocolError):
        spans(b"x", [ref(0, Place(2))])


@given(st.binary(max_size=200), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=6))
def test_any_stretches_taken_out_go_back_exactly(raw: bytes, stretches: list[tuple[int, int]]) -> None:
    refs: list[ContentRef] = []
    left, taken, position = b"", {}, 0
    for start, end in sorted(stretches):
        start, end = max(start, position), min(end, len(raw))
        if start >= end:
            continue
        left += raw[position:start]
        refs.append(ref(end - start, Place(len(left)), str(len(refs))))
        taken[refs[-1].filename] = raw[start:end]
        position = end
    left += raw[position:]
    whole = [one if isinstance(one, bytes) else taken[one.filename] for one in spans(left, refs)]
    assert (raw, len(raw)) == (b"".join(whole), rebuilt_size(len(left), refs))
