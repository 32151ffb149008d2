"""Receipts (protocol.md §6): signed by the letter's recipient and nobody else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cbor import Value
from protocol.errors import RemoteProtocolError
from protocol.receipt import (
    KIND,
    MAX_CID_BYTES,
    MAX_CIDS,
    MAX_RECORD_BYTES,
    Receipt,
    parse_receipt,
    sign_receipt,
)
from protocol.record import Record, sign_record
from protocol.status import OK, REVOKED
from tests.kit.hostile import changed, damaged, parses_or_refuses
from tests.kit.owners import NOW, owner

BOB, EVE = owner("bob"), owner("eve")
RECEIPT = Receipt(bytes(32), b"\x01" * 32, OK, ("bafkreia", "bafkreib"), NOW)
SIGNED = sign_receipt(RECEIPT, BOB.key)
PAYLOAD = Record.decode(SIGNED, MAX_RECORD_BYTES).verify(KIND)


def _parse(data: bytes) -> Receipt:
    return parse_receipt(data, BOB.public)


@pytest.mark.parametrize("receipt", [RECEIPT, replace(RECEIPT, status=REVOKED, cids=())])
def test_what_was_signed_is_read(receipt: Receipt) -> None:
    assert receipt == _parse(sign_receipt(receipt, BOB.key))


def test_the_largest_receipt_is_read() -> None:
    largest = replace(RECEIPT, cids=("x" * MAX_CID_BYTES,) * MAX_CIDS)
    assert largest == _parse(sign_receipt(largest, BOB.key))


def test_nobody_else_can_sign_it() -> None:
    for bad in (
        sign_receipt(RECEIPT, EVE.key),
        replace(Record.decode(SIGNED, MAX_RECORD_BYTES), signature=bytes(64)).encode(),
        sign_record("letter/1", PAYLOAD, BOB.key).encode(),
    ):
        with pytest.raises(RemoteProtocolError):
            _parse(bad)


@pytest.mark.parametrize(
    "change",
    [
        {"letterId": bytes(31)},
        {"hash": bytes(33)},
        {"status": "3.0.0"},
        {"status": 200},
        {"cids": ["x"] * (MAX_CIDS + 1)},
        {"cids": ["x" * (MAX_CID_BYTES + 1)]},
        {"cids": [b"x"]},
        {"time": -1},
    ],
)
def test_what_is_refused(change: dict[str, Value]) -> None:
    with pytest.raises(RemoteProtocolError):
        _parse(sign_record(KIND, {**PAYLOAD, **change}, BOB.key).encode())


@given(st.binary(max_size=300) | damaged(SIGNED))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    parses_or_refuses(_parse, data)


@given(changed(PAYLOAD))
def test_any_signed_payload_parses_or_is_refused(payload: dict[str, Value]) -> None:
    parses_or_refuses(_parse, sign_record(KIND, payload, BOB.key).encode())
