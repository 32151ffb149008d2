import contextlib

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import cbor
from protocol.errors import LocalProtocolError, RemoteProtocolError

OWN_SCALARS = (
    st.booleans() | st.integers(-cbor.MAX_INT, cbor.MAX_INT) | st.binary(max_size=300) | st.text(max_size=40)
)
OWN = st.recursive(
    OWN_SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=30,
)
FOREIGN = st.recursive(
    OWN_SCALARS
    | st.none()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=30,
)


@given(OWN)
def test_our_own_form_reads_back_and_encodes_the_same(value: cbor.Value) -> None:
    data = cbor.encode(value)
    assert cbor.decode(data) == value
    assert cbor.decode(data, foreign=True) == value
    assert cbor.encode(cbor.decode(data)) == data


@given(FOREIGN)
def test_foreign_encodings_are_read(value: cbor.Value) -> None:
    assert cbor.decode(cbor2.dumps(value), foreign=True) == value


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_parse_or_are_refused(data: bytes, foreign: bool) -> None:
    try:
        value = cbor.decode(data, foreign=foreign)
    except RemoteProtocolError:
        return
    if not foreign:
        assert cbor.encode(value) == data


@given(OWN, st.data())
def test_changed_bytes_parse_or_are_refused(value: cbor.Value, data: st.DataObject) -> None:
    encoded = bytearray(cbor.encode(value))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RemoteProtocolError):
        assert cbor.encode(cbor.decode(bytes(encoded))) == encoded


@given(OWN, st.data())
def test_every_cut_is_refused(value: cbor.Value, data: st.DataObject) -> None:
    encoded = cbor.encode(value)
    with pytest.raises(RemoteProtocolError):
        cbor.decode(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


def test_a_flood_of_items_is_refused() -> None:
    most = b"\x9a" + (cbor.MAX_ITEMS - 1).to_bytes(4, "big") + bytes(cbor.MAX_ITEMS - 1)
    over = b"\x9a" + cbor.MAX_ITEMS.to_bytes(4, "big") + bytes(cbor.MAX_ITEMS)
    assert cbor.decode(most) == [0] * (cbor.MAX_ITEMS - 1)
    with pytest.raises(RemoteProtocolError, match="more than"):
        cbor.decode(over)


def test_a_byte_string_of_a_whole_frame_is_read() -> None:
    body = bytes(1_048_000)
    assert cbor.decode(cbor.encode({"body": body})) == {"body": body}


@pytest.mark.parametrize(
    "value", [None, 1.5, 2**53, -(2**53), {1: 2}, {"a": None}, [object()], {1}, "\ud800"]
)
def test_what_our_kinds_may_not_hold_is_not_written(value: object) -> None:
    with pytest.raises(LocalProtocolError):
        cbor.encode(value)  # type: ignore[arg-type]  # what a caller without types could hand in


def test_nesting_is_counted_alike_by_writer_and_reader() -> None:
    value: cbor.Value = []
    for _ in range(cbor.MAX_DEPTH - 1):
        value = [value]
    assert cbor.decode(cbor.encode(value)) == value
    with pytest.raises(LocalProtocolError):
        cbor.encode([value])
    with pytest.raises(RemoteProtocolError):
        cbor.decode(b"\x81" + cbor.encode(value))
