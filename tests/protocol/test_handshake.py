"""Handshakes (protocol.md §5): the state table, what we sign, what we read of other software."""

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cbor import decode, encode
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.handshake import (
    KIND,
    MAX_PAYLOAD_BYTES,
    TRANSITIONS,
    Event,
    Handshake,
    Level,
    Sender,
    State,
    Terms,
    Type,
    accept,
    parse_handshake,
    revoke,
    sign_handshake,
    transition,
)
from protocol.handshake_json import parse_wrapped
from protocol.record import Record
from protocol.status import TIME, TOO_LARGE
from tests.kit.foreign import foreign_cbor
from tests.kit.hostile import changed, damaged, parses_or_refuses
from tests.kit.owners import GRANT, NOW, owner

ALICE, BOB = owner("alice"), owner("bob")
TO_BOB = Sender(address=BOB.address)
EMAIL_HASH = base64.b64encode(bytes(range(32))).decode()
NEW_GRANT = bytes(16)
DAY = 86_400_000

N, Q, A, R = State.NONE, State.REQUEST, State.ACCEPTED, State.REVOKED

FULL = Terms(Type.SIGNUP, Level.RECAPTCHA_V3, NOW + 90 * DAY, "newsletter", 1_440)
FIRST = accept(ALICE.key, TO_BOB, FULL, previous=None, fresh_grant=GRANT, now=NOW)


def _signed(payload: bytes) -> bytes:
    return Record(KIND, payload, ALICE.public, ALICE.key.sign(payload)).encode()


def _foreign() -> dict[str, object]:
    return {
        "handshakeId": "whatever",
        "originServer": {"domain": "localhost:8080"},
        "type": "user",
        "status": "accepted",
        "level": "none",
        "ownerPublicKey": base64.b64encode(ALICE.public).decode(),
        "ownerAddress": ALICE.address,
        "created": float(NOW),
        "senderMetadata": {"emailHash": EMAIL_HASH},
        "signatureScheme": "EdDSA_X25519",
    }


def test_the_table_is_that_of_the_protocol() -> None:
    rows = {
        # from: request arrives, owner accepts, owner revokes, expires
        N: (Q, A, R, None),
        Q: (Q, A, R, N),
        A: (A, A, R, N),
        R: (R, A, R, None),
    }
    table = {(state, event): TRANSITIONS.get((state, event)) for state in State for event in Event}
    assert {(s, e): to for s, row in rows.items() for e, to in zip(Event, row, strict=True)} == table


def test_a_dash_of_the_table_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError):
        transition(State.REVOKED, Event.EXPIRES)


def test_what_was_signed_is_read() -> None:
    assert FIRST == parse_handshake(FIRST.record, NOW)
    assert (TO_BOB, FULL, GRANT, NOW, NOW) == (
        FIRST.sender, FIRST.terms, FIRST.grant, FIRST.created, FIRST.seq,
    )  # fmt: skip


def test_the_payload_has_the_names_of_other_software() -> None:
    assert {
        "handshakeId": FIRST.handshake_id,
        "type": "signup",
        "status": "accepted",
        "level": "recaptchaV3",
        "ownerPublicKey": base64.b64encode(ALICE.public).decode(),
        "ownerAddress": ALICE.address,
        "senderMetadata": {"address": BOB.address},
        "signupSubType": "newsletter",
        "signupRules": {"frequencyMinutes": 1_440},
        "signatureScheme": "EdDSA_X25519",
        "created": NOW,
        "seq": NOW,
        "expires": NOW + 90 * DAY,
        "grant": GRANT,
    } == decode(FIRST.payload)


def test_a_grant_lives_as_long_as_it_stays_accepted() -> None:
    def again(previous: Handshake, now: int) -> Handshake:
        return accept(ALICE.key, TO_BOB, Terms(), previous=previous, fresh_grant=NEW_GRANT, now=now)

    revoked = revoke(ALICE.key, TO_BOB, previous=FIRST, now=NOW)
    assert GRANT == again(FIRST, NOW).grant
    assert NEW_GRANT == again(FIRST, NOW + 90 * DAY).grant  # it had expired
    assert NEW_GRANT == again(revoked, NOW).grant
    assert GRANT == revoked.grant
    assert revoke(ALICE.key, TO_BOB, previous=None, now=NOW).grant is None


