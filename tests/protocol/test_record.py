import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cbor import Value, encode
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.keys import SigningKey
from protocol.record import MAX_AHEAD_MS, Record, newer, next_seq, refuse_ahead, sign_record
from protocol.status import MALFORMED, TIME, TOO_LARGE

KEY = SigningKey.from_seed(bytes(range(32)))
RECORD = sign_record("test/1", {"a": 1, "b": b"xyz"}, KEY)
LIMIT = 1_000


def test_a_record_reads_back_and_verifies() -> None:
    read = Record.decode(RECORD.encode(), LIMIT)
    assert read == RECORD
    assert read.public_key == KEY.public
    assert read.verify() == read.verify("test/1") == {"a": 1, "b": b"xyz"}


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Record.decode(data, LIMIT).verify()


@given(st.integers(0, len(RECORD.encode()) - 1), st.integers(1, 255))
def test_every_changed_byte_is_refused(place: int, change: int) -> None:
    data = bytearray(RECORD.encode())
    data[place] ^= change
    with pytest.raises(RemoteProtocolError):
        Record.decode(bytes(data), LIMIT).verify("test/1")


def test_a_signature_holds_for_its_kind_only() -> None:
    other = replace(RECORD, kind="test/2")
    with pytest.raises(RemoteProtocolError, match="signature"):
        other.verify()
    with pytest.raises(RemoteProtocolError, match="instead of"):
        RECORD.verify("test/2")


def test_a_signature_over_another_form_of_the_payload_is_no_way_in() -> None:
    foreign = sign_record("test/1", bytes.fromhex("a1616118 01".replace(" ", "")), KEY)
    not_a_map = sign_record("test/1", encode([1]), KEY)
    for record in (foreign, not_a_map):
        with pytest.raises(RemoteProtocolError):
            record.verify()


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"kind": "Test/1"},
        {"kind": "test/1\0x"},
        {"kind": "test/0"},
        {"kind": ""},
        {"kind": "x" * 33},
        {"kind": b"test/1"},
        {"payload": "text"},
        {"publicKey": bytes(31)},
        {"signature": bytes(63)},
    ],
)
def test_what_is_no_record_is_refused(change: dict[str, Value]) -> None:
    good: dict[str, Value] = {
        "kind": RECORD.kind,
        "payload": RECORD.payload,
        "publicKey": RECORD.public_key,
        "signature": RECORD.signature,
    }
    assert Record.decode(encode(good), LIMIT) == RECORD
    with pytest.raises(RemoteProtocolError) as caught:
        Record.decode(encode({**good, **change}), LIMIT)
    assert caught.value.status == MALFORMED


def test_a_record_over_its_limit_is_refused_before_it_is_read() -> None:
    data = RECORD.encode()
    assert Record.decode(data, len(data)) == RECORD
    with pytest.raises(RemoteProtocolError) as caught:
        Record.decode(data, len(data) - 1)
    assert caught.value.status == TOO_LARGE


@pytest.mark.parametrize("kind", ["", "Test/1", "test/1\0", "x" * 40])
def test_we_sign_no_other_kinds(kind: str) -> None:
    with pytest.raises(LocalProtocolError):
        sign_record(kind, {}, KEY)


def test_seq_grows_with_the_clock_and_against_it() -> None:
    assert [next_seq(None, 50), next_seq(10, 50), next_seq(50, 50), next_seq(90, 50)] == [50, 50, 51, 91]


@given(st.integers(0, 3), st.binary(max_size=2), st.integers(0, 3), st.binary(max_size=2))
def test_of_two_different_records_exactly_one_wins(a_seq: int, a: bytes, b_seq: int, b: bytes) -> None:
    wins = newer(a_seq, a, b_seq, b) + newer(b_seq, b, a_seq, a)
    assert wins == ((a_seq, a) != (b_seq, b))


def test_ten_minutes_ahead_is_taken_and_no_more() -> None:
    refuse_ahead(1_000 + MAX_AHEAD_MS, 1_000, "test")
    with pytest.raises(RemoteProtocolError) as caught:
        refuse_ahead(1_001 + MAX_AHEAD_MS, 1_000, "test")
    assert caught.value.status == TIME


@given(st.data())
def test_cut_and_joined_records_are_refused(data: st.DataObject) -> None:
    whole = RECORD.encode()
    place = data.draw(st.integers(0, len(whole) - 1))
    with contextlib.suppress(RemoteProtocolError):
        Record.decode(whole[:place] + whole, LIMIT).verify()
        assert place == 0
    with pytest.raises(RemoteProtocolError):
        Record.decode(whole[:place], LIMIT)
