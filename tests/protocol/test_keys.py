import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.kdf import kdf
from protocol.keys import (
    Secrets,
    SigningKey,
    address_of,
    address_of_mailbox,
    did_of,
    mailbox_of,
    parse_address,
    root_of,
    verify,
    words_of,
    x25519,
    x25519_public,
)

KEY = SigningKey.from_seed(bytes(range(32)))
KEYS = st.binary(min_size=32, max_size=32)


def test_rfc_8032_test_3() -> None:
    key = SigningKey.from_seed(
        bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    )
    signature = key.sign(bytes.fromhex("af82"))
    assert key.public.hex() == "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    assert signature.hex() == (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    assert verify(key.public, bytes.fromhex("af82"), signature)


def test_rfc_7748_diffie_hellman() -> None:
    alice_public = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    assert x25519_public(bob).hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    assert x25519(bob, alice_public).hex() == shared


@given(st.binary(max_size=100), st.integers(0, 95), st.integers(1, 255))
def test_a_changed_signature_or_message_does_not_verify(message: bytes, place: int, change: int) -> None:
    signature = KEY.sign(message)
    changed = bytearray(signature + KEY.public)
    changed[place] ^= change
    assert verify(KEY.public, message, signature)
    assert not verify(KEY.public, message + b"x", signature)
    assert not verify(bytes(changed[64:]), message, bytes(changed[:64]))


@pytest.mark.parametrize(
    "public, signature", [(b"", bytes(64)), (bytes(31), bytes(64)), (bytes(32), bytes(63))]
)
def test_misshapen_keys_and_signatures_do_not_verify(public: bytes, signature: bytes) -> None:
    assert not verify(public, b"", signature)


@pytest.mark.parametrize(
    "public",
    [
        bytes(32),
        b"\1" + bytes(31),
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
        bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        b"",
        bytes(31),
        bytes(33),
    ],
)
def test_low_order_and_misshapen_public_keys_are_refused(public: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        x25519(bytes(range(32)), public)


def test_our_own_misshapen_keys_are_our_own_fault() -> None:
    for action in (
        lambda: SigningKey.from_seed(b"short"),
        lambda: x25519(b"short", KEY.public),
        lambda: x25519_public(b"short"),
        lambda: words_of(b"short"),
    ):
        with pytest.raises(LocalProtocolError):
            action()


def test_address_is_the_formula_of_the_text() -> None:
    text = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    assert address_of(bytes(32)) == "0x" + hashlib.sha256(text.encode()).hexdigest()[24:]


@given(KEYS)
def test_names_of_an_address_lead_back(public: bytes) -> None:
    address = address_of(public)
    assert parse_address(address.upper()) == address
    assert did_of(address) == f"did:mailio:{address}"
    assert address_of_mailbox(mailbox_of(address)) == address
    assert address_of_mailbox(f"{address}@example.com") is None


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    assert address_of_mailbox(text) is None
    with pytest.raises(RemoteProtocolError):
        parse_address(text)


@given(KEYS)
def test_words_lead_back_to_the_root(root: bytes) -> None:
    words = words_of(root)
    assert len(words) == 24
    assert root_of([f" {word.upper()} " for word in words]) == root


@pytest.mark.parametrize(
    "words, text",
    [
        ("abandon " * 23, "24 words are needed, not 23"),
        ("abandon " * 12, "24 words are needed, not 12"),
        ("abandon " * 4 + "mailio " + "abandon " * 19, "word 5 is not on the list"),
        ("abandon " * 24, "do not fit together"),
    ],
)
def test_mistyped_words_are_explained(words: str, text: str) -> None:
    with pytest.raises(LocalProtocolError, match=text):
        root_of(words.split())


@given(KEYS, st.integers(0, 5))
def test_a_generation_commits_to_the_next(root: bytes, generation: int) -> None:
    secrets, following = Secrets.derive(root, generation), Secrets.derive(root, generation + 1)
    assert secrets.next == hashlib.blake2b(following.signing_key.public, digest_size=32).digest()
    apart = {secrets.identity_seed, secrets.pair_key, secrets.account_master, secrets.vault_key}
    apart |= {following.identity_seed, following.pair_key, following.account_master, following.vault_key}
    assert len(apart) == 8
    assert secrets.account_seed(b"host a") == kdf(secrets.account_master, "account", b"host a")


def test_printing_shows_no_secret() -> None:
    secrets = Secrets.derive(bytes(range(32)))
    shown = repr(secrets) + repr(secrets.signing_key)
    for secret in (secrets.identity_seed, secrets.pair_key, secrets.account_master, secrets.vault_key):
        assert repr(secret) not in shown
        assert repr(secret)[2:-1] not in shown