def test_seq_grows_even_when_the_clock_does_not() -> None:
    revoked = revoke(ALICE.key, TO_BOB, previous=FIRST, now=NOW - DAY)
    assert NOW + 1 == revoked.seq


def test_a_revocation_keeps_type_and_level_and_never_expires() -> None:
    revoked = revoke(ALICE.key, TO_BOB, previous=FIRST, now=NOW)
    assert replace(FULL, expires=None) == revoked.terms
    assert State.REVOKED is revoked.state(NOW + 10_000 * DAY)


def test_expiry_is_judged_only_by_an_undoubted_clock() -> None:
    end = NOW + 90 * DAY
    assert (A, N, A) == (FIRST.state(end - 1), FIRST.state(end), FIRST.state(None))


def test_what_we_never_sign() -> None:
    revoked = revoke(ALICE.key, TO_BOB, previous=None, now=NOW)
    wrong = [
        (replace(FIRST, status=State.REQUEST), ALICE.key),
        (replace(FIRST, status=State.NONE), ALICE.key),
        (replace(revoked, terms=FULL), ALICE.key),
        (FIRST, BOB.key),
        (replace(FIRST, grant=bytes(15)), ALICE.key),
        (replace(FIRST, created=1_000), ALICE.key),
        (replace(FIRST, owner_address=BOB.address), ALICE.key),
    ]
    for handshake, key in wrong:
        with pytest.raises(LocalProtocolError):
            sign_handshake(handshake, key)


def test_a_sender_is_one_name() -> None:
    for names in [(None, None), (BOB.address, EMAIL_HASH)]:
        with pytest.raises(LocalProtocolError):
            Sender(*names)


def test_a_foreign_handshake_is_read() -> None:
    read = parse_handshake(_signed(foreign_cbor(_foreign())))
    expected = Handshake(
        status=State.ACCEPTED,
        owner_public_key=ALICE.public,
        owner_address=ALICE.address,
        sender=Sender(email_hash=EMAIL_HASH),
        terms=Terms(Type.USER, Level.NONE),
        created=NOW,
        seq=NOW,
        origin_domain="localhost:8080",
    )
    assert expected == replace(read, payload=b"", record=b"")


