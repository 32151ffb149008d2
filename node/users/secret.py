"""An app password: how it is made, written, and recognised. Nothing is kept here.

It is chance, and not a person's choice: nobody can guess among 2^123, so that its hash need not be slow,
and a mail program that logs in for each letter costs microseconds.
"""

import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from protocol.kdf import KEY_BYTES, kdf

ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""31 letters and digits that no one takes for another: without 0 and o, 1 and l and i."""

LENGTH: Final = 25
"""Characters: 25 of 31 are 123.8 bits."""

GROUP: Final = 5
"""Characters between two hyphens: what one keeps in mind while typing."""

MAX_TYPED: Final = 200
"""Characters of what somebody offers as a password; more is not looked at."""


@dataclass(frozen=True, slots=True, repr=False)
class Hash:
    """What is kept of a password."""

    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, password: str, salt: bytes | None = None) -> "Hash":
        salt = secrets.token_bytes(KEY_BYTES) if salt is None else salt
        return cls(salt, kdf(salt, "app-password", _plain(password)))

    def fits(self, password: str) -> bool:
        """Whether it is this password; in a time that tells nothing of how nearly."""
        return hmac.compare_digest(self.digest, Hash.of(password, self.salt).digest)


NOBODY: Final = Hash(bytes(KEY_BYTES), bytes(KEY_BYTES))
"""What a password is compared with where the name is unknown, so that the time does not tell that."""


def new_password() -> str:
    """A new one, as it is shown and typed."""
    found = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(found[n : n + GROUP] for n in range(0, LENGTH, GROUP))


def _plain(password: str) -> bytes:
    """As typed without what typing adds: capitals, hyphens and spaces carry none of its chance."""
    kept = "".join(c for c in password[:MAX_TYPED].lower() if c not in "- ")
    return kept.encode("utf-8", "surrogatepass")
