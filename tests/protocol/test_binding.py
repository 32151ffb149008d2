"""Bindings (protocol.md §4): a domain's answer to one question, and no other's."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.binding import (
    BINDING_KIND,
    MAX_LIFE_MS,
    MAX_RECORD_BYTES,
    UNBOUND_KIND,
    Binding,
    parse_binding,
    sign_binding,
)
from protocol.cbor import Value
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.record import Record, sign_record
from tests.kit.hostile import changed, damaged, parses_or_refuses
from tests.kit.owners import NOW, owner

DOMAIN, BOB, EVE = owner("domain"), owner("bob"), owner("eve")
HASH, NONCE = "A" * 43 + "=", bytes(range(32))
BOUND = Binding(HASH, NONCE, BOB.public, NOW, NOW + 86_400_000)
NOBODY = replace(BOUND, owner=None)
SIGNED = sign_binding(BOUND, DOMAIN.key)
PAYLOAD = Record.decode(SIGNED, MAX_RECORD_BYTES).verify(BINDING_KIND)


def _parse(data: bytes, now: int | None = NOW) -> Binding:
    return parse_binding(data, DOMAIN.public, HASH, NONCE, now)


@pytest.mark.parametrize("binding, kind", [(BOUND, BINDING_KIND), (NOBODY, UNBOUND_KIND)])
def test_what_was_signed_is_read(binding: Binding, kind: str) -> None:
    data = sign_binding(binding, DOMAIN.key)
    assert binding == _parse(data)
    assert kind == Record.decode(data, MAX_RECORD_BYTES).kind
    assert (BOB.address if binding.owner else None) == binding.address


@pytest.mark.parametrize(
    "domain, email_hash, nonce",
    [(EVE.public, HASH, NONCE), (DOMAIN.public, "B" * 43 + "=", NONCE), (DOMAIN.public, HASH, bytes(32))],
    ids=["another signer", "another hash", "another nonce"],
)
def test_the_answer_to_another_question_is_refused(domain: bytes, email_hash: str, nonce: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_binding(SIGNED, domain, email_hash, nonce, NOW)
    assert caught.value.status.category == 5


@pytest.mark.parametrize(
    "now, holds",
    [
        (NOW, True),
        (NOW - 600_000, True),
        (NOW - 600_001, False),
        (BOUND.expires - 1, True),
        (BOUND.expires, False),
        (None, True),
    ],
)
def test_it_holds_for_its_time(now: int | None, holds: bool) -> None:
    if holds:
        assert BOUND == _parse(SIGNED, now)
        return
    with pytest.raises(RemoteProtocolError) as caught:
        _parse(SIGNED, now)
    assert caught.value.status.code == "4.8.3"


@pytest.mark.parametrize("life", [-1, 0, MAX_LIFE_MS + 1])
def test_one_that_holds_for_too_long_or_not_at_all_is_refused(life: int) -> None:
    with pytest.raises(LocalProtocolError):
        sign_binding(replace(BOUND, expires=NOW + life), DOMAIN.key)
    with pytest.raises(RemoteProtocolError):
        _parse(sign_record(BINDING_KIND, {**PAYLOAD, "expires": NOW + life}, DOMAIN.key).encode())


@pytest.mark.parametrize(
    "kind, payload",
    [
        (UNBOUND_KIND, {name: value for name, value in PAYLOAD.items() if name != "expires"}),
        (BINDING_KIND, {name: value for name, value in PAYLOAD.items() if name != "owner"}),
        (BINDING_KIND, {**PAYLOAD, "owner": bytes(31)}),
        (BINDING_KIND, {**PAYLOAD, "nonce": bytes(31)}),
        (BINDING_KIND, {**PAYLOAD, "emailHash": HASH[1:]}),
        ("receipt/1", dict(PAYLOAD)),
    ],
)
def test_other_records_are_refused(kind: str, payload: dict[str, Value]) -> None:
    with pytest.raises(RemoteProtocolError):
        _parse(sign_record(kind, payload, DOMAIN.key).encode())


def test_unknown_fields_are_passed_over_and_size_is_bounded() -> None:
    assert BOUND == _parse(sign_record(BINDING_KIND, {**PAYLOAD, "new": True}, DOMAIN.key).encode())
    with pytest.raises(RemoteProtocolError):
        _parse(sign_record(BINDING_KIND, {**PAYLOAD, "new": bytes(MAX_RECORD_BYTES)}, DOMAIN.key).encode())


@given(st.binary(max_size=400) | damaged(SIGNED))
def test_anything_is_read_or_refused(data: bytes) -> None:
    parses_or_refuses(_parse, data)


@given(changed(PAYLOAD))
def test_any_signed_payload_is_read_or_refused(payload: dict[str, Value]) -> None:
    parses_or_refuses(_parse, sign_record(BINDING_KIND, payload, DOMAIN.key).encode())