@pytest.mark.parametrize(
    ("change", "created", "seq"),
    [
        ({"created": NOW}, NOW, NOW),
        ({"created": NOW + 0.75}, NOW, NOW),
        ({"created": NOW // 1_000}, NOW, NOW),
        ({"created": NOW / 1_000 + 0.5}, NOW + 500, NOW + 500),
        ({"seq": 7}, NOW, 7),
        ({"seq": 7.0, "signupRules": None, "grant": None, "extra": {"a": None}}, NOW, 7),
    ],
)
def test_foreign_numbers(change: dict[str, object], created: int, seq: int) -> None:
    read = parse_handshake(_signed(foreign_cbor({**_foreign(), **change})))
    assert (created, seq) == (read.created, read.seq)


def test_the_largest_payload_is_read_and_one_byte_more_is_not() -> None:
    room = MAX_PAYLOAD_BYTES - len(foreign_cbor({**_foreign(), "filler": ""}))
    largest = foreign_cbor({**_foreign(), "filler": "x" * room})
    assert largest == parse_handshake(_signed(largest)).payload
    with pytest.raises(RemoteProtocolError) as refusal:
        parse_handshake(_signed(foreign_cbor({**_foreign(), "filler": "x" * (room + 1)})))
    assert refusal.value.status == TOO_LARGE


def test_a_foreign_revocation_never_expires() -> None:
    read = parse_handshake(_signed(foreign_cbor({**_foreign(), "status": "revoked", "expires": float(NOW)})))
    assert (State.REVOKED, None) == (read.state(NOW + DAY), read.terms.expires)


def test_a_foreign_request_is_read() -> None:
    assert Q is parse_handshake(_signed(foreign_cbor({**_foreign(), "status": "request"}))).status


@pytest.mark.parametrize(
    "change",
    [
        {"ownerPublicKey": base64.b64encode(BOB.public).decode()},
        {"ownerPublicKey": base64.b64encode(ALICE.public).decode().rstrip("=")},
        {"ownerPublicKey": ALICE.public.hex()},
        {"ownerAddress": BOB.address},
        {"ownerAddress": BOB.address, "ownerPublicKey": base64.b64encode(BOB.public).decode()},
        {"ownerAddress": "0x12"},
        {"senderMetadata": {}},
        {"senderMetadata": None},
        {"senderMetadata": {"emailHash": EMAIL_HASH, "address": BOB.address}},
        {"senderMetadata": {"emailHash": "AAAA"}},
        {"senderMetadata": {"emailHash": "A" * 42 + "B="}},  # another spelling of the same bytes
        {"senderMetadata": {"address": "bob"}},
        {"status": "none"},
        {"status": "friend"},
        {"type": "boss"},
        {"type": 0},
        {"level": "high"},
        {"signatureScheme": "none"},
        {"created": None},
        {"created": 1e300},
        {"created": 2**60},
        {"created": "now"},
        {"expires": b"1"},
        {"grant": bytes(15)},
        {"signupRules": {"frequencyMinutes": "daily"}},
    ],
)
def test_what_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_handshake(_signed(foreign_cbor({**_foreign(), **change})))


def test_not_a_number_and_infinity_are_refused() -> None:
    for bad in (float("nan"), float("inf"), -1.0):
        with pytest.raises(RemoteProtocolError):
            parse_handshake(_signed(foreign_cbor({**_foreign(), "created": bad})))


def test_another_signature_or_kind_is_refused() -> None:
    record = Record.decode(FIRST.record, 8_192)
    for bad in (
        replace(record, signature=bytes(64)),
        replace(record, public_key=BOB.public),
        replace(record, kind="letter/1"),
        replace(record, kind="handshake/2"),
        # our own kinds sign more than the bare payload, so that neither passes for the other
        replace(record, signature=ALICE.key.sign(b"mailio/handshake/1\0" + record.payload)),
    ):
        with pytest.raises(RemoteProtocolError):
            parse_handshake(bad.encode())


def test_a_seq_from_the_future_is_for_later() -> None:
    assert FIRST == parse_handshake(FIRST.record, NOW - 600_000)
    with pytest.raises(RemoteProtocolError) as caught:
        parse_handshake(FIRST.record, NOW - 600_001)
    assert TIME == caught.value.status


def _wrap(payload: bytes) -> bytes:
    return json.dumps(
        {
            "content": _foreign(),
            "signatureBase64": base64.b64encode(ALICE.key.sign(payload)).decode(),
            "cborPayloadBase64": base64.b64encode(payload).decode(),
        }
    ).encode()


def test_the_json_of_other_software_is_read() -> None:
    payload = foreign_cbor(_foreign())
    assert parse_handshake(_signed(payload)) == parse_wrapped(_wrap(payload), NOW)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[" * 10_000,
        b"1" * 5_000,
        b"\xff",
        b'{"content": {}}',
        b'{"content": 5, "signatureBase64": "", "cborPayloadBase64": ""}',
        _wrap(b"\xa0"),
        _wrap(foreign_cbor(_foreign())).replace(b"signatureBase64", b"signature"),
        _wrap(foreign_cbor(_foreign())) + b" " * 20_000,
    ],
)
def test_bad_json_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_wrapped(data)


@given(st.binary(max_size=300) | damaged(FIRST.record))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    parses_or_refuses(parse_handshake, data)
    parses_or_refuses(parse_wrapped, data)


@given(damaged(FIRST.payload) | changed(decode(FIRST.payload)).map(encode))  # type: ignore[arg-type]  # a map
def test_any_signed_payload_parses_or_is_refused(payload: bytes) -> None:
    parses_or_refuses(parse_handshake, _signed(payload))


@given(damaged(_wrap(foreign_cbor(_foreign()))))
def test_any_json_parses_or_is_refused(data: bytes) -> None:
    parses_or_refuses(parse_wrapped, data)
