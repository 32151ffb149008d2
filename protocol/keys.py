"""Keys, the names that follow from them, and the secrets derived from the root (protocol.md §2, §11).

Random bytes come in from outside; where keys are kept is not known here.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import nacl.exceptions
from mnemonic import Mnemonic
from nacl import bindings

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.kdf import KEY_BYTES, blake2b, kdf

SIGNATURE_BYTES: Final = 64
WORD_COUNT: Final = 24  # 256 bits of root and 8 of checksum (BIP-39)
MAILBOX_DOMAIN: Final = "mailio.alt"  # RFC 9476: never in the DNS, never sent to by SMTP

_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key that signs; its printed form shows the public half only."""

    public: bytes
    _secret: bytes = field(repr=False)  # libsodium's form: seed ‖ public

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """The key of a 32-byte seed (RFC 8032's private key)."""
        if len(seed) != KEY_BYTES:
            raise LocalProtocolError("an Ed25519 seed is 32 bytes")
        return cls(*bindings.crypto_sign_seed_keypair(seed))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`."""
        signed: bytes = bindings.crypto_sign(message, self._secret)
        return signed[:SIGNATURE_BYTES]


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the Ed25519 signature holds, as libsodium checks it (§11)."""
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False  # libsodium would read beyond their ends
    try:
        bindings.crypto_sign_open(signature + message, public)
    except nacl.exceptions.BadSignatureError:
        return False
    return True


def x25519(private: bytes, public: bytes) -> bytes:
    """The shared secret; RemoteProtocolError for a low-order or misshapen public key (§5)."""
    if len(private) != KEY_BYTES:
        raise LocalProtocolError("an X25519 private key is 32 bytes")
    if len(public) != KEY_BYTES:
        raise RemoteProtocolError("an X25519 public key is 32 bytes")
    try:
        return bytes(bindings.crypto_scalarmult(private, public))
    except nacl.exceptions.RuntimeError:
        raise RemoteProtocolError("an X25519 public key of low order is not taken") from None


def x25519_public(private: bytes) -> bytes:
    """The public key of an (unclamped) X25519 private key."""
    if len(private) != KEY_BYTES:
        raise LocalProtocolError("an X25519 private key is 32 bytes")
    return bytes(bindings.crypto_scalarmult_base(private))


def address_of(public: bytes) -> str:
    """The Mailio address of an identity key: `0x` and 40 lower-case hex digits (§2)."""
    if len(public) != KEY_BYTES:
        raise RemoteProtocolError("an identity key is 32 bytes")
    return "0x" + hashlib.sha256(base64.b64encode(public)).hexdigest()[-40:]


def parse_address(text: str) -> str:
    """A Mailio address in its one lower-case form; RemoteProtocolError when it is none."""
    address = text.lower()
    if _ADDRESS.fullmatch(address) is None:
        raise RemoteProtocolError("a Mailio address is 0x and 40 hexadecimal digits")
    return address


def address_bytes(address: str) -> bytes:
    """The 20 bytes of an address, for keys of stores and indexes."""
    return bytes.fromhex(address[2:])


def did_of(address: str) -> str:
    """`did:mailio:<address>` (§2)."""
    return f"did:mailio:{address}"


def mailbox_of(address: str) -> str:
    """The e-mail form of a Mailio address, for sealed letters only (§2)."""
    return f"{address}@{MAILBOX_DOMAIN}"


def address_of_mailbox(text: str) -> str | None:
    """The Mailio address in `<address>@mailio.alt`, None for any other e-mail address."""
    local, _, domain = text.lower().rpartition("@")
    return local if domain == MAILBOX_DOMAIN and _ADDRESS.fullmatch(local) else None


@cache
def _words() -> Mnemonic:
    return Mnemonic("english")


def words_of(root: bytes) -> tuple[str, ...]:
    """The 24 words of a root: its BIP-39 entropy, not the PBKDF2 seed (§11)."""
    if len(root) != KEY_BYTES:
        raise LocalProtocolError("a root is 32 bytes")
    return tuple(_words().to_mnemonic(root).split(" "))


def root_of(words: Sequence[str]) -> bytes:
    """The root of 24 words, in any case; LocalProtocolError says what is wrong with them."""
    typed = [word.strip().lower() for word in words]
    if len(typed) != WORD_COUNT:
        raise LocalProtocolError(f"{WORD_COUNT} words are needed, not {len(typed)}")
    known = frozenset(_words().wordlist)
    for place, word in enumerate(typed, 1):
        if word not in known:
            raise LocalProtocolError(f"word {place} is not on the list of words")
    try:
        return bytes(_words().to_entropy(typed))
    except ValueError:
        raise LocalProtocolError("the words do not fit together: is one mistyped or out of place?") from None


@dataclass(frozen=True, slots=True)
class Secrets:
    """What stays on disk of the root, for one generation (§2); printing it shows no secret."""

    generation: int
    identity_seed: bytes = field(repr=False)
    pair_key: bytes = field(repr=False)
    account_master: bytes = field(repr=False)
    vault_key: bytes = field(repr=False)
    next: bytes  # BLAKE2b-256 of the next generation's identity key

    @classmethod
    def derive(cls, root: bytes, generation: int = 0) -> "Secrets":
        """All long-lived secrets of a generation (§11)."""
        following = SigningKey.from_seed(kdf(root, "identity", generation + 1))
        return cls(
            generation=generation,
            identity_seed=kdf(root, "identity", generation),
            pair_key=kdf(root, "pair", generation),
            account_master=kdf(root, "accounts", generation),
            vault_key=kdf(root, "vault", generation),
            next=blake2b(following.public),
        )

    @property
    def signing_key(self) -> SigningKey:
        """The identity key."""
        return SigningKey.from_seed(self.identity_seed)

    @property
    def address(self) -> str:
        return address_of(self.signing_key.public)

    @property
    def pair_public(self) -> bytes:
        return x25519_public(self.pair_key)

    def account_seed(self, host_peer_id: bytes) -> bytes:
        """The Ed25519 seed of the account at one host."""
        return kdf(self.account_master, "account", host_peer_id)
