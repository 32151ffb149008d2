import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.kdf import blake2b, kdf
from protocol.padding import pad, padme, unpad


def test_kdf_is_the_formula_of_the_text() -> None:
    message = b"mailio/pair-secret/1\0" + bytes(7) + b"\2ab" + bytes(7) + b"\x08" + bytes(7) + b"\5"
    expected = hashlib.blake2b(message, digest_size=32, key=b"k" * 32).digest()
    assert kdf(b"k" * 32, "pair-secret", "ab", 5) == expected


def test_blake2b_of_nothing() -> None:
    assert blake2b(b"").hex() == "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"


@pytest.mark.parametrize("secret, item", [(b"short", 1), (bytes(33), 1), (bytes(32), -1), (bytes(32), 2**64)])
def test_kdf_refuses_what_has_no_bytes(secret: bytes, item: int) -> None:
    with pytest.raises(LocalProtocolError):
        kdf(secret, "vault", item)


@given(st.integers(0, 2**40))
def test_padme_grows_little_and_keeps_its_own_sizes(length: int) -> None:
    padded = padme(length)
    assert length <= padded <= length * 1.12 + 1
    assert padme(padded) == padded


@given(st.integers(2, 2**40))
def test_padme_is_the_paper_s_bit_rule(length: int) -> None:
    exponent = length.bit_length() - 1
    low_bits = exponent - exponent.bit_length()
    padded = padme(length)
    assert padded % (1 << low_bits) == 0
    assert padded - length < 1 << low_bits


@given(st.binary(max_size=3_000), st.integers(0, 5_000))
def test_padding_comes_off(data: bytes, least: int) -> None:
    padded = pad(data, least)
    assert len(padded) == padme(max(least, 4 + len(data)))
    assert unpad(padded) == unpad(padded, least) == data


@given(st.binary(max_size=80))
def test_any_bytes_unpad_or_are_refused(padded: bytes) -> None:
    try:
        data = unpad(padded)
    except RemoteProtocolError:
        return
    assert padded.startswith(len(data).to_bytes(4, "big") + data)
    assert not any(padded[4 + len(data) :])


@pytest.mark.parametrize(
    "padded, least",
    [
        (b"", None),
        (b"\0\0\0", None),
        (b"\0\0\0\2a", None),
        (b"\0\0\0\1a\0\1", None),
        (b"\0\0\0\0\1", None),
        (pad(b"a", 64) + b"\0", 64),
        (pad(b"a", 64)[:-1], 64),
    ],
)
def test_wrong_padding_is_refused(padded: bytes, least: int | None) -> None:
    with pytest.raises(RemoteProtocolError):
        unpad(padded, least)
