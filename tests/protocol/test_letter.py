"""Letters (protocol.md §6): what was sealed opens and reads; what was forged, cut or late does not."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cbor import Value, decode
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.handshake import Sender, Terms, accept
from protocol.kdf import blake2b, kdf
from protocol.keys import mailbox_of, x25519, x25519_public
from protocol.letter import (
    HEADER_BYTES,
    KIND,
    LETTER_LIFE_MS,
    MAX_ENVELOPE,
    MAX_INNER,
    MAX_RECORDS,
    MAX_SIGNED,
    MIN_ENVELOPE,
    Inner,
    check_from,
    envelope_id,
    envelope_week,
    open_envelope,
    payload_hash,
    read_inner,
    seal,
    sign_inner,
)
from protocol.record import MAX_AHEAD_MS, Record, sign_record
from protocol.status import (
    EXPIRED,
    FAILED,
    FORGED_FROM,
    MALFORMED,
    PREKEY_GONE,
    TIME,
    TOO_LARGE,
    WRONG_RECIPIENT,
    Status,
)
from protocol.stream import MAX_REFS, ContentRef, Place
from tests.kit.hostile import changed, damaged, parses_or_refuses
from tests.kit.owners import GRANT, NOW, owner

ALICE, BOB, EVE = owner("alice"), owner("bob"), owner("eve")
WEEK, PREKEY = BOB.identity.prekey_for(NOW)
MESSAGE = b"From: a@b\r\nTo: c@d\r\n\r\nHello\r\n"
REF = ContentRef("a.pdf", "application/pdf", 70_000, bytes(32), "ipfs://bafkrei", Place(5), bytes(32))
WAY_BACK = accept(
    ALICE.key, Sender(address=BOB.address), Terms(), previous=None, fresh_grant=GRANT, now=NOW
).record

INNER = Inner(
    letter_id=b"\x07" * 32,
    to=BOB.public,
    sender=ALICE.identity,
    created=NOW,
    previous=b"\x06" * 32,
    thid="06" * 32,
    pthid="05" * 32,
    records=(WAY_BACK,),
    message=MESSAGE,
    message_hash=blake2b(b"the whole message"),
    refs=(REF,),
)
SIGNED = sign_inner(INNER, ALICE.key)
ENVELOPE = seal(SIGNED, WEEK, PREKEY)


def _payload() -> Mapping[str, Value]:
    return Record.decode(SIGNED, MAX_SIGNED).verify(KIND)


def _read(signed: bytes) -> Inner:
    return read_inner(signed, to=BOB.public, now=NOW)


def _open(blob: bytes) -> Inner:
    return _read(open_envelope(blob, BOB.private_of))


def _resigned(**change: Value) -> bytes:
    payload = {name: value for name, value in {**_payload(), **change}.items() if value is not None}
    return sign_record(KIND, payload, ALICE.key).encode()


def _refusal(blob: bytes) -> Status:
    with pytest.raises(RemoteProtocolError) as caught:
        open_envelope(blob, BOB.private_of)
    return caught.value.status


def test_a_letter_arrives_as_it_was_written() -> None:
    inner = _open(ENVELOPE)
    assert INNER == inner
    assert payload_hash(SIGNED) == blake2b(Record.decode(SIGNED, MAX_SIGNED).payload) == inner.payload_hash


def test_what_is_absent_is_left_out() -> None:
    bare = Inner(bytes(32), BOB.public, ALICE.identity, NOW, records=(WAY_BACK,))
    signed = sign_inner(bare, ALICE.key)
    names = set(Record.decode(signed, MAX_SIGNED).verify(KIND))
    assert {"letterId", "to", "from", "created", "records"} == names
    assert bare == _read(signed)


def test_the_same_letter_is_sealed_differently_each_time() -> None:
    again = seal(SIGNED, WEEK, PREKEY)
    assert SIGNED == open_envelope(again, BOB.private_of)
    assert envelope_id(ENVELOPE) != envelope_id(again)


def test_sizes_say_little() -> None:
    def size(n: int) -> int:
        return len(seal(bytes(n), WEEK, PREKEY))

    assert {MIN_ENVELOPE} == {size(n) for n in (0, 1, 4_092)}
    assert size(4_093) > MIN_ENVELOPE
    assert MAX_ENVELOPE == size(MAX_SIGNED)
    assert MAX_ENVELOPE < 1_048_576


def test_what_is_too_large_is_not_sealed() -> None:
    with pytest.raises(LocalProtocolError):
        seal(bytes(MAX_SIGNED + 1), WEEK, PREKEY)
    with pytest.raises(LocalProtocolError):
        sign_inner(replace(INNER, message=bytes(MAX_INNER)), ALICE.key)


def test_what_stands_outside_is_bound() -> None:
    for place in range(HEADER_BYTES):
        altered = bytearray(ENVELOPE)
        altered[place] ^= 1
        with pytest.raises(RemoteProtocolError):
            open_envelope(bytes(altered), BOB.private_of)


def test_another_owner_cannot_open_it() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        open_envelope(ENVELOPE, EVE.private_of)
    assert FAILED == caught.value.status


def test_each_bad_envelope_has_its_status() -> None:
    ephemeral = x25519_public(bytes(32))
    padded = bytearray(4_096)
    padded[-1] = 1
    assert FAILED == _refusal(ENVELOPE[:-1] + bytes([ENVELOPE[-1] ^ 1]))
    assert MALFORMED == _refusal(b"\x02" + ENVELOPE[1:])
    assert MALFORMED == _refusal(b"\x01\x02" + ENVELOPE[2:])
    assert MALFORMED == _refusal(ENVELOPE[: MIN_ENVELOPE - 1])
    assert TOO_LARGE == _refusal(bytes(MAX_ENVELOPE + 1))
    assert PREKEY_GONE == _refusal(seal(SIGNED, 2_899, PREKEY))
    assert MALFORMED == _refusal(ENVELOPE[:6] + bytes(32) + ENVELOPE[38:])  # low order
    assert MALFORMED == _refusal(_sealed_raw(bytes(padded), ephemeral))  # padded with more than zeros
    assert MALFORMED == _refusal(_sealed_raw(bytes(4_097), ephemeral))  # not a Padmé size


def _sealed_raw(padded: bytes, ephemeral: bytes) -> bytes:
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

    header = b"\x01\x01" + WEEK.to_bytes(4, "big") + ephemeral
    key = kdf(x25519(bytes(32), PREKEY), "letter", ephemeral, PREKEY)
    return header + encrypt(padded, header, bytes(24), key)


def test_the_week_is_readable_without_a_key() -> None:
    assert WEEK == envelope_week(ENVELOPE)


def test_a_letter_for_somebody_else() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        read_inner(SIGNED, to=EVE.public, now=NOW)
    assert WRONG_RECIPIENT == caught.value.status


@pytest.mark.parametrize(
    ("now", "doubtful", "status"),
    [
        (NOW - MAX_AHEAD_MS - 1, False, TIME),
        (NOW - MAX_AHEAD_MS - 1, True, TIME),
        (NOW + LETTER_LIFE_MS, False, EXPIRED),
        (NOW + LETTER_LIFE_MS, True, TIME),
    ],
)
def test_refused_because_of_time(now: int, doubtful: bool, status: Status) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        read_inner(SIGNED, to=BOB.public, now=now, doubtful=doubtful)
    assert status == caught.value.status


@pytest.mark.parametrize("now", [NOW - MAX_AHEAD_MS, NOW + LETTER_LIFE_MS - 1])
def test_just_in_time(now: int) -> None:
    assert INNER == read_inner(SIGNED, to=BOB.public, now=now)


def test_the_author_is_who_signed() -> None:
    record = Record.decode(SIGNED, MAX_SIGNED)
    forged = [
        sign_record(KIND, record.payload, EVE.key),  # Eve signs with Alice's identity inside
        replace(record, public_key=EVE.public),
        replace(record, signature=bytes(64)),
        replace(record, payload=record.payload + b"\0"),
        replace(record, kind="letter/2"),
        sign_record("receipt/1", record.payload, ALICE.key),
    ]
    for bad in forged:
        with pytest.raises(RemoteProtocolError) as caught:
            _read(bad.encode())
        assert MALFORMED == caught.value.status
    with pytest.raises(LocalProtocolError):
        sign_inner(INNER, EVE.key)


def test_the_signature_is_checked_before_the_payload_is_decoded() -> None:
    record = replace(Record.decode(SIGNED, MAX_SIGNED), payload=b"\xff")
    with pytest.raises(RemoteProtocolError, match="signature"):
        _read(record.encode())


def test_the_identity_inside_holds_as_of_the_letter() -> None:
    late = NOW + 91 * 86_400_000
    with pytest.raises(RemoteProtocolError) as caught:
        read_inner(_resigned(created=late), to=BOB.public, now=late)
    assert TIME == caught.value.status
    kept = NOW + 89 * 86_400_000
    assert kept == read_inner(_resigned(created=kept), to=BOB.public, now=kept).created


@pytest.mark.parametrize(
    "change",
    [
        {"letterId": bytes(31)},
        {"letterId": None},
        {"to": bytes(31)},
        {"from": b""},
        {"created": "now"},
        {"created": -1},
        {"thid": "x" * 129},
        {"records": [b"\0"] * (MAX_RECORDS + 1)},
        {"records": [bytes(131_073)]},
        {"message": "text"},
        {"message": None},
        {"message": None, "records": None, "refs": None, "messageHash": None},
        {"messageHash": None},
        {"refs": None},
        {"refs": [REF.to_value()] * (MAX_REFS + 1)},
        {"refs": [{**REF.to_value(), "place": {"offset": len(MESSAGE) + 1, "encoding": "identity"}}]},
    ],
)
def test_a_payload_that_is_refused(change: dict[str, Value]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        _read(_resigned(**change))
    assert MALFORMED == caught.value.status


def test_what_no_recipient_would_take_is_our_mistake() -> None:
    for bad in (replace(INNER, letter_id=b""), replace(INNER, message_hash=None), replace(INNER, created=-1)):
        with pytest.raises(LocalProtocolError):
            sign_inner(bad, ALICE.key)


def test_unknown_fields_are_ignored_and_kept() -> None:
    assert INNER == _read(_resigned(mood="good"))


@pytest.mark.parametrize(
    ("mailboxes", "fits"),
    [
        ([mailbox_of(ALICE.address)], True),
        ([mailbox_of(ALICE.address).upper()], True),
        (["alice@example.com"], True),
        ([" Alice@EXAMPLE.com"], True),
        (["eve@example.com"], False),
        ([mailbox_of(BOB.address)], False),
        ([], False),
        ([mailbox_of(ALICE.address)] * 2, False),
        ([mailbox_of(ALICE.address), "alice@example.com"], False),
        (["nonsense"], False),
        ([""], False),
    ],
)
def test_from_is_bound(mailboxes: list[str], fits: bool) -> None:
    if fits:
        check_from(mailboxes, ALICE.address, {"alice@example.com"})
        return
    with pytest.raises(RemoteProtocolError) as caught:
        check_from(mailboxes, ALICE.address, {"alice@example.com"})
    assert FORGED_FROM == caught.value.status


@given(st.lists(st.text(max_size=40), max_size=2))
def test_any_from_is_bound_or_refused(mailboxes: list[str]) -> None:
    with pytest.raises(RemoteProtocolError):
        check_from(mailboxes, ALICE.address, {"alice@example.com"})


@given(st.binary(max_size=5_000) | damaged(ENVELOPE))
def test_any_envelope_opens_or_is_refused(blob: bytes) -> None:
    parses_or_refuses(_open, blob)


@given(st.binary(max_size=500) | damaged(SIGNED))
def test_any_inner_is_read_or_refused(signed: bytes) -> None:
    parses_or_refuses(_read, signed)


@given(changed(_payload()))
def test_any_signed_payload_is_read_or_refused(payload: dict[str, Value]) -> None:
    parses_or_refuses(_read, sign_record(KIND, payload, ALICE.key).encode())


@given(damaged(Record.decode(SIGNED, MAX_SIGNED).payload))
def test_any_signed_bytes_are_read_or_refused(payload: bytes) -> None:
    parses_or_refuses(_read, sign_record(KIND, payload, ALICE.key).encode())


@given(st.binary(max_size=6_000))
def test_whatever_is_sealed_opens(data: bytes) -> None:
    assert data == open_envelope(seal(data, WEEK, PREKEY), BOB.private_of)


def test_the_payload_is_deterministic() -> None:
    assert SIGNED == sign_inner(INNER, ALICE.key)
    assert _payload() == decode(Record.decode(SIGNED, MAX_SIGNED).payload)
