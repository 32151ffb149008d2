from collections.abc import Callable

import pytest

from protocol.cbor import Value, encode
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields

GOOD: dict[str, Value] = {
    "b": b"abc",
    "i": 7,
    "t": "é!",
    "f": True,
    "l": [1, "x"],
    "bb": [b"12", b"34"],
    "tt": ["a", "b"],
    "m": {"inner": 1},
    "mm": [{"n": 1}, {"n": 2}],
}


def test_every_reader_gives_what_is_there() -> None:
    fields = Fields.decode(encode(GOOD), "test/1")
    assert (fields.bytes("b"), fields.bytes("b", length=3), fields.bytes("b", most=3)) == (b"abc",) * 3
    assert (fields.int("i"), fields.int("i", least=7, most=7)) == (7, 7)
    assert fields.text("t", 3, least=3) == "é!"
    assert (fields.flag("f"), fields.flag("absent")) == (True, False)
    assert fields.list("l", 2) == (1, "x")
    assert fields.bytes_list("bb", 2, length=2) == fields.bytes_list("bb", 2, most_bytes=2) == (b"12", b"34")
    assert fields.texts("tt", 2, 1) == ("a", "b")
    assert fields.map("m").int("inner") == 1
    assert [item.int("n") for item in fields.maps("mm", 2)] == [1, 2]
    assert fields.has("b")
    assert not fields.has("absent")
    assert fields.value("f") is True
    assert fields.raw == GOOD


def test_what_is_optional_may_be_absent_but_not_wrong() -> None:
    fields = Fields(GOOD)
    assert (fields.optional_bytes("x"), fields.optional_int("x"), fields.optional_text("x")) == (None,) * 3
    assert fields.optional_map("x") is None
    assert (fields.optional_bytes("b"), fields.optional_int("i"), fields.optional_text("t")) == (
        b"abc",
        7,
        "é!",
    )
    inner = fields.optional_map("m")
    assert inner is not None
    assert inner.int("inner") == 1


@pytest.mark.parametrize(
    "read",
    [
        lambda f: f.value("absent"),
        lambda f: f.bytes("absent"),
        lambda f: f.bytes("t"),
        lambda f: f.bytes("b", length=2),
        lambda f: f.bytes("b", most=2),
        lambda f: f.int("f"),
        lambda f: f.int("t"),
        lambda f: f.int("i", least=8),
        lambda f: f.int("i", most=6),
        lambda f: f.text("b"),
        lambda f: f.text("t", 2),
        lambda f: f.text("t", least=4),
        lambda f: f.text("surrogate"),
        lambda f: f.flag("i"),
        lambda f: f.list("t", 9),
        lambda f: f.list("b", 9),
        lambda f: f.list("m", 9),
        lambda f: f.list("l", 1),
        lambda f: f.bytes_list("tt", 2),
        lambda f: f.bytes_list("bb", 2, length=1),
        lambda f: f.bytes_list("bb", 2, most_bytes=1),
        lambda f: f.texts("bb", 2),
        lambda f: f.texts("tt", 2, 0),
        lambda f: f.map("l"),
        lambda f: f.maps("l", 2),
        lambda f: f.maps("mm", 1),
        lambda f: f.optional_bytes("t"),
        lambda f: f.optional_map("t"),
        lambda f: Fields(f.value("l")),
    ],
)
def test_what_does_not_fit_is_refused_by_name(read: Callable[[Fields], object]) -> None:
    with pytest.raises(RemoteProtocolError, match=r"test/1|message"):
        read(Fields({**GOOD, "surrogate": "\ud800"}, "test/1"))
