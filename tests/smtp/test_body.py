"""The data of a letter in every chunking: what was meant comes out, and nothing of what follows is lost."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.smtp.body import END, Body, has_bare_line_ends
from node.smtp.limits import DISCARD

ROOM = 1_000_000  # bytes; more than any letter here

LINES = st.lists(st.sampled_from([b"", b".", b"..", b".x", b"x.", b"x", b". .", b"a" * 40, b"\0", b"\xff"]))
NASTY = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"x", END[:-1]])).map(b"".join)
REST = st.sampled_from([b"", b"QUIT\r\n", b"\r\n.\r\n", b".\r\n", b"\n"])


def stuffed(lines: list[bytes]) -> bytes:
    """As a client sends them (RFC 5321 §4.5.2)."""
    return b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines) + b".\r\n"


def fed(body: Body, wire: bytes, cuts: list[int]) -> bytes | None:
    """What came after the end; None if there was none."""
    edges = [0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    pieces = [wire[start:stop] for start, stop in itertools.pairwise(edges)]
    for index, piece in enumerate(pieces):
        rest = body.feed(piece)
        if rest is not None:
            return rest + b"".join(pieces[index + 1 :])
    return None


@given(LINES, REST, st.lists(st.integers(0, 10_000)))
@example([], b"", [1, 2])
@example([b""], b"", [1, 2, 3, 4])
@example([b"."], b".\r\n", [3])
def test_letters_come_out_as_they_were_meant(lines: list[bytes], rest: bytes, cuts: list[int]) -> None:
    body = Body(ROOM)
    wire = stuffed(lines)
    assert rest == fed(body, wire + rest, cuts)
    content = body.content()
    assert b"".join(line + b"\r\n" for line in lines) == content
    assert (len(wire), False) == (body.received, body.too_large)
    assert not has_bare_line_ends(content)


@given(NASTY, st.lists(st.integers(0, 10_000)))
def test_an_end_is_exactly_this_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    """Whole or byte by byte makes no difference; anything but CRLF.CRLF is content."""
    whole, pieces, single = Body(ROOM), Body(ROOM), Body(ROOM)
    rest = fed(whole, data, [])
    assert rest == fed(pieces, data, cuts)
    assert rest == fed(single, data, list(range(len(data))))
    found = (b"\r\n" + data).find(END)
    assert (None if found < 0 else data[found + 3 :]) == rest
    if rest is not None:
        assert whole.content() == pieces.content() == single.content()


@given(LINES.filter(bool), st.lists(st.integers(0, 10_000)))
def test_the_size_counts_without_stuffed_dots(lines: list[bytes], cuts: list[int]) -> None:
    """RFC 1870 §5: what is stored counts."""
    size = sum(len(line) + 2 for line in lines)
    exact, less = Body(size), Body(size - 1)
    assert b"" == fed(exact, stuffed(lines), cuts)
    assert b"QUIT" == fed(less, stuffed(lines) + b"QUIT", cuts)
    exact.content()
    if not less.too_large:
        less.content()
    assert (False, True) == (exact.too_large, less.too_large)


def test_too_much_is_dropped_as_it_comes_and_the_end_still_found() -> None:
    body = Body(1_000)
    for _ in range(3):
        assert body.feed(b"x" * 1_000) is None
    assert body.too_large
    assert body.held < len(END)
    assert not body.is_hopeless
    assert body.feed(b"\r\n.") is None
    assert body.feed(b"\r\nQUIT\r\n") == b"QUIT\r\n"


def test_without_line_ends_it_is_hopeless_at_some_point() -> None:
    body = Body(1_000)
    while not body.is_hopeless:
        assert body.feed(b"x" * 100) is None
    assert DISCARD * 1_000 + 100 == body.received


@pytest.mark.parametrize(
    ("content", "bare"),
    [
        (b"", False),
        (b"a\r\nb\r\n", False),
        (b"a\nb\r\n", True),
        (b"a\rb\r\n", True),
        (b"a\n\rb\r\n", True),
        (b"a\r\r\n", True),
        (b"\n.\r\n", True),
        (b"\0\r\n", False),
    ],
)
def test_line_ends_alone_are_seen(content: bytes, bare: bool) -> None:
    assert bare == has_bare_line_ends(content)
