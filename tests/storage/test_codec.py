import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.storage.codec import MAX_INT, Field, Key, after, decode, encode
from node.storage.schema import SPACES

# Bytes near the escapes, where an encoding would go wrong.
PART = st.lists(st.sampled_from([b"\x00", b"\x01", b"\xff", b"a"]), max_size=4).map(b"".join) | st.binary(
    max_size=8
)
NUMBER = st.integers(0, MAX_INT)
FIELDS: tuple[Field, ...] = ("bytes", "int", "bytes", "bytes")
KEYS = st.tuples(PART, NUMBER, PART, PART)


@given(KEYS)
def test_a_key_comes_back(key: Key) -> None:
    assert decode(FIELDS, encode(FIELDS, key)) == key


@given(KEYS, KEYS)
def test_bytes_sort_as_keys_do(one: Key, other: Key) -> None:
    assert (encode(FIELDS, one) < encode(FIELDS, other)) == (one < other)


@given(KEYS, KEYS, st.integers(0, 4))
def test_a_prefix_of_a_key_is_a_prefix_of_its_bytes(one: Key, other: Key, length: int) -> None:
    low = b"\x01" + encode(FIELDS, one[:length])
    inside = low <= b"\x01" + encode(FIELDS, other) < after(low)
    assert inside == (other[:length] == one[:length])


@given(st.lists(st.sampled_from(["int", "bytes"]), max_size=4), st.binary(max_size=40))
def test_any_bytes_are_a_key_or_refused(fields: list[Field], data: bytes) -> None:
    try:
        key = decode(fields, data)
    except ValueError:
        return
    assert encode(fields, key) == data


@pytest.mark.parametrize("key", [(b"a", -1), (b"a", MAX_INT + 1), (b"a", b"b"), (b"a", 1, b"", b"", b"")])
def test_what_can_not_be_a_key(key: Key) -> None:
    with pytest.raises(ValueError):
        encode(FIELDS, key)


def test_a_number_is_no_byte_string() -> None:
    with pytest.raises(TypeError):
        encode(FIELDS, (1,))


def test_every_space_has_a_name_and_prefix_of_its_own() -> None:
    assert len({space.name for space in SPACES}) == len(SPACES)
    assert len({space.prefix for space in SPACES}) == len(SPACES)
    assert all(0 < space.prefix < 255 and space.doc for space in SPACES)
