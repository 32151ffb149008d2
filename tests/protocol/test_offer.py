"""What is said on /mailio/letter/1 and /mailio/identity/1 (protocol.md §6, §8)."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cbor import Value, decode, encode
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.exchange_identity import IdentityAnswer, IdentityRequest
from protocol.letter import MAX_ENVELOPE, MIN_ENVELOPE
from protocol.offer import (
    MAX_OFFER_BYTES,
    MAX_SERVICE_BYTES,
    Answer,
    Challenge,
    GoAhead,
    KeyProof,
    Offer,
    Result,
    Stamp,
    encode_answer,
    offer_proof_message,
    parse_answer,
    prove_offer,
)
from protocol.status import MALFORMED, OK, PREKEY_GONE, TOO_LARGE, TOO_OFTEN, Status
from tests.kit.hostile import changed, damaged, parses_or_refuses
from tests.kit.owners import GRANT, NOW, PEER_ID, owner

ALICE, BOB = owner("alice"), owner("bob")
ID = bytes(range(32))
ACCOUNT = b"\x09" * 32
DELIVERY = ALICE.may_use(BOB).delivery_key(GRANT, PEER_ID)
DIRECT = Offer(ID, 12_345, 2_968, proof=prove_offer(DELIVERY, None, ID))
DEPOSIT = Offer(ID, MAX_ENVELOPE, 0, ACCOUNT, prove_offer(DELIVERY, ACCOUNT, ID), cancel=bytes(32))
STAMPED = Offer(ID, MIN_ENVELOPE, 2_968, proof=Stamp(bytes(16), bytes(8)))
BARE = Offer(ID, MAX_SERVICE_BYTES, 2**32 - 1, service=True)

CHALLENGE = Challenge(bytes(16), 6, NOW, 2_960, 14, 16_384)
ANSWERS: list[Answer] = [
    GoAhead(),
    CHALLENGE,
    Result(OK, receipt=b"\x01"),
    Result(TOO_OFTEN, "once a week", NOW),
    Result(PREKEY_GONE, identity=ALICE.identity.record),
    Result(Status("5.99.999")),
]


@pytest.mark.parametrize("offer", [DIRECT, DEPOSIT, STAMPED, BARE])
def test_an_offer_is_read_as_it_was_made(offer: Offer) -> None:
    data = offer.encode()
    assert offer == Offer.parse(data)
    assert len(data) <= MAX_OFFER_BYTES


def test_the_message_that_is_signed() -> None:
    assert b"mailio/offer/1\0" + bytes(32) + ID == offer_proof_message(None, ID)
    assert b"mailio/offer/1\0" + ACCOUNT + ID == offer_proof_message(ACCOUNT, ID)


def test_a_proof_holds_for_its_own_account_and_envelope() -> None:
    assert DIRECT.proof_holds()
    assert DEPOSIT.proof_holds()
    for bad in (
        replace(DIRECT, envelope_id=bytes(32)),
        replace(DIRECT, account=ACCOUNT),
        replace(DEPOSIT, account=None),
        replace(DIRECT, proof=KeyProof(ALICE.public, prove_offer(DELIVERY, None, ID).signature)),
        STAMPED,
        BARE,
    ):
        assert not bad.proof_holds()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"envelopeId": bytes(31)}, MALFORMED),
        ({"size": MAX_ENVELOPE + 1}, TOO_LARGE),
        ({"size": MIN_ENVELOPE - 1}, MALFORMED),
        ({"service": True, "size": MAX_SERVICE_BYTES + 1}, MALFORMED),
        ({"service": 1}, MALFORMED),
        ({"week": 2**32}, MALFORMED),
        ({"account": bytes(31)}, MALFORMED),
        ({"cancel": ""}, MALFORMED),
        ({"proof": {}}, MALFORMED),
        ({"proof": {"key": bytes(32)}}, MALFORMED),
        ({"proof": {"key": bytes(32), "signature": bytes(63)}}, MALFORMED),
        ({"proof": {"challenge": bytes(16), "nonce": bytes(9)}}, MALFORMED),
        ({"proof": {"key": bytes(32), "signature": bytes(64), "challenge": bytes(16)}}, MALFORMED),
        ({"x": "y" * 1_024}, MALFORMED),
    ],
)
def test_an_offer_that_is_refused(change: dict[str, Value], status: Status) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        Offer.parse(encode({**_map(DIRECT.encode()), **change}))
    assert status == caught.value.status


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_is_read_as_it_was_given(answer: Answer) -> None:
    assert answer == parse_answer(encode_answer(answer))


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"answer": "maybe"},
        {"answer": "status"},
        {"answer": "status", "status": "1.0.0"},
        {"answer": "status", "status": "2.0.0", "text": "x" * 513},
        {"answer": "status", "status": "2.0.0", "until": -1},
        {"answer": "status", "status": "2.0.0", "identity": bytes(8_193)},
        {"answer": "challenge"},
        {"answer": "go", "x": bytes(200_000)},
    ],
)
def test_an_answer_that_is_refused(value: Value) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_answer(encode(value))


def test_a_price_beyond_sense_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        parse_answer(encode_answer(replace(CHALLENGE, price=33)))


def test_unknown_fields_are_ignored() -> None:
    assert GoAhead() == parse_answer(encode({"answer": "go", "mood": "good"}))
    assert DIRECT == Offer.parse(encode({**_map(DIRECT.encode()), "mood": "good"}))


REQUESTS = [
    IdentityRequest(address=ALICE.address),
    IdentityRequest(email_hash="A" * 43 + "=", nonce=bytes(32)),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_an_identity_request_is_read(request_: IdentityRequest) -> None:
    assert request_ == IdentityRequest.parse(request_.encode())


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"address": "alice"},
        {"address": ALICE.address, "emailHash": "A" * 44},
        {"emailHash": "A" * 44},
        {"emailHash": "A" * 43, "nonce": bytes(32)},
        {"emailHash": "A" * 44, "nonce": bytes(16)},
        {"address": ALICE.address, "x": bytes(16_384)},
    ],
)
def test_an_identity_request_that_is_refused(value: Value) -> None:
    with pytest.raises(RemoteProtocolError):
        IdentityRequest.parse(encode(value))


def test_a_request_for_nobody_or_two_is_our_mistake() -> None:
    for args in [(None, None, None), ("0x", "A", None), (None, "A", None), ("0x", None, bytes(32))]:
        with pytest.raises(LocalProtocolError):
            IdentityRequest(*args)


@pytest.mark.parametrize(
    "answer", [IdentityAnswer(NOW, OK, ALICE.identity.record), IdentityAnswer(0, Status("4.8.9"))]
)
def test_an_identity_answer_is_read(answer: IdentityAnswer) -> None:
    assert answer == IdentityAnswer.parse(answer.encode())


def test_an_identity_answer_over_16_kib_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        IdentityAnswer.parse(encode({**_map(IdentityAnswer(NOW, OK).encode()), "x": bytes(16_384)}))


def _map(data: bytes) -> Mapping[str, Value]:
    value = decode(data)
    assert isinstance(value, Mapping)
    return value


@given(
    st.binary(max_size=200)
    | st.sampled_from([DIRECT, DEPOSIT, STAMPED]).flatmap(lambda o: damaged(o.encode()))
)
def test_any_offer_parses_or_is_refused(data: bytes) -> None:
    parses_or_refuses(lambda data: Offer.parse(data).proof_holds(), data)


@given(changed(_map(DEPOSIT.encode())) | changed(_map(STAMPED.encode())))
def test_any_map_as_offer_parses_or_is_refused(value: dict[str, Value]) -> None:
    parses_or_refuses(lambda data: Offer.parse(data).proof_holds(), encode(value))


@given(st.binary(max_size=200) | st.sampled_from(ANSWERS).flatmap(lambda a: damaged(encode_answer(a))))
def test_any_answer_parses_or_is_refused(data: bytes) -> None:
    parses_or_refuses(parse_answer, data)


@given(st.sampled_from(ANSWERS).flatmap(lambda a: changed(_map(encode_answer(a)))))
def test_any_map_as_answer_parses_or_is_refused(value: dict[str, Value]) -> None:
    parses_or_refuses(parse_answer, encode(value))


@given(
    st.sampled_from(REQUESTS).flatmap(lambda r: damaged(r.encode()) | changed(_map(r.encode())).map(encode))
)
def test_any_request_parses_or_is_refused(data: bytes) -> None:
    parses_or_refuses(IdentityRequest.parse, data)


@given(changed(_map(IdentityAnswer(NOW, OK, b"\0").encode())).map(encode) | st.binary(max_size=50))
def test_any_identity_answer_parses_or_is_refused(data: bytes) -> None:
    parses_or_refuses(IdentityAnswer.parse, data)
