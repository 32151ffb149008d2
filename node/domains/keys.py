"""DKIM keys of a domain: made, named, signing, as they are published. Where they are kept is book.py's."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from nacl.signing import SigningKey

from node.mailauth import Signer
from node.mailauth.signing import over_digest

RSA: Final = "rsa-sha256"
ED25519: Final = "ed25519-sha256"

ALGORITHMS: Final = (RSA, ED25519)
"""A letter bears a signature of each: every verifier knows the first, and the second is short (RFC 8463)."""

RSA_BITS: Final = 2_048
"""RFC 8301 §3.2; a longer one's record does not fit an answer over UDP."""

KEPT_MS: Final = 7 * 86_400_000
"""A week in which letters that were signed are still on their way: others' queues hold them for five days."""

State = Literal["waiting", "used", "retired", "remove"]


@dataclass(frozen=True, slots=True)
class DkimKey:
    """One key. Times in Unix ms, 0 for what has not been: `used` since it signs, `retired` since it does not
    any more, and then its secret is b"". `forced` where the owner said that it is published.
    """

    selector: str
    algorithm: str
    public: bytes  # as p= has it
    secret: bytes = field(repr=False)  # RSA: PKCS#8 DER, Ed25519: its seed
    made: int
    used: int = 0
    retired: int = 0
    forced: bool = False

    @property
    def until(self) -> int:
        """Until when it has to stay published; 0 where no end is known."""
        return self.retired + KEPT_MS if self.retired else 0

    def state(self, now: int) -> State:
        """How it stands at a time."""
        if self.retired:
            return "retired" if now < self.until else "remove"
        return "used" if self.used else "waiting"

    @property
    def txt(self) -> str:
        """What is published (RFC 6376 §3.6.1)."""
        kind = self.algorithm.partition("-")[0]
        return f"v=DKIM1; k={kind}; p={base64.b64encode(self.public).decode()}"

    def name(self, domain: str) -> str:
        """Where it is published (RFC 6376 §3.6.2.1)."""
        return f"{self.selector}._domainkey.{domain}"

    def signer(self, domain: str) -> Signer:
        """What signs with it; not for a retired one."""
        if self.algorithm == ED25519:
            sign = over_digest(lambda data: SigningKey(self.secret).sign(data).signature)
            return Signer(domain, self.selector, self.algorithm, self.public, sign)
        return Signer(domain, self.selector, self.algorithm, self.public, self._sign_rsa)

    def _sign_rsa(self, data: bytes) -> bytes:
        # Checked when it was made, and sealed since: to check it at each letter costs 50 ms.
        key = load_der_private_key(self.secret, None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def new_keys(now: int) -> tuple[DkimKey, ...]:
    """One of each algorithm, without a selector yet. Takes up to a second: for a thread."""
    rsa_key = rsa.generate_private_key(65_537, RSA_BITS)
    spki = rsa_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    der = rsa_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    seed = SigningKey.generate()
    return DkimKey("", RSA, spki, der, now), DkimKey("", ED25519, bytes(seed.verify_key), bytes(seed), now)


def new_selector(algorithm: str, now: int, taken: set[str]) -> str:
    """m20261126r for RSA and m20261126e for Ed25519, of the day (UTC); a second one is m20261126r2."""
    first = f"m{datetime.fromtimestamp(now / 1000, UTC):%Y%m%d}{algorithm[0]}"
    others = (f"{first}{number}" for number in range(2, len(taken) + 3))
    return next(one for one in (first, *others) if one not in taken)
