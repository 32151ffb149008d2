import pytest

from protocol.errors import LocalProtocolError
from protocol.stamps import (
    birth_tag,
    leading_zero_bits,
    search_birth,
    search_stamp,
    stamp_tag,
    verify_birth,
    verify_stamp,
)

CHALLENGE = bytes(16)
KEY = bytes.fromhex("7270a358a17eb1e3045ea41f25ef696e365e423ce3d21861b946862722a543c9")
BIRTH_NONCE = bytes.fromhex("00000000000015a1")


@pytest.mark.parametrize(
    "tag, bits", [("80", 0), ("40", 1), ("01", 7), ("0080", 8), ("0000", 16), ("00" * 31 + "01", 255)]
)
def test_bits_are_counted_from_the_most_significant_end(tag: str, bits: int) -> None:
    assert leading_zero_bits(bytes.fromhex(tag)) == bits


def test_what_is_found_pays_and_is_the_first() -> None:
    nonce = search_stamp(CHALLENGE, 3)
    assert verify_stamp(CHALLENGE, nonce, 3)
    assert not verify_stamp(CHALLENGE, nonce, leading_zero_bits(stamp_tag(CHALLENGE, nonce)) + 1)
    number = int.from_bytes(nonce, "big")
    assert not any(verify_stamp(CHALLENGE, n.to_bytes(8, "big"), 3) for n in range(number))


def test_a_stamp_is_for_its_challenge() -> None:
    nonce = search_stamp(CHALLENGE, 3)
    assert stamp_tag(CHALLENGE, nonce) != stamp_tag(b"\1" * 16, nonce)


def test_a_search_for_a_birth_stamp_goes_on_from_where_it_was() -> None:
    number = int.from_bytes(BIRTH_NONCE, "big")
    assert search_birth(KEY, number - 1, 2) == BIRTH_NONCE
    assert search_birth(KEY, number - 2, 2) is None


def test_a_birth_stamp_is_for_its_key() -> None:
    assert verify_birth(KEY, BIRTH_NONCE)
    assert not verify_birth(bytes(32), BIRTH_NONCE)
    assert not verify_birth(KEY, bytes(8))


@pytest.mark.parametrize("challenge, nonce", [(b"", bytes(8)), (CHALLENGE, b""), (bytes(17), bytes(8))])
def test_misshapen_stamps_pay_nothing(challenge: bytes, nonce: bytes) -> None:
    assert not verify_stamp(challenge, nonce, 0)
    with pytest.raises(LocalProtocolError):
        stamp_tag(challenge, nonce)


@pytest.mark.parametrize("public, nonce", [(b"", bytes(8)), (KEY, b""), (KEY, bytes(9))])
def test_misshapen_birth_stamps_do_not_hold(public: bytes, nonce: bytes) -> None:
    assert not verify_birth(public, nonce)
    with pytest.raises(LocalProtocolError):
        birth_tag(public, nonce)
