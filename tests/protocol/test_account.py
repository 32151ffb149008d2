"""What an owner keeps at a host, and how either proves itself (protocol.md §6, §11)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.account import (
    MAX_DEPOSIT_BYTES,
    MAX_FILE_BYTES,
    MAX_KEY_BYTES,
    Deposited,
    Entry,
    Item,
    KeptFile,
    KeyRule,
    account_message,
    friend_message,
    parse_deposit,
    peer_key_of,
    replaces,
    sign_deposit,
)
from protocol.cbor import MAX_INT, Value, encode
from protocol.errors import RemoteProtocolError
from protocol.fields import Fields
from protocol.kdf import blake2b
from protocol.keys import SigningKey
from protocol.record import Record, sign_record
from tests.kit.hostile import changed, damaged, parses_or_refuses
from tests.kit.owners import NOW, PEER_ID

HOST = SigningKey.from_seed(bytes(range(32)))
HOST_ID = PEER_ID[:6] + HOST.public
DEPOSITED = Deposited(b"\x0a" * 32, b"\x0e" * 32, NOW)
WORD = sign_deposit(DEPOSITED, HOST)
RULE = KeyRule(60_000, 1_000_000, NOW)
KEPT = KeptFile(b"\x01\x55\x12\x20" + bytes(32), 2**40, NOW)


def test_what_an_account_key_signs() -> None:
    client = b"\x12\x20" + bytes(range(32))
    expected = (
        b"mailio/account/1\0" + b"\x26" + HOST_ID + b"\x22" + client + b"h" * 32 + b"c" * 32 + b"a" * 32
    )
    assert expected == account_message(HOST_ID, client, b"h" * 32, b"c" * 32, b"a" * 32)
    assert b"mailio/account-open/1\0" + b"a" * 32 == friend_message(b"a" * 32)


def test_a_hosts_word_is_its_own() -> None:
    assert DEPOSITED == parse_deposit(WORD, HOST_ID)
    assert len(WORD) <= MAX_DEPOSIT_BYTES
    record = Record.decode(WORD, MAX_DEPOSIT_BYTES)
    other = SigningKey.from_seed(bytes(32))
    for bad in (
        sign_deposit(DEPOSITED, other),
        replace(record, public_key=other.public).encode(),
        replace(record, signature=bytes(64)).encode(),
        sign_record("receipt/1", record.payload, HOST).encode(),
        sign_record("deposit/1", {"account": b"\x0a" * 32, "until": NOW}, HOST).encode(),
    ):
        with pytest.raises(RemoteProtocolError):
            parse_deposit(bad, HOST_ID)


@pytest.mark.parametrize("peer_id", [b"", b"\x12\x20" + bytes(32), HOST_ID[:-1], HOST_ID + b"\0"])
def test_a_host_without_such_a_key_can_promise_nothing(peer_id: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        peer_key_of(peer_id)
    with pytest.raises(RemoteProtocolError):
        parse_deposit(WORD, peer_id)


def test_which_of_two_items_counts() -> None:
    low, high = sorted([Item(bytes(32), 5, b"one").entry, Item(bytes(32), 5, b"two").entry], key=_hash)
    later = replace(high, seq=6)
    found = {(a, b): replaces(a, b) for a in (low, high, later) for b in (low, high, later)}
    assert {(low, high), (later, low), (later, high)} == {pair for pair, wins in found.items() if wins}


def _hash(entry: Entry) -> bytes:
    return entry.hash


def test_a_file_is_named_by_its_cid() -> None:
    assert blake2b(KEPT.cid) == KEPT.id


def test_rules_and_files_fit() -> None:
    assert len(KeyRule(MAX_INT, MAX_INT, MAX_INT).encode()) <= MAX_KEY_BYTES
    assert len(KeptFile(KEPT.cid, MAX_INT, MAX_INT).encode()) <= MAX_FILE_BYTES


@pytest.mark.parametrize(
    ("parse", "value"),
    [
        (KeyRule.parse, {"interval": 1, "share": 1}),
        (KeyRule.parse, {"interval": -1, "share": 1, "until": 0}),
        (KeptFile.parse, {"cid": bytes(35), "size": 1, "until": 0}),
        (KeptFile.parse, {"cid": bytes(36), "size": 0, "until": 0}),
        (KeptFile.parse, []),
    ],
)
def test_what_is_no_rule_and_no_file(parse: object, value: Value) -> None:
    assert callable(parse)
    with pytest.raises(RemoteProtocolError):
        parse(encode(value))


@given(st.binary(max_size=100) | damaged(WORD))
def test_any_bytes_as_a_hosts_word(data: bytes) -> None:
    parses_or_refuses(lambda data: parse_deposit(data, HOST_ID), data)


@given(changed({"account": DEPOSITED.account, "envelopeId": DEPOSITED.envelope_id, "until": NOW}))
def test_any_signed_map_as_a_hosts_word(payload: dict[str, Value]) -> None:
    data = sign_record("deposit/1", encode(payload), HOST).encode()
    parses_or_refuses(lambda data: parse_deposit(data, HOST_ID), data)


@given(st.binary(max_size=100) | damaged(RULE.encode()))
def test_any_bytes_as_a_rule(data: bytes) -> None:
    parses_or_refuses(lambda data: _again(KeyRule.parse(data)), data)


@given(st.binary(max_size=100) | damaged(KEPT.encode()))
def test_any_bytes_as_a_kept_file(data: bytes) -> None:
    parses_or_refuses(lambda data: _again(KeptFile.parse(data)), data)


def _again(value: KeyRule | KeptFile) -> None:
    """What was read is written as what is read again."""
    assert value == type(value).parse(value.encode())


@given(st.integers(0, MAX_INT), st.integers(0, MAX_INT), st.integers(0, MAX_INT))
def test_rules_are_read_as_they_were_made(interval: int, share: int, until: int) -> None:
    _again(KeyRule(interval, share, until))
    _again(KeptFile(KEPT.cid, max(1, share), until))


@given(changed(Item(bytes(32), NOW, b"data").to_map()))
def test_any_map_as_an_item(value: dict[str, Value]) -> None:
    parses_or_refuses(lambda data: Item.from_fields(Fields.decode(data), 100), encode(value))


@given(changed(Entry(bytes(32), NOW, bytes(32), whole=True).to_map()))
def test_any_map_as_an_entry(value: dict[str, Value]) -> None:
    parses_or_refuses(lambda data: Entry.from_fields(Fields.decode(data)), encode(value))
