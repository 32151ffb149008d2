"""What strangers send parses or raises our typed fault; what we send parses back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.network import PeerAddress, identify
from node.network.addresses import Scope
from node.network.kad_wire import (
    FIND_NODE,
    GET_VALUE,
    PUT_VALUE,
    Answer,
    Question,
    encode_answer,
    encode_question,
    parse_answer,
    parse_question,
)
from node.network.limits import MAX_RECORD, K
from protocol.errors import RemoteProtocolError

PEERS = tuple(PeerAddress(bytes([0, 2, n, n]), (f"/ip4/10.0.0.{n}/tcp/4101",)) for n in range(1, 4))


@given(st.binary(max_size=600))
def test_any_question_parses_or_is_a_remote_fault(data: bytes) -> None:
    try:
        parse_question(data)
    except RemoteProtocolError:
        return


@given(st.binary(max_size=600))
def test_any_answer_parses_or_is_a_remote_fault(data: bytes) -> None:
    try:
        answer = parse_answer(data, Scope.PUBLIC)
    except RemoteProtocolError:
        return
    assert len(answer.closer) <= K


@given(st.binary(max_size=600))
def test_any_identify_parses_or_is_a_remote_fault(data: bytes) -> None:
    try:
        told = identify.parse(data, Scope.PUBLIC)
    except RemoteProtocolError:
        return
    assert len(told.agent) <= identify.MAX_AGENT


@given(st.sampled_from([FIND_NODE, GET_VALUE, PUT_VALUE]), st.binary(min_size=1, max_size=64), st.data())
def test_a_question_round_trips_and_no_part_of_it_passes_for_more(
    kind: int, key: bytes, data: st.DataObject
) -> None:
    question = Question(kind, key, b"value" if kind == PUT_VALUE else b"")
    encoded = encode_question(question)
    assert parse_question(encoded) == question
    cut = encoded[: data.draw(st.integers(0, len(encoded)))]
    try:
        parse_question(cut)
    except RemoteProtocolError:
        return


def test_an_answer_round_trips() -> None:
    answer = Answer(GET_VALUE, b"key", b"value", PEERS)
    assert parse_answer(encode_answer(answer, Scope.PRIVATE), Scope.PRIVATE) == answer


def test_who_has_no_peer_id_is_not_believed_to_be_a_peer() -> None:
    stray = PeerAddress(b"\x05\x02xx", ("/ip4/10.0.0.9/tcp/4101",))
    encoded = encode_answer(Answer(FIND_NODE, b"key", closer=(stray, *PEERS)), Scope.PRIVATE)
    assert parse_answer(encoded, Scope.PRIVATE).closer == PEERS


def test_a_public_asker_hears_of_no_private_peer() -> None:
    encoded = encode_answer(Answer(FIND_NODE, b"key", closer=PEERS), Scope.PUBLIC)
    assert parse_answer(encoded, Scope.LOOPBACK).closer == ()


def test_a_record_over_8_kib_is_refused() -> None:
    data = encode_question(Question(PUT_VALUE, b"key", bytes(MAX_RECORD + 1)))
    with pytest.raises(RemoteProtocolError, match="8 KiB"):
        parse_question(data)


def test_identify_round_trips() -> None:
    data = identify.encode(
        b"key", "mailio/1", ["/ip4/8.8.8.8/tcp/1"], ["/x/1"], "/ip4/9.9.9.9/tcp/0", Scope.PUBLIC
    )
    expected = identify.Identity("mailio/1", ("/ip4/8.8.8.8/tcp/1",), frozenset({"/x/1"}))
    assert identify.parse(data, Scope.PUBLIC) == expected
