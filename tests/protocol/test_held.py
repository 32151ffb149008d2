"""Handshakes at hosts (protocol.md §5): the owner opens them, the host sees nothing, others can't write."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cbor import Value, encode
from protocol.errors import RemoteProtocolError
from protocol.handshake import Sender, Terms, accept, revoke
from protocol.held import KIND, Held, digest, open_held, parse_held, seal_held
from protocol.kdf import blake2b
from protocol.keys import SigningKey
from protocol.record import Record, sign_record
from tests.kit.hostile import changed, damaged, parses_or_refuses
from tests.kit.owners import GRANT, NOW, PEER_ID, owner

ALICE, BOB, EVE = owner("alice"), owner("bob"), owner("eve")
PAIR = ALICE.lets(BOB)
ACCOUNT = SigningKey.from_seed(ALICE.secrets.account_seed(PEER_ID))
TO_BOB = Sender(address=BOB.address)
TERMS = Terms(expires=NOW + 1)
ACCEPTED = accept(ALICE.key, TO_BOB, TERMS, previous=None, fresh_grant=GRANT, now=NOW)
REVOKED = revoke(ALICE.key, TO_BOB, previous=ACCEPTED, now=NOW)
RECORD = seal_held(ACCEPTED, PAIR, ACCOUNT)
HELD = parse_held(RECORD)


def test_what_the_owner_sealed_it_opens() -> None:
    assert (PAIR.tag, ACCEPTED.seq, ACCOUNT.public) == (HELD.tag, HELD.seq, HELD.account)
    assert ACCEPTED == open_held(HELD, PAIR)
    assert REVOKED == open_held(parse_held(seal_held(REVOKED, PAIR, ACCOUNT)), PAIR)


def test_accepted_and_revoked_look_alike() -> None:
    first = revoke(ALICE.key, TO_BOB, previous=None, now=NOW)
    sizes = {len(parse_held(seal_held(h, PAIR, ACCOUNT)).ciphertext) for h in (ACCEPTED, REVOKED, first)}
    assert {24 + 1_024 + 16} == sizes


def test_no_two_sealings_are_the_same() -> None:
    assert RECORD != seal_held(ACCEPTED, PAIR, ACCOUNT)


def test_what_a_host_could_do_to_one_is_found() -> None:
    other = parse_held(seal_held(REVOKED, PAIR, ACCOUNT))
    flipped = HELD.ciphertext[:-1] + bytes([HELD.ciphertext[-1] ^ 1])
    wrong: list[Held] = [
        replace(HELD, seq=HELD.seq + 1),
        replace(HELD, tag=ALICE.lets(EVE).tag),
        replace(HELD, ciphertext=other.ciphertext),
        replace(HELD, ciphertext=flipped),
        replace(HELD, ciphertext=HELD.ciphertext[:39]),
        replace(HELD, ciphertext=b""),
    ]
    for held in wrong:
        with pytest.raises(RemoteProtocolError):
            open_held(held, PAIR)
    with pytest.raises(RemoteProtocolError):
        open_held(HELD, ALICE.lets(EVE))


def test_the_seq_inside_is_the_seq_outside() -> None:
    lying = parse_held(seal_held(replace(ACCEPTED, seq=ACCEPTED.seq + 5), PAIR, ACCOUNT))
    with pytest.raises(RemoteProtocolError):
        open_held(lying, PAIR)


def test_nobody_but_the_account_can_write() -> None:
    record = Record.decode(RECORD, 8_192)
    for bad in (replace(record, public_key=EVE.public), replace(record, kind="letter/1")):
        with pytest.raises(RemoteProtocolError):
            parse_held(bad.encode())


def test_the_digest_does_not_depend_on_the_order() -> None:
    a, b = (bytes(32), 2**53 - 1, blake2b(b"a")), (b"\x01" * 32, 0, blake2b(b"b"))
    expected = blake2b(a[0] + a[1].to_bytes(8, "big") + a[2] + b[0] + bytes(8) + b[2])
    assert expected == digest([b, a]) == digest([a, b])
    assert expected != digest([a])


@given(st.binary(max_size=200) | damaged(RECORD))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    parses_or_refuses(lambda data: open_held(parse_held(data), PAIR), data)


@given(changed({"tag": HELD.tag, "seq": HELD.seq, "ciphertext": HELD.ciphertext}))
def test_any_signed_payload_parses_or_is_refused(payload: dict[str, Value]) -> None:
    data = sign_record(KIND, encode(payload), ACCOUNT).encode()
    parses_or_refuses(lambda data: open_held(parse_held(data), PAIR), data)
